"""What others find wrong with changed files, which they do not with their sources: DCMTK's `dcmdump`, `dciodvfy` of dicom3tools, and PyPI's
`dicom-validator` with the tables of PyPI's `dicom-standard`."""

import io
import shutil
import subprocess
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import pydicom
import pytest

from events.errors import SinogramError
from store.dicom.change.basic_profile import DEFAULT_EDITION, EDITIONS
from tests.contract.changed_datasets import anonymize, modify
from tests.data_factory import all_files
from tests.peer.iod_tables import FOLDER, read_info

pytestmark = pytest.mark.peer

MODIFIED = "modified"
WAYS = (MODIFIED, *EDITIONS)
SHORT = (MODIFIED, DEFAULT_EDITION)
# What these judges cannot read, or what says of itself that it is broken: values of odd length and of wrong forms change when they are padded.
UNREADABLE = ("handmade-", "syntax-deflated", "private-deflated", "image_dfl.dcm", "empty_charset_LEI.dcm")
REVIEWED = {
    # their series is a frame of reference, too: it stays so
    ("ExplVR_BigEndNoMeta.dcm", "StudyInstanceUID has same value as FrameOfReferenceUID"),
    ("ExplVR_LitEndNoMeta.dcm", "StudyInstanceUID has same value as FrameOfReferenceUID"),
    # of pixels of one byte, which are padded
    ("meta_missing_tsyntax.dcm", "PixelData has incorrect value length"), ("nested_priv_SQ.dcm", "PixelData has incorrect value length"),
}  # fmt: skip


@cache
def results(way: str) -> dict[str, tuple[bytes, bytes]]:
    """By sample: its file, and what is made of it."""
    made = {}
    for sample in all_files():
        try:
            if way == MODIFIED:
                changed = modify(
                    sample.data, Replace={"PatientName": "Q^Q", "StudyDescription": "abc"}, Remove=["PatientComments"]
                )
            else:
                changed = anonymize(sample.data, DicomVersion=way)
        except SinogramError:  # no DICOM file at all
            continue
        made[sample.name] = (sample.data, changed)
    return made


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK is not installed (Debian: dcmtk)")
@pytest.mark.parametrize("way", [way if way in SHORT else pytest.param(way, marks=pytest.mark.nightly) for way in WAYS])
def test_dcmdump_has_nothing_more_to_say(way: str, tmp_path: Path) -> None:
    said = []
    for which in (0, 1):
        folder = tmp_path / str(which)
        folder.mkdir()
        for name, files in results(way).items():
            (folder / name).write_bytes(files[which])
        paths = sorted(folder.iterdir())
        assert len(paths) > 100
        run = subprocess.run(["dcmdump", "+L", *paths], capture_output=True, timeout=300, check=False)
        lines = run.stderr.decode("utf-8", "replace").replace(f"{folder}/", "").splitlines()
        said.append(Counter(line for line in lines if line[:2] in {"W:", "E:", "F:"}))
    assert said[1] - said[0] == Counter()


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")
@pytest.mark.parametrize("way", [way for way in WAYS if way != "2008"])
def test_dciodvfy_finds_no_new_error(way: str, tmp_path: Path) -> None:
    """The edition of 2008 knows no types of attributes: it takes out what objects need."""
    found = {}
    for name, (source, changed) in results(way).items():
        if not name.startswith(UNREADABLE):
            new = _errors(changed, tmp_path) - _errors(source, tmp_path)
            new = {line for line in new if not any(name == other and text in line for other, text in REVIEWED)}
            if new:
                found[name] = new
    assert found == {}


def _errors(data: bytes, folder: Path) -> set[str]:
    path = folder / "file.dcm"
    path.write_bytes(data)
    run = subprocess.run(["dciodvfy", "-new", path], capture_output=True, timeout=60, check=False)
    return {line for line in run.stderr.decode("utf-8", "replace").splitlines() if line.startswith("Error")}


@pytest.mark.nightly
def test_the_validator_finds_no_new_error() -> None:
    """Of all ways at once: its tables take half a minute."""
    validator = pytest.importorskip(
        "dicom_validator.validator.iod_validator", reason="dicom-validator is not installed"
    )
    handler = pytest.importorskip("dicom_validator.validator.error_handler").NullValidationResultHandler()
    if not FOLDER.is_dir():
        pytest.skip("dicom-standard is not installed, which has the validator's tables")
    sources = {name: _read(source) for name, (source, _) in results(MODIFIED).items()}
    info = read_info({str(each.get("SOPClassUID", "")) for each in sources.values()})
    assert len(info.iods) > 12

    def errors(data: bytes) -> set[tuple[str, str, str]]:
        judged = validator.IODValidator(_read(data), info, error_handler=handler, suppress_vr_warnings=True).validate()
        told = judged.module_errors.items()
        return {(module, str(tag), each.code.name) for module, tags in told for tag, each in tags.items()}

    found, seen = {}, 0
    with warnings.catch_warnings(action="ignore"):
        for way in WAYS:
            for name, (source, changed) in results(way).items():
                if (
                    way == "2008"
                    or name.startswith("handmade-")
                    or str(sources[name].get("SOPClassUID", "")) not in info.iods
                ):
                    continue
                seen += 1
                if new := errors(changed) - errors(source):
                    found[way, name] = new
    assert seen > 500
    assert found == {}


def _read(data: bytes) -> pydicom.Dataset:
    with warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(io.BytesIO(data), force=True)
