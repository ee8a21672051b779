"""`POST /instances`: DICOM files, ZIP archives and forms of both, streamed to ingest."""

from collections.abc import Callable, Iterable, Iterator
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Any

import falcon

from actors.wire.multipart import parse_boundary, parts, split
from api.rest import arguments
from api.rest.deps import Deps, InstanceIngest, Routes, StoreResult, Upload
from api.rest.pieces import PiecedFile, Pieces, parse_pieced
from api.rest.render_resources import path_of
from api.rest.resources import Collection
from api.rest.serving.auth import correlation_of, origin_of, username_of
from api.rest.serving.body import CHUNK_BYTES, is_gzip, read_chunks
from api.rest.serving.client_gone import ClientGone, client_gone
from api.rest.serving.replies import send_json
from api.rest.settings import RestSettings
from api.rest.zip_uploads import MAGIC_BYTES, MAGICS, ArchiveLimits, Skipped, store_members
from events.errors import InvalidDicom, MissingTag
from events.identifiers import Level, format_resource_id
from store.dicom.limits import BeyondLimits
from store.disk_errors import DiskErrors
from store.records import Origin

_MIB = 1 << 20
_FORM_IN_MEMORY_BYTES = 1 << 20  # beyond, a form is kept in a temporary file until all of it is there
_TEMPORARY = DiskErrors("the temporary directory")


