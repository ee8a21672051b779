"""`…/metadata` of studies, series and instances: all attributes but bulk data, as DICOM JSON or XML (PS3.18 §10.4.1.1.2).

The JSON of a series is kept, compressed, in files beside the index (`EnableMetadataCache`), named by a digest of the rows of its instances and of the
address that clients use. So what has changed is made anew, and what has not leaves as it lies there for clients that take gzip. Pixel Data is never
read. An instance whose file is damaged is left out: 206 and a Warning say so. `StudiesMetadata` and `SeriesMetadata` may say that the
index answers, or the index and some files of a series.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final
from urllib.parse import quote

import falcon

from api.dicomweb import datasets
from api.dicomweb.addresses import find_addressed
from api.dicomweb.base_url import base_url, resource_url
from api.dicomweb.datasets import JSON, wants_xml
from api.dicomweb.handlers import Handlers
from api.dicomweb.parts import WHOLE_BYTES
from api.dicomweb.retrieve.deflated import Deflated, as_gzip
from api.dicomweb.retrieve.files import note_missing, read_instances
from api.dicomweb.retrieve.index_metadata import (
    EXTRAPOLATE,
    FULL,
    Tags,
    find_common,
    tags_above,
    write_from_index,
)
from api.dicomweb.retrieve.members import Members, list_members
from api.errors import UnknownRoute
from api.rest import dicom_files, runtime
from api.rest.deps import Deps
from api.rest.serving.client_gone import still_wanted
from api.rest.serving.compression import choose
from events.errors import DamagedFile, InvalidDicom
from events.identifiers import Ref, format_resource_id
from store.derived_files import METADATA, DerivedFiles
from store.dicom.dicom_json import Json, TooLargeForJson
from store.dicom.limits import limits
from store.dicom.metadata_json import MARK, MetadataWriter
from store.dicom.native_model import render_native_model
from store.dicom.tags import SOP_INSTANCE_UID
from store.instance_heads import read_head
from store.records import Instance

logger = logging.getLogger("sinogram.dicomweb")

FORM: Final = b"1"  # of the text: another one makes all that is kept void
HELD_BYTES: Final = 8 << 20  # of compressed text, made before the status leaves
ROWS_AT_ONCE: Final = 100
Check = Callable[[], None]
_COMMA: Final = Deflated.stored(b",")


class Metadata:
    """See the module's text."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        settings = deps.settings
        kept = DerivedFiles(deps.views.folder / METADATA, read_only=settings.read_only)
        self._kept = kept if settings.dicom_web.caches_metadata else None

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        study: str,
        series: str | None = None,
        instance: str | None = None,
    ) -> None:
        as_xml = wants_xml(req)
        mode = self._mode(series, instance)
        with self._deps.views.snapshot() as s:
            members = list_members(s, find_addressed(s, study, series, instance), needs_files=mode == FULL)
        base = base_url(req, self._deps.settings)
        resp.set_header("Vary", "Accept")
        if mode == FULL and is_known(
            req, resp, [FORM, base.encode(), b"xml" if as_xml else b"json", *(each.digest for each in members)]
        ):
            return
        kept = self._kept if mode == FULL else None  # the index is as quick
        making = _Making(self._deps, kept, base, still_wanted(req, self._deps.stopping.check), mode)
        total = sum(len(each.refs) + each.missing for each in members)
        if as_xml:
            note_missing(resp, sum(each.missing for each in members), total)
            datasets.send_xml(resp, (render_native_model(shown) for each in members for shown in making.datasets(each)))
            return
        texts = making.texts(members)
        held, size = [], 0
        for text in texts:
            held.append(text)
            size += len(text.blocks)
            if size > HELD_BYTES:
                break
        note_missing(resp, making.missing, total)
        _send(req, resp, chain(held, texts), sum(text.size_bytes for text in held))

    def _mode(self, series: str | None, instance: str | None) -> str:
        settings = self._deps.settings.dicom_web
        if instance is not None:
            return FULL
        return settings.studies_metadata if series is None else settings.series_metadata


def is_known(req: falcon.Request, resp: falcon.Response, decisive: Sequence[bytes]) -> bool:
    """Send a tag of all that decides an answer; returns whether the client has that answer, so that it is 304 (RFC 9110 §13.1.2)."""
    digest = hashlib.blake2b(b"".join(bytes((len(each) & 0xFF,)) + each for each in decisive), digest_size=16)
    tag = f'W/"{digest.hexdigest()}"'
    resp.set_header("ETag", tag)
    asked = [each.strip() for each in req.env.get("HTTP_IF_NONE_MATCH", "").split(",")]
    if "*" in asked or tag in asked or tag.removeprefix("W/") in asked:
        resp.status = falcon.HTTP_304
        return True
    return False


