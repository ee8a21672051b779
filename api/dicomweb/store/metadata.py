"""Instances that come as metadata and bulk data (PS3.18 §10.5.1, §8.7.3): one dataset or many, and the values that they name by their addresses.

Metadata are read in memory, up to a limit. Bulk data go to a file without a name as they come, and from there into the file that is made of both,
so that they may be larger than the memory. Nothing is made before the whole body is there: bulk data may come in any order.
"""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryFile
from typing import Final, Self

import msgspec

from actors.wire.multipart import PartHeaders, media_type, parse_parameters
from api.dicomweb.datasets import JSON, XML
from api.dicomweb.store.bulk_parts import BulkParts, codestream_of, syntax_of
from api.rest.serving.body import CHUNK_BYTES
from api.rest.settings import RestSettings
from events.errors import InvalidDicom, InvalidJson, InvalidRequest
from store.dicom.limits import large_datasets
from store.dicom.model_writer import Extent, ModelWriter
from store.dicom.native_model_reader import read_native_model
from store.dicom.part10 import file_meta
from store.dicom.tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from store.disk_errors import DiskErrors

MOST_METADATA_BYTES: Final = 16 << 20  # of one request; as objects they take up to 50 times as much
MOST_UID_CHARACTERS: Final = 64
_LARGE_METADATA_BYTES: Final = 1 << 20  # of which a process works on one request at a time
_TEMPORARY: Final = DiskErrors("the temporary directory")


@dataclass(frozen=True, slots=True)
class MadeInstance:
    """An instance that is to be made of metadata and bulk data."""

    sop_class: str
    sop_instance: str
    _model: object  # or why there is none
    _body: "MetadataBody"

    def write(self) -> Iterator[bytes]:
        """Yield the bytes of its file. Raises InvalidDicom before the first one."""
        if isinstance(self._model, InvalidRequest):
            raise self._model
        if not isinstance(self._model, dict):
            raise InvalidDicom("The metadata must be an object, or a list of objects, of the DICOM JSON Model")
        if max(len(self.sop_class), len(self.sop_instance)) > MOST_UID_CHARACTERS:
            raise InvalidDicom(f"A UID has {MOST_UID_CHARACTERS} characters at most (PS3.5 §9.1)")
        writer = ModelWriter(self._body.bulk.find)
        parts = writer.write(self._model)
        yield file_meta(self.sop_class, self.sop_instance, writer.transfer_syntax)
        for part in parts:
            yield from self._body.read(part) if isinstance(part, Extent) else (part,)


class MetadataBody:
    """The parts of one request; a context that removes what they take."""

    def __init__(self, settings: RestSettings, kind: str, address: str) -> None:
        """`kind` is the type of parts that do not name theirs."""
        with _TEMPORARY:
            self._file = TemporaryFile(dir=settings.temporary_directory, buffering=0)  # noqa: SIM115  # closed by `__exit__`
        self._kind = kind
        self._size = 0
        self._metadata: list[tuple[str, bytes]] = []
        self._metadata_bytes = 0
        self.bulk = BulkParts(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, headers: PartHeaders, content: Iterator[bytes]) -> None:
        """Take a part. Raises InvalidRequest for metadata beyond the limit; StorageFull."""
        content_type = headers.get("content-type", self._kind)
        kind = media_type(content_type)
        if kind in {JSON, XML}:
            self._metadata.append((kind, self._gather(content)))
            return
        beginning = next(content, b"")
        start = self._size
        for chunk in chain((beginning,), content):
            self._write(chunk)
        syntax = syntax_of(kind, parse_parameters(content_type).get("transfer-syntax"), beginning)
        extent = codestream_of(beginning, Extent(start, self._size - start))
        for name in ("content-location", "content-id"):
            if name in headers:
                self._count(len(headers[name]))
                self.bulk.add(headers[name], syntax, extent)

    def _gather(self, content: Iterator[bytes]) -> bytes:
        kept = []
        for chunk in content:
            self._count(len(chunk))
            kept.append(chunk)
        return b"".join(kept)

    def _count(self, size_bytes: int) -> None:
        """Reckon with what is kept in memory: metadata, and the addresses of bulk data."""
        self._metadata_bytes += size_bytes
        if self._metadata_bytes > MOST_METADATA_BYTES:
            raise InvalidRequest(
                f"The metadata of a request, and the addresses of its bulk data, have {MOST_METADATA_BYTES >> 20} MiB at most: "
                "send large values as bulk data, or fewer instances"
            )

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        with _TEMPORARY:
            while view:
                written = self._file.write(view)
                self._size += written
                view = view[written:]

    def read(self, extent: Extent) -> Iterator[bytes]:
        """Yield the bytes of a part."""
        offset, end = extent.offset, extent.offset + extent.size_bytes
        while offset < end:
            with _TEMPORARY:
                chunk = os.pread(self._file.fileno(), min(CHUNK_BYTES, end - offset), offset)
            offset += len(chunk)
            yield chunk

    def instances(self) -> Generator[MadeInstance, None, None]:
        """Yield the instances of all metadata; of what cannot be read, one that cannot be written. Raises Busy."""
        with large_datasets.scope():
            if self._metadata_bytes > _LARGE_METADATA_BYTES:
                large_datasets.take()
            while self._metadata:  # each is let go when its instances are made
                for model in _models(*self._metadata.pop(0)):
                    yield MadeInstance(_uid(model, SOP_CLASS_UID), _uid(model, SOP_INSTANCE_UID), model, self)


def _models(kind: str, document: bytes) -> list[object]:
    if kind == XML:
        try:
            return [read_native_model(document)]
        except InvalidDicom as exc:
            return [exc]
    try:
        read: object = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return [InvalidJson("The metadata are no JSON")]
    return read if isinstance(read, list) else [read]


def _uid(model: object, tag: int) -> str:
    """Return a UID of a dataset, "" where it has none."""
    element = model.get(f"{tag:08X}") if isinstance(model, dict) else None
    value = element.get("Value") if isinstance(element, dict) else None
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else ""
