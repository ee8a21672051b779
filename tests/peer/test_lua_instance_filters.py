"""ReceivedInstanceFilter and ReceivedCStoreInstanceFilter: what they may answer and what comes of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.exchange import Request, Server
from tests.peer.lua_stage import SCRIPTS, LuaPair, start_lua_pair
from tests.peer.servers import Oracle

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("modern"),
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

TOOL_TIMEOUT_S = 60
STATUS = re.compile(r"DIMSE Status\s*: 0x([0-9a-f]{4})")
ANSWERS = (
    "yes", "no", "yes_and_more", "no_and_more", "one", "zero", "float", "text", "digits", "tables", "null", "nothing", "error",
    "fault", "changed",
)  # fmt: skip
# What a C-STORE is answered if ReceivedCStoreInstanceFilter says so: by the Book its status. 1.12.7 stores what it should refuse.
STATUSES = {
    "status": "a700", "other_status": "0110", "digits": "a700", "one": "0001", "null": "a700", "nothing": "a700",
    "yes": "a700", "text": "a700", "tables": "a700", "error": "a700",
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    with start_lua_pair(oracle, tmp_path_factory.mktemp("verdicts"), SCRIPTS / "verdicts.lua") as made:
        yield made


def file_of(name: str, number: int) -> bytes:
    return encode(add_pixels(dataset(30, 1, 1, number, PatientName=name)))


def send(server: Server, file: bytes, folder: Path) -> str:
    """C-STORE it; the status of the answer."""
    path = folder / f"{server.name}.dcm"
    path.write_bytes(file)
    where = ["-aec", "PEER", "127.0.0.1", str(server.dicom_port), str(path)]
    done = subprocess.run(
        ["storescu", "-d", "-xe", *where], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False
    )
    return str(STATUS.findall(done.stdout + done.stderr)[-1])


@pytest.mark.parametrize("name", ANSWERS)
def test_an_upload_is_answered_alike(stage: LuaPair, name: str) -> None:
    stage.forget()
    stage.ask("/instances", "POST", file_of(name, 1 + ANSWERS.index(name)))
    stage.ask("/instances")
    stage.settle()
    stage.assert_said_alike(skip="@ OnStable")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_c_store_is_answered_alike(stage: LuaPair, name: str, tmp_path: Path) -> None:
    stage.forget()
    ours, theirs = stage.both(lambda server: send(server, file_of(name, 101 + ANSWERS.index(name)), tmp_path))
    assert ours == theirs
    stage.ask("/instances")
    stage.settle()
    stage.assert_said_alike(skip="@ OnStable")


@pytest.mark.parametrize("name", STATUSES)
def test_a_c_store_is_answered_what_the_script_says(stage: LuaPair, name: str, tmp_path: Path) -> None:
    number = 201 + list(STATUSES).index(name)
    file = file_of(f"c_{name}", number)
    ours, theirs = stage.both(lambda server: send(server, file, tmp_path))
    assert ours == STATUSES[name]
    assert theirs in {"a700", "0000"}
    uid = f"2.25.7305.30.1.1.{number}"
    assert stage.pair.ours.ask(Request("/tools/lookup", "POST", uid)).json() == []


def test_an_upload_does_not_ask_the_filter_of_c_store(stage: LuaPair) -> None:
    stage.ask("/instances", "POST", file_of("c_status", 301))


def test_a_duplicate_is_asked_about_again(stage: LuaPair) -> None:
    stage.settle()  # also what earlier tests have left to be told
    stage.forget()
    for _ in range(2):
        stage.ask("/instances", "POST", file_of("yes", 302))
    stage.settle()
    assert sum("ReceivedInstanceFilter" in line for line in stage.assert_said_alike(skip="@ OnStable")) == 2


def test_what_is_no_dicom_is_not_asked_about(stage: LuaPair) -> None:
    stage.forget()
    for body in (b"", b"nope", file_of("yes", 303)[:400]):
        stage.ask("/instances", "POST", body)
    stage.settle()
    stage.assert_said_alike(skip="@ OnStable")
