"""`sinogram import` against a small HTTP server: what is sent, counted, tried again and given up."""

import io
import json
import ssl
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.cli import main
from tools.import_files import find_files, kind_of

DICOM = bytes(128) + b"DICM" + bytes(20)
Answer = Callable[[bytes, dict[str, str]], tuple[int, object]]


@contextmanager
def server(answer: Answer, identity: Path | None = None) -> Iterator[str]:
    """Run a server that answers POST /instances with what `answer` says, by HTTPS if it has an identity; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, value = answer(body, dict(self.headers)) if self.path == "/instances" else (404, {})
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that trusts it not
        if identity is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity)
            listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'https' if identity else 'http'}://127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()


def stored(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
    return 200, {"Status": "Success"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two DICOM files, a DICOMDIR, a text and an empty file, in folders."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a").write_bytes(DICOM + b"a")
    (tmp_path / "deep" / "er" / "b.dcm").write_bytes(DICOM + b"b")
    (tmp_path / "DICOMDIR").write_bytes(DICOM)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "empty").touch()
    return tmp_path


def test_files_are_found_in_the_order_of_names(folder: Path) -> None:
    found = [path.relative_to(folder).as_posix() for path in find_files([folder])]
    assert found == ["DICOMDIR", "a", "empty", "readme.txt", "deep/er/b.dcm"]


def test_a_file_is_told_by_its_first_bytes(folder: Path) -> None:
    kinds = {path.name: kind_of(path) for path in find_files([folder])}
    assert kinds == {"DICOMDIR": None, "a": "dicom", "empty": None, "readme.txt": None, "b.dcm": "dicom"}


def test_a_folder_is_sent_whole_and_what_is_not_dicom_is_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies: list[bytes] = []

    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        bodies.append(body)
        return stored(body, headers)

    with server(answer) as url:
        assert main(["import", str(folder), "--url", url]) == 0
    assert sorted(bodies) == [DICOM + b"a", DICOM + b"b"]
    assert capsys.readouterr().out.startswith("2 stored, 0 already there, 3 not DICOM, 0 failed; ")


def test_what_the_server_has_is_not_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda *_: (200, {"Status": "AlreadyStored"})) as url:
        assert main(["import", str(folder), "--url", url]) == 0
    assert capsys.readouterr().out.startswith("0 stored, 2 already there")


def test_every_member_of_a_zip_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", DICOM)

    def answer(body: bytes, _: dict[str, str]) -> tuple[int, object]:
        assert zipfile.ZipFile(io.BytesIO(body)).namelist() == ["a"]
        return 200, [{"Status": "Success"}, {"Status": "AlreadyStored"}]

    with server(answer) as url:
        assert main(["import", str(tmp_path), "--url", url]) == 0
    assert capsys.readouterr().out.startswith("1 stored, 1 already there")


def test_a_refused_file_is_named_and_the_others_are_sent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        return (400, {"Message": "Bad file format"}) if body.endswith(b"b") else stored(body, headers)

    with server(answer) as url:
        assert main(["import", str(folder), "--url", url]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("1 stored, 0 already there, 3 not DICOM, 1 failed")
    assert "b.dcm: 400 Bad file format" in printed.err


def test_a_busy_server_is_asked_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.import_files.BUSY_PAUSE_S", 0.001)
    left = [503, 503]

    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        return (left.pop(), {}) if left else stored(body, headers)

    with server(answer) as url:
        assert main(["import", str(folder / "a"), "--url", url]) == 0


def test_user_and_password_are_sent(folder: Path) -> None:
    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        return stored(body, headers) if headers.get("Authorization") == "Basic YTpi" else (401, {})

    with server(answer) as url:
        assert main(["import", str(folder), "--url", url, "--user", "a:b"]) == 0
        assert main(["import", str(folder), "--url", url.replace("//", "//a:b@")]) == 0


def test_a_server_that_wants_a_password_stops_the_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda *_: (401, {})) as url:
        assert main(["import", str(folder), "--url", url, "--user", "a:hunter2"]) == 1
    error = capsys.readouterr().err
    assert "wants a user and a password" in error
    assert "hunter2" not in error


def test_no_server_is_an_error_of_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server(stored) as url:
        pass
    assert main(["import", str(folder), "--url", url]) == 1
    assert capsys.readouterr().err.startswith(f"sinogram: {url} does not answer")


@pytest.mark.parametrize("url", ["localhost:8042", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(folder), "--url", url]) == 1
    assert "not the address of a server" in capsys.readouterr().err


def test_a_path_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(tmp_path / "nope")]) == 1
    assert "nope does not exist" in capsys.readouterr().err
