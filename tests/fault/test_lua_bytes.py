"""Strings of scripts are bytes: files of 5 MB and text in no character set pass through unharmed, whichever way they go."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault.instances import Instance
from tests.fault.scripts import image, said, with_script
from tests.fault.senders import StoreScu
from tests.fault.servers import ServerUnderTest, server_in, wait_for

BIG = Instance(7, "BIG", study=1, series=1, pixel_bytes=5_000_000)
READ = "local file = assert(io.open('%s', 'rb')) local body = file:read('a') file:close() "
BYTES = bytes(range(1, 256))  # a printed line ends at NUL, as Orthanc's do
ALL_BYTES = "local all = '' for n = 0, 255 do all = all .. string.char(n) end "


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path_factory.mktemp("server"), ExecuteLuaEnabled=True) as made:
        made.start()
        yield made
        assert made.stop() == 0


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    path = tmp_path / "big.dcm"
    path.write_bytes(BIG.file())
    return path


def execute(server: ServerUnderTest, script: str | bytes) -> bytes:
    answer = server.request("POST", "/tools/execute-script", script if isinstance(script, bytes) else script.encode())
    assert answer.status == 200, answer
    return answer.body


def test_a_script_uploads_and_reads_five_megabytes(server: ServerUnderTest, big_file: Path) -> None:
    printed = execute(
        server,
        READ % big_file
        + f"""
        local id = ParseJson(RestApiPost('/instances', body)).ID
        print(id, RestApiGet('/instances/' .. id .. '/file') == body)
        local copy = assert(io.open('{big_file}.copy', 'wb'))
        copy:write(RestApiGet('/instances/' .. id .. '/file'))
        copy:close()
        """,
    )
    assert printed == f"{BIG.id}, true\n".encode()
    assert server.request("GET", f"/instances/{BIG.id}/file").body == BIG.file()
    assert big_file.with_name("big.dcm.copy").read_bytes() == BIG.file()


def test_a_callback_uploads_five_megabytes(tmp_path: Path, big_file: Path) -> None:
    text = f"""
        function OnStoredInstance(id, tags, metadata, origin)
          if origin.RequestOrigin == 'Lua' then
            print('uploaded', id)
          else
            {READ % big_file}
            RestApiPost('/instances', body)
          end
        end
    """
    with server_in(tmp_path / "server") as server:
        with_script(server, text).start()
        with StoreScu(server.dicom_port) as sender:
            assert sender.store(image(1)) == 0
        wait_for(lambda: said(server, f"uploaded, {BIG.id}") == 1, "the callback of what a callback has uploaded")
        assert server.request("GET", f"/instances/{BIG.id}/file").body == BIG.file()
        assert server.stop() == 0


def test_five_megabytes_reach_a_web_service_and_come_back(server: ServerUnderTest, big_file: Path) -> None:
    with echo() as url:
        printed = execute(
            server, READ % big_file + f"print(HttpPost('{url}', body) == body, HttpPut('{url}', body) == body)"
        )
    assert printed == b"true, true\n"


def test_scripts_of_five_megabytes_answer_as_much(server: ServerUnderTest) -> None:
    text = b"x" * 5_000_000
    assert execute(server, b"print('" + text + b"')") == text + b"\n"


def test_text_in_no_character_set_is_what_it_was(server: ServerUnderTest) -> None:
    assert execute(server, ALL_BYTES + "print(all:sub(2))") == BYTES + b"\n"
    assert execute(server, b"print('" + BYTES.translate(None, b"\n\r'\\") + b"')") == (
        BYTES.translate(None, b"\n\r'\\") + b"\n"
    )
    printed = execute(
        server, ALL_BYTES + "local key = all:sub(100) StoreKeyValue('s', key, all) print(GetKeyValue('s', key) == all)"
    )
    assert printed == b"true\n"
    with echo() as url:
        assert execute(server, ALL_BYTES + f"print(HttpPost('{url}', all) == all)") == b"true\n"
    refused = server.request("POST", "/tools/execute-script", b"error('\xff\xfe')")
    assert (refused.status, refused.json["OrthancStatus"]) == (500, 2031)


@contextmanager
def echo() -> Iterator[str]:
    """A web service that answers what it is sent; its address."""

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    serving = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield f"http://127.0.0.1:{service.server_address[1]}/"
    finally:
        service.shutdown()
        serving.join()
        service.server_close()
