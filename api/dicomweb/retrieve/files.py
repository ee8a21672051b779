"""`GET studies/{study}`, `…/series/{series}` and `…/instances/{instance}`: DICOM files in parts, one alone, or a ZIP archive (PS3.18 §10.4).

One file is open at a time, so 10 GB cost no more memory than 1 MB. Nothing said is Explicit VR Little Endian, as the standard and Orthanc's plugin
have it (§8.7.3); what nobody here can decode leaves as it is stored then. An instance that cannot be had, because its file is known to be
damaged or has no codec, is left out: 206 and a Warning say so, where the plugin answers 500. Damage that is found when its turn comes breaks
the connection.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

import falcon

from actors.services.archives.selection import Root
from actors.services.transcoding.targets import CannotTranscode, Target, can_transcode
from actors.services.transcoding.transcode import transcode
from actors.wire.multipart import PartHeaders
from api.dicomweb.accept import parse_accept
from api.dicomweb.addresses import NoSuchUid, find_addressed
from api.dicomweb.handlers import Handlers
from api.dicomweb.media_types import AS_STORED, DICOM, ZIP
from api.dicomweb.parts import Part, cut, send_parts
from api.errors import NotAcceptable
from api.rest import dicom_files
from api.rest.archives import Order, make_archive
from api.rest.deps import Deps
from api.rest.serving.client_gone import still_wanted
from api.rest.serving.file_pieces import Closing, FilePieces
from events.identifiers import Level, Ref
from store.blobs.store import MAPPED_BYTES
from store.blobs.writer import is_kept
from store.dicom.syntax import transfer_syntaxes
from store.dicom.uids import EXPLICIT_LE
from store.records import Instance, Resource
from store.tables import DAMAGED_FILES, key
from store.views.retrieve import ROWS_AT_ONCE
from store.views.snapshot import Snapshot, level_of

Check = Callable[[], None]


class Selected(NamedTuple):
    """The instances of an address, in order of creation."""

    refs: list[Ref]  # of those that can be had
    missing: int  # how many cannot
    size_bytes: int  # of the files


class Retrieve:
    """See the module's text."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        study: str,
        series: str | None = None,
        instance: str | None = None,
    ) -> None:
        roots = self._roots(study, series, instance)
        reason = "the header Accept asks for none of them"
        for wanted in parse_accept(req):
            if wanted.type == ZIP and _is_known(wanted.transfer_syntax):
                self._send_zip(resp, roots, wanted.transfer_syntax, instance or series or study)
                return
            if not wanted.takes(DICOM) or not _is_known(wanted.transfer_syntax):
                continue
            selected = self._select(roots, wanted.transfer_syntax)
            if not selected.refs:
                reason = f"none can be had in {wanted.transfer_syntax or EXPLICIT_LE}, or the files are damaged"
            elif wanted.is_multipart or wanted.type.endswith("*"):
                self._send_parts(req, resp, selected, wanted.transfer_syntax)
                return
            elif len(selected.refs) == 1 and not selected.missing:
                self._send_one(req, resp, selected.refs[0], wanted.transfer_syntax)
                return
        raise NotAcceptable(
            f"DICOM files can be had as {DICOM} in multipart/related, a single one alone, or all as {ZIP}: {reason}"
        )

    def _roots(self, study: str, series: str | None, instance: str | None) -> list[Resource | Instance]:
        with self._deps.views.snapshot() as s:
            return find_addressed(s, study, series, instance)

    def _select(self, roots: Sequence[Resource | Instance], syntax: str | None) -> Selected:
        refs, missing, size_bytes = [], 0, 0
        found = list(list_refs(self._deps, roots))
        for start in range(0, len(found), ROWS_AT_ONCE):
            with self._deps.views.snapshot() as s:
                for record in read_instances(s, found[start : start + ROWS_AT_ONCE]):
                    if not has_file(s, record) or not can_be_had(record.transfer_syntax, syntax):
                        missing += 1
                    else:
                        refs.append(record.ref)
                        size_bytes += record.size_bytes
        return Selected(refs, missing, size_bytes)

    def _send_parts(self, req: falcon.Request, resp: falcon.Response, selected: Selected, syntax: str | None) -> None:
        note_missing(resp, selected.missing, selected.missing + len(selected.refs))
        check = still_wanted(req, self._deps.stopping.check)
        files = (open_file(self._deps, record, syntax, check) for record in self._records(selected.refs))
        send_parts(resp, DICOM, _parts(files), selected.size_bytes)

    def _records(self, refs: Sequence[Ref]) -> Iterator[Instance]:
        """Read each again when its turn comes. One that has been deleted since breaks the answer off."""
        for ref in refs:
            with self._deps.views.snapshot() as s:
                found = list(read_instances(s, (ref,)))
            if not found:
                raise NoSuchUid("An instance was deleted while it was being retrieved")
            yield found[0]

    def _send_one(self, req: falcon.Request, resp: falcon.Response, ref: Ref, syntax: str | None) -> None:
        (record,) = self._records([ref])
        send_file(self._deps, req, resp, record, syntax)

    def _send_zip(
        self, resp: falcon.Response, roots: Sequence[Resource | Instance], syntax: str | None, name: str
    ) -> None:
        target = None if syntax in {None, AS_STORED} else Target(syntax, self._deps.codecs.settings.lossy_quality)
        order = Order(
            roots=[Root(level_of(root), root.ref) for root in roots],
            file_name=f"{name}.zip",
            is_media=False,
            target=target,
        )
        pieces = make_archive(self._deps, order).pieces()
        resp.content_type = ZIP
        resp.set_header("Content-Disposition", f'filename="{order.file_name}"')
        first = next(pieces)
        resp.stream = Closing(chain((first,), pieces), pieces)


