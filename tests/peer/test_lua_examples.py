"""The scripts that the Orthanc Book's page on Lua shows, or such in words of our own (`lua_page`): each has the effect it describes."""

import base64
import json
import subprocess
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import config as pydicom_config

from tests.data_factory import SECONDARY_CAPTURE, add_pixels, dataset, encode
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.lua_destinations import NEEDS_STORESCP, modality, titles, web_service
from tests.peer.lua_page import PRIVATE, STATION, example
from tests.peer.lua_stage import LuaPair, configured, start_lua_pair, upload
from tests.peer.servers import Oracle, wait_for
from tests.peer.test_find import find
from tests.peer.worklist_stage import find_plugin, find_worklist, worklist_options
from tests.recording_scp import RecordingScp, recording_scp
from tests.worklist_files import write_folder

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern"), NEEDS_STORESCP]

USERS = '"AuthenticationEnabled": true, "RegisteredUsers": {"admin": "secret", "reader": "secret"}, "DicomAlwaysAllowFind": true,'
ADMIN = {"Authorization": "Basic " + base64.b64encode(b"admin:secret").decode()}
READER = {"Authorization": "Basic " + base64.b64encode(b"reader:secret").decode()}


def script_files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / f"{name}.lua").write_text(example(name))
    return [folder / f"{name}.lua" for name in names]


# ------------------------------------------------------------------------------------------------------- filters


@pytest.fixture(scope="module")
def recorder() -> Iterator[RecordingScp]:
    with recording_scp([{0x00080052: "STUDY", 0x00100020: "P1", 0x0020000D: "1.2.1"}]) as made:
        yield made