class Instances(Collection):
    """`/instances`: the list, and the way in."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(deps, Level.INSTANCE)
        self._pieces = Pieces(deps.settings)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        receiver = Receiver(
            self._deps.ingest, self._deps.settings, origin_of(req), correlation_of(req), client_gone(req)
        )
        chunks = read_chunks(req, self._deps.settings)
        boundary = parse_boundary(req.content_type or "")
        if boundary is None:
            # Orthanc looks for a ZIP in the body as it came, not in what a gzip body holds.
            tells_skipped = arguments.boolean(req, "tell-skipped")
            send_json(req, resp, receiver.receive(chunks, allow_zip=not is_gzip(req), tells_skipped=tells_skipped))
            return
        pieced = parse_pieced(req.env, f"{req.remote_addr}\0{username_of(req)}")
        with _keep_whole(chunks, boundary, self._deps.settings) as form:
            for _, part in parts(_read(form), boundary):
                if receiver.is_client_gone():
                    raise ClientGone
                self._take(receiver, part, pieced)
        resp.content_type = None  # Orthanc's answer to a form is 200 and empty
        resp.data = b""

    def _take(self, receiver: "Receiver", part: Iterator[bytes], pieced: PiecedFile | None) -> None:
        """Store a part of a form, or the file that becomes whole by it."""
        if pieced is None:
            receiver.receive(part, allow_zip=True)
            return
        whole = self._pieces.add(pieced, part)
        if whole is not None:
            with whole:
                receiver.receive(_read(whole), allow_zip=True)


def _keep_whole(chunks: Iterator[bytes], boundary: bytes, settings: RestSettings) -> IO[bytes]:
    """Return a form that has come to its end. Raises InvalidRequest for one that has not: nothing of it may be stored."""
    kept = SpooledTemporaryFile(_FORM_IN_MEMORY_BYTES, "w+b", prefix="sinogram-", dir=str(settings.temporary_directory))  # noqa: SIM115  # the caller closes it
    try:
        for _ in split(_copy(chunks, kept), boundary):
            pass
        with _TEMPORARY:
            kept.seek(0)
    except BaseException:
        kept.close()
        raise
    return kept


def _copy(chunks: Iterator[bytes], file: IO[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        with _TEMPORARY:
            file.write(chunk)
        yield chunk


def _read(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"")


class Receiver:
    """Takes the files of one request."""

    def __init__(
        self,
        ingest: InstanceIngest,
        settings: RestSettings,
        origin: Origin,
        correlation: bytes,
        is_client_gone: Callable[[], bool],
    ) -> None:
        self._ingest = ingest
        self._settings = settings
        self._origin = origin
        self._correlation = correlation
        self.is_client_gone = is_client_gone

    def receive(self, chunks: Iterator[bytes], *, allow_zip: bool, tells_skipped: bool = False) -> Any:
        """Store a file or an archive and return what Orthanc answers: an object, or a list of them.

        `tells_skipped`: the list ends with what an archive holds that has not been stored.

        Raises InvalidDicom, MissingTag, StorageFull, Busy, and whatever reading `chunks` raises.
        """
        head, rest = _peek(chunks)
        if allow_zip and head[:MAGIC_BYTES] in MAGICS:
            return self._store_zip(_chain(head, rest), tells_skipped=tells_skipped)
        return render_stored(self._store_file(_chain(head, rest)))

    def _store_file(self, chunks: Iterable[bytes]) -> StoreResult:
        size = 0
        upload = self._ingest.open(self._origin, self._correlation)
        try:
            for chunk in chunks:
                size += len(chunk)
                upload.write(chunk)
            return _store(upload, size)
        finally:
            upload.discard()

    def _store_zip(self, chunks: Iterable[bytes], *, tells_skipped: bool) -> list[dict[str, str]]:
        with _TEMPORARY:
            spool = TemporaryFile(prefix="sinogram-", suffix=".zip", dir=self._settings.temporary_directory)  # noqa: SIM115  # its own errors are told apart from those of what follows
        with spool as file:
            for chunk in chunks:
                _spool(file, chunk)
            limits = ArchiveLimits(
                member=self._settings.maximum_file_size_in_archive_mb * _MIB,
                total=self._settings.maximum_archive_size_mb * _MIB,
            )
            skipped: list[Skipped] = []
            note = skipped.append if tells_skipped else _forget
            results = store_members(file, limits, self._store_file, self.is_client_gone, note)
        return [*map(render_stored, results), *map(_render_skipped, skipped)]


def _spool(file: IO[bytes], chunk: bytes) -> None:
    with _TEMPORARY:
        file.write(chunk)
        file.flush()  # a full disk shows here, not when the archive is read


def _store(upload: Upload, size: int) -> StoreResult:
    """Store an upload; a file that cannot be parsed is refused in Orthanc's words."""
    if not size:
        raise InvalidDicom("Received an empty DICOM file")
    try:
        return upload.store()
    except InvalidDicom as exc:
        if str(exc).startswith("missing ") or isinstance(
            exc, BeyondLimits
        ):  # a file with empty identifiers: Orthanc says so
            raise
        raise InvalidDicom(f"Cannot parse an invalid DICOM file (size: {size} bytes)") from exc
    except MissingTag as exc:
        raise MissingTag from exc  # Orthanc gives no details


def render_stored(result: StoreResult) -> dict[str, str]:
    """Return Orthanc's answer to an upload."""
    ids = result.ids
    return {
        "ID": format_resource_id(ids.instance),
        "ParentPatient": format_resource_id(ids.patient),
        "ParentSeries": format_resource_id(ids.series),
        "ParentStudy": format_resource_id(ids.study),
        "Path": path_of(Level.INSTANCE, ids.instance),
        "Status": result.status,
    }


def _forget(_: Skipped) -> None:
    pass


def _render_skipped(skipped: Skipped) -> dict[str, str]:
    return {"Name": skipped.name, "Kind": skipped.kind, "Reason": skipped.reason, "Status": "Skipped"}


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return enough of the beginning to tell a ZIP, and the rest."""
    head = next(chunks, b"")
    while 0 < len(head) < MAGIC_BYTES and (more := next(chunks, b"")):
        head += more
    return head, chunks


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def routes(deps: Deps) -> Routes:
    return {"/instances": Collection(deps, Level.INSTANCE) if deps.settings.read_only else Instances(deps)}
