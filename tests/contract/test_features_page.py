"""The commands on the page of Orthanc's book about advanced features, run with curl as they stand there, give the page's results.

Only address and identifiers are filled in. Peer tests run those beside Orthanc 1.12.7 with which it agrees.
"""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from events.numbered_names import ContentTypes
from tests.contract.http_serving import DEADLINE_S, serving
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed (Debian: curl)")

PDF = b"%PDF-1.4 \0\xff binary"
USER_METADATA = {"SampleMetaData1": 1024, "SampleMetaData2": 1025}
USER_CONTENT_TYPE: dict[str, object] = {
    "samplePdf": [1024, "application/pdf"],
    "sampleJson": [1025, "application/json"],
    "sampleRaw": 1026,
}


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the page and what comes of it."""

    line: str
    body: bytes | None = None  # None: the page does not say
    header: tuple[str, ...] = ()  # lines that curl shows with -v
    is_as_in_1_12_7: bool = True


INSTANCE = "http://localhost:8042/instances/<id>"
METADATA = [
    Command(f"curl {INSTANCE}/metadata"),
    Command(f"curl {INSTANCE}/metadata/RemoteAet", b"", is_as_in_1_12_7=False),
    Command(f"curl {INSTANCE}/metadata/1024 -X PUT -d 'hello'", b""),
    Command(f"curl {INSTANCE}/metadata/1024", b"hello"),
    Command(f"curl {INSTANCE}/metadata/SampleMetaData1", b"hello"),
]
ATTACHMENTS = [
    Command(f"curl {INSTANCE}/attachments/samplePdf -X PUT --data-binary @sample.pdf"),
    Command(f"curl {INSTANCE}/attachments/sampleRaw -X PUT -d 'raw data'"),
    Command(f"curl {INSTANCE}/attachments/samplePdf/data", PDF),
    Command(f"curl {INSTANCE}/attachments/sampleRaw/data", b"raw data"),
    Command(f"curl {INSTANCE}/attachments/sampleJson/data"),  # none yet: 404
]
REVISIONS = [
    Command(f"curl -v {INSTANCE}/metadata/1024 -X PUT -d 'Hello'", b"", ('ETag: "0"',)),
    Command(f"curl -v {INSTANCE}/metadata/1024", b"Hello", ('ETag: "0"',)),
    Command(f"""curl -v {INSTANCE}/metadata/1024 -X PUT -d 'Hello 2' -H 'If-Match: "0"'""", b"", ('ETag: "1"',),
            is_as_in_1_12_7=False),
    Command(f"""curl -v {INSTANCE}/metadata/1024 -X PUT -d 'Hello 3' -H 'If-Match: "0"'""", None, ("HTTP/1.1 409 Conflict",),
            is_as_in_1_12_7=False),
    Command(f"""curl -v {INSTANCE}/metadata/1024 -X DELETE -H 'If-Match: "1"'""", b"", ("HTTP/1.1 200 OK",),
            is_as_in_1_12_7=False),
]  # fmt: skip
DICOM_AS_JSON = Command(f"curl -X DELETE {INSTANCE}/attachments/dicom-as-json")


def run(command: Command, port: int, identifier: str, folder: Path) -> tuple[bytes, list[str]]:
    """Returns the body, and the lines of the header if the command shows them."""
    line = command.line.replace("localhost:8042", f"127.0.0.1:{port}").replace("<id>", identifier)
    (folder / "sample.pdf").write_bytes(PDF)
    done = subprocess.run(shlex.split(line), cwd=folder, capture_output=True, timeout=DEADLINE_S, check=True)
    return done.stdout, [shown[2:] for shown in done.stderr.decode().splitlines() if shown.startswith("< ")]


@pytest.fixture(params=[False, True], ids=["as is", "CheckRevisions"])
def stage(archive: Core, request: pytest.FixtureRequest) -> Iterator[RestStage]:
    types = ContentTypes().read(USER_CONTENT_TYPE, None)
    with rest_stage(
        archive, check_revisions=request.param, user_metadata=USER_METADATA, user_content_type=types
    ) as made:
        made.upload(encode(dataset(1, 1, 1, 1)))
        yield made


def test_each_command_gives_what_the_page_says(stage: RestStage, tmp_path: Path) -> None:
    (identifier,) = json.loads(stage.ask("/instances").body)
    checks = stage.deps.settings.check_revisions
    with serving(stage.app, silence_s=DEADLINE_S, is_alone=False) as (_, port):
        for command in REVISIONS if checks else [*METADATA, *ATTACHMENTS]:
            body, header = run(command, port, identifier, tmp_path)
            if command.body is not None:
                assert (command.line, body) == (command.line, command.body)
            assert set(command.header) <= set(header), command.line


def test_the_list_of_metadata_names_those_of_the_user(stage: RestStage, tmp_path: Path) -> None:
    (identifier,) = json.loads(stage.ask("/instances").body)
    with serving(stage.app, silence_s=DEADLINE_S, is_alone=False) as (_, port):
        for command in METADATA:
            run(command, port, identifier, tmp_path)
        names = json.loads(run(METADATA[0], port, identifier, tmp_path)[0])
    assert {"ReceptionDate", "RemoteAET", "Origin", "TransferSyntax", "SopClassUid", "SampleMetaData1"} <= set(names)


def test_tags_are_read_anew_whatever_was_kept_of_them(stage: RestStage, tmp_path: Path) -> None:
    """As of Orthanc 1.9.1 nothing is kept: there is nothing to delete, and the tags are there before and after."""
    (identifier,) = json.loads(stage.ask("/instances").body)
    with serving(stage.app, silence_s=DEADLINE_S, is_alone=False) as (_, port):
        before = stage.ask(f"/instances/{identifier}/tags").body
        run(DICOM_AS_JSON, port, identifier, tmp_path)
    assert stage.ask(f"/instances/{identifier}/tags").body == before
    assert "0010,0010" in json.loads(before)
