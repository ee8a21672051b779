"""Requests to other DICOMweb servers: searches (QIDO-RS), deletions, instances sent (STOW-RS) and retrieved (WADO-RS; PS3.18 §10)."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import msgspec

from actors.services.remote.dicomweb_servers import BAD_FILE_FORMAT, CHUNKED_TRANSFERS, UNIVERSAL_TRANSFER_SYNTAX, can
from actors.services.remote.dicomweb_store import ACCEPTED, SentFiles, check_stored
from actors.services.remote.http_remotes import HttpRemotes, merged
from actors.wire.errors import RefusedByHttp, RemoteFailed, Trouble
from actors.wire.http.client import OpenAnswer
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.interruption import Interruption
from actors.wire.multipart import RELATED, media_type, parse_boundary, parts
from events.errors import InvalidRequest

MOST_ANSWER_BYTES: Final = (
    64 << 20
)  # of answers that are read as a whole: matches of a search, what became of instances that were sent
JSON: Final = "application/dicom+json"
DICOM: Final = "application/dicom"
_FILES: Final = f'{RELATED}; type="{DICOM}"'
_PARTIAL: Final = 206
_NO_CONTENT: Final = 204


class DicomWebClient:
    """Thread-safe; one per process. Whatever it does raises RemoteFailed and Interrupted."""

    def __init__(self, settings: HttpClientSettings) -> None:
        self._remotes = HttpRemotes(settings, "DICOMweb server", most_bytes=MOST_ANSWER_BYTES)

    def open(
        self, server: Peer, target: str, interruption: Interruption, headers: Mapping[str, str]
    ) -> AbstractContextManager[OpenAnswer]:
        """Return the answer to a GET, whatever it holds, to be read within a block."""
        return self._remotes.open(server, "GET", target, interruption, headers=headers)

    def search(
        self, server: Peer, target: str, interruption: Interruption, headers: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Return the matches of a search, in DICOM JSON (PS3.18 §F); none where the server has none."""
        accepting = merged({"Accept": JSON}, server.headers, headers)
        body = self._remotes.ask(server, "GET", target, interruption, headers=accepting)
        try:
            return msgspec.json.decode(body, type=list[dict[str, Any]]) if body.strip() else []
        except (msgspec.DecodeError, RecursionError) as exc:
            raise RemoteFailed(
                f"DICOMweb server {server.name} has not answered with a list in JSON", code=BAD_FILE_FORMAT
            ) from exc

    def delete(self, server: Peer, target: str, interruption: Interruption) -> None:
        """Have a server delete what an address names."""
        self._remotes.ask(server, "DELETE", target, interruption)

    def store(self, server: Peer, files: SentFiles, interruption: Interruption, headers: Mapping[str, str]) -> None:
        """Send files in one request, and see that each of them is stored. Raises NotStored where some are not."""
        told = {"Content-Type": f"{_FILES}; boundary={files.boundary.decode()}"}
        if not can(server, CHUNKED_TRANSFERS):
            told["Content-Length"] = str(files.size_bytes())
        sent = merged({"Accept": JSON}, headers, told)
        with self._remotes.open(
            server, "POST", "studies", interruption, files.pieces(interruption), sent, accepts=ACCEPTED
        ) as answer:
            body = self._read(server, answer)
            if not body and answer.status in ACCEPTED:
                raise RefusedByHttp(f"DICOMweb server {server.name}", answer.status)
        check_stored(server.name, files, body)

    def retrieve(
        self, server: Peer, target: str, interruption: Interruption, headers: Mapping[str, str]
    ) -> Iterator[Iterator[bytes]]:
        """Yield the DICOM files that an address names, each to be read to its end before the next.

        Raises RemoteFailed also behind the last one, where the server says that there are more (206) or has sent none.
        """
        wanted = f"{_FILES}; transfer-syntax=*" if can(server, UNIVERSAL_TRANSFER_SYNTAX) else _FILES
        accepting = merged({"Accept": wanted}, server.headers, headers)
        with self._remotes.open(server, "GET", target, interruption, headers=accepting) as answer:
            count = 0
            for count, file in enumerate(self._files(server, answer), 1):  # noqa: B007 # told below
                yield self._guarded(server, file, interruption)
            if not count and answer.status != _NO_CONTENT:
                raise RemoteFailed(f"DICOMweb server {server.name} has answered without any instance")
            if answer.status == _PARTIAL:
                raise RemoteFailed(f"DICOMweb server {server.name} has sent a part of the instances only (HTTP 206)")

    def _files(self, server: Peer, answer: OpenAnswer) -> Iterator[Iterator[bytes]]:
        kind = answer.headers.get("Content-Type", "")
        boundary = parse_boundary(kind, RELATED)
        if answer.status == _NO_CONTENT:
            return
        _check_encoding(server, answer)
        if media_type(kind) == DICOM:
            yield answer.pieces()
            return
        if boundary is None:
            raise RemoteFailed(
                f"DICOMweb server {server.name} has answered with {kind!r:.80}, which holds no DICOM files"
            )
        with _whole(server):
            for headers, file in parts(answer.pieces(), boundary, is_closed=True):
                part = media_type(headers.get("content-type", DICOM))
                if part != DICOM:
                    raise RemoteFailed(f"DICOMweb server {server.name} has sent a part of type {part!r:.80}")
                yield file

    def _guarded(self, server: Peer, file: Iterator[bytes], interruption: Interruption) -> Iterator[bytes]:
        """Yield a file; its errors are raised where it is read, not where the files are iterated over."""
        with self._remotes.failing(server, interruption), _whole(server):
            yield from file

    def _read(self, server: Peer, answer: OpenAnswer) -> bytes:
        _check_encoding(server, answer)
        body = bytearray()
        for piece in answer.pieces():
            body += piece
            if len(body) > MOST_ANSWER_BYTES:
                raise RemoteFailed(f"DICOMweb server {server.name} has answered more than {MOST_ANSWER_BYTES} bytes")
        return bytes(body)

    def close(self) -> None:
        self._remotes.close()


@contextmanager
def _whole(server: Peer) -> Iterator[None]:
    """Let a multipart body that ends too early be an error of the server, which may pass: the connection may have been lost."""
    try:
        yield
    except InvalidRequest as exc:
        raise RemoteFailed(f"DICOMweb server {server.name}: {exc}", trouble=Trouble.UNREACHABLE) from exc


def _check_encoding(server: Peer, answer: OpenAnswer) -> None:
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise RemoteFailed(f"DICOMweb server {server.name} has encoded its answer, unasked: {encoding!r:.40}")
