"""What is shown of instances that are no pictures: encapsulated documents (PS3.3 §C.24.2) and videos as they lie there, reports as text."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

import falcon

from api.dicomweb.media_types import VIDEOS, media_type_of
from api.dicomweb.parts import PIECE_BYTES, cut
from api.errors import NotAcceptable
from api.rest import dicom_files
from api.rest.deps import Deps
from store.dicom.elements import Buffer, Element, read_elements
from store.dicom.limits import large_datasets
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import Extent
from store.dicom.report import Report, read_report, render_html, render_plain
from store.dicom.tags import PIXEL_DATA
from store.dicom.uids import ENCAPSULATED_PDF, STORAGE
from store.records import Instance

_ENCAPSULATED_DOCUMENT: Final = 0x00420011

# The names that a type has; the first is that of a client that names none.
_DOCUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    ENCAPSULATED_PDF: ("application/pdf",),
    STORAGE + "104.2": ("text/xml", "application/xml"),  # CDA
    STORAGE + "104.3": ("model/stl",),
    STORAGE + "104.4": ("model/obj",),
    STORAGE + "104.5": ("model/mtl",),
}
_REPORTS: Final = STORAGE + "88."
_TEXTS: Final[Mapping[str, Callable[[Report], str]]] = {"text/html": render_html, "text/plain": render_plain}
_OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {"video/mpeg": ("video/mpeg2",)}  # of a video
ALL_TYPES: Final = frozenset(
    (*chain(*_DOCUMENTS.values(), *_OTHER_NAMES.values()), *_TEXTS, *VIDEOS)
)  # of documents that there may be


class Document(NamedTuple):
    """The bytes of a document, where they lie."""

    source: Buffer
    extents: tuple[Extent, ...]

    @property
    def size_bytes(self) -> int:
        return sum(length for _, length in self.extents)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes, of which no more than a piece is held."""
        view = memoryview(self.source)
        for start, length in self.extents:
            yield from cut(view[start : start + length])


def send(resp: falcon.Response, document: Document, media_type: str) -> None:
    """Answer with a document; a large one leaves piece by piece."""
    resp.content_type = f"{media_type}; charset=utf-8" if media_type in _TEXTS else media_type
    if document.size_bytes <= PIECE_BYTES:
        resp.data = b"".join(document.pieces())
    else:
        resp.content_length, resp.stream = document.size_bytes, document.pieces()


def types_of(instance: Instance) -> tuple[str, ...]:
    """Return the names of the type of the document that an instance is; none for what is no document."""
    if instance.sop_class in _DOCUMENTS:
        return _DOCUMENTS[instance.sop_class]
    if instance.sop_class.startswith(_REPORTS):
        return tuple(_TEXTS)
    kind = media_type_of(instance.transfer_syntax)
    return (kind, *_OTHER_NAMES.get(kind, ())) if kind in VIDEOS else ()


def read_document(deps: Deps, instance: Instance, media_type: str) -> Document:
    """Find the document that an instance is, or write the report. Raises NotAcceptable where there is none, and as `dicom_files.of_current`."""
    if media_type in _TEXTS and instance.sop_class.startswith(_REPORTS):
        with large_datasets.scope():
            report = read_report(dicom_files.read_dicom_json(deps, instance))
        text = _TEXTS[media_type](report).encode("utf-8", "replace")
        return Document(text, ((0, len(text)),))
    return dicom_files.of_current(deps, instance, lambda current: _find(deps, current))


def _find(deps: Deps, instance: Instance) -> Document:
    part10 = open_part10(deps.blobs.read_instance(instance))
    with large_datasets.scope():
        for element in read_elements(part10.data, part10.start, part10.syntax):
            if element.tag == PIXEL_DATA and element.fragments:
                return Document(part10.data, element.fragments[1:])  # behind the Basic Offset Table
            if element.tag == _ENCAPSULATED_DOCUMENT and element.length:
                return Document(part10.data, ((element.value, _without_padding(part10.data, element)),))
    raise NotAcceptable("The instance holds no document")


def _without_padding(data: Buffer, element: Element) -> int:
    """Return the length of a document; `/instances/{id}/pdf` leaves away all zeros at its end, too."""
    end = element.value + element.length
    while end > element.value and not data[end - 1]:
        end -= 1
    return end - element.value
