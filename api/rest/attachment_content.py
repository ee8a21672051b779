"""What is done with the bytes of one attachment: read, as content or as they lie there, compared with their MD5, compressed.

What is below is the same for all types and for all levels; which resource has which attachments: `api.rest.attachments`.
"""

from collections.abc import Callable
from functools import partial
from hashlib import file_digest, md5
from io import RawIOBase
from typing import TypeVar

import falcon

from actors.messages.commands.attachments import RepackAttachment
from api.errors import NoRoomForAttachment, NotVerified, UnknownRoute
from api.rest import arguments, etags
from api.rest.deps import Deps
from api.rest.instance_content import file_name
from api.rest.ranges import Range, parse_range, send_part
from api.rest.resources import find_below
from api.rest.serving.auth import correlation_of
from api.rest.serving.file_pieces import PIECE_BYTES, send_file
from api.rest.serving.replies import BINARY, send_empty_object
from events.errors import DamagedFile, LimitReached, NotFound
from events.identifiers import Level, ResourceId, format_blob_id, parse_resource_id
from events.stored_file import StoredFile
from store.blobs.damage import Damage, Kind
from store.projections.attachments import Attachment
from store.views.attachments import AttachmentNaming, find_attachment, revision_of

T = TypeVar("T")


class OfAttachment:
    """What the resources below one attachment share."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level
        self._naming = AttachmentNaming(deps.settings.user_content_type)

    def number(self, name: str) -> int:
        """Return which attachment a URI names. Raises InexistentItem, BadType, before the resource is looked for, as Orthanc."""
        return arguments.number_of(name, self._naming.find)

    def find(self, identifier: str, name: str) -> StoredFile:
        """Raises UnknownRoute, and as `number`."""
        found = self._find_any(identifier, name)
        if found is None:
            raise UnknownRoute
        return found

    def _find_any(self, identifier: str, name: str) -> StoredFile | None:
        """Return nothing where the resource is there alone. Raises UnknownRoute, and as `number`."""
        number = self.number(name)
        with self._deps.views.snapshot() as s:
            return find_attachment(s, find_below(s, self._level, identifier), number)

    def _of_current(self, identifier: str, name: str, read: Callable[[StoredFile], T]) -> T:
        """Return the result of `read`; repeat it as often as another file has taken the place of the one that was read."""
        file = self.find(identifier, name)
        while True:
            try:
                return read(file)
            except FileNotFoundError:
                current = self.find(identifier, name)
                if current.blob == file.blob:
                    raise UnknownRoute from None
                file = current
            except DamagedFile as exc:
                if isinstance(file, Attachment):
                    raise DamagedFile(
                        f"the file of this attachment is {exc.kind}; set it again, which replaces it"
                    ) from exc
                raise


def is_known(req: falcon.Request, resp: falcon.Response, file: StoredFile) -> bool:
    """Send the tag of an attachment; returns whether the client has it, so that the answer is 304. Raises OutOfRange."""
    return etags.is_known(req, resp, revision_of(file), file.md5.hex)


class Data(OfAttachment):
    """`GET …/data`: the bytes, or a part of them."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        wanted = parse_range(req)

        def read(file: StoredFile) -> None:
            if not is_known(req, resp, file):
                self._send(req, resp, file, name, wanted)

        self._of_current(identifier, name, read)

    def _send(
        self, req: falcon.Request, resp: falcon.Response, file: StoredFile, name: str, wanted: Range | None
    ) -> None:
        part = None if wanted is None else wanted.within(self._size_of(file))
        opened = self._open(file, whole=part is None)
        try:
            if part is None:
                self._describe(req, resp, file, name)
                send_file(resp, opened, self._size_of(file))
            else:
                resp.content_type = BINARY
                send_part(resp, opened, part)
        except BaseException:
            opened.close()
            raise

    def _describe(self, req: falcon.Request, resp: falcon.Response, file: StoredFile, name: str) -> None:
        resp.content_type = self._naming.media_type(self.number(name))
        shown_name = file_name(req.query_string, format_blob_id(file.blob))
        if shown_name:
            resp.set_header("Content-Disposition", f'filename="{shown_name}"')

    def _open(self, file: StoredFile, *, whole: bool) -> RawIOBase:
        return self._deps.blobs.open_instance(file, whole=whole)

    def _size_of(self, file: StoredFile) -> int:
        return file.size_bytes


class CompressedData(Data):
    """`GET …/compressed-data`: the file as it lies there, which may be compressed or not."""

    def _describe(self, req: falcon.Request, resp: falcon.Response, file: StoredFile, name: str) -> None:
        if file.compression:
            resp.content_type = BINARY
        else:
            super()._describe(req, resp, file, name)

    def _open(self, file: StoredFile, *, whole: bool) -> RawIOBase:
        return self._deps.blobs.open_as_it_lies(file, whole=whole)

    def _size_of(self, file: StoredFile) -> int:
        return file.disk_bytes


class Repack(OfAttachment):
    """`POST …/compress` and `POST …/uncompress`: has the content lie in another file; nothing, if it lies as is asked for."""

    def __init__(self, deps: Deps, level: Level, *, compress: bool) -> None:
        super().__init__(deps, level)
        self._compress = compress

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self.number(name)
        command = partial(
            RepackAttachment, id=parse_resource(identifier), number=number, correlation=correlation_of(req)
        )
        try:
            while not self._of_current(identifier, name, lambda file: self._repack(file, command)):
                pass  # somebody has set another one meanwhile
        except NotFound as exc:
            raise UnknownRoute from exc
        except LimitReached as exc:
            raise NoRoomForAttachment(str(exc)) from exc
        send_empty_object(resp)

    def _repack(self, file: StoredFile, command: Callable[..., RepackAttachment]) -> bool:
        """Returns whether it took effect. Raises DamagedFile before anything is written, however large the file is."""
        blobs = self._deps.blobs
        if bool(file.compression) is self._compress:
            return True
        blobs.check_instance(file)
        with (
            blobs.open_instance(file, whole=False) as content,
            self._deps.ingest.attach(compress=self._compress) as incoming,
        ):
            while piece := content.read(PIECE_BYTES):
                incoming.write(piece)
            return incoming.replace(file, command)


class VerifyMd5(OfAttachment):
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
        if file.compression:  # then that was the file as it lies there
            with self._deps.blobs.open_instance(file, whole=False) as content:
                found = file_digest(content, partial(md5, usedforsecurity=False)).digest()
            if found != file.md5:
                raise self._deps.blobs.tell(Damage(file.blob, Kind.ALTERED, file.packed_bytes))


def parse_resource(identifier: str) -> ResourceId:
    """Return the resource that a URI names, which may not be there. Raises UnknownRoute."""
    resource = parse_resource_id(identifier)
    if resource is None:
        raise UnknownRoute
    return resource
