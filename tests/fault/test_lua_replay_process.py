"""Dry replays of scripts in a real server: nothing is done, whatever a script tries; the process ends with whoever asked for it, and with its gateway."""

import contextlib
import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.environment import Environment
from tests.fault.instances import Instance
from tests.fault.senders import RestSender
from tests.fault.servers import ServerUnderTest, kill, server_in, wait_for

CONFIGURED = "function OnStoredInstance(id, tags) print('configured', tags.PatientID) end"
STUCK = "string.find(string.rep('a', 5000), '.-.-.-.-.-.-b')"  # in C, where no limit of Lua's reaches
PATIENTS = ["ANNA", "BERT", "CARL"]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[socket.socket]:
    """Another server, which nobody must talk to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, elsewhere: socket.socket) -> Iterator[ServerUnderTest]:
    folder = tmp_path_factory.mktemp("server")
    port = elsewhere.getsockname()[1]
    options: dict[str, Any] = {
        "ExecuteLuaEnabled": True,
        "LuaScripts": ["script.lua"],
        "LuaInstructionLimit": 5_000_000,
        "LuaMemoryLimit": 64,
        "StableAge": 1000,
        "DicomModalities": {"pacs": ["PACS", "127.0.0.1", port]},
        "OrthancPeers": {"peer": [f"http://127.0.0.1:{port}/"]},
    }
    (folder / "script.lua").write_text(CONFIGURED)
    with server_in(folder, **options) as made:
        made.start()
        with RestSender(made) as sender:
            for number, patient in enumerate(PATIENTS, start=1):
                assert sender.store(Instance(number, patient, number, number, 200)) == (200, "Success")
        wait_for(lambda: made.get("/lua/status")["Events"]["Lag"] == 0, "the callbacks of what was stored")
        yield made


def lines_of(server: ServerUnderTest, source: str | None, **body: Any) -> list[dict[str, Any]]:
    """Replay a script, or those that are configured; returns the lines of the answer."""
    scripts = {} if source is None else {"Scripts": [{"Name": "new.lua", "Source": source}]}
    answer = server.request("POST", "/lua/replay", json.dumps(scripts | body).encode())
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines() if line.strip()]


def calls(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if "Callback" in line]


def on_stored(body: str) -> str:
    return f"function OnStoredInstance(id, tags, metadata, origin)\n{body}\nend"


def digests(folder: Path) -> dict[str, str]:
    """What stands in all files below a folder; LMDB's lock file says who reads."""
    found = [path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def replaying(server: ServerUnderTest) -> list[int]:
    """The processes of replays."""
    found = []
    for pid in server.pids():
        with contextlib.suppress(OSError):
            if b"tools.server.replay_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


EFFECTS = [
    ("SendToModality(id, 'pacs')", "job", "send {id} to modality pacs"),
    ("SendToPeer(id, 'peer')", "job", "send {id} to peer peer"),
    ("Delete(id)", "job", "delete {id}"),
    ("ModifyInstance(id, {PatientName = 'X'}, {}, false)", "job", 'modify {id}: {"replace": {"PatientName": "X"}}'),
    ("RestApiDelete('/instances/' .. id)", "DELETE", "/instances/{id}"),
    ("RestApiPost('/tools/shutdown', '')", "POST", "/tools/shutdown"),
    ("RestApiPut('/instances/' .. id .. '/metadata/1024', 'x')", "PUT", "/instances/{id}/metadata/1024  (1 bytes) x"),
    ("HttpPost(ELSEWHERE, 'x')", "POST", "{elsewhere}  (1 bytes) x"),
    ("HttpGet(ELSEWHERE)", "GET", "{elsewhere}"),
    ("RestApiGet('/peers/peer/system')", "log", None),
    ("SetStableStatus(id, true)", "stability", "{id} is stable"),
    ("StoreKeyValue('s', 'k', 'v')", "keep", "s/k = v"),
    ("os.execute('touch ' .. PATH)", "run", "touch {path}"),
    ("io.popen('touch ' .. PATH)", "run", "touch {path}"),
    ("io.open(PATH, 'w'):write('x')", "write", "{path}"),
    ("io.tmpfile():write('x')", "write", "a temporary file"),
    ("os.remove(SCRIPT)", "remove", "{script}"),
    ("io.stdout:write('to be seen nowhere') io.stderr:write('to be seen nowhere') print('x')", "print", "x"),
    ("io.read('a') print('nothing to read')", "print", "nothing to read"),
]


def test_nothing_is_done(server: ServerUnderTest, elsewhere: socket.socket, tmp_path: Path) -> None:
    url, path, script = (
        f"http://127.0.0.1:{elsewhere.getsockname()[1]}/",
        tmp_path / "made",
        server.folder / "script.lua",
    )
    before = digests(server.folder), server.get("/events/head"), server.log
    names = {"id": Instance(1, PATIENTS[0], 1, 1, 200).id, "elsewhere": url, "path": path, "script": script}
    steps = "\n".join(f"{code};" for code, _, _ in EFFECTS)
    source = f"local ELSEWHERE, PATH, SCRIPT = '{url}', '{path}', '{script}'\n{on_stored(steps)}"
    lines = lines_of(server, source, Until=1)
    (call,) = calls(lines)
    assert call["Error"] is None
    told = [(effect["Kind"], effect["Text"]) for effect in call["Effects"]]
    jobs = [effect for effect in told if effect[0] == "job"]
    for code, kind, text in EFFECTS:
        if text is None:
            assert any("/peers/peer/system" in shown for each, shown in told if each == kind), code
        else:
            shown = text
            for name, value in names.items():
                shown = shown.replace(f"{{{name}}}", str(value))
            assert (kind, shown) in told, code
    assert len(jobs) == 4
    assert lines[-1]["Done"] is True
    assert (digests(server.folder), server.get("/events/head"), server.log) == before
    assert not path.exists()
    with pytest.raises(BlockingIOError):
        elsewhere.accept()


def test_callbacks_are_told_with_their_events(server: ServerUnderTest) -> None:
    body = "if tags.PatientID == 'BERT' then\nerror('not him')\nend\nprint(tags.PatientID, origin.RequestOrigin)"
    lines = lines_of(server, "print('loading')\n" + on_stored(body))
    loaded, *stored = calls(lines)
    assert (loaded["Callback"], loaded["Resource"]) == (None, "new.lua")
    assert loaded["Effects"] == [{"Kind": "print", "Text": "loading"}]
    events = {event["Seq"]: event for event in server.get("/events?types=instance-stored")["Events"]}
    assert [call["Event"] for call in stored] == sorted(events)
    for call in stored:
        assert call["Callback"] == "OnStoredInstance"
        assert call["Resource"] == events[call["Event"]]["Resource"]["ID"]
        assert 0 < call["Seconds"] < 60
    assert [call["Effects"] for call in stored] == [
        [{"Kind": "print", "Text": "ANNA, RestApi"}],
        [],
        [{"Kind": "print", "Text": "CARL, RestApi"}],
    ]
    assert [call["Error"] for call in stored] == [
        None,
        {"Cause": "error", "Message": "new.lua:4: not him", "Script": "new.lua", "Line": 4},
        None,
    ]
    head = server.get("/events/head")["Head"]
    assert lines[0] == {"Since": 1, "Until": head}
    assert lines[-1] == {
        "Done": True,
        "Message": None,
        "Position": head,
        "Events": head,
        "Calls": {"OnStoredInstance": 3},
        "Effects": {"print": 3},
        "Failed": 1,
    }


def test_what_is_configured_is_replayed_where_no_script_is_given(server: ServerUnderTest) -> None:
    effects = [call["Effects"][0]["Text"] for call in calls(lines_of(server, None, Last=100))]
    assert effects == [f"configured, {patient}" for patient in PATIENTS]


@pytest.mark.parametrize(
    ("source", "line", "cause"),
    [
        ("local x =\n= 1", 2, "syntax"),
        ("\nerror('no')", 2, "error"),
        ("while true do\nend", 1, "instructions"),
    ],
)
def test_a_script_that_cannot_be_loaded(server: ServerUnderTest, source: str, line: int, cause: str) -> None:
    lines = lines_of(server, source)
    (call,) = calls(lines)
    assert (call["Resource"], call["Error"]["Line"], call["Error"]["Cause"]) == ("new.lua", line, cause)
    assert (lines[-1]["Done"], lines[-1]["Message"]) == (False, "A script cannot be loaded")


def test_limits_hold_and_the_next_callback_is_called(server: ServerUnderTest) -> None:
    body = """if tags.PatientID == 'ANNA' then while true do end end
    if tags.PatientID == 'BERT' then local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end end
    for i = 1, 1005 do print(i) end"""
    endless, greedy, talkative = calls(lines_of(server, on_stored(body)))
    assert (endless["Error"]["Cause"], endless["Error"]["Line"]) == ("instructions", 2)
    assert greedy["Error"]["Cause"] == "memory"
    assert talkative["Error"] is None
    assert (len(talkative["Effects"]), talkative["LeftOut"]) == (1000, 5)


def begin_stuck(server: ServerUnderTest) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Begin a replay whose first callback does not end; returns once that is told."""
    connection = server.connect_http()
    scripts = [{"Name": "new.lua", "Source": on_stored(STUCK)}]
    connection.request("POST", "/lua/replay", json.dumps({"Scripts": scripts}))
    response = connection.getresponse()
    assert response.status == 200
    while "Running" not in (line := json.loads(response.readline().strip() or b"{}")):
        pass
    assert (line["Running"]["Callback"], line["Running"]["Event"]) == ("OnStoredInstance", 1)
    return connection, response


def readers(environment: Environment) -> list[str]:
    """The processes that read the archive."""
    listed: str = environment._env.readers()  # only a test asks
    return listed.split()


def test_it_ends_with_the_client_that_asked_for_it(server: ServerUnderTest) -> None:
    connection, response = begin_stuck(server)
    (process,) = replaying(server)
    with contextlib.closing(Environment(server.index, writable=False)) as environment:
        assert str(process) in readers(environment)
        response.close()
        connection.close()
        wait_for(lambda: not replaying(server), "the process to end")
        wait_for(lambda: str(process) not in readers(environment), "its snapshots to be let go: they keep old pages")
    assert "sinogram_script_replays 0" in server.request("GET", "/tools/metrics-prometheus").body.decode()


def test_it_ends_with_its_gateway_and_nothing_is_left(server: ServerUnderTest) -> None:
    head = server.get("/events/head")
    connection, response = begin_stuck(server)
    (gateway,), (process,) = server.gateways(), replaying(server)
    with contextlib.closing(Environment(server.index, writable=False)) as environment:
        assert str(process) in readers(environment)
    kill(gateway)
    left = b""
    with contextlib.suppress(http.client.HTTPException, OSError):
        left = response.read()
    assert b"Done" not in left, "an answer without its last line was cut off"
    connection.close()
    wait_for(lambda: not replaying(server), "the process to end")
    wait_for(lambda: server.gateways() not in ([], [gateway]), "another gateway")
    assert server.get("/events/head") == head
    assert lines_of(server, on_stored("print('again')"))[-1]["Done"] is True
    with contextlib.closing(Environment(server.index, writable=False)) as environment:
        wait_for(lambda: str(process) not in readers(environment), "the core to let go of its snapshots")


@pytest.mark.nightly
def test_what_is_stuck_in_c_is_ended_after_its_time(tmp_path: Path) -> None:
    with server_in(tmp_path, ExecuteLuaEnabled=True, LuaCallbackTimeout=1) as server:
        server.start()
        with RestSender(server) as sender:
            assert sender.store(Instance(1, "ANNA", 1, 1, 200)) == (200, "Success")
        lines = lines_of(server, on_stored(STUCK))
        assert not replaying(server)
    stuck = calls(lines)[-1]
    assert (stuck["Callback"], stuck["Event"], stuck["Error"]["Cause"]) == ("OnStoredInstance", 1, "time")
    assert lines[-1]["Message"] == "OnStoredInstance was stuck, and its process has been ended"
