"""A whole server with scripts: its two interpreters start, stop, are replaced, and refuse what cannot be loaded."""

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.fault.instances import Instance
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import ServerUnderTest, is_running, kill, server_in, wait_for
from tools.server.serve import EXIT_REFUSED

FILTER, MAIN = "lua-filter", "lua-main"
SCRIPT = """
    print('loaded')
    print('read', io.read('a') == '')
    function Initialize() print('initialized') end
    function Finalize() print('finalized') end
    function ReceivedInstanceFilter(dicom) return dicom.PatientID ~= 'REFUSED' end
    function OnStoredInstance(id, tags) print('stored ' .. tags.PatientID, RestApiGet('/instances/' .. id) ~= nil) end
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path) as not_started:
        yield not_started


def with_script(server: ServerUnderTest, text: str = SCRIPT, **options: object) -> ServerUnderTest:
    server.folder.mkdir(parents=True, exist_ok=True)
    (server.folder / "script.lua").write_text(text)
    server.options |= {"LuaScripts": ["script.lua"]} | options
    return server


def image(number: int, patient: str) -> Instance:
    return Instance(number, patient, study=1, series=1, pixel_bytes=200)


def stored_by_dicom(server: ServerUnderTest, instance: Instance) -> int:
    with StoreScu(server.dicom_port) as sender:
        return sender.store(instance)


def said(server: ServerUnderTest, line: str) -> int:
    return server.log.count(f"Lua says: {line}")


FILTERING = """
    function ReceivedInstanceFilter(dicom)
      if dicom.PatientID == 'SLOW' then HttpGet('http://127.0.0.1:%d/') end
      if dicom.PatientID ~= 'ASKS' then return true end
      for _, name in ipairs{'RestApiGet', 'Delete', 'GetKeyValue'} do print(select(2, pcall(_G[name], 'a', 'b'))) end
      return RestApiGet('/system') ~= nil
    end
