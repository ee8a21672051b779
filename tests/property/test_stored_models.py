"""A dataset that is written as DICOM JSON or XML with bulk data, and made a file again, is the same dataset, as pydicom reads both.

Who writes it is pydicom, which has nothing of our code, or our own renderers. What these leave out, as Orthanc does, is told.
"""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.config import disable_value_validation
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

from events.errors import InvalidDicom
from store.dicom.dicom_json import Json, render_dicom_json
from store.dicom.model_writer import Bulk, Extent, ModelWriter
from store.dicom.native_model import render_native_model
from store.dicom.native_model_reader import read_native_model
from store.dicom.part10 import file_meta
from store.dicom.uids import EXPLICIT_LE
from tests.dicom_bytes import dataset, encode
from tests.examples import examples

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, about files that are strange on purpose

MOST_BYTES = 20_000  # of a file of pydicom that is looked at
PIXEL_DATA = "7FE00010"
# What our renderers leave out, or show otherwise, as Orthanc does: an IS that is none, group 1, items without elements.
LEFT_OUT = {"badVR.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"}
# A reader of XML makes one line feed of CR and LF (XML 1.0 §2.11).
LINES = {"test-SR.dcm"}
Values = dict[str, Bulk]


class Held:
    """Bulk data as a request has them."""

    def __init__(self) -> None:
        self.data = b""
        self.values: Values = {}

    def add(self, pieces: list[bytes], transfer_syntax: str = EXPLICIT_LE) -> str:
        extents = []
        for piece in pieces:
            extents.append(Extent(len(self.data), len(piece)))
            self.data += piece
        uri = f"bulk/{len(self.values)}"
        self.values[uri] = Bulk(extents, transfer_syntax)
        return uri

    def take(self, element: DataElement) -> str:
        return self.add([element.value or b""])

    def make(self, model: Json) -> Dataset:
        """The dataset of the file that is made."""
        writer = ModelWriter(self.values.get)
        parts = [
            self.data[part.offset : part.offset + part.size_bytes] if isinstance(part, Extent) else part
            for part in writer.write(model)
        ]
        return pydicom.dcmread(io.BytesIO(file_meta("1.2", "1.2.3", writer.transfer_syntax) + b"".join(parts)))


def written_by_pydicom(file: bytes, source: Dataset, held: Held) -> Json:
    model: Json = json.loads(json.dumps(source.to_json_dict(64, held.take)))
    return model


def written_as_json(file: bytes, source: Dataset, held: Held) -> Json:
    return render_dicom_json(file)


def written_as_xml(file: bytes, source: Dataset, held: Held) -> Json:
    return read_native_model(render_native_model(render_dicom_json(file)))


WRITERS = (written_by_pydicom, written_as_json, written_as_xml)


def compare(source: Dataset, made: Dataset, where: str = "") -> list[str]:
    """Where two datasets differ; what belongs to a file, and to its character set, is another's matter."""
    ours, theirs = ({each.tag: each for each in whole if _is_compared(each)} for whole in (source, made))
    found = [f"{where}{tag} is in one of them" for tag in ours.keys() ^ theirs.keys()]
    for tag in ours.keys() & theirs.keys():
        before, after = ours[tag], theirs[tag]
        if before.VR != after.VR:
            found.append(f"{where}{tag} {before.VR} {after.VR}")
        elif before.VR == "SQ":
            if len(before.value) != len(after.value):
                found.append(f"{where}{tag} items")
            for number, pair in enumerate(zip(before.value, after.value, strict=False)):
                found += compare(*pair, f"{where}{tag}[{number}]")
        elif tag != 0x7FE00010 and not _is_same(before.value, after.value):
            found.append(f"{where}{tag} {before.value!r:.60} {after.value!r:.60}")
    return found


def _is_compared(element: DataElement) -> bool:
    return bool(element.tag.element) and element.tag.group not in {0, 2} and element.tag != 0x00080005


def _is_same(before: Any, after: Any) -> bool:
    if isinstance(before, bytes) and isinstance(after, bytes):
        return before + bytes(len(before) & 1) == after
    return bool(before == after) or (isinstance(before, float) and math.isnan(before) and math.isnan(after))


