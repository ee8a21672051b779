"""The modality worklist: files of a folder and entries by REST, asked for by C-FIND on an association that also asks for patients."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from orthanc_api_client.tags import Tags
from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from actors.core.actor import start
from actors.core.worklist_keeper import LookAround, WorklistKeeper
from actors.messages.worklist_settings import WorklistSettings
from actors.services.remote.modality import Operation
from api.dicom.find_scp import create_find_service
from api.dicom.settings import DicomSettings, FindSettings
from api.dicom.worklist_scp import create_worklist_service
from events.identifiers import Level
from store.dicom.uids import STUDY_ROOT_FIND, WORKLIST_FIND
from store.records import Resource
from store.views.find import Finder
from tests.clock import Clock
from tests.contract.rest_stage import Answer, RestStage, error_of, rest_stage, shown
from tests.contract.retrieve_stage import fill, serving
from tests.dicom_bytes import dataset, encode
from tests.worklist_files import entry, step, write_folder
from tools.server.core import Core

STUDY = "StudyInstanceUID"
Found = tuple[list[str], list[int]]


def query(charset: str = "", within: dict[str, str] | None = None, **keys: str) -> Dataset:
    """Return a query for the usual tags; `within` are keys of the step."""
    asked = Dataset()
    if charset:
        asked.SpecificCharacterSet = charset
    item = Dataset()
    for name in ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"):
        setattr(item, name, "")
    asked.PatientID = asked.PatientName = ""
    for name, value in (within or {}).items():
        _put(item, name, value)
    for name, value in keys.items():
        _put(asked, name, value)
    asked.ScheduledProcedureStepSequence = [item]
    return asked


def _put(into: Dataset, name: str, value: str) -> None:
    """Set a key, which need not be what its VR allows."""
    tag = tag_for_keyword(name)
    assert tag is not None
    into.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=pydicom_config.IGNORE))


@dataclass
class Stage:
    port: int
    rest: RestStage
    folder: Path

    def ask(self, asked: Dataset, aet: str = "CT01") -> tuple[list[Dataset], int]:
        """Return the answers and the last status."""
        asker = ApplicationEntity(aet)
        asker.add_requested_context(WORKLIST_FIND)
        association = asker.associate("127.0.0.1", self.port)
        assert association.is_established
        told = list(association.send_c_find(asked, WORKLIST_FIND))
        association.release()
        return [answer for _, answer in told if answer is not None], told[-1][0].Status

    def patients(self, asked: Dataset, aet: str = "CT01") -> list[str]:
        answers, status = self.ask(asked, aet)
        assert status == 0
        return [answer.PatientID for answer in answers]

    def post(self, tags: object) -> Answer:
        return self.rest.ask("/worklists/create", "POST", json.dumps({"Tags": tags}).encode())

    def create(self, **tags: object) -> str:
        return str(shown(self.post(tags))["ID"])


@contextmanager
def staged(
    archive: Core, folder: Path, *, encoding: str = "Latin1", read_only: bool = False, **options: Any
) -> Iterator[Stage]:
    settings = WorklistSettings(is_enabled=True, folder=folder, **options)
    finder = Finder(archive.views, archive.blobs)
    services = create_find_service(finder), create_worklist_service(archive.views, settings)
    dicom = DicomSettings(
        aet="OURS",
        always_allowed=frozenset({Operation.FIND, Operation.FIND_WORKLIST}),
        find=FindSettings(default_encoding=encoding),
        scp_timeout_s=10,
    )
    with (
        serving(*services, settings=dicom) as port,
        rest_stage(archive, worklists=settings, read_only=read_only) as rest,
    ):
        yield Stage(port, rest, folder)


@pytest.fixture
def stage(archive: Core, tmp_path: Path) -> Iterator[Stage]:
    write_folder(tmp_path / "worklists")
    with staged(archive, tmp_path / "worklists") as made:
        yield made


# --- the folder ---


QUERIES: list[tuple[Dataset, list[str]]] = [
    (query(), ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"]),
    (query(PatientID="P2"), ["P2"]),
    (query(PatientName="müll*", charset="ISO_IR 192"), ["P3"]),
    (query(PatientName="*山田*", charset="ISO_IR 192"), ["P5"]),
    (query(within={"ScheduledStationAETitle": "CT01"}), ["P1", "P3", "P6", "P7", "P8"]),
    (query(within={"ScheduledStationAETitle": "ct01"}), ["P4"]),
    (query(within={"Modality": "MR"}), ["P2", "P6"]),
    (query(within={"Modality": "MR", "ScheduledStationAETitle": "CT01"}), []),
    (query(within={"ScheduledProcedureStepStartDate": "20240116-20240117"}), ["P2", "P4"]),
]


def test_files_are_found(stage: Stage) -> None:
    """One server for all queries: a start costs more than they do together."""
    assert [stage.patients(asked) for asked, _ in QUERIES] == [found for _, found in QUERIES]


def test_worklists_and_patients_live_on_one_association(archive: Core, stage: Stage) -> None:
    fill(archive, encode(dataset()))
    asker = ApplicationEntity("CT01")
    for model in (STUDY_ROOT_FIND, WORKLIST_FIND):
        asker.add_requested_context(model)
    association = asker.associate("127.0.0.1", stage.port)
    of_studies = Dataset()
    of_studies.QueryRetrieveLevel, of_studies.StudyInstanceUID = "STUDY", ""
    for _ in range(2):
        assert len(list(association.send_c_find(query(PatientID="P1"), WORKLIST_FIND))) == 2
        assert len(list(association.send_c_find(of_studies, STUDY_ROOT_FIND))) == 2
    association.release()


IN_LATIN1 = [
    ("", "P3", "ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 192", "P3", "ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 192", "P4", "ISO_IR 192", "Люкceмбypг"),
    ("", "P4", "ISO_IR 144", "Люкceмбypг"),  # its own set: neither the default nor the query's has it
    ("ISO_IR 100", "P4", "ISO_IR 144", "Люкceмбypг"),
    ("", "P5", ["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
]


def test_no_character_is_lost(archive: Core, stage: Stage) -> None:
    for charset, patient, declared, name in IN_LATIN1:
        (answer,), _ = stage.ask(query(charset, PatientID=patient))
        assert (answer.SpecificCharacterSet, str(answer.PatientName)) == (declared, name)
    with staged(archive, stage.folder, encoding="Utf8") as other:
        (answer,), _ = other.ask(query(PatientID="P5"))
    assert (answer.SpecificCharacterSet, str(answer.PatientName)) == ("ISO_IR 192", "Yamada^Tarou=山田^太郎")


def test_the_folder_may_change_at_any_time(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    everybody = stage.patients(query())
    (stage.folder / "b.wl").unlink()
    (stage.folder / "a.wl").write_bytes(entry("P11"))
    (stage.folder / "0.wl").write_bytes(entry("P12")[:150])  # somebody is writing it
    (stage.folder / "1.wl").write_bytes(bytes(2 << 20))
    (stage.folder / "2.wl").mkdir()
    assert stage.patients(query()) == ["P11", *everybody[2:]]
    assert [name for name in ("0.wl", "1.wl", "2.wl") if f"file={name}" in caplog.text] == ["0.wl", "1.wl", "2.wl"]
    (stage.folder / "0.wl").write_bytes(entry("P12"))
    assert stage.patients(query()) == ["P12", "P11", *everybody[2:]]


def test_a_folder_that_is_not_there_is_an_error(archive: Core, tmp_path: Path) -> None:
    with staged(archive, tmp_path / "nowhere") as stage:
        assert stage.ask(query())[1] == 0xA700


def two_steps() -> Dataset:
    asked = query()
    asked.ScheduledProcedureStepSequence = [step(), step()]
    return asked


def nothing_but_a_charset() -> Dataset:
    asked = Dataset()
    asked.SpecificCharacterSet = "ISO_IR 100"
    return asked


def test_what_is_wrong_with_a_query(stage: Stage) -> None:
    for asked in (query(within={"ScheduledProcedureStepStartDate": "2024*"}), two_steps(), nothing_but_a_charset()):
        assert stage.ask(asked) == ([], 0xC000)


def test_who_asks_is_shown_its_own(archive: Core, tmp_path: Path) -> None:
    write_folder(tmp_path)
    with staged(archive, tmp_path, filters_issuer=True) as stage:
        assert stage.patients(query(), "MR01") == ["P2", "P6"]
        assert stage.patients(query(within={"ScheduledStationAETitle": "CT01"}), "MR01") == ["P2", "P6"]
        assert stage.patients(query(), "STRANGER") == []


def test_a_list_that_is_cut_off_says_so(archive: Core, tmp_path: Path) -> None:
    write_folder(tmp_path)
    with staged(archive, tmp_path, limit_answers=2) as stage:
        answers, status = stage.ask(query())
        assert ([answer.PatientID for answer in answers], status) == (["P1", "P2"], 0xFE00)
        assert stage.patients(query(within={"Modality": "MR"})) == ["P2", "P6"]


# --- by REST ---

SCHEDULED = [{"Modality": "CT", "ScheduledStationAETitle": "CT01", "ScheduledProcedureStepStartDate": "20240115"}]


def test_an_entry_is_made_shown_changed_and_deleted(stage: Stage) -> None:
    made = shown(stage.post({"PatientID": "R1", "PatientName": "Łukasz", "ScheduledProcedureStepSequence": SCHEDULED}))
    assert made["Path"] == f"/worklists/{made['ID']}"
    assert Tags(shown(stage.rest.ask(made["Path"]))["Tags"])["PatientName"] == "Łukasz"  # as that client reads it
    told = shown(stage.rest.ask(f"{made['Path']}?format=Simplify"))
    assert told["ID"] == made["ID"]
    assert told["Tags"].pop(STUDY).startswith("2.25.")
    assert told["Tags"] == {"PatientID": "R1", "PatientName": "Łukasz", "ScheduledProcedureStepSequence": SCHEDULED}
    short = shown(stage.rest.ask(f"{made['Path']}?format=Short"))["Tags"]
    assert (short["0010,0020"], short["0040,0100"][0]["0008,0060"]) == ("R1", "CT")
    assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [made["ID"]]
    (answer,), _ = stage.ask(query(PatientID="R1"))
    assert (str(answer.PatientName), answer.SpecificCharacterSet) == ("Łukasz", "ISO_IR 192")
    changed = json.dumps({"Tags": {"0010,0020": "R2", STUDY: "1.2.3"}}).encode()
    assert stage.rest.ask(made["Path"], "PUT", changed).status == 200
    assert shown(stage.rest.ask(f"{made['Path']}?format=Simplify"))["Tags"] == {"PatientID": "R2", STUDY: "1.2.3"}
    assert stage.patients(query(PatientID="R*", within={"Modality": ""})) == ["R2"]
    assert shown(stage.rest.ask(made["Path"], "DELETE")) == {}
    assert stage.patients(query(PatientID="R*")) == []
    for method in ("GET", "PUT", "DELETE"):
        assert stage.rest.ask(made["Path"], method, changed if method == "PUT" else b"").status == 404


def test_entries_come_behind_files_in_the_order_of_their_making(stage: Stage) -> None:
    for number in range(9):
        stage.create(PatientID=f"R{number}")
    assert stage.patients(query())[8:] == [f"R{number}" for number in range(9)]


BAD_ENTRIES: list[tuple[object, tuple[int, int]]] = [
    (None, (400, 15)),
    ([], (400, 15)),
    ({"Bogus": "1"}, (500, 27)),
    ({"PatientID": 5}, (400, 5)),
    ({"PatientID": {"a": "b"}}, (400, 5)),
    ({"ScheduledProcedureStepSequence": ["x"]}, (400, 5)),
    ({"SpecificCharacterSet": "nonsense"}, (400, 3)),
    ({"PatientID": "x" * (1 << 20)}, (400, 3)),
]


def test_bad_entries_are_refused(stage: Stage) -> None:
    assert [error_of(stage.post(tags))[:2] for tags, _ in BAD_ENTRIES] == [error for _, error in BAD_ENTRIES]
    assert error_of(stage.rest.ask("/worklists?format=x"))[:2] == (400, 3)
    assert shown(stage.rest.ask("/worklists")) == []


def test_nothing_is_made_of_a_study_uid_that_nobody_wants_drawn(archive: Core, tmp_path: Path) -> None:
    with staged(archive, tmp_path, draws_study_uid=False) as stage:
        made = stage.create(PatientID="R1")
        assert shown(stage.rest.ask(f"/worklists/{made}?format=Simplify"))["Tags"] == {"PatientID": "R1"}


def test_clients_find_it_among_the_plugins(archive: Core, stage: Stage) -> None:
    assert shown(stage.rest.ask("/plugins")) == ["explorer.js", "dicom-web", "worklists"]
    assert shown(stage.rest.ask("/plugins/worklists"))["ID"] == "worklists"
    with rest_stage(archive) as without:
        assert shown(without.ask("/plugins")) == ["explorer.js", "dicom-web"]
        assert [without.ask(path).status for path in ("/plugins/worklists", "/worklists")] == [404, 404]


def test_a_read_only_server_shows_them(archive: Core, tmp_path: Path) -> None:
    with staged(archive, tmp_path) as stage:
        made = stage.create(PatientID="R1")
    with staged(archive, tmp_path, read_only=True) as stage:
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [made]
        assert stage.patients(query()) == ["R1"]
        assert stage.rest.ask(f"/worklists/{made}", "DELETE").status == 405
        assert stage.post({"PatientID": "R2"}).status == 405


# --- what is over ---


@contextmanager
def keeping(archive: Core, clock: Clock, **options: Any) -> Iterator[Callable[[], None]]:
    """A keeper; gives what has it look around."""
    settings = WorklistSettings(is_enabled=True, **options)
    keeper = start(WorklistKeeper, archive.client, archive.views, settings, wall_clock=clock)
    try:
        yield lambda: keeper.ask(LookAround())
    finally:
        keeper.stop()


def test_an_entry_goes_at_its_age(archive: Core, clock: Clock, stage: Stage) -> None:
    with keeping(archive, clock, kept_hours=24) as look:
        first = stage.create(PatientID="R1")
        clock.advance(20 * 3600)
        second = stage.create(PatientID="R2")
        look()
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [first, second]
        clock.advance(5 * 3600)
        look()
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [second]
    with keeping(archive, clock) as look:
        clock.advance(1000 * 3600)
        look()
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [second]


def test_an_entry_goes_once_its_study_is_stable(archive: Core, clock: Clock, stage: Stage) -> None:
    study = str(dataset().StudyInstanceUID)
    ours = stage.create(PatientID="R1", StudyInstanceUID=study)
    other = stage.create(PatientID="R2", StudyInstanceUID="1.2.3")
    with keeping(archive, clock) as look:
        look()
        fill(archive, encode(dataset()))
        look()  # it is received, and may grow
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [ours, other]
        with archive.views.snapshot() as snapshot:
            (record,) = snapshot.list(Level.STUDY)
        assert isinstance(record, Resource)
        archive.client.set_stability(record.id, is_stable=True)
        with keeping(archive, clock, ends_with_study=False) as careless:
            careless()
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [ours, other]
        look()
        assert [each["ID"] for each in shown(stage.rest.ask("/worklists"))] == [other]
    assert stage.patients(query())[:8] == [f"P{number}" for number in range(1, 9)]  # files stay