@pytest.fixture(scope="module")
def filtering(oracle: Oracle, recorder: RecordingScp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    """All filters of the page at once, from the configuration."""
    names = ("only_mr", "rest_admin", "find_incoming", "find_worklist", "find_outgoing")
    folder = tmp_path_factory.mktemp("filtering")
    options = f'{USERS} "DicomModalities": {{"rec": ["REC", "127.0.0.1", {recorder.port}]}},'
    if plugin := find_plugin(oracle):
        write_folder(folder / "worklists")
        options += worklist_options(plugin, folder / "worklists")
    with start_lua_pair(oracle, folder, *script_files(folder, *names), more=options, headers=ADMIN) as pair:
        yield pair


def test_only_mr_images_are_stored(filtering: LuaPair, tmp_path: Path) -> None:
    for number, kind in enumerate(("MR", "CT", "mr", None), start=1):
        filtering.ask("/instances", "POST", encode(dataset(1, 1, 1, number, Modality=kind)))
        path = tmp_path / f"{kind}.dcm"
        path.write_bytes(encode(dataset(2, 1, 1, number, Modality=kind)))

        def send(server: Server, path: Path = path) -> int:
            where = ["-aec", "PEER", "127.0.0.1", str(server.dicom_port), str(path)]
            return subprocess.run(["storescu", "-xe", *where], capture_output=True, timeout=60, check=False).returncode

        assert filtering.both(send) == (0, 0)
    uids = [f"2.25.7305.{patient}.1.1.{number}" for patient in (1, 2) for number in (1, 2, 3, 4)]
    stored: Any = [filtering.ask("/tools/lookup", "POST", uid).json() for uid in uids]
    assert [uid for uid, found in zip(uids, stored, strict=True) if found] == ["2.25.7305.1.1.1.1", "2.25.7305.2.1.1.1"]


@pytest.mark.parametrize(("headers", "allowed"), [(ADMIN, True), (READER, False)])
def test_only_the_admin_changes_anything(filtering: LuaPair, headers: dict[str, str], allowed: bool) -> None:
    assert filtering.ask("/patients", **headers).status == 200
    for method in ("POST", "PUT", "DELETE"):
        status = filtering.ask("/patients/none", method, None if method == "DELETE" else b"x", **headers).status
        assert (status != 403) is allowed


def test_a_private_tag_is_taken_out_of_a_query(filtering: LuaPair) -> None:
    keys = ("QueryRetrieveLevel=STUDY", "PatientID", "StudyInstanceUID", "5555,0010=VENDOR")
    filtering.forget()
    ours, theirs = filtering.both(lambda server: find(server, keys))
    assert ours.status == theirs.status == "0000"
    assert [answer["0020000d"] for answer in ours.answers] == [answer["0020000d"] for answer in theirs.answers] != []
    for member in ("CalledAet", "Manufacturer", "RemoteAet", "RemoteIp"):  # in whatever order they are told
        filtering.wait_until_said(f"\t[{member}]")
    printed = ([line for line in filtering.said(server) if not line.startswith("@")] for server in filtering.servers)
    said = [sorted(lines) for lines in printed]
    assert said[0] == said[1]


def test_a_station_is_shown_its_own_worklist(filtering: LuaPair, oracle: Oracle) -> None:
    """The last callback of the page: whatever is asked for, the title of who asks takes its place."""
    if find_plugin(oracle) is None:
        pytest.skip("this Orthanc has no worklist plugin beside it (Debian: orthanc)")
    filtering.forget()
    for aet, patients in (("MR01", ["P2", "P6"]), ("CT01", ["P1", "P3", "P6", "P7", "P8"])):
        ours, theirs = filtering.both(lambda server, aet=aet: find_worklist(server.dicom_port, aet=aet))  # type: ignore[misc]  # mypy does not see the default
        assert ours.status == theirs.status == "Success"
        assert ours.patients == theirs.patients == patients
    for member in ("CalledAet", "Manufacturer", "RemoteAet", "RemoteIp"):
        filtering.wait_until_said(f"\t[{member}]", 2)
    said = [sorted(line for line in filtering.said(server) if not line.startswith("@")) for server in filtering.servers]
    assert said[0] == said[1]


def test_asterisks_are_taken_out_of_questions_to_modalities(filtering: LuaPair, recorder: RecordingScp) -> None:
    body = json.dumps(
        {"Level": "Study", "Query": {"PatientID": "*", "PatientName": "D*", "StudyDate": "*"}, "Normalize": False}
    )
    asked = []
    for server in filtering.servers:
        assert server.ask(Request("/modalities/rec/query", "POST", body)).status == 200
        asked.append(recorder.take())
    assert asked[0] == asked[1]
    identifier = asked[0][0][2]
    assert (identifier[0x00100020], identifier[0x00100010], identifier[0x00080020]) == ("", "D*", "")


def test_what_is_received_is_printed(oracle: Oracle, tmp_path: Path) -> None:
    with start_lua_pair(oracle, tmp_path, *script_files(tmp_path, "print_received")) as pair:
        pair.forget()
        pair.ask("/instances", "POST", encode(add_pixels(dataset(1))))
        pair.settle()
        said = [sorted(line for line in pair.said(server) if not line.startswith("@")) for server in pair.servers]
        assert said[0] == said[1]
        assert "\t[PatientName], string, Doe^Jane^1" in said[0]


# --------------------------------------------------------------------------------------------------- auto-routing


@pytest.fixture(scope="module")
def routing(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LuaPair, dict[str, Path]]]:
    folder = tmp_path_factory.mktemp("routing")
    with start_lua_pair(oracle, folder) as pair, modality(pair, "sample", folder) as written:
        yield pair, written


def route(routing: tuple[LuaPair, dict[str, Path]], script: str, *files: bytes) -> list[list[str]]:
    """Install the script over REST, upload the files, wait until they are gone; what the modalities have by then."""
    pair, written = routing
    for folder in written.values():
        for path in folder.iterdir():
            path.unlink()
    pair.execute(script)
    pair.both(lambda server: upload(server, *files))

    def gone(server: Server) -> bool:
        jobs: Any = server.get_json("/jobs?expand")
        instances: Any = server.get_json("/instances")
        return len(instances) == len(pair.sentinels) and all(job["State"] == "Success" for job in jobs)

    for server in pair.servers:
        wait_for(lambda server=server: gone(server), f"{server.name} to route everything")  # type: ignore[misc] # mypy does not see the default
    pair.execute("OnStoredInstance = nil")
    return [titles(written[server.name]) for server in pair.servers]


def files_of(*names: str, patient: int) -> list[bytes]:
    return [
        encode(add_pixels(dataset(patient, 1, 1, number, PatientName=name))) for number, name in enumerate(names, 1)
    ]


def test_the_one_liner_routes_everything(routing: tuple[LuaPair, dict[str, Path]]) -> None:
    ours, theirs = route(routing, example("autorouting"), *files_of("a", "b", "c", patient=70))
    assert ours == theirs == [f"2.25.7305.70.1.1.{number}" for number in (1, 2, 3)]


