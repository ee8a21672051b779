"""The worklist beside Orthanc's plugin and DCMTK's `wlmscpfs`, all on one folder; asked by DCMTK's `findscu -W`."""

import json
import re
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.peer.servers import Oracle, listening
from tests.ports import free_port

TIMEOUT_S = 60
STEP: Final = "(0040,0100)[0]."
WANTED: Final = (
    "PatientID", "PatientName", "AccessionNumber", "StudyInstanceUID", f"{STEP}Modality", f"{STEP}ScheduledStationAETitle",
    f"{STEP}ScheduledProcedureStepStartDate", f"{STEP}ScheduledProcedureStepStartTime",
)  # fmt: skip
_STATUS = re.compile(r"Received Final Find Response \((.*)\)")


_WITH_RELEASES_OF_THEIR_OWN: Final = frozenset(("libOrthancDicomWeb.so",))


@dataclass(frozen=True, slots=True)
class Found:
    """What a server has said: its last status and its answers, by patient."""

    status: str
    answers: list[dict[str, Any]]

    @property
    def patients(self) -> list[str]:
        return [answer["PatientID"] for answer in self.answers]


def find_plugin(oracle: Oracle, name: str = "libModalityWorklists.so") -> Path | None:
    """Return a plugin of Orthanc's, of the same release if it is one that comes with it; that for worklists, if no other is named."""
    release = ".".join(map(str, oracle.version))
    for root in (Path(oracle.command).parent / "root", Path("/")):
        for plugin in root.glob(f"usr/lib/orthanc/{name}.*"):
            if plugin.name.endswith(release) or name in _WITH_RELEASES_OF_THEIR_OWN:
                return plugin
    return None


def worklist_options(plugin: Path, folder: Path, **members: object) -> str:
    """Return lines for the configuration file of both; the plugin is Orthanc's alone, ours warns that it has none."""
    section = json.dumps({"Enable": True, "Database": str(folder), **members})
    return f'"Plugins": ["{plugin}"], "DicomAlwaysAllowFindWorklist": true, "Worklists": {section},'


def find_worklist(port: int, *keys: str, aet: str = "CT01") -> Found:
    """Ask for the usual tags; `keys` are more of them, or values."""
    named = {key.partition("=")[0] for key in keys}
    with tempfile.TemporaryDirectory() as folder:
        command = ["findscu", "-W", "-X", "-v", "-od", folder, "-aet", aet, "-aec", "PEER"]
        for key in (*(tag for tag in WANTED if tag not in named), *keys):
            command += ["-k", key]
        done = subprocess.run([*command, "127.0.0.1", str(port)], capture_output=True, timeout=TIMEOUT_S, check=False)
        statuses = _STATUS.findall((done.stdout + done.stderr).decode("latin-1"))
        with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
            # wlmscpfs sends the bytes of files and does not say in what character set they are.
            answers = [_plain(dcmread(path, force=True)) for path in Path(folder).iterdir()]
    return Found(statuses[-1] if statuses else "none", sorted(answers, key=lambda answer: str(answer.get("PatientID"))))


def _plain(dataset: Dataset) -> dict[str, Any]:
    return {
        element.keyword: [_plain(item) for item in element.value] if element.VR == "SQ" else str(element.value)
        for element in dataset
    }


@contextmanager
def wlmscpfs(root: Path) -> Iterator[int]:
    """DCMTK's server of the folders below `root`, each for an AE title; gives its port."""
    port = free_port()
    with listening(["wlmscpfs", "-s", "-dfp", str(root), str(port)], port):
        yield port