class _Making:
    """Makes the metadata of one answer."""

    def __init__(self, deps: Deps, kept: DerivedFiles | None, base: str, check: Check, mode: str) -> None:
        self._deps = deps
        self._kept = kept
        self._base = base
        self._check = check
        self._mode = mode
        self._default_encoding = runtime.default_encoding(deps)
        self.missing = 0  # instances so far

    def texts(self, members: Sequence[Members]) -> Iterator[Deflated]:
        """Yield a text for each series that has something: its datasets, with commas between them."""
        for each in members:
            text = self._kept_text(each)
            if text.size_bytes:
                yield text

    def datasets(self, members: Members) -> Iterator[Json]:
        for text in self._written(members):
            yield json.loads(text)

    def _kept_text(self, members: Members) -> Deflated:
        self.missing += members.missing
        is_kept = self._kept is not None and members.is_whole
        digest = self._digest(members)
        if self._kept is not None and is_kept and (found := self._kept.read(members.series, digest)) is not None:
            return Deflated.unpack(found)
        missing_before = self.missing
        text = Deflated.of(_with_commas(self._written(members)))
        if self._kept is not None and is_kept and self.missing == missing_before:
            self._kept.write(members.series, digest, text.pack())
        return text

    def _digest(self, members: Members) -> bytes:
        told = (
            FORM.decode(),
            str(limits().elements),
            self._base,
            self._default_encoding,
            members.study_uid,
            members.series_uid,
        )
        return hashlib.blake2b("\n".join(told).encode() + members.digest, digest_size=16).digest()

    def _written(self, members: Members) -> Iterator[bytes]:
        """Yield the text of each dataset; what cannot be had is missing."""
        writer = MetadataWriter(self._default_encoding)
        with self._deps.views.snapshot() as s:
            above = tags_above(s, members)
        common = self._common(members, writer) if self._mode == EXTRAPOLATE else None
        for record in self._records(members.refs):
            self._check()
            if self._mode != FULL:
                yield write_from_index(above, record, common)
            elif (text := self._read(members, record, writer, above)) is None:
                self.missing += 1
            else:
                yield text

    def _records(self, refs: Sequence[Ref]) -> Iterator[Instance]:
        for start in range(0, len(refs), ROWS_AT_ONCE):
            with self._deps.views.snapshot() as s:
                records = list(read_instances(s, refs[start : start + ROWS_AT_ONCE]))
            yield from records

    def _common(self, members: Members, writer: MetadataWriter) -> dict[str, Any]:
        def read(place: int) -> bytes | None:
            records = list(self._records(members.refs[place : place + 1]))
            return self._read(members, records[0], writer, {}) if records else None

        return find_common(members, read)

    def _read(self, members: Members, record: Instance, writer: MetadataWriter, above: Tags) -> bytes | None:
        """Return the text of a file's dataset, None where it cannot be had; of one that is beyond our limits what the index has."""
        try:
            text = dicom_files.of_current(self._deps, record, lambda each: self._write(writer, each))
        except (DamagedFile, UnknownRoute):  # just found to be, or just deleted
            return None
        except (InvalidDicom, TooLargeForJson) as exc:
            logger.warning("dicomweb.metadata-from-index instance=%s: %s", format_resource_id(record.id), exc)
            return write_from_index(above, record)
        series = resource_url(self._base, members.study_uid, members.series_uid)
        place = f"{series}/instances/{quote(record.tags[SOP_INSTANCE_UID], safe='')}/bulk/"
        return text.replace(MARK, json.dumps(place)[1:-1].encode())

    def _write(self, writer: MetadataWriter, instance: Instance) -> bytes:
        return writer.write(read_head(self._deps.blobs, instance, whole=False))


def _with_commas(texts: Iterator[bytes]) -> Iterator[bytes]:
    before = b""
    for text in texts:
        yield before + text
        before = b","


def _send(req: falcon.Request, resp: falcon.Response, texts: Iterator[Deflated], size_bytes: int) -> None:
    """Answer with a list of all datasets; the size is that of the text, as far as it is known."""
    resp.content_type = JSON
    resp.append_header("Vary", "Accept-Encoding")
    pieces: Iterator[bytes]
    if choose(req.env.get("HTTP_ACCEPT_ENCODING", "")) == "gzip":
        resp.set_header("Content-Encoding", "gzip")
        pieces = as_gzip(_listed(texts))
    else:
        pieces = (piece for text in _listed(texts) for piece in text.inflated())
    if size_bytes <= WHOLE_BYTES:
        resp.data = b"".join(pieces)
    else:
        resp.stream = pieces


def _listed(texts: Iterator[Deflated]) -> Iterator[Deflated]:
    yield Deflated.stored(b"[")
    first = next(texts, None)
    if first is not None:
        yield first
    for text in texts:
        yield _COMMA
        yield text
    yield Deflated.stored(b"]")


def handlers(deps: Deps) -> Handlers:
    metadata = Metadata(deps)
    below = ("", "/series/{series}", "/series/{series}/instances/{instance}")
    return {f"studies/{{study}}{address}/metadata": {"GET": metadata.on_get} for address in below}
