"""Which instances are found under an identifier, and in which order."""

import pytest

from events.identifiers import ResourceId
from store.tables import LookupKind
from store.views import retrieve
from store.views.retrieve import Named, find_instances
from tests.index_stage import IndexStage, chain, delete_command, store_command


def named(kind: LookupKind, *values: str, **above: str) -> Named:
    return Named(kind=kind, values=values, above={LookupKind[name.upper()]: value for name, value in above.items()})


def instances(patient: str, study: str, series: str, *names: str) -> list[ResourceId]:
    return [chain(patient, study, series, name) for name in names]


@pytest.fixture
def filled(stage: IndexStage, monkeypatch: pytest.MonkeyPatch) -> IndexStage:
    monkeypatch.setattr(retrieve, "ROWS_AT_ONCE", 2)
    place = 0
    for series, name, index in (
        ("R1", "A", None),
        ("R2", "B", 1),
        ("R1", "C", 3),
        ("R1", "D", -1),
        ("R2", "E", 1),
        ("R1", "F", 2),
        ("R1", "G", None),
    ):
        stage.ask(store_command("P", "S", series, name, place=place, index_in_series=index))
        place += 1
    stage.ask(store_command("Q", "S", "R1", "A", place=place))
    return stage


def test_series_stay_together_and_numbers_decide_within(filled: IndexStage) -> None:
    found = find_instances(filled.views, named(LookupKind.PATIENT_ID, "P"))
    assert found == [*instances("P", "S", "R1", "D", "F", "C", "A", "G"), *instances("P", "S", "R2", "B", "E")]


def test_an_identifier_of_two_resources_finds_both(filled: IndexStage) -> None:
    found = find_instances(filled.views, named(LookupKind.SERIES_INSTANCE_UID, "R1"))
    assert found == [*instances("P", "S", "R1", "D", "F", "C", "A", "G"), *instances("Q", "S", "R1", "A")]
    one = find_instances(
        filled.views, named(LookupKind.SERIES_INSTANCE_UID, "R1", patient_id="Q", study_instance_uid="S")
    )
    assert one == instances("Q", "S", "R1", "A")
    assert find_instances(filled.views, named(LookupKind.SOP_INSTANCE_UID, "A", patient_id="P")) == instances(
        "P", "S", "R1", "A"
    )


def test_what_is_named_twice_is_found_once(filled: IndexStage) -> None:
    found = find_instances(filled.views, named(LookupKind.SERIES_INSTANCE_UID, "R2", "R2", "none"))
    assert found == instances("P", "S", "R2", "B", "E")
    assert find_instances(filled.views, named(LookupKind.ACCESSION_NUMBER, "accs", "ACCS"))[5:7] == found


def test_what_is_being_deleted_is_not_found(filled: IndexStage) -> None:
    filled.ask(delete_command("P", "S"))  # and its rows are not purged yet
    assert find_instances(filled.views, named(LookupKind.PATIENT_ID, "P")) == []
    assert find_instances(filled.views, named(LookupKind.SERIES_INSTANCE_UID, "R2")) == []
    assert find_instances(filled.views, named(LookupKind.SOP_INSTANCE_UID, "A")) == instances("Q", "S", "R1", "A")
