"""Folders of the configuration (`ServeFolders`) over HTTP: viewers and other web pages beside the REST API.

Nothing outside of a folder is served: `..` is resolved before a folder is looked for (`front`), and a link is followed only to what lies in
the same folder (Orthanc follows any). Files leave piece by piece.

Where Orthanc 1.12.7 has no answer, or one that no browser understands, RFC 9110 is followed: HEAD; 304 by ETag or date; one range of bytes, and the
whole file where several are asked for; Last-Modified in its form; `index.html` of a folder whose address ends with a slash, to which the address
without it leads. Orthanc's ETag is the MD5 of a file, which it reads for that; here size, date and number of the file make it.
"""

import errno
import mimetypes
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from io import FileIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import falcon

from api.errors import InexistentFile, UnknownRoute
from api.rest.ranges import asked_part, send_part
from api.rest.serving.file_pieces import send_file
from api.rest.serving.folder_settings import FolderSettings
from api.rest.serving.replies import BINARY

INDEX: Final = "index.html"
METHODS: Final = ("GET", "HEAD")
# What Orthanc 1.12.7 says, and those after the blank line, which it calls application/octet-stream, and so does what Python's own table
# lacks: with our X-Content-Type-Options browsers do not guess.
_TYPES: Final = {
    "js": "application/javascript", "json": "application/json", "nexe": "application/x-nacl", "pexe": "application/x-pnacl",
    "svg": "image/svg+xml", "wasm": "application/wasm", "woff": "application/x-font-woff", "woff2": "font/woff2", "xml": "application/xml",

    "map": "application/json", "mjs": "application/javascript", "otf": "font/otf", "ttf": "font/ttf", "webmanifest": "application/manifest+json",
    "webp": "image/webp",
}  # fmt: skip
_OTHER_TYPES: Final = mimetypes.MimeTypes(filenames=()).types_map[True]
_NO_CACHE: Final = (("Cache-Control", "no-cache, no-store, must-revalidate"), ("Pragma", "no-cache"), ("Expires", "0"))
# Of a path that names nothing: not there, below a file, too long, links in a circle; not ours to read, which tells nobody that it is there.
_NOTHING: Final = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.ENXIO, errno.EISDIR)
)


class ServedFolders:
    """Answers for all folders: a sink of falcon's. Thread-safe."""

    def __init__(self, settings: FolderSettings) -> None:
        self._settings = settings
        self._roots = {uri: folder.resolve() for uri, folder in settings.folders.items()}

    def __call__(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        """Raises UnknownRoute, InexistentFile, BadRange, falcon.HTTPMethodNotAllowed."""
        found = self._settings.find(req.env["PATH_INFO"])
        if found is None:
            raise UnknownRoute
        if req.method not in METHODS:
            raise falcon.HTTPMethodNotAllowed(METHODS)
        uri, rest = found
        root, name = self._roots[uri], rest.strip("/")
        path = _resolve(root, name)
        if stat.S_ISDIR(_mode(path)):
            path = _resolve(root, name, INDEX)
            if stat.S_ISREG(_mode(path)) and not rest.endswith("/"):
                _lead_to_slash(req, resp, f"{uri}{rest}")
                return
        opened = _open(path) or (_open(_resolve(root, INDEX)) if self._falls_back(req, uri) else None)
        if opened is None:
            raise InexistentFile if name else UnknownRoute  # as Orthanc
        self._send(req, resp, opened)

    def _falls_back(self, req: falcon.Request, uri: str) -> bool:
        """Tell whether a page of a folder is one that the program in its index.html makes. What pages load asks for no HTML."""
        return uri in self._settings.with_fallback and "text/html" in req.env.get("HTTP_ACCEPT", "")

    def _send(self, req: falcon.Request, resp: falcon.Response, opened: FileIO) -> None:
        with ExitStack() as stack:
            stack.callback(opened.close)
            status = os.fstat(opened.fileno())
            seen = _Seen(
                f'"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"'
                if self._settings.makes_etags
                else None,
                datetime.fromtimestamp(int(status.st_mtime), UTC),
            )
            self._describe(resp, seen)
            if seen.is_known(req):
                resp.status = falcon.HTTP_304
                return
            resp.content_type = self._type_of(Path(opened.name))
            if req.method == "HEAD":
                resp.content_length = status.st_size
                return
            part = asked_part(req, resp, status.st_size) if seen.allows_part(req) else None
            stack.pop_all()  # what sends the file closes it
        if part is None:
            send_file(resp, opened, status.st_size)
        else:
            send_part(resp, opened, part)

    def _describe(self, resp: falcon.Response, seen: "_Seen") -> None:
        resp.set_header("Last-Modified", format_datetime(seen.changed, usegmt=True))
        resp.set_header("Accept-Ranges", "bytes")
        if seen.etag is not None:
            resp.set_header("ETag", seen.etag)
        if not self._settings.allows_cache:
            resp.set_headers(_NO_CACHE)

    def _type_of(self, path: Path) -> str:
        extension = path.suffix.removeprefix(".").lower()
        chosen = self._settings.types.get(extension)
        if chosen is not None:
            return chosen or BINARY
        return _TYPES.get(extension) or _OTHER_TYPES.get(f".{extension}", BINARY)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What tells one state of a file from others (RFC 9110 §8.8)."""

    etag: str | None
    changed: datetime  # whole seconds

    def is_known(self, req: falcon.Request) -> bool:
        """Tell whether the client has this state: If-None-Match, without it If-Modified-Since (§13.1)."""
        tags = req.env.get("HTTP_IF_NONE_MATCH")
        if tags is None:
            since = _date(req.env.get("HTTP_IF_MODIFIED_SINCE"))
            return since is not None and self.changed <= since
        names = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in names or (self.etag is not None and self.etag in names)

    def allows_part(self, req: falcon.Request) -> bool:
        """Tell whether a part is of the state that the client has begun with: If-Range (§13.1.5)."""
        condition = req.env.get("HTTP_IF_RANGE")
        return condition is None or condition == self.etag or _date(condition) == self.changed


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _resolve(root: Path, *names: str) -> Path | None:
    """Return where a name in a folder leads, links resolved; None where that is outside of it."""
    try:
        path = Path(os.path.realpath(root.joinpath(*names)))
    except ValueError:
        return None  # a zero in a name
    return path if path.is_relative_to(root) else None


def _mode(path: Path | None) -> int:
    """Return what a path is, 0 if it is nothing."""
    try:
        return path.stat().st_mode if path else 0
    except OSError:
        return 0


def _open(path: Path | None) -> FileIO | None:
    """Open what is a file, None if it is none; a link that has come there since is not followed, a pipe is not waited for."""
    if path is None:
        return None
    try:
        opened = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError as exc:
        if exc.errno in _NOTHING:
            return None
        raise
    if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened
    opened.close()
    return None


def _lead_to_slash(req: falcon.Request, resp: falcon.Response, address: str) -> None:
    """Answer for a folder whose address lacks its slash: what its page names would else be looked for beside it."""
    query = req.env["QUERY_STRING"]
    resp.status = falcon.HTTP_307
    # Relative: a proxy may have put a prefix before the address.
    resp.set_header(
        "Location", f"./{quote(address.rpartition('/')[2], errors='surrogateescape')}/{'?' if query else ''}{query}"
    )
    resp.content_type = None
    resp.data = b""
