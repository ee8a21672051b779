"""What a dataset says of pixels that have lost something: it is another image (PS3.3 §C.7.6.1.1.5, §C.12.1, PS3.4 §B).

The elements are those that Orthanc 1.12.7 writes. The SOP Instance UID is drawn from that of the source and from how it is compressed, so an
instance that is compressed again, as one that is sent twice, is the same again, where Orthanc draws another at random each time.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from actors.services.transcoding.targets import Target
from store.dicom.change.values import write_item
from store.dicom.encoding import Change, MoreItems
from store.dicom.identifier import encode_dataset
from store.dicom.matching import Dataset
from store.dicom.pixels.encodable import BASELINE, EXTENDED, HTJ2K, J2K, LS_NEAR
from store.dicom.tags import REFERENCED_SOP_CLASS_UID, REFERENCED_SOP_INSTANCE_UID
from store.dicom.uids import EXPLICIT_LE

IMAGE_TYPE: Final = 0x00080008
DERIVATION_DESCRIPTION: Final = 0x00082111
SOURCE_IMAGES: Final = 0x00082112
DERIVATION_CODES: Final = 0x00089215
LOSSY_COMPRESSION: Final = 0x00282110
LOSSY_RATIO: Final = 0x00282112
LOSSY_METHOD: Final = 0x00282114
READ: Final = (IMAGE_TYPE, DERIVATION_DESCRIPTION, LOSSY_RATIO, LOSSY_METHOD)  # what the new values follow from

_METHODS: Final = {  # PS3.3 §C.7.6.1.1.5.1
    BASELINE: ("ISO_10918_1", "JPEG baseline"),
    EXTENDED: ("ISO_10918_1", "JPEG extended sequential"),
    LS_NEAR: ("ISO_14495_1", "JPEG-LS near-lossless"),
    J2K: ("ISO_15444_1", "JPEG 2000"),
    HTJ2K: ("ISO_15444_15", "High-Throughput JPEG 2000"),
}
_RATIO_BYTES: Final = 12  # of the text, so that it can be written before it is known
_MOST_DESCRIPTION_BYTES: Final = 1024  # ST


def derived_uid(source: str, transfer_syntax: str, quality: int) -> str:
    """The SOP Instance UID of an instance compressed with loss (PS3.5 §B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{source} {transfer_syntax} {quality}').int}"


def lossy_changes(
    target: Target, sop_class: str, sop_instance: str, known: Mapping[int, bytes], ratio: float
) -> dict[int, Change]:
    """What the dataset of a source becomes; `known` has the raw values that it has of `READ`."""
    method, words = _METHODS[target.transfer_syntax]
    quality = "" if target.transfer_syntax == LS_NEAR else f", quality {target.quality}"
    source: Dataset = {
        REFERENCED_SOP_CLASS_UID: sop_class,
        REFERENCED_SOP_INSTANCE_UID: sop_instance,
        0x0040A170: (_code("121320", "Uncompressed predecessor"),),  # Purpose of Reference Code Sequence
    }
    changes: dict[int, Change] = {
        DERIVATION_DESCRIPTION: ("ST", _description(f"Lossy compression with {words}{quality}", known)),
        SOURCE_IMAGES: ("SQ", _item(source)),
        DERIVATION_CODES: MoreItems(_item(_code("113040", "Lossy Compression"))),
        LOSSY_COMPRESSION: ("CS", b"01"),
        LOSSY_RATIO: ("DS", _appended(known.get(LOSSY_RATIO), f"{ratio:.5g}".ljust(_RATIO_BYTES))),
        LOSSY_METHOD: ("CS", _appended(known.get(LOSSY_METHOD), method)),
    }
    if IMAGE_TYPE in known:
        _, *others = known[IMAGE_TYPE].split(b"\\")
        changes[IMAGE_TYPE] = ("CS", b"\\".join((b"DERIVED", *others)))
    return changes


def _description(text: str, known: Mapping[int, bytes]) -> bytes:
    before = known.get(DERIVATION_DESCRIPTION, b"").strip(b" \0")
    longer = f"{text} [".encode() + before + b"]"
    return longer if before and len(longer) <= _MOST_DESCRIPTION_BYTES else text.encode()


def _appended(before: bytes | None, value: str) -> bytes:
    told = (before or b"").strip(b" \0")
    return (told + b"\\" if told else b"") + value.encode("ascii")


def _code(value: str, meaning: str) -> Dataset:
    return {0x00080100: value, 0x00080102: "DCM", 0x00080104: meaning}


def _item(item: Dataset) -> bytes:
    """An item in explicit VR little endian, as all that is compressed."""
    return write_item(encode_dataset(item, EXPLICIT_LE, "Ascii"), little=True)
