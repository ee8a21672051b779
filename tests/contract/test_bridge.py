"""The bridge: what an actor answers arrives as it was said, and no peer, dead, silent or mad, takes the core with it."""

import errno
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.file_removal import RemoveCondemned
from actors.messages.control import CONTROL, Control
from actors.messages.index_client import IndexClient, ask_over
from actors.messages.log_watch import LOG_WATCH, AwaitEvents
from actors.wire.bridge import client as client_module
from actors.wire.bridge import frames
from actors.wire.bridge.channel import open_channel
from actors.wire.bridge.client import BridgeClient, Requests
from actors.wire.bridge.server import BridgeServer, Dispatch, connect
from events import errors
from events.errors import Busy, InvalidRequest, NotFound, SinogramError, StorageFull
from events.identifiers import Level, ResourceId
from store.blobs.writer import make_blob_id
from store.tables import LEASES
from tests.index_stage import chain, store_command
from tools.server.core import Core

SOON_S = 30
Reply = Callable[[Any, SinogramError | None], None]


class Bridge:
    """A server with actors for tests, and the clients it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gone: list[str] = []
        self.has_gone = threading.Semaphore(0)
        self.kept: list[Reply] = []
        self.was_asked = threading.Semaphore(0)
        self._clients: list[BridgeClient] = []
        actors: dict[str, Dispatch] = {
            "echo": self._echo,
            "refuse": self._refuse,
            "trip": self._trip,
            "keep": self._keep,
        }
        self.server = BridgeServer(folder, actors, self._on_gone)
        self.server.start()

    def client(self, name: str = "gateway-1") -> BridgeClient:
        self._clients.append(BridgeClient(self.folder, name))
        return self._clients[-1]

    def wait_for_gone(self) -> None:
        assert self.has_gone.acquire(timeout=SOON_S)

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        if self.server._thread.is_alive():
            self.server.stop()

    @staticmethod
    def _echo(values: list[Any], reply: Reply) -> None:
        reply(values, None)

    @staticmethod
    def _refuse(values: list[Any], reply: Reply) -> None:
        reply(None, getattr(errors, values[0])(values[1]))

    @staticmethod
    def _trip(values: list[Any], reply: Reply) -> None:
        raise ZeroDivisionError

    def _keep(self, values: list[Any], reply: Reply) -> None:
        """Answer later, from another thread, as the index does after its commit."""
        self.kept.append(reply)
        self.was_asked.release()

    def _on_gone(self, name: str) -> None:
        self.gone.append(name)
        self.has_gone.release()


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path)
    yield made
    made.stop()
    assert not made.server._thread.is_alive()


# -- what is said arrives -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [[], [None, True, -1, 1.5], ["é", b"\0\xff"], [{1: "a", "b": [b"c"]}], [(1 << 64) - 1], ["x" * 1_000_000]]
)
def test_values_come_back_as_they_were_sent(bridge: Bridge, values: list[Any]) -> None:
    assert bridge.client().request("echo", values) == values


ERRORS = [kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SinogramError)]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_keeps_its_class_and_its_message(bridge: Bridge, name: str) -> None:
    with pytest.raises(SinogramError) as raised:
        bridge.client().request("refuse", [name, "the very words"])
    assert (type(raised.value).__name__, str(raised.value)) == (name, "the very words")


def test_an_error_of_a_class_that_a_gateway_does_not_know_is_worth_a_retry() -> None:
    with pytest.raises(Busy, match="words"):
        frames.result_of([False, "BrandNew", "words"])


def test_after_an_error_a_connection_serves_on(bridge: Bridge) -> None:
    client = bridge.client()
    for _ in range(3):
        with pytest.raises(NotFound):
            client.request("refuse", ["NotFound", "x"])
        assert client.request("echo", [1]) == [1]
    assert len(client._requests._idle) == 1


def test_many_threads_each_get_their_own_answer(bridge: Bridge) -> None:
    client = bridge.client()
    answers: list[bool] = []

    def ask(number: int) -> None:
        answers.extend(client.request("echo", [number, turn]) == [number, turn] for turn in range(20))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 200
    assert len(client._requests._idle) <= 10


def test_a_slow_answer_holds_up_nobody_else(bridge: Bridge) -> None:
    client = bridge.client()
    answers: list[Any] = []
    slow = threading.Thread(target=lambda: answers.append(client.request("keep", [])))
    slow.start()
    assert bridge.was_asked.acquire(timeout=SOON_S)
    assert client.request("echo", ["quick"]) == ["quick"]
    bridge.kept[0]("late", None)
    slow.join()
    assert answers == ["late"]


# -- nonsense -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [["nobody"], [7], "hello?", 7, None, [], ["trip"], ["hello"], ["refuse", "NoSuchError", ""]]
)
def test_a_request_that_is_nonsense_is_refused_and_the_connection_lives(bridge: Bridge, values: Any) -> None:
    with connect(bridge.folder) as raw:
        raw.settimeout(SOON_S)
        raw.sendall(frames.encode(values))
        with pytest.raises(InvalidRequest, match="does not understand"):
            frames.result_of(frames.decode(frames.receive(raw)))
        raw.sendall(frames.encode(["echo", 1]))
        assert frames.decode(frames.receive(raw)) == [True, [1]]


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x92\x01", b"\xff" * 9, random.Random(7).randbytes(99)])
def test_bytes_that_are_no_message_are_refused(bridge: Bridge, body: bytes) -> None:
    with connect(bridge.folder) as raw:
        raw.settimeout(SOON_S)
        raw.sendall(frames.LENGTH.pack(len(body)) + body)
        assert frames.decode(frames.receive(raw))[:2] == [False, "InvalidRequest"]


def test_a_frame_that_comes_byte_by_byte_is_whole(bridge: Bridge) -> None:
    with connect(bridge.folder) as raw:
        raw.settimeout(SOON_S)
        for byte in frames.encode(["echo", "slow"]):
            raw.sendall(bytes([byte]))
        assert frames.decode(frames.receive(raw)) == [True, ["slow"]]


def test_two_frames_that_come_at_once_are_two(bridge: Bridge) -> None:
    with connect(bridge.folder) as raw:
        raw.settimeout(SOON_S)
        raw.sendall(frames.encode(["echo", 1]) + frames.encode(["echo", 2]))
        assert [frames.decode(frames.receive(raw))[1] for _ in range(2)] == [[1], [2]]


def test_a_frame_that_is_too_long_ends_its_connection_and_no_other(bridge: Bridge) -> None:
    other = bridge.client()
    with connect(bridge.folder) as raw:
        raw.settimeout(SOON_S)
        raw.sendall(frames.LENGTH.pack(frames.MAX_FRAME_BYTES + 1) + b"x" * 1_000)
        with pytest.raises(ConnectionError):
            frames.receive(raw)
    assert other.request("echo", [1]) == [1]


def test_a_client_refuses_a_frame_that_is_too_long() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frames.LENGTH.pack(frames.MAX_FRAME_BYTES + 1))
        with pytest.raises(ConnectionError, match="too long"):
            frames.receive(ours)


@pytest.mark.parametrize("sent", [b"", b"\0\0", frames.LENGTH.pack(10), frames.LENGTH.pack(10) + b"half"])
def test_a_frame_that_breaks_off_is_no_frame(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(sent)
        theirs.close()
        with pytest.raises(ConnectionError, match="closed"):
            frames.receive(ours)


# -- peers that go ------------------------------------------------------------------------------------------------------


def test_the_end_of_a_process_that_said_hello_is_told_once(bridge: Bridge) -> None:
    client = bridge.client("gateway-7")
    client.request("echo", [])
    client.close()
    bridge.wait_for_gone()
    other = bridge.client("gateway-8")
    other.request("echo", [])
    assert bridge.gone == ["gateway-7"]


def test_a_connection_that_never_said_hello_goes_unnoticed(bridge: Bridge) -> None:
    connect(bridge.folder).close()
    bridge.client("named").close()
    bridge.wait_for_gone()
    assert bridge.gone == ["named"]


def test_an_answer_for_somebody_who_is_gone_is_dropped(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    raw = connect(bridge.folder)
    raw.sendall(frames.encode(["hello", "hasty"]))
    frames.receive(raw)
    raw.sendall(frames.encode(["keep"]))
    assert bridge.was_asked.acquire(timeout=SOON_S)
    raw.close()
    bridge.wait_for_gone()
    bridge.kept[0]("too late", None)
    assert "bridge.reply-lost client=hasty" in caplog.text
    assert bridge.client().request("echo", [1]) == [1]


def test_a_client_knows_when_the_core_is_gone(bridge: Bridge) -> None:
    client = bridge.client()
    waiting = threading.Thread(target=client.wait_until_gone)
    waiting.start()
    bridge.server.stop()
    waiting.join(SOON_S)
    assert not waiting.is_alive()
    with pytest.raises(Busy, match="cannot be reached"):
        client.request("echo", [])


def test_closing_a_client_wakes_who_waits_for_the_end_of_the_core(bridge: Bridge) -> None:
    client = bridge.client()
    waiting = threading.Thread(target=client.wait_until_gone)
    waiting.start()
    client.close()
    waiting.join(SOON_S)
    assert not waiting.is_alive()


def test_an_answer_that_the_core_took_with_it_is_busy(bridge: Bridge) -> None:
    client = bridge.client()
    refused: list[Exception] = []

    def ask() -> None:
        with pytest.raises(Busy, match="does not answer") as raised:
            client.request("keep", [])
        refused.append(raised.value)

    asking = threading.Thread(target=ask)
    asking.start()
    assert bridge.was_asked.acquire(timeout=SOON_S)
    bridge.server.stop()
    asking.join(SOON_S)
    assert len(refused) == 1


def test_a_silent_core_is_busy_and_its_late_answer_goes_to_nobody(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = bridge.client()
    with monkeypatch.context() as patch:
        patch.setattr(client_module, "ASK_TIMEOUT_S", 0.05)
        with pytest.raises(Busy, match="does not answer"):
            client.request("keep", [])
    bridge.kept[0]("late", None)
    assert client.request("echo", ["next"]) == ["next"]


def test_a_client_never_talks_to_the_next_core_in_the_same_folder(bridge: Bridge) -> None:
    client = bridge.client()
    client.request("echo", [])
    bridge.server.stop()
    again = Bridge(bridge.folder)
    for _ in range(2):  # the first time there is an idle connection, to the old one
        with pytest.raises(Busy, match="cannot be reached"):
            client.request("echo", [])
    assert again.client().request("echo", ["again"]) == ["again"]
    again.stop()


def test_without_a_core_there_is_no_client(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Busy, match="cannot be reached"):
            BridgeClient(folder, "gateway-1")


def test_a_core_that_does_not_greet_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ASK_TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / frames.SOCKET_NAME))
        mute.listen()
        with pytest.raises(Busy, match="does not answer"):
            BridgeClient(tmp_path, "gateway-1")


def test_a_core_that_talks_nonsense_is_busy(bridge: Bridge) -> None:
    def babble(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                frames.receive(connection)
                connection.sendall(frames.LENGTH.pack(1) + b"\xc1")

    requests = Requests(bridge.folder)
    bridge.server.stop()
    path = bridge.folder / frames.SOCKET_NAME
    path.unlink()
    with socket.socket(socket.AF_UNIX) as mad:
        mad.bind(str(path))
        mad.listen()
        thread = threading.Thread(target=babble, args=(mad,))
        thread.start()
        with pytest.raises(Busy):
            requests.begin("echo", [], timeout_s=SOON_S).result()
        with pytest.raises(Busy):
            BridgeClient(bridge.folder, "gateway-1")
        thread.join()


# -- the socket -----------------------------------------------------------------------------------------------------------


def test_only_the_servers_user_can_connect(bridge: Bridge) -> None:
    assert (bridge.folder / frames.SOCKET_NAME).stat().st_mode & 0o777 == 0o600


def test_a_folder_with_a_long_path_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    folder.mkdir(parents=True)
    bridge = Bridge(folder)
    assert bridge.client().request("echo", [1]) == [1]
    bridge.stop()


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    bridge = Bridge(tmp_path)
    client = bridge.client()
    client.request("echo", [])
    connect(tmp_path).close()
    bridge.stop()
    assert set(Path("/proc/self/fd").iterdir()) <= before


# -- the core behind it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def served(archive: Core) -> Core:
    archive.serve_bridge()
    return archive


def test_the_index_is_reached_as_if_it_were_here(served: Core) -> None:
    bridge = BridgeClient(served.settings.index_directory, "gateway-1")
    index = IndexClient(ask_over(bridge))
    command = store_command(folder=index.open_folder("gateway-1"))
    assert index.store_instance(command) == "Success"
    assert index.store_instance(store_command(folder=1, instance="2")) == "Success"
    index.set_setting("LogLevel", "trace")
    index.settle([(Level.SERIES, 2, 5)])  # type: ignore[list-item]  # plain numbers, as the bridge carries them
    deleted = index.delete(Level.INSTANCE, chain("P", "S", "R", "I"))
    assert deleted.remaining == (Level.SERIES, chain("P", "S", "R"))
    with pytest.raises(NotFound):
        index.delete(Level.STUDY, ResourceId(bytes(20)))
    bridge.close()


def test_a_gateway_that_dies_loses_its_folders_and_not_its_successor_of_the_same_name(served: Core) -> None:
    folder = served.settings.index_directory
    first = BridgeClient(folder, "gateway-1")
    old = IndexClient(ask_over(first)).open_folder("gateway-1")
    served.blobs.make_folder(old)
    orphan = make_blob_id(old, 0)
    served.blobs.path(orphan).touch()
    first.close()
    second = BridgeClient(folder, "gateway-1")
    index = IndexClient(ask_over(second))
    new = index.open_folder("gateway-1")
    assert index.store_instance(store_command(folder=new)) == "Success"
    served.storage.ask(RemoveCondemned())  # the sweep stands before it in the mailbox
    with pytest.raises(Busy):
        index.store_instance(store_command(folder=old, instance="late"))
    assert not served.blobs.path(orphan).exists()
    with served.views.snapshot() as snapshot:
        leases = [int.from_bytes(lease, "big") for lease in snapshot.keys(LEASES, b"")]
    assert leases == [new]
    second.close()


def test_a_consumer_in_another_process_hears_when_the_log_has_grown(served: Core) -> None:
    folder = served.client.open_folder("gateway-1")
    bridge = BridgeClient(served.settings.index_directory, "lua-main")
    channel = open_channel(bridge, LOG_WATCH)
    answer = channel.begin(AwaitEvents(0))
    served.client.store_instance(store_command(folder=folder))
    assert answer() == 4
    late = channel.begin(AwaitEvents(4))
    served.log.stop()
    with pytest.raises(Busy):
        late()
    channel.close()
    bridge.close()


def test_a_control_that_the_core_has_is_done_and_another_is_refused(archive_factory: Callable[..., Core]) -> None:
    done = threading.Event()
    core = archive_factory()
    core._control["shutdown"] = done.set
    core.serve_bridge()
    bridge = BridgeClient(core.settings.index_directory, "gateway-1")
    with pytest.raises(InvalidRequest, match="does not understand"):
        bridge.request("control", ["Control", "explode"])
    assert bridge.request("control", CONTROL.write(Control("shutdown"))) is None
    assert done.wait(SOON_S)
    bridge.close()


def test_a_core_that_cannot_write_says_so_across_the_bridge(served: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.core.index.actor.free_bytes", lambda folder: 0)
    bridge = BridgeClient(served.settings.index_directory, "gateway-1")
    with pytest.raises(StorageFull, match="full"):
        IndexClient(ask_over(bridge)).clear_changes()
    bridge.close()


def test_a_gateway_may_still_talk_when_the_core_stops(served: Core) -> None:
    bridge = BridgeClient(served.settings.index_directory, "gateway-1")
    served.stop()
    with pytest.raises(Busy):
        bridge.request("index", ["ClearChanges"])
    bridge.close()


def test_a_core_that_is_out_of_descriptors_lets_in_who_waits_when_one_is_free(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = socket.socket.accept
    failures = [OSError(24, "Too many open files"), OSError(24, "Too many open files")]

    def fail_first(listener: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", fail_first)
    assert bridge.client().request("echo", ["at last"]) == ["at last"]
    assert not failures


def test_a_process_without_descriptors_hears_that_the_core_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(Busy):
        connect(tmp_path)
