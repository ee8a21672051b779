"""Transcoded files: DCMTK and GDCM read the pixels that were encoded, and a real Orthanc makes the same elements of the same files."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import CannotTranscode
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.contract.test_round_trips import (
    HTJ2K,
    HTJ2K_LOSSY,
    HTJ2K_RPCL,
    KINDS,
    MORE_KINDS,
    WITH_LOSS,
    WITHOUT_LOSS,
    Kind,
    made_in,
    whole,
)
from tests.peer.changed_files import elements_of
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, wait_for
from tests.peer.test_modality_store import storescp
from tests.pixel_files import (
    BASELINE,
    EXTENDED,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR,
    JPEG_XL,
    LOSSLESS,
    LOSSLESS_SV1,
    RLE,
)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("dcmdjpeg") is None, reason="DCMTK's tools are not installed (Debian: dcmtk)"),
]

JPEG: Final = (BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1)
DECODERS: Final = {
    RLE: ["dcmdrle"],
    **{syntax: ["dcmdjpeg", "--conv-never"] for syntax in JPEG},
    **{syntax: ["dcmdjpls"] for syntax in (JPEG_LS, JPEG_LS_NEAR)},
}
GDCM: Final = ["gdcmconv", "--raw"]
UNKNOWN_TO_GDCM: Final = {HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY, JPEG_XL}
PALETTE: Final = {
    f"{colour}PaletteColorLookupTable{part}": value
    for colour in ("Red", "Green", "Blue")
    for part, value in (("Descriptor", [256, 0, 16]), ("Data", bytes(512)))
}


def run(*command: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, timeout=60)


def decoded(tool: list[str], file: bytes, folder: Path) -> Dataset:
    """What a tool makes of a file."""
    source, target = folder / "source.dcm", folder / "target.dcm"
    source.write_bytes(file)
    target.unlink(missing_ok=True)
    said = run(*tool, source, target)
    assert said.returncode == 0, (tool, said.stderr)
    return dcmread(target)


def samples_of(told: Dataset) -> Any:
    """The samples, color by pixel."""
    signed = "i" if told.PixelRepresentation else "u"
    frames = int(told.get("NumberOfFrames") or 1)
    size = frames * told.Rows * told.Columns * told.SamplesPerPixel
    data = np.frombuffer(told.PixelData, f"<{signed}{told.BitsAllocated // 8}")[:size]
    if told.get("PlanarConfiguration"):
        return data.reshape(frames, told.SamplesPerPixel, -1).transpose(0, 2, 1).reshape(-1)
    return data


def is_of_gdcm(kind: Kind, syntax: str) -> bool:
    """GDCM 3.0 has no HTJ2K and no JPEG XL, stops at an assertion for samples of less than 8 bits, and swaps colours of 16 bits in RLE."""
    return syntax not in UNKNOWN_TO_GDCM and kind.bits >= 8 and not (syntax == RLE and kind == Kind(16, "RGB"))


@pytest.fixture(scope="module")
def codecs() -> Iterator[CodecPool]:
    pool = CodecPool()
    yield pool
    pool.close()


def check_others(kind: Kind, codecs: CodecPool, folder: Path) -> None:
    source = kind.file(**(PALETTE if kind.label == "PALETTE COLOR" else {}))
    original = samples_of(dcmread(BytesIO(source))).astype("i8")
    for syntax in (*WITHOUT_LOSS[4:], *WITH_LOSS):
        try:
            file = whole(made_in(syntax, source, codecs))
        except CannotTranscode:
            continue  # what cannot be held: tests/contract/test_encoders.py
        (folder / "made.dcm").write_bytes(file)
        said = run("dcmdump", folder / "made.dcm")
        assert (said.returncode, said.stderr) == (0, b""), (kind, syntax)
        tools = [tool for tool in (DECODERS.get(syntax), GDCM if is_of_gdcm(kind, syntax) else None) if tool]
        for tool in tools:
            told = decoded(tool, file, folder)
            if kind.label in {"RGB", "YBR_FULL"} and syntax in WITH_LOSS and syntax != JPEG_LS_NEAR:
                continue  # it was read; with which colours is for each tool to say
            most = 2 if syntax == JPEG_LS_NEAR else max(4, (1 << kind.bits) // 8) if syntax in WITH_LOSS else 0
            assert np.abs(samples_of(told).astype("i8") - original).max() <= most, (kind, syntax, tool)


@pytest.mark.skipif(shutil.which("gdcmconv") is None, reason="GDCM's tools are not installed (Debian: libgdcm-tools)")
@pytest.mark.parametrize("kind", KINDS[:1], ids=str)
def test_others_decode_what_is_encoded(kind: Kind, codecs: CodecPool, tmp_path: Path) -> None:
    check_others(kind, codecs, tmp_path)


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("gdcmconv") is None, reason="GDCM's tools are not installed (Debian: libgdcm-tools)")
@pytest.mark.parametrize("kind", [*KINDS[1:], *MORE_KINDS], ids=str)
def test_others_decode_more_kinds(kind: Kind, codecs: CodecPool, tmp_path: Path) -> None:
    check_others(kind, codecs, tmp_path)


# What Orthanc dies of is not asked: JPEG-LS of samples of 9 to 15 bits with a sign.
SENT: Final = {
    "gray": Kind(12),
    "signed": Kind(16, signed=True, frames=3),
    "colours": Kind(8, "RGB", allocated=8, frames=2),
    "inverse": Kind(10, "MONOCHROME1"),
    "bytes": Kind(8, allocated=8),
}
UNCOMPRESSED: Final = (IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE)
ASKED: Final = (*UNCOMPRESSED, *JPEG, JPEG_LS, JPEG_LS_NEAR)
OPTIONS: Final = f"""
  "IngestTranscoding": "{JPEG_LS}", "IngestTranscodingOfCompressed": false, "DicomScuPreferredTransferSyntax": "{LOSSLESS_SV1}",