"""


@pytest.fixture(scope="module")
def filtering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    """A server whose filter asks a web service that never ends its answer, and calls what it cannot, as patients are named."""
    with drip() as port, server_in(tmp_path_factory.mktemp("filtering")) as made:
        with_script(made, FILTERING % port, LuaCallbackTimeout=1).start()
        yield made


def test_a_filter_of_received_instances_is_told_what_it_cannot_call(filtering: ServerUnderTest) -> None:
    assert stored_by_dicom(filtering, image(1, "ASKS")) == 0xA700
    for name in ("RestApiGet", "Delete", "GetKeyValue"):
        assert said(filtering, f"{name}() cannot be called by filters of received instances") == 1
    assert "script.lua:6: RestApiGet() cannot be called by filters of received instances" in filtering.log


def test_a_web_service_that_never_ends_its_answer_does_not_end_all_filtering(filtering: ServerUnderTest) -> None:
    with RestSender(filtering) as sender:
        assert sender.store(image(1, "SLOW"))[0] == 500
        assert sender.store(image(2, "QUICK")) == (200, "Success")


def test_what_no_callback_hears_of_is_removed_at_once(filtering: ServerUnderTest) -> None:
    with RestSender(filtering) as sender:
        assert sender.store(image(3, "GOES")) == (200, "Success")
    told = filtering.get("/lua/status")["Events"]
    assert (told["Cursor"], told["Lag"]) == (None, 0)
    stored = (filtering.storage / "blobs").rglob("*")
    files = [path for path in stored if path.is_file() and path.read_bytes()[128:132] == b"DICM"]
    assert files
    for patient in filtering.get("/patients"):
        assert filtering.request("DELETE", f"/patients/{patient}").status == 200
    wait_for(lambda: not any(path.exists() for path in files), "the files to be removed")


@pytest.mark.parametrize("arguments", [(), ("--single-process",)])
def test_scripts_filter_and_hear_of_what_is_stored(server: ServerUnderTest, arguments: tuple[str, ...]) -> None:
    with_script(server).start(*arguments)
    with RestSender(server) as sender:
        assert sender.store(image(1, "WELCOME")) == (200, "Success")
        assert sender.store(image(2, "REFUSED")) == (200, "FilteredOut")
    assert stored_by_dicom(server, image(3, "WELCOME")) == 0
    wait_for(lambda: said(server, "stored WELCOME, true") == 2, "both callbacks")
    assert server.stop() == 0
    assert said(server, "loaded") == said(server, "read, true") == 2, "standard input is empty"
    assert said(server, "initialized") == said(server, "finalized") == 1
    assert said(server, "stored REFUSED") == 0


@pytest.mark.nightly
def test_without_scripts_there_are_no_interpreters(server: ServerUnderTest) -> None:
    server.start()
    assert not {FILTER, MAIN} & set(server.named())


def test_chunks_need_only_the_main_interpreter(server: ServerUnderTest) -> None:
    server.options["ExecuteLuaEnabled"] = True
    server.start()
    assert {FILTER, MAIN} & set(server.named()) == {MAIN}


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path_factory.mktemp("scripted")) as made:
        with_script(made).start()
        yield made


_number = itertools.count(1)


def welcome(server: ServerUnderTest) -> None:
    """Store an instance and wait for its callback."""
    before = said(server, "stored WELCOME, true")
    assert stored_by_dicom(server, image(next(_number), "WELCOME")) == 0
    wait_for(lambda: said(server, "stored WELCOME, true") == before + 1, "the callback")


@pytest.mark.parametrize("role", [FILTER, MAIN])
def test_an_interpreter_that_dies_is_replaced_while_its_clients_wait(scripted: ServerUnderTest, role: str) -> None:
    welcome(scripted)
    old = scripted.named()[role]
    kill(old)
    wait_for(lambda: not is_running(old), "its end")
    welcome(scripted)
    refused = image(next(_number), "REFUSED")
    assert stored_by_dicom(scripted, refused) == 0
    wait_for(lambda: scripted.named().get(role, old) != old, "a successor")
    with RestSender(scripted) as sender:
        assert sender.store(refused) == (200, "FilteredOut")


def test_an_interpreter_that_is_replaced_has_the_scripts_of_the_start(scripted: ServerUnderTest) -> None:
    script, old, loaded = scripted.folder / "script.lua", scripted.named()[MAIN], said(scripted, "loaded")
    script.write_text("this is not finished")
    kill(old)
    wait_for(lambda: scripted.named().get(MAIN, old) != old and said(scripted, "loaded") > loaded, "a successor")
    welcome(scripted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("function OnStoredInstance(\n", "script.lua:2: <name> or '...' expected near <eof>"),
        ("print('a')\nerror('not today')", "script.lua:2: not today"),
        pytest.param("while true do end", "script.lua:1: stopped after 1 seconds", marks=pytest.mark.nightly),
    ],
)
def test_a_script_that_cannot_be_loaded_stops_the_start(server: ServerUnderTest, text: str, message: str) -> None:
    process = with_script(server, text, LuaCallbackTimeout=1).launch()
    assert process.wait(30) == EXIT_REFUSED
    assert message in server.log
    assert "LuaScripts" in server.log


@pytest.mark.parametrize("name", ["missing.lua", "empty"])
def test_a_script_that_is_not_there_stops_the_start(server: ServerUnderTest, name: str) -> None:
    server.folder.mkdir(parents=True, exist_ok=True)
    (server.folder / "empty").mkdir()
    server.options["LuaScripts"] = [name]
    assert server.launch().wait(30) == EXIT_REFUSED
    assert f"{server.folder / name}" in server.log


def test_a_folder_stands_for_its_scripts_and_the_last_definition_wins(server: ServerUnderTest) -> None:
    folder = server.folder / "scripts"
    folder.mkdir(parents=True)
    (folder / "1.lua").write_text("function Initialize() print('one') end")
    (folder / "2.lua").write_text("function Initialize() print('two') end")
    (folder / "3.txt").write_text("this is no script")
    server.options["LuaScripts"] = ["scripts"]
    server.start()
    wait_for(lambda: said(server, "two"), "Initialize")
    assert said(server, "one") == 0


def test_a_reset_loads_the_scripts_anew(server: ServerUnderTest) -> None:
    with_script(server, "print('old')").start()
    (server.folder / "script.lua").write_text("print('new')")
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for(lambda: said(server, "new") == 2, "the new script")


def test_an_interpreter_is_replaced_and_what_a_script_has_started_ends_with_it(server: ServerUnderTest) -> None:
    gate = server.folder / "gate"
    script = f"function OnStoredInstance(id) os.execute('sleep 600 3<>{gate} &') print('started') end"
    with_script(server, script)
    os.mkfifo(gate)
    server.start()
    with RestSender(server) as sender:
        sender.store(image(1, "WELCOME"))
    wait_for(lambda: said(server, "started") and is_read(gate), "the callback")
    before = server.named()[MAIN]
    kill(before)
    wait_for(lambda: server.named().get(MAIN, before) != before, "its successor")
    wait_for(lambda: not is_read(gate), "the end of the command")


def is_read(pipe: Path) -> bool:
    """Tell whether somebody has a pipe open, or waits for it."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_a_callback_under_way_at_the_stop_may_still_store(server: ServerUnderTest) -> None:
    gate = server.folder / "gate"
    script = """
        function ReceivedInstanceFilter() return true end
        function OnStoredInstance(id)
            print('waits')
            io.open('%s'):read('a')
            local file, refused = RestApiGet('/instances/' .. id .. '/file'), 0
            for _ = 1, 20 do
                if RestApiPost('/instances', file) == nil then refused = refused + 1 end
            end
            print('refused', refused)
        end
    """
    with_script(server, script % gate)
    os.mkfifo(gate)
    server.start()
    with RestSender(server) as sender:
        sender.store(image(1, "WELCOME"))
    wait_for(lambda: said(server, "waits"), "the callback")
    server.signal(signal.SIGTERM)
    wait_for(lambda: not server.gateways(), "the end of the gateways")
    gate.write_text("go on")
    assert server.wait() == 0
    assert said(server, "refused, 0") == 1


