"""What scripts can call: the REST API, other Web services, the configuration; `/tools/execute-script` and what it prints."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.exchange import Request
from tests.peer.lua_destinations import WebService, web_service
from tests.peer.lua_stage import LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle
from tests.ports import free_port

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

OPTIONS = '"HttpTimeout": 5, "UserMetadata": {"note": 1024}, "DicomModalities": {"one": ["ONE", "127.0.0.1", 1104]},'
EXECUTED = {
    "nothing": "",
    "only a comment": "-- nothing",
    "a result": "return 42",
    "prints": "print('a', 1, 1.5, true, nil, 'b') print() print('', 'c')",
    "nul": "print('before\\0after', 'x')",
    "utf8": "print('ä€', #'ä')",
    "crlf": "print(1)\r\nprint(2)\r\n",
    "lines": "print('a\\nb')",
    "recursive": "PrintRecursive({a = {1, 'x'}}) PrintRecursive(7) PrintRecursive(nil) PrintRecursive({1, 2, 3}, 2)",
    "versions": "print(_VERSION, math.type(1), bit32 ~= nil, unpack, table.unpack ~= nil)",
    "kept": "kept = (kept or 0) + 1 print(kept)",
    "kept again": "kept = (kept or 0) + 1 print(kept)",
    "syntax error": "print(",
    "error": "error('boom')",
    "error without place": "error('boom', 0)",
    "error after print": "print('lost') error('boom')",
    "fault": "local t = nil print(t.x)",
    "call of nil": "NoSuchFunction()",
    "json": "print(DumpJson({a = 1, b = {1, 2}, c = 'x', d = '5', e = {}}))",
    "json strings": "print(DumpJson({a = 1, d = '5', f = 1.5, g = true}, true))",
    "parsed": 'PrintRecursive(ParseJson(\'[1, "a", 2.5, true, null, {"b": []}]\'))',
    "not parsed": "print(ParseJson('{'), ParseJson(''))",
    "statuses of commands": "print(os.execute('exit 3')) print(os.execute('kill -9 $$')) print(os.execute('true')) print(os.execute())",
    "output of commands": "local f = io.popen('echo hi; exit 4') print(f:read('a'), io.type(f)) print(f:close())",
    "lines of commands": "for line in io.popen('printf \"1\\\\n2\"'):lines() do print(line) end",
    "input of commands": "local f = io.popen('cat > /dev/null; exit 5', 'w') f:write('x', 1) print(io.close(f))",
    "places": "print(debug.getinfo(1).short_src, debug.getinfo(1, 'l').currentline, debug.getinfo(99))",
    "nested": "print(RestApiPost('/tools/execute-script', 'print(6 * 7)'))",
    "globals": "for _, n in ipairs{'RestApiGet','RestApiPost','RestApiPut','RestApiDelete','HttpGet','HttpPost','HttpPut','HttpDelete','SetHttpCredentials','SetHttpTimeout','ModifyInstance','ModifyResource','SendToModality','SendToPeer','Delete','CallSystem','PrintRecursive','ParseJson','DumpJson','GetOrthancConfiguration'} do print(n, type(_G[n])) end",
}
REST = {
    "get": "print(ParseJson(RestApiGet('/system')).Name)",
    "get builtin": "print(#RestApiGet('/patients', true), #RestApiGet('/patients', false))",
    "query": "print(RestApiGet('/patients?since=0&limit=1'))",
    "headers": "print(RestApiGet('/instances/{id}/tags?simplify', false, {['Accept'] = 'application/json'}))",
    "not there": "print(RestApiGet('/nope'), RestApiGet('/patients/nope'))",
    "no slash": "print(RestApiGet('patients'))",
    "no argument": "print(RestApiGet())",
    "bad argument": "print(RestApiGet({}), RestApiGet('/patients', 1), RestApiGet('/patients', true, {}, 1))",
    "empty": "print(RestApiGet(''))",
    "space": "print(RestApiGet('/instances/{id}/metadata/no te'))",
    "post number": "print(RestApiPost('/tools/lookup', 5))",
    "post without body": "print(RestApiPost('/tools/find'))",
    "post bad json": "print(RestApiPost('/tools/find', '{'))",
    "post to nothing": "print(RestApiPost('/nope', ''))",
    "post to a get": "print(RestApiPost('/system', ''))",
    "put modality": "print(RestApiPut('/modalities/new', '[\"NEW\", \"localhost\", 104]'), RestApiGet('/modalities'))",
    "put nonsense": "print(RestApiPut('/modalities/new', 'nonsense'), RestApiPut('/modalities/new', '\\xff\\0'), RestApiPut('/nope', ''))",
    "delete modality": "print(RestApiDelete('/modalities/new'), RestApiGet('/modalities'))",
    "put table": "print(RestApiPut('/instances/{id}/metadata/note', {}))",
    "delete number": "print(RestApiDelete(5), RestApiDelete())",
    "bytes": "local f = RestApiGet('/instances/{id}/file') print(#f, f:sub(129, 132), f:byte(1))",
    "upload": "local f = RestApiGet('/instances/{id}/file') local a = ParseJson(RestApiPost('/instances', f)) print(a.Status, a.ID)",
    "upload nothing": "print(RestApiPost('/instances', ''), RestApiPost('/instances', 'nope'))",
    "root": "print(RestApiGet('/'))",
    "moved": "print(RestApiGet('/app'))",
    "many": "local n = 0 for i = 1, 200 do n = n + #RestApiGet('/patients') end print(n)",
    "archive": "local z = RestApiGet('/instances/{id}/file') print(#z > 0, z == RestApiGet('/instances/{id}/file'))",
    "script in script": "print(RestApiPost('/tools/execute-script', 'print(RestApiPost(\"/tools/execute-script\", \"print(1)\"))'))",
    "script that fails": "print(RestApiPost('/tools/execute-script', 'error(1)'))",
}
METADATA = {
    "put": "print(RestApiPut('/instances/{id}/metadata/note', 'ä\\0b')) print(#RestApiGet('/instances/{id}/metadata/note'))",
    "put again": "print(RestApiPut('/instances/{id}/metadata/note', 'x')) print(RestApiGet('/instances/{id}/metadata/note'))",
    "delete": "print(RestApiDelete('/instances/{id}/metadata/note'), RestApiDelete('/instances/{id}/metadata/note'))",
    "non utf8": "print(RestApiGet('/instances/\\xff\\xfe')) print(RestApiPut('/instances/{id}/metadata/note', '\\xff\\xfe')) print(RestApiGet('/instances/{id}/metadata/note'):byte(1, -1))",
}
HTTP = {
    "get": "print(#HttpGet('{url}/a?b=c'))",
    "get headers": "print(#HttpGet('{url}/a', {['X-Test'] = 'yes', ['Cookie'] = 'c=1'}))",
    "post": "print(#HttpPost('{url}/p', 'body'))",
    "post bytes": "print(#HttpPost('{url}/p', '\\0\\xff\\1', {['Content-Type'] = 'application/octet-stream'}))",
    "post number": "print(#HttpPost('{url}/p', 42))",
    "post nothing": "print(#HttpPost('{url}/p'), #HttpPost('{url}/p', nil))",
    "post table": "print(HttpPost('{url}/p', {}))",
    "put": "print(#HttpPut('{url}/p', 'x'))",
    "delete": "print(HttpDelete('{url}/d'))",
    "statuses": "for _, s in ipairs{200, 201, 204, 299, 400, 404, 500, 503} do print(s, HttpGet('{url}/' .. s) == '', HttpPost('{url}/' .. s, 'x') == '') end",
    "delete refused": "print(HttpDelete('{url}/404'))",
    "moved": "print(#HttpGet('{url}/moved'))",
    "posted elsewhere": "print(#HttpPost('{url}/moved', 'x'))",
    "nobody there": "print(HttpGet('{dead}/'), HttpPost('{dead}/', 'x'), HttpPut('{dead}/', 'x'))",
    "no url": "print(HttpGet('nonsense'), HttpGet(), HttpGet({}), HttpGet(''))",
    "too many": "print(HttpGet('{url}/a', {}, 1), HttpPost('{url}/a', 'x', {}, 1))",
    "credentials": "print(SetHttpCredentials('user', 'pass:word')) print(#HttpGet('{url}/a'))",
    "credentials stay": "print(#HttpPost('{url}/a', 'x'))",
    "bad credentials": "print(SetHttpCredentials('user'), SetHttpCredentials()) print(#HttpGet('{url}/a'))",
    "timeout": "print(SetHttpTimeout(3)) print(#HttpGet('{url}/a'))",
    "bad timeout": "print(SetHttpTimeout('x'), SetHttpTimeout())",
    "large": "print(#HttpPost('{url}/p', string.rep('x', 5 * 1024 * 1024)))",
    "header numbers": "print(#HttpGet('{url}/a', {['X-Test'] = 7}))",
    "headers nil": "print(#HttpGet('{url}/a', nil))",
}
CONFIGURATION = """
local c = GetOrthancConfiguration()
print(c.Name, c.DicomAet, c.StableAge, c.RemoteAccessAllowed, c.NoSuchOption, #c.LuaScripts, c.ExecuteLuaEnabled, type(c.HttpPort), c.HttpTimeout)
PrintRecursive(c.DicomModalities) PrintRecursive(c.UserMetadata) PrintRecursive(c.HttpBindAddresses)
print(c.MaximumStorageSize, c.JobsHistorySize)
"""


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    with start_lua_pair(oracle, tmp_path_factory.mktemp("functions"), more=OPTIONS) as made:
        yield made


@pytest.fixture(scope="module")
def instance(stage: LuaPair) -> str:
    (uploaded, _) = stage.both(lambda server: upload(server, encode(add_pixels(dataset(50, 1, 1, 1)))))
    return str(uploaded[0]["ID"])


@pytest.fixture(scope="module")
def web() -> Iterator[WebService]:
    with web_service() as made:
        yield made


def test_the_configuration(stage: LuaPair) -> None:
    """As it stands in the file; once a modality was changed over REST, Orthanc shows all of them in their long form."""
    stage.execute(CONFIGURATION)


@pytest.mark.parametrize("name", EXECUTED)
def test_a_script_is_answered_with_what_it_prints(stage: LuaPair, name: str) -> None:
    stage.forget()
    stage.execute(EXECUTED[name])
    stage.assert_said_alike()


@pytest.mark.parametrize("name", REST)
def test_the_rest_api_answers_scripts(stage: LuaPair, instance: str, name: str) -> None:
    stage.execute(REST[name].replace("{id}", instance))


@pytest.mark.parametrize("name", METADATA)
def test_scripts_set_metadata(stage: LuaPair, instance: str, name: str) -> None:
    stage.execute(METADATA[name].replace("{id}", instance))


@pytest.mark.parametrize("name", HTTP)
def test_other_services_are_asked(stage: LuaPair, web: WebService, name: str) -> None:
    script = (
        HTTP[name].replace("{url}", f"http://127.0.0.1:{web.port}").replace("{dead}", f"http://127.0.0.1:{free_port()}")
    )
    request = Request("/tools/execute-script", "POST", script)
    answers, seen = [], []
    for server in stage.servers:
        answers.append(server.ask(request))
        seen.append(web.take())
    assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body)
    assert seen[0] == seen[1]


def test_large_bodies(stage: LuaPair, tmp_path: Path) -> None:
    """5 MB through the interpreter, unharmed."""
    large = encode(add_pixels(dataset(51, 1, 1, 1), rows=1600, columns=1600))
    (tmp_path / "large.dcm").write_bytes(large)
    stage.execute(
        f"local f = io.open('{tmp_path}/large.dcm', 'rb') local all = f:read('a') f:close()"
        " local a = ParseJson(RestApiPost('/instances', all)) print(a.Status, a.ID)"
        " print(RestApiGet('/instances/' .. a.ID .. '/file') == all)"
    )
    stage.execute("print(string.rep('x', 5 * 1024 * 1024))")
    stage.ask("/tools/execute-script", "POST", "--" + "x" * (5 * 1024 * 1024) + "\nprint('read')")


def test_scripts_are_refused_unless_the_option_says_so(oracle: Oracle, tmp_path: Path) -> None:
    with start_lua_pair(oracle, tmp_path, more='"ExecuteLuaEnabled": false,') as pair:
        for body in ("print(1)", ""):
            assert pair.ask("/tools/execute-script", "POST", body).status == 403
        pair.ask("/tools/execute-script")
        pair.ask("/system")
