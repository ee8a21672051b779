"""STOW-RS: `POST /studies` and `POST /studies/{study}` (PS3.18 §10.5).

Files go to ingest as they come: a body may have any size. Each instance that the answer names as stored is durable. A body that breaks off loses
nothing that was stored before: the answer names that, and the part that is missing as a failure. What is made of metadata and bulk data is in
`metadata`.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from typing import Final, TypeVar

import falcon

from actors.wire.multipart import RELATED, PartHeaders, media_type, parse_boundary, parse_parameters, parts
from api.dicomweb.base_url import base_url
from api.dicomweb.datasets import JSON, XML
from api.dicomweb.handlers import Handlers
from api.dicomweb.store.answer import StoreAnswer, StudyMismatch
from api.dicomweb.store.metadata import MetadataBody
from api.dicomweb.store.queue import StoreQueue
from api.errors import UnsupportedMediaType
from api.rest.deps import Deps
from api.rest.serving.auth import correlation_of, origin_of
from api.rest.serving.body import read_chunks
from api.rest.serving.client_gone import ClientGone, client_gone
from events.errors import CorruptLog, InvalidDicom, InvalidRequest, ReadOnlyArchive, SinogramError
from store.dicom.part10 import read_media_storage

logger = logging.getLogger("sinogram.http")

DICOM: Final = "application/dicom"
_META_BYTES: Final = 1024  # file meta information is shorter
MOST_PARTS: Final = 100_000  # of one request, and instances: the answer names each
Part = tuple[PartHeaders, Iterator[bytes]]
T = TypeVar("T")


class BodyEnded(Exception):
    """The body of a request cannot be read any further."""

    def __init__(self, reason: SinogramError) -> None:
        super().__init__(reason)
        self.reason = reason


class Store:
    """Takes the instances of requests."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, study: str | None = None) -> None:
        kind, boundary = _read_type(req.content_type or "")
        request = _Request(self._deps, req, study)
        chunks = read_chunks(req, self._deps.settings)
        source = _guarded(parts(chunks, boundary)) if boundary else iter([(PartHeaders(), chunks)])
        try:
            request.take(((headers, _guarded(content)) for headers, content in source), kind)
        except BodyEnded as exc:
            if not request.answer.stored:
                raise exc.reason from None
            request.answer.fail(exc.reason)
        if not len(request.answer):
            raise InvalidRequest("The body of the request holds no instance")
        request.answer.send(req, resp, base_url(req, self._deps.settings))


class _Request:
    """One request."""

    def __init__(self, deps: Deps, req: falcon.Request, study: str | None) -> None:
        self._deps = deps
        self._req = req
        self._study = study
        # As of Orthanc's plugin, for scripts that tell instances apart by where they come from.
        self._origin = replace(origin, kind="Plugins") if (origin := origin_of(req)).kind == "RestApi" else origin
        self._is_gone = client_gone(req)
        self.answer = StoreAnswer()

    def take(self, source: Iterator[Part], kind: str) -> None:
        """Store what the parts of a body hold. Raises BodyEnded."""
        if kind == DICOM:
            with StoreQueue(self.answer) as queue:
                for number, (headers, content) in enumerate(source):
                    self._check(number)
                    self._take_file(queue, headers, content)
            return
        with MetadataBody(self._deps.settings, kind, self._req.url) as body:
            for number, (headers, content) in enumerate(source):
                self._check(number)
                body.add(headers, content)
            # One at a time: this thread has the turn of large metadata, for which the threads of others would wait.
            with closing(body.instances()) as instances, StoreQueue(self.answer, at_once=1) as queue:
                for number, made in enumerate(instances):
                    self._check(number)
                    with self._noting(made.sop_class, made.sop_instance):
                        self._store(queue, made.write())

    def _check(self, number: int) -> None:
        if self._is_gone():
            raise ClientGone
        if number == MOST_PARTS:
            raise BodyEnded(
                InvalidRequest(f"A request has {MOST_PARTS} parts or instances at most: send the others in another one")
            )

    def _take_file(self, queue: StoreQueue, headers: PartHeaders, content: Iterator[bytes]) -> None:
        kind = media_type(headers.get("content-type", DICOM))
        beginning = _begin(content)
        with self._noting(*read_media_storage(beginning)):
            if kind != DICOM:
                raise InvalidDicom(f"A part is {kind:.80}, where the request says {DICOM}")
            self._store(queue, chain((beginning,), content))
        for _ in content:  # of an instance that was refused before its end
            pass

    def _store(self, queue: StoreQueue, content: Iterator[bytes]) -> None:
        upload = self._deps.ingest.open(self._origin, correlation_of(self._req))
        try:
            for chunk in content:
                upload.write(chunk)
            found = upload.look()
        except BaseException:
            upload.discard()
            raise
        if self._study in {None, found.study_uid}:
            queue.put(upload, found)
            return
        upload.discard()
        words = StudyMismatch("An instance is not of the study of the address")
        self.answer.fail(words, found.sop_class, found.sop_uid)

    @contextmanager
    def _noting(self, sop_class: str, sop_instance: str) -> Iterator[None]:
        """Note an instance as refused where the code below fails; what is wrong with the archive itself ends the request."""
        try:
            yield
        except (CorruptLog, ReadOnlyArchive, ClientGone):
            raise
        except SinogramError as exc:
            logger.info("dicomweb.store-refused error=%s: %s", type(exc).__name__, exc)
            self.answer.fail(exc, sop_class, sop_instance)


def _read_type(content_type: str) -> tuple[str, bytes | None]:
    """Return of what the body of a request is, and the boundary of a multipart one. Raises UnsupportedMediaType."""
    boundary = parse_boundary(content_type, RELATED)
    kind = media_type(content_type if boundary is None else parse_parameters(content_type).get("type", ""))
    if kind not in {DICOM, JSON, XML}:
        raise UnsupportedMediaType(
            f"The body must be {DICOM}, {JSON}, {XML}, or {RELATED} with one of them as its type and with a boundary"
        )
    return kind, boundary


def _begin(content: Iterator[bytes]) -> bytes:
    """Return enough of a part to see which instance it says to be."""
    beginning = next(content, b"")
    while 0 < len(beginning) < _META_BYTES and (more := next(content, b"")):
        beginning += more
    return beginning


def _guarded(items: Iterator[T]) -> Iterator[T]:
    """Yield what a body holds; what goes wrong with the body is told apart from what goes wrong with an instance. Raises BodyEnded."""
    try:
        yield from items
    except SinogramError as exc:
        raise BodyEnded(exc) from exc


def handlers(deps: Deps) -> Handlers:
    """Return what stores; nothing does in a read-only archive."""
    if deps.settings.read_only:
        return {}
    store = Store(deps)
    return {address: {"POST": store.on_post} for address in ("studies", "studies/{study}")}
