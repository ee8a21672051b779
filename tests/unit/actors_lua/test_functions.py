"""RestApi… and Http… take and return what Orthanc's do; the seed page's AutoroutingModification and preview scripts among them."""

from collections.abc import Mapping
from typing import Any

import pytest

from actors.services.lua.functions import HttpFunctions, configuration_function, rest_functions
from actors.services.lua.runtime import Interpreter
from actors.wire.http.client import Answer, HttpFailed

PNG = b"\x89PNG\r\n\x1a\n\0\xff"


class Server:
    """Answers REST and HTTP requests, and keeps them."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.answers: dict[str, bytes] = {"/system": b"{}", "/empty": b"", "/preview": PNG}

    def rest(self, method: str, uri: str, body: bytes, headers: Mapping[str, str]) -> bytes | None:
        self.seen.append((method, uri, body, dict(headers)))
        return self.answers.get(uri)

    def http(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None,
        timeout_s: float,
    ) -> Answer:
        self.seen.append((method, url, body, dict(headers), credentials, timeout_s))
        if not url.startswith("http://"):
            raise HttpFailed("no such host")
        return Answer(status=int(url[-3:]), body=b"\0\xffbody")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def interpreter(server: Server) -> Interpreter:
    return Interpreter(
        rest_functions(server.rest)
        | HttpFunctions(server.http).functions()
        | configuration_function({"Name": "S", "StableAge": 60})
    )


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ('RestApiGet("/system")', "{}"),
        ('RestApiGet("/empty")', ""),
        ('RestApiGet("/nope")', "nil"),
        ('RestApiGet("system")', "nil"),
        ('RestApiGet("/system", true)', "{}"),
        ('RestApiGet("/system", false, nil)', "{}"),
        ('RestApiGet("/system", true, {})', "{}"),
        ('RestApiGet("/system", nil)', "nil"),
        ('RestApiGet("/system", 1)', "nil"),
        ('RestApiGet("/system", {a = "b"})', "nil"),
        ('RestApiGet("/system", true, {}, 1)', "nil"),
        ("RestApiGet()", "nil"),
        ("RestApiGet({})", "nil"),
        ('RestApiPost("/system")', "nil"),
        ('RestApiPost("/system", {})', "nil"),
        ('RestApiPost("/system", 5)', "{}"),
        ('RestApiPut("/empty", "x", true, {a = 1})', ""),
        ('RestApiPut("/empty", "x", nil)', "nil"),
        ('RestApiDelete("/empty")', "true"),
        ('RestApiDelete("/nope")', "nil"),
        ('HttpGet("http://h/404")', ""),
        ('HttpGet("nonsense")', "nil"),
        ("HttpGet()", "nil"),
        ('HttpGet("http://h/200", nil, 1)', "nil"),
        ('#HttpGet("http://h/200")', "6"),
        ('#HttpPost("http://h/200")', "6"),
        ('#HttpPost("http://h/201", nil)', "6"),
        ('#HttpPut("http://h/200", 5)', "6"),
        ('HttpPut("http://h/200", {})', "nil"),
        ('HttpPost("http://h/500", "x")', ""),
        ('HttpDelete("http://h/200")', "SUCCESS"),
        ('HttpDelete("http://h/404")', "nil"),
        ('HttpDelete("nonsense")', "nil"),
        ('select("#", SetHttpCredentials("u"))', "0"),
        ('select("#", SetHttpTimeout("x"))', "0"),
        ("GetOrthancConfiguration(1).StableAge", "60"),
    ],
)
def test_calls_and_results(interpreter: Interpreter, call: str, result: str) -> None:
    assert interpreter.execute(f"print({call})".encode()).decode() == result + "\n"


def test_headers_credentials_and_timeout_are_sent(interpreter: Interpreter, server: Server) -> None:
    interpreter.execute(
        b'SetHttpCredentials("u", "p") SetHttpTimeout(1.5) HttpPost("http://h/200", "\\0\\xff", {["X-A"] = "b", n = 5, t = true})'
    )
    assert server.seen == [("POST", "http://h/200", b"\0\xff", {"X-A": "b", "n": "5"}, ("u", "p"), 1.5)]
    interpreter.execute(b'RestApiGet("/system", true, {["if-none-match"] = "e"})')
    assert server.seen[1] == ("GET", "/system", b"", {"if-none-match": "e"})


def test_a_preview_goes_to_a_web_service(interpreter: Interpreter, server: Server) -> None:
    server.answers["/instances/id/preview"] = PNG
    interpreter.load(
        b"""function OnStoredInstance(instanceId)
          local preview = RestApiGet('/instances/' .. instanceId .. '/preview')
          local headers = {
            ["content-type"] = "image/png",
          }
          HttpPost("http://localhost/instance-preview/200", preview, headers)
        end""",
        "f.lua",
    )
    interpreter.call("OnStoredInstance", "id")
    assert server.seen[1][:4] == ("POST", "http://localhost/instance-preview/200", PNG, {"content-type": "image/png"})


AUTOROUTING_MODIFICATION = b"""
function OnStoredInstance(instanceId, tags, metadata, origin)
  if origin['RequestOrigin'] ~= 'Lua' then
    local replace = {}
    replace['StationName'] = 'My Medical Device'
    replace['0031-1020'] = 'Some private tag'
    local remove = { 'MilitaryRank' }
    local command = {}
    command['Replace'] = replace
    command['Remove'] = remove
    local modifiedFile = RestApiPost('/instances/' .. instanceId .. '/modify', DumpJson(command, true))
    local modifiedId = ParseJson(RestApiPost('/instances/', modifiedFile)) ['ID']
    RestApiPost('/modalities/sample/store', modifiedId)
    RestApiDelete('/instances/' .. instanceId)
    RestApiDelete('/instances/' .. modifiedId)
  end