"""  # fmt: skip
# What both say of a lossy image in their own words, and what is drawn; docs/compatibility.md has why of each.
OWN: Final = {"00080018", "00082111", "00282112", "7fe00010"}


@pytest.fixture(scope="module")
def pair(oracle: Oracle, modern: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("transcoding"), OPTIONS) as made:
        yield made


def sent_to(server: Server) -> dict[str, str]:
    """The identifiers of what has been sent."""
    names = {}
    for number, (name, kind) in enumerate(SENT.items()):
        file = kind.file(SOPInstanceUID=f"1.2.3.{number}", ImageType=["ORIGINAL", "PRIMARY"])
        answer = server.ask(Request("/instances", "POST", file))
        told: Any = json.loads(answer.body)
        assert (answer.status, told["Status"]) in {(200, "Success"), (200, "AlreadyStored")}
        names[name] = told["ID"]
    return names


def file_of(server: Server, name: str, syntax: str = "") -> tuple[int, bytes]:
    answer = server.get(f"/instances/{name}/file" + (f"?transcode={syntax}" if syntax else ""))
    return answer.status, answer.body


def test_what_comes_in_is_transcoded_as_by_orthanc(pair: Pair) -> None:
    ours, theirs = sent_to(pair.ours), sent_to(pair.theirs)
    assert ours == theirs
    for name in ours.values():
        for server in (pair.ours, pair.theirs):
            assert server.get(f"/instances/{name}/metadata/TransferSyntax").body == JPEG_LS.encode()
        assert _without_own(file_of(pair.ours, name)[1]) == _without_own(file_of(pair.theirs, name)[1])
    wide = Kind(20, allocated=32).file(SOPInstanceUID="1.2.3.32")
    for server in (pair.ours, pair.theirs):
        told: Any = json.loads(server.ask(Request("/instances", "POST", wide)).body)
        assert server.get(f"/instances/{told['ID']}/metadata/TransferSyntax").body == EXPLICIT_LE.encode()
        assert file_of(server, told["ID"], JPEG_LS)[0] == 404


def test_files_are_given_as_by_orthanc(pair: Pair, codecs: CodecPool) -> None:
    names = sent_to(pair.ours)
    assert names == sent_to(pair.theirs)
    for kind, name in names.items():
        for syntax in ASKED:
            (status, ours), (expected, theirs) = (file_of(server, name, syntax) for server in (pair.ours, pair.theirs))
            if (SENT[kind].signed and syntax in WITH_LOSS) or status != 200:
                assert status == 404, (kind, syntax)
                assert expected == 404 or SENT[kind].signed, (kind, syntax)
                continue
            assert expected == 200, (kind, syntax)
            assert _without_own(ours) == _without_own(theirs), (kind, syntax)
            _check_samples(syntax, SENT[kind], ours, theirs, codecs)


def _without_own(file: bytes) -> dict[str, bytes]:
    found = elements_of(file)
    if "00282110" in found:  # of both, the source is what was sent
        assert found.keys() >= OWN
    return {path: value for path, value in found.items() if path[:8] not in OWN}


def _check_samples(syntax: str, kind: Kind, ours: bytes, theirs: bytes, codecs: CodecPool) -> None:
    native = [file if syntax == EXPLICIT_LE else whole(made_in(EXPLICIT_LE, file, codecs)) for file in (ours, theirs)]
    here, there = (samples_of(dcmread(BytesIO(file))).astype("i8") for file in native)
    if syntax not in WITH_LOSS:
        assert (here == there).all(), (kind, syntax)
        return
    if kind.label == "RGB":  # with colours that two pixels share, a tool decides what they are
        return
    original = samples_of(dcmread(BytesIO(kind.file()))).astype("i8")
    losses = [((found - original) ** 2).mean() for found in (here, there)]
    assert losses[0] <= 1.5 * losses[1] + 1, (kind, syntax, losses)


def test_orthanc_cannot_make_what_is_made_here_besides(pair: Pair) -> None:
    name = sent_to(pair.ours)["gray"]
    sent_to(pair.theirs)
    for syntax in (RLE, J2K_LOSSLESS, J2K):
        assert [file_of(server, name, syntax)[0] for server in (pair.ours, pair.theirs)] == [200, 404]


@pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed (Debian: dcmtk)")
def test_a_destination_that_takes_only_jpeg_gets_jpeg(pair: Pair, tmp_path: Path) -> None:
    name = sent_to(pair.ours)["signed"]
    profile = tmp_path / "only.cfg"
    contexts = "[[TransferSyntaxes]]\n[J]\nTransferSyntax1 = {}\n[[PresentationContexts]]\n[P]\nPresentationContext1 = MRImageStorage\\J\n"
    profile.write_text(contexts.format(LOSSLESS_SV1) + "[[Profiles]]\n[Only]\nPresentationContexts = P\n")
    with storescp(pair.ours, tmp_path, "-xf", str(profile), "Only") as received:
        answer = pair.ours.ask(
            Request("/modalities/scp/store", "POST", json.dumps({"Resources": [name], "Synchronous": True}))
        )
        assert answer.status == 200, answer.body
        arrived = wait_for(lambda: list(received.iterdir()), "the file")
        told = dcmread(arrived[0])
    assert told.file_meta.TransferSyntaxUID == LOSSLESS_SV1
    original = samples_of(dcmread(BytesIO(SENT["signed"].file())))
    assert (samples_of(decoded(DECODERS[LOSSLESS_SV1], arrived[0].read_bytes(), tmp_path)) == original).all()
