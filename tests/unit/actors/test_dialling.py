"""Connecting to a host that refuses at first."""

import fcntl
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from actors.wire import dialling
from actors.wire.dialling import dial
from actors.wire.errors import Interrupted, RemoteFailed
from actors.wire.interruption import Interruption

LONG_S = 60.0
HIGH = 1100  # number of a descriptor


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A socket with a port of its own that does not listen yet."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


class Refusals:
    """Counts them, and does something at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, do: Any) -> None:
        self.seen = 0
        self._at, self._do, self._connect = at, do, dialling._connect
        monkeypatch.setattr(dialling, "_connect", self)

    def __call__(self, *arguments: Any) -> socket.socket:
        try:
            return self._connect(*arguments)
        except ConnectionRefusedError:
            self.seen += 1
            if self.seen == self._at:
                self._do()
            raise


def call(deaf: socket.socket, interruption: Interruption | None = None, **options: float) -> socket.socket:
    port = deaf.getsockname()[1]
    return dial(
        "127.0.0.1", port, peer="LATE", timeout_s=LONG_S, interruption=interruption or Interruption(), **options
    )


@pytest.mark.parametrize("after", [1, 3])
def test_a_host_that_listens_late_is_reached(deaf: socket.socket, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    refusals = Refusals(monkeypatch, after, deaf.listen)
    call(deaf, patience_s=LONG_S).close()
    assert refusals.seen == after


def test_without_patience_a_refusal_is_believed(deaf: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals(monkeypatch, 1, deaf.listen)
    with pytest.raises(RemoteFailed, match="Connection refused"):
        call(deaf)
    assert refusals.seen == 1


def test_patience_ends(deaf: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals(monkeypatch, 0, deaf.listen)
    with pytest.raises(RemoteFailed, match="Connection refused"):
        call(deaf, patience_s=0.1)
    assert refusals.seen > 1


def test_nobody_waits_who_is_interrupted(deaf: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    interruption = Interruption()
    refusals = Refusals(monkeypatch, 2, interruption.interrupt)
    with pytest.raises(Interrupted):
        call(deaf, interruption, patience_s=LONG_S)
    assert refusals.seen == 2


def test_a_process_with_many_descriptors_waits_too(deaf: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors from 1024 on are none for `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard <= HIGH:
        pytest.skip(f"this machine allows {hard} descriptors only")
    made = os.eventfd

    def eventfd(value: int, flags: int) -> int:
        low = made(value, flags)
        try:
            return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH)
        finally:
            os.close(low)

    monkeypatch.setattr(os, "eventfd", eventfd)
    refusals = Refusals(monkeypatch, 2, deaf.listen)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HIGH + 1), hard))
    try:
        call(deaf, patience_s=LONG_S).close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refusals.seen == 2


def test_what_is_no_refusal_is_not_asked_again(deaf: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fail(*_: Any) -> socket.socket:
        asked.append(1)
        raise OSError("no route to host")

    monkeypatch.setattr(dialling, "_connect", fail)
    with pytest.raises(RemoteFailed, match="no route"):
        call(deaf, patience_s=LONG_S)
    assert asked == [1]
