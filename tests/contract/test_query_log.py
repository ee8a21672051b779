"""What peers ask for, in the log of a whole server: told from `verbose` on, and nobody's name in it unless that was asked for."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from tests.dicom_bytes import dataset, encode
from tests.fault.servers import AET, ServerUnderTest, server_in

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
SECRETS = ("Geheim", "g-4711", "19310203", "2.25.4711")


def query(**values: str) -> Dataset:
    identifier = Dataset()
    with pydicom_config.disable_value_validation():
        for keyword, value in ({"QueryRetrieveLevel": "STUDY"} | values).items():
            setattr(identifier, keyword, value)
    return identifier


def ask(server: ServerUnderTest, root: str, send: Callable[[Association], Iterable[object]]) -> None:
    """Make one request on an association of its own."""
    entity = ApplicationEntity("ASKING")
    entity.add_requested_context(root)
    association = entity.associate("127.0.0.1", server.dicom_port, ae_title=AET)
    assert association.is_established
    assert list(send(association))
    association.release()


def ask_everything(server: ServerUnderTest) -> None:
    """Ask by every service, well and badly, for a patient who is there and by values that name them."""
    who = query(PatientName="Geheim^*", PatientID="g-4711", StudyInstanceUID="2.25.4711", StudyDate="")
    item = Dataset()
    item.PatientID = "g-4711"
    who.ReferencedPatientSequence = [item]
    for asked in (who, query(PatientBirthDate="19310203*"), query(QueryRetrieveLevel="NOTHING", PatientID="g-4711")):
        ask(server, FIND, lambda association, asked=asked: association.send_c_find(asked, FIND))  # type: ignore[misc]
    for destination in ("NOBODY", "SELF"):
        ask(server, MOVE, lambda association, aet=destination: association.send_c_move(who, aet, MOVE))  # type: ignore[misc]
    ask(server, GET, lambda association: association.send_c_get(who, GET))
    keys = {"PatientName": "Geheim*", "PatientID": "g-4711"}
    for path, body in (
        ("/tools/find", {"Level": "Study", "Query": keys}),
        ("/tools/find", {"Level": "Study", "Query": {"PatientBirthDate": "19310203*"}, "OrderBy": "g-4711"}),
        ("/modalities/self/query", {"Level": "Study", "Query": keys}),
        ("/modalities/gone/query", {"Level": "Study", "Query": keys}),
        ("/modalities/self/move", {"Level": "Study", "Resources": [{"StudyInstanceUID": "2.25.4711"}]}),
    ):
        server.request("POST", path, json.dumps(body).encode())
    server.request("POST", "/tools/lookup", b"g-4711")
    server.request("GET", "/patients?expand&name=Geheim")


@pytest.mark.parametrize(
    ("level", "deidentify", "shows"),
    [
        ("--trace", True, False),
        pytest.param("--verbose-dicom", True, False, marks=pytest.mark.nightly),
        ("--verbose-dicom", False, True),
    ],
)
def test_a_log_names_patients_only_if_that_was_asked_for(
    tmp_path: Path, level: str, *, deidentify: bool, shows: bool
) -> None:
    granted = {f"DicomAlwaysAllow{service}": True for service in ("Find", "Move", "Get")}
    with server_in(tmp_path, DeidentifyLogs=deidentify, GatewayProcesses=1, **granted) as server:
        modalities = {name: [AET, "127.0.0.1", port] for name, port in (("self", server.dicom_port), ("gone", 9))}
        modalities["back"] = ["SELF", "127.0.0.1", server.dicom_port]
        server.options["DicomModalities"] = modalities
        server.start(level)
        made = dataset(1, 1, 1, 1, PatientName="Geheim^Frau", PatientID="g-4711", StudyInstanceUID="2.25.4711")
        assert server.request("POST", "/instances", encode(made)).status == 200
        ask_everything(server)
        assert server.stop() == 0
        log = server.log
    told = [log.count(f"{service} request from 'ASKING'") for service in ("C-FIND", "C-MOVE", "C-GET")]
    assert told == [3, 2, 1]
    assert "QueryRetrieveLevel = STUDY" in log
    assert "StudyDate = \n" in log  # a key without a value hides nothing
    assert {secret: secret in log for secret in SECRETS} == dict.fromkeys(SECRETS, shows)


def test_queries_are_told_by_default_to_nobody(tmp_path: Path) -> None:
    with server_in(tmp_path, DeidentifyLogs=False, GatewayProcesses=1, DicomAlwaysAllowFind=True) as server:
        server.start("--single-process")
        ask(server, FIND, lambda association: association.send_c_find(query(PatientID="g-4711"), FIND))
        assert server.stop() == 0
        assert "g-4711" not in server.log