end
"""


def test_routing_by_the_rest_api(interpreter: Interpreter, server: Server) -> None:
    server.answers |= {
        "/instances/one/modify": b"DICM\0\xff",
        "/instances/": b'{"ID": "two"}',
        "/modalities/sample/store": b"{}",
        "/instances/one": b"{}",
        "/instances/two": b"{}",
    }
    interpreter.load(AUTOROUTING_MODIFICATION, "AutoroutingModification.lua")
    interpreter.call("OnStoredInstance", "one", {}, {}, {"RequestOrigin": "Lua"})
    assert server.seen == []
    interpreter.call("OnStoredInstance", "one", {}, {}, {"RequestOrigin": "RestApi"})
    command = (
        b'{"Remove":["MilitaryRank"],"Replace":{"0031-1020":"Some private tag","StationName":"My Medical Device"}}'
    )
    assert [request[:3] for request in server.seen] == [
        ("POST", "/instances/one/modify", command),
        ("POST", "/instances/", b"DICM\0\xff"),
        ("POST", "/modalities/sample/store", b"two"),
        ("DELETE", "/instances/one", b""),
        ("DELETE", "/instances/two", b""),
    ]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://alice:secret@h/404", "http://***@h/404"),
        ("alice:secret@h/404", "***@h/404"),
        ("http://secret@h/404", "http://***@h/404"),
        ("http://a:se?cret@h/404", "http://***@h/404"),
        ("http://a:se@cret@h/404", "http://***@h/404"),
        ("http://h/404?token=secret404", "http://h/404"),
        ("http://h/404/a@b#secret404", "http://h/404/a@b"),
    ],
)
def test_the_log_shows_no_credentials_of_an_address(
    interpreter: Interpreter, address: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    interpreter.execute(f"HttpGet('{address}') HttpPost('{address}', '')".encode())
    assert caplog.text.count(shown) == 2
    assert "secret" not in caplog.text
    assert "cret" not in caplog.text
