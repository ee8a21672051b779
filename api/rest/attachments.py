"""`/{level}/{id}/attachments`: the list, the files by name or number, and what is known of each. Clients may set those from 1024 on.

As in Orthanc 1.12.7, an attachment is set and removed whatever level the URI names, but read at that of the resource alone.
"""

from collections.abc import Callable
from functools import partial
from io import RawIOBase
from typing import Any, Final, TypeVar

import falcon

from actors.messages.commands.attachments import RemoveAttachment, SetAttachment
from api.errors import InexistentItem, NoRoomForAttachment, NotVerified, UnknownRoute
from api.rest import arguments, etags
from api.rest.deps import Deps, Routes
from api.rest.instance_content import file_name
from api.rest.ranges import Range, parse_range
from api.rest.render_resources import one_of, render_attachment
from api.rest.resources import find_below
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import read_raw_chunks
from api.rest.serving.file_pieces import send_file
from api.rest.serving.replies import BINARY, send_empty_object, send_json, send_text
from events.attachments import USER_NUMBERS
from events.errors import DamagedFile, Forbidden, LimitReached, NotFound
from events.identifiers import Level, ResourceId, format_blob_id, parse_resource_id
from events.stored_file import StoredFile
from store.views.attachments import AttachmentNaming, find_attachment, list_attachments, revision_of

T = TypeVar("T")


class AttachmentList:
    """`GET …/attachments`: names; with `full`, numbers by name."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._views = deps.views
        self._level = level
        self._naming = AttachmentNaming(deps.settings.user_content_type)

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with self._views.snapshot() as s:
            numbers = list_attachments(s, find_below(s, self._level, identifier))
        named = {self._naming.name_of(number): number for number in numbers}
        send_json(req, resp, named if req.has_param("full") else list(named))


class _OfAttachment:
    """What the resources below one attachment share."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level
        self._naming = AttachmentNaming(deps.settings.user_content_type)

    def _number(self, name: str) -> int:
        """Return which attachment a URI names. Raises InexistentItem, BadType, before the resource is looked for, as Orthanc."""
        return arguments.number_of(name, self._naming.find)

    def _find(self, identifier: str, name: str) -> StoredFile:
        """Raises UnknownRoute, and as `_number`."""
        found = self._find_any(identifier, name)
        if found is None:
            raise UnknownRoute
        return found

    def _find_any(self, identifier: str, name: str) -> StoredFile | None:
        """Return nothing where the resource is there alone. Raises UnknownRoute, and as `_number`."""
        number = self._number(name)
        with self._deps.views.snapshot() as s:
            return find_attachment(s, find_below(s, self._level, identifier), number)

    def _of_current(self, identifier: str, name: str, read: Callable[[StoredFile], T]) -> T:
        """Return the result of `read`; repeat it as often as another file has taken the place of the one that was read."""
        file = self._find(identifier, name)
        while True:
            try:
                return read(file)
            except FileNotFoundError:
                current = self._find(identifier, name)
                if current.blob == file.blob:
                    raise UnknownRoute from None
                file = current


class Attachment(_OfAttachment):
    """`GET`: the operations below."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        if not _is_known(req, resp, self._find(identifier, name)):
            send_json(req, resp, sorted(OPERATIONS))


class SettableAttachment(Attachment):
    """The same where the archive may change; with `ReadOnly` there is no such route."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self._number(name)
        if number not in USER_NUMBERS:
            raise Forbidden
        seen = etags.seen_by(req)
        resource = self._must_exist(identifier)
        command = partial(
            SetAttachment,
            id=resource,
            number=number,
            correlation=correlation_of(req),
            seen=seen,
            must_have_seen=self._deps.settings.check_revisions,
        )
        with self._deps.ingest.attach() as incoming:
            for chunk in read_raw_chunks(req, self._deps.settings):
                incoming.write(chunk)
            try:
                revision = incoming.keep(command)
            except NotFound as exc:
                raise InexistentItem from exc
            except LimitReached as exc:
                raise NoRoomForAttachment(str(exc)) from exc
        etags.send_tag(resp, revision)
        send_empty_object(resp)

    def _must_exist(self, identifier: str) -> ResourceId:
        """Look for the resource before the body is read. Raises InexistentItem."""
        resource = parse_resource_id(identifier)
        with self._deps.views.snapshot() as s:
            if resource is None or s.find(resource) is None:
                raise InexistentItem
        return resource

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self._number(name)
        if not (number in USER_NUMBERS or self._naming.is_removable(number)):
            raise Forbidden
        seen = etags.needed_of(req) if self._deps.settings.check_revisions else etags.seen_by(req)
        resource = parse_resource_id(identifier)
        if resource is None or number not in USER_NUMBERS:  # there is none of another number that may be removed
            raise UnknownRoute
        try:
            was_there = self._deps.index.remove_attachment(
                RemoveAttachment(id=resource, number=number, correlation=correlation_of(req), seen=seen)
            )
        except NotFound as exc:
            raise UnknownRoute from exc
        if not was_there:
            raise UnknownRoute
        send_text(resp)


