"""Clients that keep what they sent: senders by C-STORE, by REST and by STOW-RS, each on one connection."""

import contextlib
import http.client
import json
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from tests.fault.instances import MR, Instance
from tests.fault.raw_association import (
    ASSOCIATE_AC,
    LAST_COMMAND,
    LAST_DATA,
    MORE_DATA,
    P_DATA,
    RawAssociation,
    p_data,
    store_rq,
)
from tests.fault.servers import AET, ServerUnderTest, exchange

FRAGMENT_BYTES = 16_000  # below the 16,384 that the server's default allows


class StoreScu:
    """An association on which one C-STORE follows the other."""

    def __init__(self, port: int, aet: str = AET) -> None:
        """Associate. Raises OSError, ConnectionError."""
        with contextlib.ExitStack() as undone:
            self._association = undone.enter_context(RawAssociation(port))
            answer = self._association.associate(aet)
            if answer is None or answer.kind != ASSOCIATE_AC:
                raise ConnectionError(f"no association: {answer}")
            undone.pop_all()

    def store(self, instance: Instance) -> int:
        """Send an instance and return the status. Raises OSError when the association is lost."""
        return self.store_pieces(instance, [instance.dataset()])

    def store_pieces(self, instance: Instance, pieces: Iterable[bytes]) -> int:
        """Send an instance whose dataset comes in pieces, and return the status."""
        self._association.send(p_data(store_rq(MR, instance.sop_uid), LAST_COMMAND))
        for fragment, is_last in _with_last(_fragments(pieces)):
            self._association.send(p_data(fragment, LAST_DATA if is_last else MORE_DATA))
        return self.status()

    def begin(self, instance: Instance) -> None:
        """Send an instance but for the last byte of its dataset."""
        self._association.send(p_data(store_rq(MR, instance.sop_uid), LAST_COMMAND))
        for fragment in _fragments([instance.dataset()[:-1]]):
            self._association.send(p_data(fragment, MORE_DATA))

    def finish(self, instance: Instance) -> int:
        """Send the last byte of what was begun and return the status."""
        self.send_rest(instance)
        return self.status()

    def send_rest(self, instance: Instance) -> None:
        """Send the last byte of what was begun and do not wait for the answer."""
        self._association.send(p_data(instance.dataset()[-1:], LAST_DATA))

    def status(self) -> int:
        answer = self._association.read()
        if answer is None or answer.kind != P_DATA or answer.dimse_status is None:
            raise ConnectionError(f"no C-STORE response: {answer}")
        return answer.dimse_status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        with self._association, contextlib.suppress(OSError):
            if kind is None:
                self._association.release()


class RestSender:
    """A connection on which one `POST /instances` follows the other."""

    def __init__(self, server: ServerUnderTest) -> None:
        self._connection = server.connect_http()

    def store(self, instance: Instance) -> tuple[int, str]:
        """Send an instance; returns the HTTP status and Orthanc's. Raises OSError when the connection is lost."""
        try:
            answer = exchange(self._connection, "POST", "/instances", instance.file())
        except http.client.HTTPException as exc:
            raise ConnectionError(str(exc)) from exc
        return answer.status, answer.json["Status"] if answer.status == 200 else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()


class StowSender:
    """A connection on which one `POST /dicom-web/studies` of several files follows the other."""

    def __init__(self, server: ServerUnderTest) -> None:
        self._connection = server.connect_http()

    def store(self, instances: Sequence[Instance]) -> tuple[int, set[str]]:
        """Send instances; returns the HTTP status and the SOP instances that are said to be stored. Raises OSError as RestSender."""
        head = b"--XX\r\nContent-Type: application/dicom\r\n\r\n"
        body = b"".join(head + each.file() + b"\r\n" for each in instances) + b"--XX--"
        kind = 'multipart/related; type="application/dicom"; boundary=XX'
        try:
            self._connection.request("POST", "/dicom-web/studies", body, {"Content-Type": kind})
            answer = self._connection.getresponse()
            module = json.loads(answer.read())
        except http.client.HTTPException as exc:
            raise ConnectionError(str(exc)) from exc
        stored = module.get("00081199", {}).get("Value", [])
        return answer.status, {each["00081155"]["Value"][0] for each in stored}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()


def _fragments(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for place in range(0, len(piece), FRAGMENT_BYTES):
            yield piece[place : place + FRAGMENT_BYTES]


def _with_last(fragments: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Tell of each fragment whether it is the last."""
    current = next(fragments)
    for following in fragments:
        yield current, False
        current = following
    yield current, True
