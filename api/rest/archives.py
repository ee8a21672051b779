"""`/{level}/{id}/archive` and `/media`, `/tools/create-archive`, `/tools/create-media` and `/tools/create-media-extended`.

A synchronous answer is made while it leaves. Its status has been sent when a damaged file is met, so the archive itself tells of
that. Source: observed on Orthanc 1.12.7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from tempfile import TemporaryFile
from typing import Any, Final
from urllib.parse import quote

import falcon

from actors.services.archives.archive import Archive, ArchiveOptions
from actors.services.archives.content import Reader
from actors.services.archives.selection import Folders, Root, Selection, find_root
from actors.services.jobs.operations.archive_plan import ArchivePlan, to_plan
from actors.services.transcoding.targets import Target, clamp_quality
from api.errors import BadField, InexistentItem, OutOfRange, UnknownRoute
from api.rest import fields, runtime
from api.rest.deps import Deps, Routes
from api.rest.instance_content import file_name, read_target
from api.rest.job_submission import JobRequest, answer_with_link, is_synchronous, start
from api.rest.render_resources import one_of
from api.rest.serving.file_pieces import Closing, FilePieces
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.dicomdir import DicomDir
from store.dicom.syntax import transfer_syntaxes
from store.dicom.uids import draw_uid
from store.disk_errors import DiskErrors

_ZIP: Final = "application/zip"
_MANY: Final = "Archive.zip"
_IN_QUOTES: Final = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"%')
_SCRATCH: Final = DiskErrors("TemporaryDirectory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An archive that is asked for."""

    roots: Sequence[Root]
    file_name: str
    is_media: bool
    target: Target | None = None
    is_extended: bool = False
    folders: Folders = Folders.ALL
    is_utf8: bool = False


class _Archives:
    """What the routes share."""

    def __init__(self, deps: Deps, *, is_media: bool, is_extended: bool = False) -> None:
        self._deps = deps
        self._is_media = is_media
        self._is_extended = is_extended  # unless the request says otherwise

    def _by_query(self, req: falcon.Request, roots: Sequence[Root], default_name: str) -> Order:
        return Order(
            roots=roots,
            file_name=file_name(req.query_string, default_name),
            is_media=self._is_media,
            target=read_target(req, self._deps) if req.has_param("transcode") else None,
            is_extended=self._is_extended or req.has_param("extended"),
            is_utf8=self._deps.settings.zip_use_utf8,
        )

    def _by_body(self, body: Mapping[str, Any], roots: Sequence[Root], default_name: str) -> Order:
        name = body.get("Filename")
        return Order(
            roots=roots,
            file_name=_quotable(name) if isinstance(name, str) else default_name,
            is_media=self._is_media,
            target=self._target(body),
            is_extended=fields.flag(body, "Extended", default=self._is_extended),
            is_utf8=fields.flag(body, "Utf8", default=self._deps.settings.zip_use_utf8),
        )

    def _target(self, body: Mapping[str, Any]) -> Target | None:
        if "Transcode" not in body:
            return None
        syntax = fields.text(body, "Transcode")
        if syntax not in transfer_syntaxes():
            raise OutOfRange(f"Unknown transfer syntax: {syntax}")
        quality = fields.whole(body, "LossyQuality", default=self._deps.codecs.settings.lossy_quality)
        return Target(syntax, clamp_quality(quality))

    def _answer(self, req: falcon.Request, resp: falcon.Response, order: Order, body: Mapping[str, Any]) -> None:
        if is_synchronous(body):
            self._send(resp, order)
            return
        plan = make_plan(self._deps, order)
        request = JobRequest(type=plan.job_type, plan=to_plan(plan), steps=plan.steps)
        _, job_id, _ = start(self._deps, req, request, body)
        answer_with_link(req, resp, job_id)

    def _send(self, resp: falcon.Response, order: Order) -> None:
        """Answer with the archive while it is made, or, without `SynchronousZipStream`, once it is."""
        deps = self._deps
        pieces = make_archive(deps, order).pieces()
        resp.content_type = _ZIP
        resp.set_header("Content-Disposition", f'filename="{order.file_name}"')
        if deps.settings.synchronous_zip_stream:
            first = next(pieces)  # what fails at once has its status
            resp.stream = Closing(chain((first,), pieces), pieces)
            return
        with _SCRATCH:
            spool = TemporaryFile(buffering=0, dir=deps.settings.temporary_directory)  # noqa: SIM115  # closed once it is sent
        try:
            for piece in pieces:
                with _SCRATCH:
                    spool.write(piece)
            size_bytes = spool.tell()
            spool.seek(0)
        except BaseException:
            spool.close()
            raise
        resp.content_length = size_bytes
        resp.stream = FilePieces(spool, size_bytes)


