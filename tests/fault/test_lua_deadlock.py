"""Everything at once: nested REST calls and filters, associations, questions, HTTP clients and jobs. Nobody waits for ever.

`SINOGRAM_LUA_SECONDS` is how long (60 is what the promise names).
"""

import os
import subprocess
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fault.scripts import Gate, gate_in, image, lines_of, wait_for_lines, with_script
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import AET, TWO_OF_EACH, ServerUnderTest, server_in, wait_for

SECONDS = float(os.environ.get("SINOGRAM_LUA_SECONDS", "2"))
ASSOCIATIONS, HTTP_CLIENTS = 4, 3
MOST_LAG = 100  # events that callbacks may be behind before the senders wait for them
DEADLINE_S = 180.0
HELD = 20
KEPT = image(1, "KEPT")  # sent by jobs, while scripts delete others

SCRIPT = """
    local function ask(uri) assert(RestApiGet(uri), uri) end
    local function post(uri, body) return assert(RestApiPost(uri, body), uri) end

    function ReceivedInstanceFilter(dicom, origin, info) return dicom.PatientID ~= 'UNWANTED' end
    function IncomingHttpRequestFilter(method, uri) ask('/system') return true end
    function IncomingFindRequestFilter(query, origin) ask('/statistics') return query end
    function OutgoingFindRequestFilter(query, modality) ask('/patients') return query end
    function OutgoingCStoreInstanceFilter(dicom, destination) ask('/statistics') return true end

    -- Every way in which a callback can cause another one.
    local ways = {
      function(id) post('/tools/execute-script', 'print(RestApiPost("/tools/execute-script", "ask = 1"))') end,
      function(id) post('/modalities/peer/query', DumpJson({Level = 'Study', Query = {PatientID = 'X'}}, true)) end,
      function(id) post('/modalities/peer/store', id) end,
      function(id) SendToModality(id, 'peer') end,
      function(id) Delete(SendToModality(id, 'peer')) end,
      function(id) RestApiDelete('/instances/' .. id) end,
      function(id)
        local file = assert(RestApiGet('/instances/' .. id .. '/file'))
        post('/instances', (file:gsub('2%.25%.3(%d%d%d%d%d%d)', '2.25.4%1')))
      end,
      function(id) StoreKeyValue('seen', id, 'yes') assert(GetKeyValue('seen', id) == 'yes') end,
      function(id) SetStableStatus(ParseJson(RestApiGet('/instances/' .. id .. '/series')).ID, true) end,
    }
    local calls = 0
    function OnStoredInstance(id, tags, metadata, origin)
      calls = calls + 1
      if origin.RequestOrigin ~= 'Lua' and tags.PatientID ~= 'KEPT' and RestApiGet('/instances/' .. id) then
        ways[calls % #ways + 1](id)
      end
    end
    function OnStableSeries(id) RestApiGet('/series/' .. id) end
    function OnDeletedInstance(id) assert(not RestApiGet('/instances/' .. id)) end
    function OnJobSubmitted(id) ask('/jobs') end
    function OnJobSuccess(id) ask('/jobs') end
    function OnHeartBeat() ask('/changes') end
"""


class Traffic:
    """Threads that do the same thing until the time is over; what they were answered and what went wrong."""

    def __init__(self) -> None:
        self.answers: Counter[object] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._ends_s = time.monotonic() + SECONDS
        self._threads: list[threading.Thread] = []

    def start(self, act: Callable[[int], object]) -> None:
        """Call `act` with 0, 1, 2 … in a thread; its answers are counted."""
        thread = threading.Thread(target=self._run, args=(act,))
        self._threads.append(thread)
        thread.start()

    def _run(self, act: Callable[[int], object]) -> None:
        number = 0
        try:
            while time.monotonic() < self._ends_s:
                answer = act(number)
                number += 1
                with self._lock:
                    self.answers[answer] += 1
        except Exception:  # noqa: BLE001 — told by the test
            self.failures.append(traceback.format_exc())

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path / "peer", DicomCheckModalityHost=False, DicomAlwaysAllowFind=True) as made:
        made.start("--single-process")
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path / "server", **TWO_OF_EACH) as made:
        yield made


def lag(server: ServerUnderTest) -> int:
    return int(server.get("/lua/status")["Events"]["Lag"])


