"""`/{level}/{id}/attachments`: the list, the files by name or number, and what is known of each. Clients may set those from 1024 on.

As in Orthanc 1.12.7, an attachment is set and removed whatever level the URI names, but read at that of the resource alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import falcon

from actors.messages.commands.attachments import RemoveAttachment, SetAttachment
from api.errors import InexistentItem, NoRoomForAttachment, UnknownRoute
from api.rest import etags
from api.rest.attachment_content import CompressedData, Data, OfAttachment, Repack, VerifyMd5, is_known, parse_resource
from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of, render_attachment
from api.rest.resources import find_below
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import read_raw_chunks
from api.rest.serving.replies import send_empty_object, send_json, send_text
from events.attachments import USER_NUMBERS
from events.errors import Forbidden, LimitReached, NotFound
from events.identifiers import Level, ResourceId, parse_resource_id
from events.stored_file import StoredFile
from store.views.attachments import AttachmentNaming, list_attachments


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


class Attachment(OfAttachment):
    """`GET`: the operations below."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        if not is_known(req, resp, self.find(identifier, name)):
            send_json(req, resp, sorted({*_READS, *_CHANGES}))


class SettableAttachment(Attachment):
    """The same where the archive may change; with `ReadOnly` there is no such route."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self.number(name)
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
        number = self.number(name)
        if not (number in USER_NUMBERS or self._naming.is_removable(number)):
            raise Forbidden
        seen = etags.needed_of(req) if self._deps.settings.check_revisions else etags.seen_by(req)
        resource = parse_resource(identifier)
        if number not in USER_NUMBERS:  # there is none of another number that may be removed
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


class Info(OfAttachment):
    """`GET …/info`: sizes, digests and the name of the file."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        file = self.find(identifier, name)
        if not is_known(req, resp, file):
            send_json(req, resp, render_attachment(self.number(name), file))


class Fact(OfAttachment):
    """One value as text."""

    def __init__(self, deps: Deps, level: Level, show: Callable[[StoredFile], str]) -> None:
        super().__init__(deps, level)
        self._show = show

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        file = self.find(identifier, name)
        if is_known(req, resp, file):
            return
        shown = self._show(file)
        if not shown:  # a digest that was not computed
            raise NotFound
        send_text(resp, shown)


_FACTS: Final[dict[str, Callable[[StoredFile], str]]] = {
    "size": lambda file: str(file.size_bytes),
    "md5": lambda file: file.md5.hex(),
    "compressed-size": lambda file: str(file.disk_bytes),
    "compressed-md5": lambda file: file.disk_md5.hex(),
    "is-compressed": lambda file: str(int(file.compression != 0)),
}
_CHANGES: Final[dict[str, Callable[[Deps, Level], Any]]] = {
    "compress": partial(Repack, compress=True),
    "uncompress": partial(Repack, compress=False),
}
_READS: Final[dict[str, Callable[[Deps, Level], Any]]] = {
    "data": Data,
    "compressed-data": CompressedData,
    "info": Info,
    "verify-md5": VerifyMd5,
    **{name: partial(Fact, show=show) for name, show in _FACTS.items()},
}


def routes(deps: Deps) -> Routes:
    one = Attachment if deps.settings.read_only else SettableAttachment
    operations = _READS if deps.settings.read_only else _READS | _CHANGES
    found: Routes = {}
    for level in Level:
        of_level = f"{one_of(level)}/attachments"
        found[of_level] = AttachmentList(deps, level)
        found[f"{of_level}/{{name}}"] = one(deps, level)
        for operation, resource in operations.items():
            found[f"{of_level}/{{name}}/{operation}"] = resource(deps, level)
    return found
