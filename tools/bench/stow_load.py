"""Load by STOW-RS: `POST /dicom-web/studies`, several files a request."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from tools.bench.http_load import Client
from tools.bench.senders import Outcome, Sender, run_senders

FILES_A_REQUEST: Final = 50
_KIND: Final = b'Content-Type: multipart/related; type="application/dicom"; boundary=sinogram\r\n'
_LINE: Final = b" HTTP/1.1\r\n"


def stow(make_client: Callable[[], Client], files: Sequence[bytes], clients: int) -> Outcome:
    """Send `files` from `clients` connections; counts instances, and keeps the latencies of requests."""
    groups = [files[start : start + FILES_A_REQUEST] for start in range(0, len(files), FILES_A_REQUEST)]
    senders = [Sender(partial(_prepare, make_client, groups[first::clients])) for first in range(clients)]
    outcome = run_senders([sender for sender, group in zip(senders, groups, strict=False) if group])
    return outcome if outcome.failures else replace(outcome, count=len(files))


def _prepare(make_client: Callable[[], Client], groups: Sequence[Sequence[bytes]]) -> Iterator[Callable[[], None]]:
    client = make_client()
    client.connect()
    bodies = [b"".join(map(_part, group)) + b"--sinogram--\r\n" for group in groups]
    requests = [client.request("POST", "/dicom-web/studies", body).replace(_LINE, _LINE + _KIND, 1) for body in bodies]
    return iter([partial(_exchange, client, request) for request in requests])


def _part(file: bytes) -> bytes:
    return b"--sinogram\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % file


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request, keeps=False)  # where an instance is refused, the status is another than 200