class Data(_OfAttachment):
    """`GET …/data`: the bytes, or a part of them."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        wanted = parse_range(req)
        file, opened = self._of_current(identifier, name, lambda found: (found, self._open(found, wanted)))
        try:
            if _is_known(req, resp, file):
                opened.close()
                return
            if wanted is not None:
                self._send_part(resp, opened, wanted, self._size_of(file))
                return
            resp.content_type = self._naming.media_type(self._number(name))
            shown_name = file_name(req.query_string, format_blob_id(file.blob))
            if shown_name:
                resp.set_header("Content-Disposition", f'filename="{shown_name}"')
            send_file(resp, opened, self._size_of(file))
        except BaseException:
            opened.close()
            raise

    def _open(self, file: StoredFile, wanted: Range | None) -> RawIOBase:
        return self._deps.blobs.open_instance(file, whole=wanted is None)

    def _size_of(self, file: StoredFile) -> int:
        return file.size_bytes

    def _send_part(self, resp: falcon.Response, opened: RawIOBase, wanted: Range, size_bytes: int) -> None:
        part = wanted.within(size_bytes)
        opened.seek(part.start)
        resp.status = falcon.HTTP_206
        resp.content_type = BINARY
        resp.set_header("Content-Range", part.content_range)
        send_file(resp, opened, part.size_bytes)


class Info(_OfAttachment):
    """`GET …/info`: sizes, digests and the name of the file."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        file = self._find(identifier, name)
        if not _is_known(req, resp, file):
            send_json(req, resp, render_attachment(self._number(name), file))


class Fact(_OfAttachment):
    """One value as text."""

    def __init__(self, deps: Deps, level: Level, show: Callable[[StoredFile], str]) -> None:
        super().__init__(deps, level)
        self._show = show

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        file = self._find(identifier, name)
        if _is_known(req, resp, file):
            return
        shown = self._show(file)
        if not shown:  # a digest that was not computed
            raise NotFound
        send_text(resp, shown)


def _is_known(req: falcon.Request, resp: falcon.Response, file: StoredFile) -> bool:
    """Send the tag of an attachment; returns whether the client has it, so that the answer is 304. Raises OutOfRange."""
    return etags.is_known(req, resp, revision_of(file), file.md5.hex)


class VerifyMd5(_OfAttachment):
    """`POST …/verify-md5`: reads the file from end to end, however large it is."""

    def on_post(self, _req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        if self._find_any(identifier, name) is None:
            raise NotVerified
        try:
            self._of_current(identifier, name, self._verify)
        except DamagedFile as exc:
            raise NotVerified from exc
        send_empty_object(resp)

    def _verify(self, file: StoredFile) -> None:
        if not file.md5:
            raise NotVerified
        self._deps.blobs.check_instance(file)


_FACTS: Final[dict[str, Callable[[StoredFile], str]]] = {
    "size": lambda file: str(file.size_bytes),
    "md5": lambda file: file.md5.hex(),
    "compressed-size": lambda file: str(file.disk_bytes),
    "compressed-md5": lambda file: file.disk_md5.hex(),
    "is-compressed": lambda file: str(int(file.compression != 0)),
}
OPERATIONS: Final[dict[str, Callable[[Deps, Level], Any]]] = {
    "data": Data,
    "info": Info,
    "verify-md5": VerifyMd5,
    **{name: partial(Fact, show=show) for name, show in _FACTS.items()},
}


def routes(deps: Deps) -> Routes:
    one = Attachment if deps.settings.read_only else SettableAttachment
    found: Routes = {}
    for level in Level:
        of_level = f"{one_of(level)}/attachments"
        found[of_level] = AttachmentList(deps, level)
        found[f"{of_level}/{{name}}"] = one(deps, level)
        for operation, resource in OPERATIONS.items():
            found[f"{of_level}/{{name}}/{operation}"] = resource(deps, level)
    return found