def test_nobody_waits_for_ever(server: ServerUnderTest, peer: ServerUnderTest) -> None:
    modalities = {"peer": [AET, "127.0.0.1", peer.dicom_port], "asker": ["ASKER", "127.0.0.1", 1]}
    with_script(
        server, SCRIPT, DicomModalities=modalities, ExecuteLuaEnabled=True, LuaHeartBeatPeriod=1, LuaCallbackTimeout=60
    ).start()
    with RestSender(server) as sender:
        assert sender.store(KEPT) == (200, "Success")
    traffic = Traffic()
    for first in range(ASSOCIATIONS):
        traffic.start(associations(server, first))
    for first in range(HTTP_CLIENTS):
        traffic.start(http_requests(server, first))
    traffic.start(lambda _: question(server))
    traffic.join()
    print(dict(traffic.answers))
    assert not traffic.failures, traffic.failures[0]
    assert set(traffic.answers) <= {("C-STORE", 0), ("C-FIND", 0), ("POST /instances", "Success"), ("REST", 200)}
    assert len(traffic.answers) == 4
    wait_for(lambda: is_at_rest(server), "callbacks and jobs to end", DEADLINE_S)
    shown = server.get("/lua/status")
    assert shown["Events"]["Failed"] == 0, shown["LastFailures"]
    assert all(interpreter["Running"] is None for interpreter in shown["Interpreters"].values())
    assert "stuck" not in server.log
    assert server.stop() == 0


def is_at_rest(server: ServerUnderTest) -> bool:
    jobs = server.get("/jobs?expand")
    return lag(server) == 0 and all(job["State"] in {"Success", "Failure"} for job in jobs)


def associations(server: ServerUnderTest, first: int) -> Callable[[int], object]:
    def act(number: int) -> object:
        wait_for(lambda: lag(server) < MOST_LAG, "the callbacks", DEADLINE_S)
        with StoreScu(server.dicom_port) as sender:
            statuses = {
                sender.store(image(100_000 * (first + 1) + 10 * number + each, f"A-{first}")) for each in range(10)
            }
        return "C-STORE", max(statuses)

    return act


def http_requests(server: ServerUnderTest, first: int) -> Callable[[int], object]:
    script = b"RestApiPost('/modalities/peer/query', '{\"Level\": \"Study\"}') print(RestApiGet('/statistics'))"
    query = b'{"Level": "Study", "Query": {"PatientID": "A*"}}'
    requests = [
        ("POST", "/tools/execute-script", script),
        ("POST", "/modalities/peer/query", query),
        ("GET", "/studies?expand", b""),
        ("POST", "/modalities/peer/store", KEPT.id.encode()),
        ("GET", "/changes?limit=100", b""),
    ]

    def act(number: int) -> object:
        if number % 3 == 0:
            wait_for(lambda: lag(server) < MOST_LAG, "the callbacks", DEADLINE_S)
            with RestSender(server) as sender:
                return "POST /instances", sender.store(image(1_000_000 * (first + 1) + number, "HTTP"))[1]
        method, path, body = requests[number // 3 % len(requests)]
        answer = server.request(method, path, body)
        return ("REST", 200) if answer.status == 200 else (path, answer)

    return act


def question(server: ServerUnderTest) -> object:
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=A*", "-k", "StudyInstanceUID")
    command = ["findscu", "-S", "-aet", "ASKER", "-aec", AET, *keys, "127.0.0.1", str(server.dicom_port)]
    return "C-FIND", subprocess.run(command, check=False, capture_output=True, timeout=120).returncode


def test_a_slow_callback_holds_up_no_sender(server: ServerUnderTest, tmp_path: Path) -> None:
    """While the first callback is held, instances are stored, by DICOM and by REST; it is still held when all are there."""
    lines = tmp_path / "lines"
    with gate_in(tmp_path) as gate:
        text = (
            Gate.LUA
            + f"""
            function OnStoredInstance(id, tags)
              note('{lines}-begun', tags.InstanceNumber)
              take('{gate.path}')
              note('{lines}', tags.InstanceNumber)
            end
        """
        )
        with_script(server, text, GatewayProcesses=1).start()
        with StoreScu(server.dicom_port) as sender:
            assert sender.store(image(1)) == 0
            wait_for_lines(lines.with_name("lines-begun"), 1)
            assert {sender.store(image(number)) for number in range(2, HELD)} == {0}
        with RestSender(server) as sender_by_rest:
            assert sender_by_rest.store(image(HELD)) == (200, "Success")
        assert server.get("/statistics")["CountInstances"] == HELD
        assert lines_of(lines) == []
        assert lines_of(lines.with_name("lines-begun")) == ["1"]
        gate.open()
        wait_for_lines(lines, HELD)
        assert [int(line) for line in lines_of(lines)] == list(range(1, HELD + 1))
        assert server.stop() == 0
