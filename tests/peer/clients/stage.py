"""What tests of client libraries share: a server to drive, an Orthanc beside it as peer and modality, and a small archive."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from pydicom import Dataset

from tests.dicom_bytes import add_pixels, dataset, encode
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running, sinogram_command
from tests.peer.worklist_stage import find_plugin

USER, PASSWORD = "doctor", "s3cret"
FIRST = b"\x08\0\x16\0UI"  # where the dataset of a file begins
ADMISSION = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
OPTIONS = f"""
  "AuthenticationEnabled" : true,
  "RegisteredUsers" : {{ "{USER}" : "{PASSWORD}" }},
  "CheckRevisions" : false,
  "ConcurrentJobs" : 1, // so that a job that waits can be had
  "ExecuteLuaEnabled" : true,
  "KeepAliveTimeout" : 60, // httpx does not repeat a request that meets the end of a connection
  "LogExportedResources" : true,
  "RestApiWriteToFileSystemEnabled" : true,
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """Two patients; the first has two studies, of which the first has two series, the first of these three slices."""

    patient: str
    study: str
    series: str
    instances: tuple[str, ...]  # of that series, in the order of slices
    other_series: str
    other_study: str
    other_patient: str

    def of(self, level: str) -> str:
        """One resource of `patients`, `studies`, `series` or `instances`, each below the one before."""
        return {
            "patients": self.patient,
            "studies": self.study,
            "series": self.series,
            "instances": self.instances[0],
        }[level]


@dataclass(frozen=True, slots=True)
class Stage:
    """The server that a client drives, and the other one, which both sides of DICOM and HTTP know."""

    server: Server
    other: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.http_port}"

    @property
    def other_url(self) -> str:
        return f"http://127.0.0.1:{self.other.http_port}"

    @property
    def modality(self) -> dict[str, object]:
        """How the server has to know the other one."""
        return {"AET": "OTHER", "Host": "127.0.0.1", "Port": self.other.dicom_port}

    def filled(self) -> Archive:
        """Both servers without what they had; the one to drive with the archive, and without what it was told of others."""
        for server in (self.server, self.other):
            everything = json.dumps({"Resources": server.get_json("/patients")})
            assert server.ask(Request("/tools/bulk-delete", "POST", everything)).status == 200
        assert self.server.ask(Request("/instances", "POST", zipped(*files()))).status == 200
        return Archive(
            orthanc_id(1),
            orthanc_id(1, 1),
            orthanc_id(1, 1, 1),
            tuple(orthanc_id(1, 1, 1, number) for number in (1, 2, 3)),
            orthanc_id(1, 1, 2),
            orthanc_id(1, 2),
            orthanc_id(2),
        )

    def move(self) -> None:
        """The archive goes to the other server."""
        for file in files():
            self.other.ask(Request("/instances", "POST", file))
        everything = json.dumps({"Resources": self.server.get_json("/patients")})
        self.server.ask(Request("/tools/bulk-delete", "POST", everything))

    def stored(self, server: Server, level: str = "instances") -> set[str]:
        """The identifiers of all that a server has of a level."""
        listed = server.get_json(f"/{level}")
        assert isinstance(listed, list)
        return set(listed)

    def tags(self, instance: str) -> dict[str, str]:
        """What the file of an instance says, by keyword."""
        shown = self.server.get_json(f"/instances/{instance}/simplified-tags")
        assert isinstance(shown, dict)
        return shown


def orthanc_id(patient: int, *below: int) -> str:
    """The identifier of what `tests.dicom_bytes.dataset` gives these numbers, as Orthanc's book explains it."""
    made = dataset(patient, *below)
    parts = (made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)[: 1 + len(below)]
    digest = sha1("|".join(parts).encode()).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def slice_of(number: int) -> Dataset:
    """A slice of the archive's first series."""
    return add_pixels(
        dataset(
            1, 1, 1, number,
            ImagePositionPatient=[0, 0, 10 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            InstanceCreationDate="20240105",
            InstanceCreationTime="070809",
        )
    )  # fmt: skip


@cache
def files() -> tuple[bytes, ...]:
    """The archive's files."""
    others = (dataset(1, 1, 2, SeriesDescription="Alone", Modality="CT"), dataset(1, 2), dataset(2))
    return tuple(map(encode, (*map(slice_of, (1, 2, 3)), *others)))


def same_dataset(one: bytes, other: bytes) -> bool:
    """Files that a server writes anew have its own meta header."""
    return one[one.index(FIRST) :] == other[other.index(FIRST) :]


def zipped(*members: bytes) -> bytes:
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for number, content in enumerate(members):
            archive.writestr(f"folder/{number}.dcm", content)
    return out.getvalue()


@contextmanager
def started(name: str, oracle: Oracle, folder: Path) -> Iterator[Stage]:
    """Both servers, with nothing in them; `name` is "sinogram" or "orthanc"."""
    plugin = find_plugin(oracle, "libOrthancDicomWeb.so")  # ours needs none
    web = f'"Plugins" : ["{plugin}"],' if plugin else ""
    command = sinogram_command() if name == "sinogram" else [oracle.command]
    with (
        running("other", [oracle.command], folder, f'"ExecuteLuaEnabled" : true, {web}', gently=False) as other,
        running(name, command, folder, OPTIONS + web, ADMISSION, gently=name == "sinogram") as server,
    ):
        back = ["PEER", "127.0.0.1", server.dicom_port]
        for modality in ("back", "PEER"):  # a destination of C-MOVE is looked up by its AET
            assert other.ask(Request(f"/modalities/{modality}", "PUT", json.dumps(back))).status == 200
        yield Stage(server, other)
