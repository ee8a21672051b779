"""What a server logs: nothing while all is well, what was asked for, and no line that a stranger has made up."""

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.instances import Instance
from tests.fault.senders import StoreScu
from tests.fault.servers import ServerUnderTest, kill, server_in, wait_for

FORGED = "2026-01-01 00:00:00.000 E core store: the archive is lost"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path_factory.mktemp("server")) as running:
        yield running


def send_malformed(server: ServerUnderTest) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nbroken header\r\n\r\n")
        while client.recv(1 << 16):
            pass


def test_a_run_in_which_all_is_well_is_quiet(server: ServerUnderTest) -> None:
    for _ in range(2):  # a new archive, and one that was stopped in good order
        server.start()
        instance = Instance(1, "LOGS", 1, 1, 200)
        with StoreScu(server.dicom_port) as association:
            assert association.store(instance) == 0
        assert server.request("GET", "/nope").status == 404
        send_malformed(server)
        assert server.request("DELETE", f"/instances/{instance.id}").status == 200
        assert server.stop() == 0
        lines = [line for line in server.log.splitlines() if not line.startswith("  ")]
        assert [line.partition(" is ready")[0] for line in lines] == ["Sinogram 0.1.0", "Sinogram has stopped"]


def test_levels_set_by_rest_hold_in_all_processes_by_category(server: ServerUnderTest) -> None:
    server.start()
    send_malformed(server)
    assert server.request("PUT", "/tools/log-level-http", b"verbose").status == 200
    assert server.request("GET", "/tools/log-level-http").body.decode() == "verbose"
    assert server.request("GET", "/tools/log-level-dicom").body.decode() == "default"

    def is_told() -> bool:
        send_malformed(server)
        return "http.malformed-request" in server.log

    wait_for(is_told, "the level")
    assert server.stop() == 0


def test_levels_set_by_rest_reach_the_supervisor_and_the_filters_of_scripts(
    server: ServerUnderTest, tmp_path: Path
) -> None:
    script = tmp_path / "fails.lua"
    script.write_text("function ReceivedInstanceFilter() error('broken') end")
    server.options["LuaScripts"] = [str(script)]
    server.start()
    assert server.request("PUT", "/tools/log-level", b"verbose").status == 200
    numbers = itertools.count(1)

    def is_told() -> bool:
        server.request("POST", "/instances", Instance(next(numbers), "LEVELS", 1, 1, 200).file())
        return " I lua-filter " in server.log

    wait_for(is_told, "the trace of the script's error")
    kill(server.gateways()[0])
    wait_for(lambda: ": serve.ready" in server.log, "the restart")
    assert server.stop() == 0
    del server.options["LuaScripts"]


@pytest.mark.parametrize(
    ("switch", "level"),
    [
        ("--verbose-http", "verbose"),
        pytest.param("--trace-http", "trace", marks=pytest.mark.nightly),
        pytest.param("--verbose", "verbose", marks=pytest.mark.nightly),
        pytest.param("--trace", "trace", marks=pytest.mark.nightly),
    ],
)
def test_levels_of_the_command_line_are_told_by_category(server: ServerUnderTest, switch: str, level: str) -> None:
    server.start(switch)
    assert server.request("GET", "/tools/log-level-http").body.decode() == level
    assert server.request("GET", "/tools/log-level-jobs").body.decode() == (
        "default" if switch.endswith("http") else level
    )
    send_malformed(server)
    wait_for(lambda: "http.malformed-request" in server.log, "the line")
    assert server.stop() == 0


def test_a_path_forges_no_line(server: ServerUnderTest, tmp_path: Path) -> None:
    script = tmp_path / "deny.lua"
    script.write_text("function IncomingHttpRequestFilter(method, uri) error(uri .. '\\n' .. uri) end")
    server.options["LuaScripts"] = [str(script)]
    server.start("--single-process")
    assert server.request("GET", "/a%0A" + FORGED.replace(" ", "%20")).status == 500
    wait_for(lambda: "the archive is lost" in server.log, "the error")
    assert not any(line.startswith(FORGED[:20]) for line in server.log.splitlines())
    server.kill_all()
    del server.options["LuaScripts"]