def files() -> list[Path]:
    """Those that pydicom's package brings along."""
    found = (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm")
    return sorted(path for path in found if path.stat().st_size < MOST_BYTES)


@pytest.mark.parametrize("write", WRITERS)
def test_files_of_pydicom_come_back(write: Callable[[bytes, Dataset, Held], Json]) -> None:
    seen = 0
    for path in files():
        name, file, held = path.name, path.read_bytes(), Held()
        left_out = LEFT_OUT | (LINES if write is written_as_xml else set())
        if name in left_out:
            continue
        try:
            source = pydicom.dcmread(io.BytesIO(file))
            render_dicom_json(file)
        except (InvalidDicomError, InvalidDicom, EOFError):
            continue  # no file of DICOM
        model = write(file, source, held)
        frames = _take_pixels(source, model, held)
        made = held.make(model)
        assert (name, compare(source, made)) == (name, [])
        if frames:
            syntax = source.file_meta.TransferSyntaxUID
            assert (name, made.file_meta.TransferSyntaxUID) == (name, syntax)
            assert list(generate_frames(made.PixelData, number_of_frames=len(frames))) == frames
        seen += 1
    assert seen > 40


def _take_pixels(source: Dataset, model: Json, held: Held) -> list[bytes]:
    """Have pixels beside the metadata, as a client has; returns the frames of compressed ones."""
    if "PixelData" not in source:
        return []
    vr = source["PixelData"].VR
    if not source.file_meta.get("TransferSyntaxUID", EXPLICIT_LE).is_compressed:
        model[PIXEL_DATA] = {"vr": vr, "BulkDataURI": held.add([source.PixelData])}
        return []
    frames = list(generate_frames(source.PixelData, number_of_frames=int(source.get("NumberOfFrames") or 1)))
    frames = [each + bytes(len(each) & 1) for each in frames]
    model[PIXEL_DATA] = {"vr": "OB", "BulkDataURI": held.add(frames, source.file_meta.TransferSyntaxUID)}
    source["PixelData"].VR = "OB"
    return frames


# -- random datasets --------------------------------------------------------------------------------------------------

_text = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\\^="), min_size=1, max_size=12)
_names = st.lists(_text, min_size=1, max_size=5).map("^".join)
_persons = st.lists(_names, min_size=1, max_size=3).map("=".join)


def _some(values: "st.SearchStrategy[Any]") -> "st.SearchStrategy[Any]":
    return values | st.lists(values, min_size=2, max_size=3)


_VALUES: "dict[str, st.SearchStrategy[Any]]" = {
    "LO": _some(_text),
    "UC": _some(_text),
    "UT": _text,
    "LT": st.lists(_text, min_size=1, max_size=3).map("\\".join),
    "PN": _some(_persons),
    "CS": _some(st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True)),
    "UI": st.from_regex(r"[1-9](\.[1-9][0-9]{0,5}){1,8}", fullmatch=True),
    "DS": _some(st.decimals(-1000, 1000, places=3).map(str)),
    "IS": _some(st.integers(-(1 << 31), (1 << 31) - 1)),
    "US": _some(st.integers(0, (1 << 16) - 1)),
    "SS": _some(st.integers(-(1 << 15), (1 << 15) - 1)),
    "UL": _some(st.integers(0, (1 << 32) - 1)),
    "SL": _some(st.integers(-(1 << 31), (1 << 31) - 1)),
    "UV": _some(st.integers(0, (1 << 64) - 1)),
    "SV": _some(st.integers(-(1 << 63), (1 << 63) - 1)),
    "FL": _some(st.floats(width=32, allow_nan=False)),
    "FD": _some(st.floats(allow_nan=False)),
    "AT": _some(st.integers(0, (1 << 32) - 1)),
    "OB": st.binary(min_size=1, max_size=200),
    "UN": st.binary(min_size=1, max_size=200),
    "OW": st.binary(min_size=1, max_size=100).map(lambda half: half * 2),
}
_elements = st.sampled_from(sorted(_VALUES)).flatmap(lambda vr: st.tuples(st.just(vr), _VALUES[vr]))
_members = st.dictionaries(st.integers(0x1000, 0x10FF), _elements, min_size=1, max_size=6)
_nested: "st.SearchStrategy[dict[int, tuple[str, Any]]]" = st.recursive(
    _members,
    lambda inner: st.dictionaries(
        st.integers(0x1000, 0x10FF),
        _elements | st.tuples(st.just("SQ"), st.lists(inner, min_size=1, max_size=2)),
        min_size=1,
        max_size=4,
    ),
    max_leaves=8,
)


def _made(members: dict[int, tuple[str, Any]]) -> Dataset:
    """A dataset of private elements: each may have any VR."""
    found = Dataset()
    found.add_new(0x00090010, "LO", "OWNER")
    for number, (vr, value) in members.items():
        found.add_new(0x00090000 | number, vr, [_made(item) for item in value] if vr == "SQ" else value)
    return found


@given(_nested, st.sampled_from(WRITERS))
@settings(max_examples=examples(15), deadline=None)
def test_random_datasets_come_back(
    members: dict[int, tuple[str, Any]], write: Callable[[bytes, Dataset, Held], Json]
) -> None:
    with disable_value_validation():
        whole = dataset()
        whole.SpecificCharacterSet = "ISO_IR 192"
        whole.update(_made(members))
        file, held = encode(whole), Held()
        source = pydicom.dcmread(io.BytesIO(file))
        assert compare(source, held.make(write(file, source, held))) == []