def make_archive(deps: Deps, order: Order) -> Archive:
    """Return an archive as it is asked for."""
    now = deps.now()
    selection = Selection(deps.views, order.roots, order.folders, is_utf8=order.is_utf8)
    return Archive(
        selection.members(),
        Reader(deps.views, deps.blobs, deps.codecs, order.target),
        ArchiveOptions(
            at=now,
            scratch=deps.settings.temporary_directory,
            threads=deps.settings.archive_threads,
            default_encoding=runtime.default_encoding(deps),
        ),
        DicomDir(draw_uid(), now, is_extended=order.is_extended) if order.is_media else None,
        deps.stopping.check,
    )


def make_plan(deps: Deps, order: Order) -> ArchivePlan:
    """Return the plan of a job that makes an archive."""
    size = Selection(deps.views, order.roots).measure()
    return ArchivePlan(
        roots=tuple(order.roots),
        folders=order.folders,
        is_utf8=order.is_utf8,
        is_media=order.is_media,
        is_extended=order.is_extended,
        transcode=order.target.transfer_syntax if order.target else "",
        quality=order.target.quality if order.target else 0,
        default_encoding=runtime.default_encoding(deps),
        filename=order.file_name,
        instances=size.instances,
        uncompressed_bytes=size.uncompressed_bytes,
    )


class OfResource(_Archives):
    """The archive or the medium of a patient, a study or a series."""

    def __init__(self, deps: Deps, level: Level, *, is_media: bool) -> None:
        super().__init__(deps, is_media=is_media)
        self._level = level
        self._folders = Folders.ALL if level == Level.PATIENT else Folders.AS_STUDY_TELLS

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        order = self._by_query(req, self._find(identifier), f"{identifier}.zip")
        self._send(resp, replace(order, folders=self._folders))

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        value = fields.read_json(req)
        if value is fields.NOT_JSON:
            raise BadField
        body = value if isinstance(value, dict) else {}
        order = self._by_body(body, self._find(identifier), f"{identifier}.zip")
        # Orthanc puts no folders around that of the series here, where its GET does.
        folders = Folders.SERIES_ALONE if self._level == Level.SERIES else self._folders
        self._answer(req, resp, replace(order, folders=folders), body)

    def _find(self, identifier: str) -> list[Root]:
        root = find_root(self._deps.views, self._level, identifier)
        if root is None:
            raise InexistentItem(f"Missing resource while creating an archive: {identifier}")
        return [root]


class OfResources(_Archives):
    """One archive or medium of many resources, of any level."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        names = req.get_param("resources")
        if names is None:
            raise InvalidRequest("Missing resources argument")
        self._send(resp, self._by_query(req, self._find([name for name in names.split(",") if name]), _MANY))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        value = fields.read_json(req)
        if value is fields.NOT_JSON:
            raise BadField("Expected a list of resources to archive in the body")
        if not isinstance(value, dict | list):
            raise BadField
        body = value if isinstance(value, dict) else {"Resources": value}
        if "Resources" not in body:
            raise BadField("Missing field Resources in the JSON body")
        names = body["Resources"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadField("Expected a list of strings (Orthanc identifiers)")
        self._answer(req, resp, self._by_body(body, self._find(names), _MANY), body)

    def _find(self, names: Sequence[str]) -> list[Root]:
        roots = [find_root(self._deps.views, None, name) for name in names]
        if None in roots:
            raise UnknownRoute
        return [root for root in roots if root is not None]


def _quotable(name: str) -> str:
    """A name as it can stand between quotation marks in a header."""
    return quote(name, safe=_IN_QUOTES)


def routes(deps: Deps) -> Routes:
    of_one = {
        f"{one_of(level)}/{word}": OfResource(deps, level, is_media=word == "media")
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
        for word in ("archive", "media")
    }
    return of_one | {
        "/tools/create-archive": OfResources(deps, is_media=False),
        "/tools/create-media": OfResources(deps, is_media=True),
        "/tools/create-media-extended": OfResources(deps, is_media=True, is_extended=True),
    }