def test_only_david_is_routed(routing: tuple[LuaPair, dict[str, Path]]) -> None:
    files = files_of("Smith^DAVID", "Smith^Dave", "davidson^x", "", patient=71)
    ours, theirs = route(routing, example("autorouting_conditional"), *files)
    assert ours == theirs == [f"2.25.7305.71.1.1.{number}" for number in (1, 3)]


def changed_files(folder: Path) -> list[pydicom.Dataset]:
    with (
        pydicom_config.disable_value_validation(),
        warnings.catch_warnings(action="ignore"),
    ):  # the page's station name is too long
        files: list[pydicom.Dataset] = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
        assert all(list(file) for file in files)  # all elements are read now
        return files


def soldiers(patient: int) -> list[bytes]:
    """Two images that tell a rank, a station, and something private."""
    made = [add_pixels(dataset(patient, 1, 1, number, MilitaryRank="Major", StationName="S")) for number in (1, 2)]
    for each in made:
        each.private_block(0x0009, "CREATOR", create=True).add_new(1, "LO", "from the source")
    return [encode(each) for each in made]


def test_the_modified_instance_is_routed(routing: tuple[LuaPair, dict[str, Path]]) -> None:
    _pair, written = routing
    route(routing, example("autorouting_modify"), *soldiers(72))
    for folder in written.values():
        files = changed_files(folder)
        assert [file.StationName for file in files] == [STATION] * 2
        assert not any("MilitaryRank" in file or any(tag.is_private for tag in file.keys()) for file in files)  # noqa: SIM118 # a Dataset is iterated by its elements
        assert not {file.SOPInstanceUID for file in files} & {"2.25.7305.72.1.1.1", "2.25.7305.72.1.1.2"}


def test_the_rest_api_routes_a_modified_instance(routing: tuple[LuaPair, dict[str, Path]]) -> None:
    _pair, written = routing
    route(routing, example("autorouting_modification"), *soldiers(74))
    for folder in written.values():
        files = changed_files(folder)
        assert [file.StationName for file in files] == [STATION] * 2
        assert not any("MilitaryRank" in file for file in files)
        assert [(file[0x00091001].value, bytes(file[0x00311020].value).strip(b"\0 ")) for file in files] == [
            ("from the source", PRIVATE.encode())
        ] * 2


def test_a_script_asks_for_an_anonymised_file(routing: tuple[LuaPair, dict[str, Path]]) -> None:
    """As its function of REST is shown on the page; and what a single command prints is the answer."""
    pair, _ = routing
    assert pair.execute("print(42)").body == b"42\n"
    (instance,) = {each[0]["ID"] for each in pair.both(lambda server: upload(server, soldiers(76)[0]))}
    called = f"RestApiPost('/instances/{instance}/anonymize', '{{}}')"
    assert (
        pair.execute(f"local file = {called} print(string.sub(file, 129, 132), file:find('Major'))").body
        == b"DICM, nil\n"
    )
    pair.ask(f"/instances/{instance}", "DELETE")


# ----------------------------------------------------------------------------------------------------- web service


def test_a_web_service_is_told(oracle: Oracle, tmp_path: Path) -> None:
    """The page's `http://localhost/…` is port 80: here a proxy, which is asked for that very address, answers for it."""
    with web_service() as service:
        pair: Pair
        script = tmp_path / "script.lua"
        script.write_text(example("preview_to_web_service"))
        with start_pair(oracle, tmp_path, configured(script, more=f'"HttpProxy": "127.0.0.1:{service.port}",')) as pair:
            seen = []
            data = encode(add_pixels(dataset(80, SOPClassUID=SECONDARY_CAPTURE), rows=16, columns=16, bits=8))
            for server in (pair.ours, pair.theirs):
                upload(server, data)
                seen.append(service.wait(1))
        method, path, headers, _ = seen[0][0]
        assert (method, path, dict(headers)["content-type"]) == (
            "POST",
            "http://localhost/my-web-service/instance-preview",
            "image/png",
        )
        assert seen[0][0][:2] == seen[1][0][:2]
        pictures = [import_module("imagecodecs").png_decode(bytes(each[0][3])) for each in seen]
        assert (
            pictures[0].tolist()
            == pictures[1].tolist()
            == [[int((row * 16 + column) % 251 * 255 / 250 + 0.5) for column in range(16)] for row in range(16)]
        )