def send_file(deps: Deps, req: falcon.Request, resp: falcon.Response, instance: Instance, syntax: str | None) -> None:
    """Answer with one file; see `open_file`."""
    content, size_bytes = open_file(deps, instance, syntax, still_wanted(req, deps.stopping.check))
    resp.content_type = DICOM
    if size_bytes <= MAPPED_BYTES:
        resp.data = b"".join(content)
    else:
        resp.content_length, resp.stream = size_bytes, content


def open_file(deps: Deps, instance: Instance, syntax: str | None, check: Check) -> tuple[Iterator[bytes], int]:
    """Return the pieces of a file in a transfer syntax and their size; None is Explicit VR Little Endian where that can be had.

    Raises NotAcceptable, and as `dicom_files.of_current`.
    """
    return dicom_files.of_current(deps, instance, lambda current: _content(deps, current, syntax, check))


def _content(deps: Deps, instance: Instance, syntax: str | None, check: Check) -> tuple[Iterator[bytes], int]:
    target = syntax or EXPLICIT_LE
    if target not in {AS_STORED, instance.transfer_syntax} and can_transcode(instance.transfer_syntax, target):
        try:
            return _transcoded(deps, instance, target, check)
        except CannotTranscode as exc:
            if syntax is not None:
                raise NotAcceptable(f"{exc}; it can be had as it is stored, with transfer-syntax=*") from exc
    if instance.size_bytes <= MAPPED_BYTES:
        return cut(deps.blobs.read_small(instance)), instance.size_bytes
    return FilePieces(deps.blobs.open_instance(instance), instance.size_bytes), instance.size_bytes


def _transcoded(deps: Deps, instance: Instance, syntax: str, check: Check) -> tuple[Iterator[bytes], int]:
    blobs, codecs = deps.blobs, deps.codecs
    content = blobs.read_instance(instance)
    target = Target(syntax, codecs.settings.lossy_quality)
    made = transcode(memoryview(content), target, codecs, blobs.reopener(instance, content), check)
    head = made.head()
    return chain((head,), cut(made.dataset)), len(head) + len(made.dataset)


def list_refs(deps: Deps, roots: Iterable[Resource | Instance]) -> Iterator[Ref]:
    """Iterate over the instances of some resources, in order of creation."""
    for root in roots:
        if isinstance(root, Instance):
            yield root.ref
            continue
        with deps.views.snapshot() as s:
            refs = list(s.descendant_refs(root, Level.INSTANCE))
        yield from refs


def read_instances(snapshot: Snapshot, refs: Iterable[Ref]) -> Iterator[Instance]:
    """Read the rows of those that are still there."""
    for ref in refs:
        with suppress(KeyError):
            record = snapshot.get_ref(Level.INSTANCE, ref)
            if isinstance(record, Instance) and not snapshot.is_hidden(Level.INSTANCE, ref):
                yield record


def has_file(snapshot: Snapshot, instance: Instance) -> bool:
    """Tell whether an instance has a file that is not known to be damaged."""
    return is_kept(instance.blob) and snapshot.row(DAMAGED_FILES, key(instance.ref)) is None


def note_missing(resp: falcon.Response, missing: int, of: int) -> None:
    """Say that an answer lacks instances (PS3.18 §8.5, 206)."""
    if missing:
        resp.status = falcon.HTTP_206
        resp.set_header(
            "Warning",
            f'299 sinogram "{missing} of {of} instances cannot be had; GET /storage/status lists damaged files"',
        )


def can_be_had(stored: str, syntax: str | None) -> bool:
    """Tell whether a file of one transfer syntax can be had in another."""
    return syntax in {None, AS_STORED, stored} or can_transcode(stored, syntax)


def _is_known(syntax: str | None) -> bool:
    return syntax in {None, AS_STORED} or syntax in transfer_syntaxes()


def _parts(files: Iterable[tuple[Iterator[bytes], int]]) -> Generator[Part]:
    for content, size_bytes in files:
        yield PartHeaders({"Content-Type": DICOM, "Content-Length": str(size_bytes), "MIME-Version": "1.0"}), content


def handlers(deps: Deps) -> Handlers:
    retrieve = Retrieve(deps)
    addresses = (
        "studies/{study}",
        "studies/{study}/series/{series}",
        "studies/{study}/series/{series}/instances/{instance}",
    )
    return {address: {"GET": retrieve.on_get} for address in addresses}
