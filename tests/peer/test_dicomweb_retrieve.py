"""WADO-RS beside Orthanc's DICOMweb plugin 1.20: the same files, frames, metadata and bulk data, or the difference that docs/compatibility.md tells."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from store.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.data_factory import made_files
from tests.native_pixels import Native, ramp
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request
from tests.peer.servers import Oracle
from tests.peer.worklist_stage import find_plugin
from tests.pixel_files import BASELINE, ENCODERS, JPEG_LS, LOSSLESS_SV1, gray, pixel_file

pytestmark = pytest.mark.peer

FRAMES: Final = [gray(8, seed=seed) for seed in range(3)]
OCTETS: Final = 'multipart/related; type="application/octet-stream"'
FILES: Final = 'multipart/related; type="application/dicom"'
AS_STORED: Final = "; transfer-syntax=*"
# Handmade instances of which metadata differ, by the last numbers of their UIDs: as do the datasets of `/instances/{id}/file` as DICOM JSON.
ACCEPTED: Final = {
    "8.1.1.11": {"00081032"},  # an item with a character set of its own (PS3.3 §C.12.1.1.2)
    "8.1.1.15": {"00081030", "00100010"},  # two character sets (PS3.5 §6.1.2.5)
    "8.1.1.3": {"00101001"},  # a person without a name is null (PS3.18 §F.2.5)
    "8.1.1.9": {"00280009", "00089459"},  # a tag that is cut; NaN and infinity, which no JSON has as numbers
}
_URI = re.compile(r"https?://[^/]+/dicom-web")


@pytest.fixture(scope="module")
def pair(oracle: Oracle, modern: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    plugin = find_plugin(oracle, "libOrthancDicomWeb.so")
    if plugin is None:
        pytest.skip("This Orthanc has no DICOMweb plugin")
    files = [each.data for each in made_files()]
    for place, syntax in enumerate((JPEG_LS, BASELINE, LOSSLESS_SV1)):
        frames = [ENCODERS[syntax](samples) for samples in FRAMES]
        files.append(pixel_file(syntax, FRAMES[0], frames, instance=901 + place))
    for place, syntax in enumerate((EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE)):
        files.append(Native(samples=ramp("<u2", 3), bits=16).file(syntax, 911 + place))
    with start_pair(oracle, tmp_path_factory.mktemp("wado"), f'"Plugins": ["{plugin}"],') as pair:
        for file in files:
            for server in (pair.ours, pair.theirs):
                server.ask(Request("/instances", "POST", file))
        yield pair


def both(pair: Pair, path: str, accept: str) -> tuple[Answer, Answer]:
    request = Request(f"/dicom-web{path}", headers={"Accept": accept, "Host": "pacs"})
    return pair.ours.ask(request), pair.theirs.ask(request)


def contents(answer: Answer) -> list[tuple[str, bytes]]:
    """Types and contents of the parts of an answer."""
    assert answer.status == 200, answer
    boundary = re.search(r"boundary=([^;]+)", answer.headers["content-type"])
    assert boundary
    _, *middle, _ = (b"\r\n" + answer.body).split(b"\r\n--" + boundary[1].encode())
    found = []
    for part in middle:
        head, _, content = part.partition(b"\r\n\r\n")
        kind = re.search(r"Content-Type: ([^\r]+)", head.decode())
        assert kind
        found.append((kind[1], content))
    return found


def addresses(pair: Pair) -> list[str]:
    """The addresses of all instances."""
    found = []
    for name in pair.theirs.get_json("/instances"):  # type: ignore[attr-defined] # a list
        tags: Any = pair.theirs.get_json(f"/instances/{name}/tags?short")
        study, series, instance = (tags[tag] for tag in ("0020,000d", "0020,000e", "0008,0018"))
        found.append(f"/studies/{study}/series/{series}/instances/{instance}")
    return sorted(found)


def test_files_are_those_that_the_plugin_gives(pair: Pair) -> None:
    for address in addresses(pair):
        ours, theirs = both(pair, address, FILES + AS_STORED)
        assert contents(ours) == contents(theirs), address


def test_frames_are_those_that_the_plugin_gives(pair: Pair) -> None:
    for address in (each for each in addresses(pair) if re.search(r"\.9[01][0-9]$", each)):
        for accept in (OCTETS + AS_STORED, OCTETS, "*/*"):
            for numbers in ("1", "2,1", "3,3"):
                ours, theirs = both(pair, f"{address}/frames/{numbers}", accept)
                if "901" in address or "903" in address or accept.endswith("*") or "91" in address[-3:]:
                    assert contents(ours) == contents(theirs), (address, accept)
                else:  # of JPEG Baseline decoders differ by a shade
                    assert [kind for kind, _ in contents(ours)] == [kind for kind, _ in contents(theirs)]
        for numbers in ("4", "0", "1,9", "x"):
            ours, theirs = both(pair, f"{address}/frames/{numbers}", OCTETS)
            assert (ours.status, theirs.status) == (400, 400)


def test_metadata_and_bulk_data_are_those_that_the_plugin_gives(pair: Pair) -> None:
    compared = 0
    for address in addresses(pair):
        ours, theirs = both(pair, f"{address}/metadata", "application/dicom+json")
        one, other = _single(ours), _single(theirs)
        one.pop("7FE00010", None)  # whose address the plugin does not tell
        for shown in (one, other):  # the plugin drops an empty first value, which stands for the default repertoire
            told = shown.get("00080005", {})
            told["Value"] = [each for each in told.get("Value", ()) if each]
        differing = {tag for tag in one.keys() | other.keys() if not _is_same(one.get(tag), other.get(tag))}
        differing -= ACCEPTED.get(".".join(address.split(".")[-4:]), set())
        assert not differing, (address, {tag: (one.get(tag), other.get(tag)) for tag in differing})
        for uri in re.findall(r'"BulkDataURI": "([^"]+)"', json.dumps(one)):
            ours, theirs = both(pair, _URI.sub("", uri), "*/*")
            assert contents(ours) == contents(theirs), uri
            compared += 1
    assert compared > 20


def _single(answer: Answer) -> dict[str, Any]:
    found: Any = answer.json()
    (one,) = found
    return dict(one)


def _is_same(one: Any, other: Any) -> bool:
    """Whether an element is the same; of these VRs Orthanc writes numbers where PS3.18 §F.2.3 wants binary values, or nothing."""
    return one == other or (one is not None and one["vr"] in {"OD", "OF", "OL", "OV", "SV", "UV"})


def test_what_is_not_there_is_404_in_both(pair: Pair) -> None:
    study = addresses(pair)[0].partition("/series")[0]
    for path in (
        "/studies/1.2",
        f"{study}/series/1.2",
        f"{study}/series/1.2/instances/3",
        f"{study}/series/1.2/metadata",
    ):
        ours, theirs = both(pair, path, "*/*")
        assert (ours.status, theirs.status) == (404, 404)
