"""The element walker against pydicom: it finds what pydicom wrote, where pydicom finds it, and refuses every cut."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from events.errors import InvalidDicom
from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import Element, read_elements
from store.dicom.part10 import open_part10
from store.dicom.scan import scan, scan_elements, wire_tag

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)

_texts = st.text(st.characters(codec="ascii", exclude_characters="\\\0", exclude_categories=["Cc"]), max_size=20)
_binary = st.binary(max_size=40).map(lambda raw: raw + bytes(len(raw) & 1))
_numbers = st.integers(0, 65535)
_VALUES: dict[int, tuple[str, st.SearchStrategy[Any]]] = {
    0x00080020: ("DA", st.just("20240131")),
    0x00081030: ("LO", _texts),
    0x00100010: ("PN", _texts),
    0x0020000D: ("UI", st.just("1.2.840.113619.2.1")),
    0x00200032: ("DS", st.lists(st.integers(-999, 999), max_size=3)),
    0x00280009: ("AT", st.just(0x00181063)),
    0x00280010: ("US", st.lists(_numbers, max_size=3)),
    0x00189087: ("FD", st.floats(allow_nan=False)),
    0x00291010: ("UN", _binary),
    0x0040A160: ("UT", _texts),
    0x00420011: ("OB", _binary),
    0x7FE00010: ("OW", _binary),
}
_SEQUENCES = (0x00081140, 0x00400275, 0x0040A730, 0x00540016)


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """A dataset of a few elements and sequences, whose lengths are defined or not as chance will have it."""
    made = Dataset()
    for tag in draw(st.lists(st.sampled_from(sorted(_VALUES)), unique=True, max_size=5)):
        vr, values = _VALUES[tag]
        made.add_new(tag, vr, draw(values))
    for tag in draw(st.lists(st.sampled_from(_SEQUENCES), unique=True, max_size=2 if depth else 0)):
        items = draw(st.lists(datasets(depth=depth - 1), max_size=2))
        for nested in items:
            nested.is_undefined_length_sequence_item = draw(st.booleans())
        made.add_new(tag, "SQ", items)
        made[tag].is_undefined_length = draw(st.booleans())
    return made


def encode(dataset: Dataset, syntax: UID) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = UID("1.2")
    dataset.file_meta = meta
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def ours(file: bytes, elements: Iterable[Element]) -> dict[int, Any]:
    """Tags with their bytes, or with the same of their items."""
    return {
        element.tag: [ours(file, item.elements) for item in element.items]
        if element.items is not None
        else file[element.value : element.value + element.length]
        for element in elements
    }


def theirs(dataset: Dataset) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for tag in dataset.keys():  # noqa: SIM118 (iterating over a Dataset converts its values)
        raw: Any = dataset.get_item(tag)  # annotated as DataElement, may be raw
        if (raw.VR or dictionary_vr(int(tag))) == "SQ":
            found[int(tag)] = [theirs(item) for item in dataset[tag].value]
        else:
            assert isinstance(raw, RawDataElement) or not raw.value
            found[int(tag)] = raw.value or b""
    return found


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@settings(max_examples=60, deadline=None)
@given(dataset=datasets())
def test_the_walker_finds_what_pydicom_finds(syntax: UID, dataset: Dataset) -> None:
    file = encode(dataset, syntax)
    opened = open_part10(file)
    elements = read_elements(file, opened.start, opened.syntax)
    assert ours(file, elements) == theirs(pydicom.dcmread(BytesIO(file)))
    wanted = {wire_tag(element.tag): element.tag for element in elements}
    found, end = scan(file, opened.start, opened.syntax, wanted)
    assert end == len(file)
    assert found == {each.tag: (each.vr, each.value, each.length, each.start) for each in elements}
    assert scan_elements(file, opened.start, opened.syntax, wanted) == elements
    few = dict(list(wanted.items())[::2])
    assert scan_elements(file, opened.start, opened.syntax, few) == elements[::2]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@settings(max_examples=15, deadline=None)
@given(dataset=datasets())
def test_every_cut_is_refused(syntax: UID, dataset: Dataset) -> None:
    file = encode(dataset, syntax)
    opened = open_part10(file)
    boundaries = {opened.start} | {element.end for element in read_elements(file, opened.start, opened.syntax)}
    for size in set(range(opened.start, len(file))) - boundaries:
        with pytest.raises(InvalidDicom):
            read_elements(file[:size], opened.start, opened.syntax)
        with pytest.raises(InvalidDicom):
            scan(file[:size], opened.start, opened.syntax, {})


@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for head in (b"", bytes(128) + b"DICM", bytes(128) + b"DICM\2\0\x10\0UI\0\0"):
        try:
            opened = open_part10(head + data)
            read_elements(opened.data, opened.start, opened.syntax)
        except InvalidDicom:
            continue


@settings(max_examples=60, deadline=None)
@given(
    dataset=datasets(),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_scan_and_walker_agree_on_damaged_files(dataset: Dataset, changes: list[tuple[int, int]]) -> None:
    for syntax in SYNTAXES:
        file = bytearray(encode(dataset, syntax))
        opened = open_part10(bytes(file))
        start = opened.start
        for position, value in changes:
            if start < len(file):
                file[start + position % (len(file) - start)] = value
        damaged, syntax_read = bytes(file), opened.syntax
        try:
            elements = read_elements(damaged, start, syntax_read)
        except InvalidDicom:
            with pytest.raises(InvalidDicom):
                scan(damaged, start, syntax_read, {})
        else:
            wanted = {wire_tag(element.tag): element.tag for element in elements}
            firsts = {element.tag: element for element in reversed(elements)}
            assert {each.tag: each for each in scan_elements(damaged, start, syntax_read, wanted)} == firsts
