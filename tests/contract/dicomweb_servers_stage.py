"""A REST application with a worker, which know a DICOMweb server of the test's own as `there`, and as `dead` one that is not there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actors.messages.dicomweb_settings import DicomWebSettings
from actors.wire.http.peer import Peer
from tests.contract.dicomweb_peer import (
    JSON,
    DicomWebPeer,
    uid_of,
)
from tests.contract.operations_stage import working
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.contract.retrieve_stage import study
from tools.server.core import Core

FILES = study(series=2, instances=3)
UIDS = sorted(map(uid_of, FILES))
STUDY = "2.25.1"


@contextmanager
def servers_stage(archive: Core, there: DicomWebPeer) -> Iterator[RestStage]:
    known = (
        there.known(username="u", password="word", headers={"X-Token": "secret"}, properties={"HasDelete": "1"}),
        Peer(name="dead", url="http://127.0.0.1:1/"),
    )
    settings = DicomWebSettings(stow_max_instances=2)
    with working(archive, servers=known), rest_stage(archive, servers=known, dicom_web=settings) as made:
        yield made


def post(stage: RestStage, path: str, body: object) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return stage.ask(f"/dicom-web/servers/{path}", "POST", data)


def refusing(status: int, body: bytes, kind: str = JSON) -> Any:
    return lambda _: (status, {"Content-Type": kind}, body)
