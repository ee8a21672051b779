"""DICOM files that two servers have changed, compared element by element and byte by byte.

What is drawn (UIDs, PatientIDs, the number in a name) is replaced by its place in the order of first appearance, so that two files are the same
if the same old values have become the same new ones, in references, too.
"""

import io
import re
import struct
import warnings
from collections.abc import Iterator

import pydicom
from pydicom import config as pydicom_config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

PIXEL_DATA = 0x7FE00010
PIXEL_REPRESENTATION = 0x00280103
_DRAWN = re.compile(
    rb"1\.2\.276\.0\.7230010\.3\.[0-9.]+|2\.25\.[0-9]{30,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|Anonymized[0-9]+"
)
_PROGRAM = re.compile(rb"(?:Orthanc|Sinogram) [0-9.]+")


def elements_of(data: bytes) -> dict[str, bytes]:
    """The VR and the value of each element by its path, nested ones included; without group lengths, which Orthanc keeps."""
    with (
        pydicom_config.disable_value_validation(),
        warnings.catch_warnings(action="ignore"),
    ):  # files are odd on purpose
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        found = dict(_walk(dataset, ""))
        for tag in dataset.file_meta.keys():  # noqa: SIM118 # a Dataset is iterated by its elements
            if tag.element not in {0, 2, 3, 0x12, 0x13}:  # lengths, what the dataset says, and who has written it
                found[f"meta {tag:08x}"] = _raw(dataset.file_meta, tag)
        for keyword in ("SOPInstanceUID", "SOPClassUID"):
            told = dataset.file_meta.get(f"MediaStorage{keyword}", "")
            assert keyword not in dataset or told == dataset[keyword].value, f"head and dataset differ in {keyword}"
    return found


def _walk(dataset: Dataset, path: str) -> Iterator[tuple[str, bytes]]:
    for tag in sorted(dataset.keys()):
        if not tag.element:
            continue
        here = f"{path}{tag:08x}"
        if (items := _items(dataset, tag)) is not None:
            yield here, b"SQ %d" % len(items)
            for number, item in enumerate(items):
                yield from _walk(item, f"{here}[{number}].")
        else:
            yield here, _raw(dataset, tag)


def _items(dataset: Dataset, tag: pydicom.tag.BaseTag) -> list[Dataset] | None:
    told = getattr(dataset.get_item(tag), "VR", None)
    if told not in {"SQ", None}:
        return None
    return list(dataset[tag].value) if dataset[tag].VR == "SQ" else None


def _raw(dataset: Dataset, tag: pydicom.tag.BaseTag) -> bytes:
    """VR and value as they stand in the file; of encapsulated pixels the fragments alone, whatever their VR is said to be."""
    if tag == PIXEL_REPRESENTATION:  # pydicom has read it already, now and then
        return repr(dataset[tag].value).encode()
    element = dataset.get_item(tag)
    value = element.value if isinstance(element, RawDataElement) else repr(dataset[tag].value).encode()
    vr = "" if tag == PIXEL_DATA else element.VR or ""
    return f"{vr} ".encode() + (value or b"")


def masked(elements: dict[str, bytes]) -> dict[str, bytes]:
    """The same with what is drawn replaced by its place in the order of first appearance, and without padding."""
    names: dict[bytes, bytes] = {}

    def name(found: re.Match[bytes]) -> bytes:
        return names.setdefault(found[0], b"<drawn %d>" % len(names))

    def mask(key: str, value: bytes) -> bytes:
        if key.endswith(f"{PIXEL_DATA:08x}"):
            return value
        return _PROGRAM.sub(b"<program>", _DRAWN.sub(name, value)).rstrip(b" \0")

    return {key: mask(key, elements[key]) for key in sorted(elements)}


def differences(ours: bytes, theirs: bytes) -> dict[str, tuple[bytes | None, bytes | None]]:
    """What differs between two files: by path, ours and Orthanc's, None where an element is missing."""
    mine, right = masked(elements_of(ours)), masked(elements_of(theirs))
    return {
        key: (mine.get(key), right.get(key))
        for key in sorted(mine.keys() | right.keys())
        if mine.get(key) != right.get(key)
    }


def unknown_sequence(tag: int, text: str) -> bytes:
    """A sequence of one item with a PatientName, whose VR is given as UN with a defined length (PS3.5 §6.2.2)."""
    inner = struct.pack("<HHI", 0x0010, 0x0010, len(text)) + text.encode()
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"UN", 0, len(item)) + item
