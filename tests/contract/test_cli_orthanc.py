"""Orthanc's switches, folders and configuration files on our command line."""

import json
import zlib
from pathlib import Path

import pytest

from tests.contract.certificates import Certificates, Identity, make_certificates
from tests.contract.test_cli_import import DICOM, server, stored
from tests.fault.servers import server_in
from tools.cli import main
from tools.orthanc_switches import REFUSED
from tools.server_address import read_address


@pytest.mark.parametrize("switch", REFUSED)
@pytest.mark.parametrize("value", ["=-", "=file.json"])
def test_what_we_do_not_have_is_refused_with_a_sentence(
    switch: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", switch + (value if switch != "--errors" else "")])
    assert ended.value.code == 2
    assert REFUSED[switch] in capsys.readouterr().err


def test_the_version_is_printed_and_nothing_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--version"]) == 0
    assert capsys.readouterr().out.startswith("sinogram ")


def test_two_places_for_the_log_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--logdir", str(tmp_path), "--logfile", str(tmp_path / "log")]) == 2
    assert "--logdir" in capsys.readouterr().err


def test_no_jobs_forgets_those_of_the_last_run_and_logdir_takes_the_log(tmp_path: Path) -> None:
    with server_in(tmp_path, DicomModalities={"away": ["AWAY", "127.0.0.1", 9]}) as running:
        running.start("--single-process")
        body = {"Level": "Study", "Resources": [{"StudyInstanceUID": "1.2"}], "Asynchronous": True}
        assert running.request("POST", "/modalities/away/move", json.dumps(body).encode()).status == 200
        assert running.stop() == 0
        running.start("--single-process")
        assert len(running.get("/jobs")) == 1
        assert running.stop() == 0
        running.start("--no-jobs", "--upgrade", f"--logdir={tmp_path}", "--verbose")
        assert running.get("/jobs") == []
        assert running.stop() == 0
        assert (tmp_path / "sinogram.log").read_text()


def compressed(data: bytes, level: int = 6) -> bytes:
    return len(data).to_bytes(8, "little") + zlib.compress(data, level)


def instance(number: int, rest: bytes = b"") -> bytes:
    """The beginning of a DICOM file of some SOP instance."""
    uid = f"1.2.{number}".encode().ljust(6, b"\0")
    return bytes(128) + b"DICM" + b"\2\0\3\0UI" + len(uid).to_bytes(2, "little") + uid + b"tags" + rest


PIXELS = bytes(3 << 20)
KINDS: dict[str, tuple[dict[str, bytes], list[bytes], int]] = {
    "one file": ({"a": compressed(DICOM)}, [DICOM], 0),
    "another level": ({"a": compressed(DICOM, 1), "b": compressed(DICOM + b"x", 9)}, [DICOM, DICOM + b"x"], 0),
    "beside one that is not": ({"a": compressed(DICOM), "b": DICOM}, [DICOM, DICOM], 0),
    "an image and its tags": (
        {"a": compressed(instance(1)), "b": compressed(instance(1, PIXELS))},
        [instance(1, PIXELS)],
        0,
    ),
    "its tags behind it": (
        {"b": compressed(instance(1)), "a": compressed(instance(1, PIXELS))},
        [instance(1, PIXELS)],
        0,
    ),
    "one without pixels": (
        {"a": compressed(instance(1)), "b": compressed(instance(2, PIXELS))},
        [instance(1), instance(2, PIXELS)],
        0,
    ),
    "two of one name": (
        {"a": compressed(instance(1, b"A")), "b": compressed(instance(1, b"BB"))},
        [instance(1, b"A"), instance(1, b"BB")],
        0,
    ),
    "a damaged image and its tags": ({"a": compressed(instance(1)), "b": compressed(instance(1, PIXELS))[:-9]}, [], 1),
    "a wrong size": ({"a": (200).to_bytes(8, "little") + zlib.compress(DICOM + bytes(200))}, [], 1),
    "a compressed JSON": ({"a": compressed(b"{}" * 200)}, [], 0),
    "zlib without a size": ({"a": zlib.compress(DICOM)}, [], 0),
    "short": ({"a": b"\x10\0\0\0\0\0\0\0\x78"}, [], 0),
    "a broken stream": ({"a": bytes.fromhex("ff00000000000000789c") + b"\xff" * 200}, [], 0),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_an_orthanc_has_compressed_is_sent_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    files, wanted, status = KINDS[name]
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    sent: list[bytes] = []

    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        sent.append(body)
        return stored(body, headers)

    with server(answer) as url:
        assert main(["import", "--url", url, "--quiet", str(tmp_path)]) == status
    assert sorted(sent) == sorted(wanted)
    said = capsys.readouterr()
    assert said.out.startswith(f"{len(wanted)} stored")
    assert f"{status} failed" in said.out


def test_a_file_without_uids_is_named_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.dcm").write_bytes(DICOM)
    with server(
        lambda *_: (404, {"OrthancStatus": 21, "Message": "Inexistent tag", "Details": "StudyInstanceUID"})
    ) as url:
        assert main(["import", "--url", url, "--quiet", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "a.dcm: a DICOM file without the UIDs" in said
    assert "404" not in said


USERS = {"RegisteredUsers": {"alice": "secret", "bob": "x"}, "AuthenticationEnabled": True}
ADDRESSES: tuple[tuple[dict[str, object], str | None, tuple[str, str] | None, object], ...] = (
    ({}, None, None, ("http://127.0.0.1:8042", None)),
    ({"HttpPort": 8043}, None, None, ("http://127.0.0.1:8043", None)),
    ({"HttpPort": 8043, **USERS}, None, None, ("http://127.0.0.1:8043", ("alice", "secret"))),
    ({"RegisteredUsers": {"alice": "secret"}}, None, None, ("http://127.0.0.1:8042", None)),
    ({"RemoteAccessAllowed": True, **USERS}, None, None, ("http://127.0.0.1:8042", ("alice", "secret"))),
    ({"HttpBindAddresses": ["::1"]}, None, None, ("http://[::1]:8042", None)),
    ({"SslEnabled": True}, None, None, ("https://127.0.0.1:8042", None)),
    ({"HttpPort": 8043, **USERS}, "http://else:1", ("carol", "y"), ("http://else:1", ("carol", "y"))),
)


@pytest.mark.parametrize(("options", "url", "user", "expected"), ADDRESSES)
def test_the_server_is_taken_from_its_configuration(
    tmp_path: Path,
    certificates: Certificates,
    options: dict[str, object],
    url: str | None,
    user: tuple[str, str] | None,
    expected: object,
) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(options))
    (tmp_path / "certificate.pem").write_bytes(certificates.stranger.certificate.read_bytes())
    address = read_address([file], url, user)
    assert (address.url, address.user) == expected


def test_import_and_jobs_use_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def answer(_body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        seen.append(headers["Authorization"])
        return 200, {"Status": "Success"}

    (tmp_path / "a.dcm").write_bytes(DICOM)
    with server(answer) as url:
        file = tmp_path / "c.json"
        file.write_text(json.dumps({"HttpPort": int(url.rpartition(":")[2]), **USERS}))
        assert main(["import", "--config", str(file), "--quiet", str(tmp_path / "a.dcm")]) == 0
        assert main(["jobs", "list", "--config", str(file)]) == 1  # that server has no jobs
    assert seen == ["Basic YWxpY2U6c2VjcmV0"]
    assert url in capsys.readouterr().err


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def pem(folder: Path, *files: Path) -> Path:
    """One file with what several hold."""
    made = folder / "identity.pem"
    made.write_bytes(b"".join(file.read_bytes() for file in files))
    return made


@pytest.mark.parametrize("way", ["--config", "--certificate"])
@pytest.mark.parametrize("shown", ["stranger", "server"])  # signed by itself; by an authority that nobody here knows
def test_a_server_is_known_by_its_own_certificate(
    tmp_path: Path, certificates: Certificates, capsys: pytest.CaptureFixture[str], shown: str, way: str
) -> None:
    identity: Identity = getattr(certificates, shown)
    made = pem(tmp_path, identity.certificate, identity.key, certificates.authority.certificate)
    (tmp_path / "a.dcm").write_bytes(DICOM)
    with server(stored, made) as url:
        configuration = tmp_path / "c.json"
        port = int(url.rpartition(":")[2])
        configuration.write_text(json.dumps({"HttpPort": port, "SslEnabled": True, "SslCertificate": str(made)}))
        where = ["--config", str(configuration)] if way == "--config" else ["--url", url, "--certificate", str(made)]
        assert main(["import", *where, "--quiet", str(tmp_path / "a.dcm")]) == 0
        assert main(["jobs", "list", *where]) == 1
        assert "/jobs" in capsys.readouterr().err  # it was asked, and has none


@pytest.mark.parametrize("trusted", [None, "client", "stranger"])
def test_another_certificate_is_not_believed(
    tmp_path: Path, certificates: Certificates, capsys: pytest.CaptureFixture[str], trusted: str | None
) -> None:
    """Not even where the authority that has signed the server's stands behind it in the file."""
    shown = pem(tmp_path, certificates.server.certificate, certificates.server.key)
    (tmp_path / "a.dcm").write_bytes(DICOM)
    known: list[str] = []
    if trusted is not None:
        file = tmp_path / "trusted.pem"
        own: Identity = getattr(certificates, trusted)
        file.write_bytes(own.certificate.read_bytes() + certificates.authority.certificate.read_bytes())
        known = ["--certificate", str(file)]
    seen: list[bytes] = []

    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        seen.append(body)
        return stored(body, headers)

    with server(answer, shown) as url:
        for command in (["import", "--quiet", str(tmp_path / "a.dcm")], ["jobs", "list"]):
            assert main([*command, "--url", url, *known]) == 1
            assert "its certificate is not trusted" in capsys.readouterr().err
    assert not seen


def test_a_certificate_that_is_none_is_told(
    tmp_path: Path, certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (certificates.server.key, tmp_path / "nowhere.pem", tmp_path):
        assert main(["jobs", "list", "--url", "https://127.0.0.1:1", "--certificate", str(file)]) == 2
        assert str(file) in capsys.readouterr().err


def test_a_configuration_without_http_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"HttpServerEnabled": false}')
    assert main(["jobs", "list", "--config", str(file)]) == 2
    assert "HttpServerEnabled" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["replay"], ["replay", "--verify"], ["fsck"], ["log", "tail"]])
def test_tools_say_that_there_is_no_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "--data", str(tmp_path / "nowhere")]) != 0
    assert f"{tmp_path / 'nowhere'} holds no archive" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