@pytest.mark.nightly
def test_a_filter_that_is_stuck_is_recorded(server: ServerUnderTest) -> None:
    script = """
        function ReceivedInstanceFilter(dicom)
            return dicom.PatientID ~= 'HOSTILE' or string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40)) ~= nil
        end
    """
    with_script(server, script, LuaCallbackTimeout=1).start()
    with RestSender(server) as sender:
        assert sender.store(image(1, "HOSTILE"))[0] == 503
        assert sender.store(image(2, "WELCOME")) == (200, "Success")
    (failure,) = wait_for(lambda: server.get("/lua/status")["LastFailures"], "the failure")
    assert (failure["Callback"], failure["Cause"], failure["Event"]) == ("ReceivedInstanceFilter", "time", None)


@contextmanager
def drip() -> Iterator[int]:
    """Serve one request with a byte every now and then, for as long as anybody reads."""
    is_over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not is_over.wait(0.2):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            is_over.set()
            thread.join()


STUCK = "string.find(('a'):rep(300000), ('.-'):rep(12) .. 'b')"


@pytest.mark.nightly
def test_a_server_of_which_the_request_filter_is_stuck_can_be_asked_why_and_be_stopped(server: ServerUnderTest) -> None:
    script = f"function IncomingHttpRequestFilter(_, uri) if uri == '/stuck' then {STUCK} end return uri ~= '/lua/status' end"
    with_script(server, script, LuaCallbackTimeout=120, GatewayProcesses=1).start()
    assert server.request("GET", "/system").status == 200
    assert server.request("GET", "/lua/status").status == 403, "who can be asked is asked"
    assert server.request("GET", "/stuck").status == 503
    began_s = time.monotonic()
    assert server.request("GET", "/system").status == 503
    assert server.get("/lua/status")["Interpreters"]["Main"]["Running"]["Callback"] == "IncomingHttpRequestFilter"
    assert time.monotonic() - began_s < 5
    assert server.request("POST", "/tools/shutdown").status == 200
    assert server.wait() == 0


@pytest.mark.nightly
def test_a_script_that_is_stuck_while_it_is_loaded_stops_the_start(server: ServerUnderTest) -> None:
    process = with_script(server, STUCK, LuaCallbackTimeout=1).launch()
    assert process.wait(120) == EXIT_REFUSED
    assert "it is stuck in" in server.log
    assert "script.lua" in server.log
