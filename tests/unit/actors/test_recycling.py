"""Protection and recycling: who makes room for what comes, what is refused, and what of it stands in the log.

Orders, refusals and messages are those that Orthanc 1.12.7 was seen to have (tests/peer/test_recycling.py).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.core.index.decisions import recycling
from actors.core.index.decisions import resources as decide
from actors.core.index.settings import StorageLimits
from actors.messages.commands.attachments import RepackAttachment, SetAttachment
from actors.messages.commands.instances import StoreInstance
from actors.messages.commands.protection import SetProtection
from actors.messages.commands.recycling import RecycleExcess
from events.errors import LimitReached, NotFound
from events.identifiers import Level
from events.stored_file import Compression
from store.blobs.writer import make_blob_id
from store.environment import Environment
from store.projections.rows import PATIENT_TAGS, unpack
from store.records import Resource, Statistics
from store.tables import PATIENTS, PLACES, PROTECTED, RECYCLING
from store.views.feed import EventEntry, get_events
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, protect_command, store_command

MB = 1 << 20
Start = Callable[..., IndexStage]
places = iter(range(1 << 20))


@pytest.fixture
def start(env: Environment, clock: Clock) -> Start:
    """Starts an index with limits, on the archive of the one before."""

    def made(**limits: Any) -> IndexStage:
        stage = IndexStage(env, clock, StorageLimits(**limits))
        stage.lease()
        return stage

    return made


def store(patient: str, instance: str = "1", size_bytes: int = 1_000) -> StoreInstance:
    return store_command(patient, "S", "R", instance, place=next(places) % 4096, size_bytes=size_bytes)


def patients(stage: IndexStage) -> str:
    """The names of those that are there, in the order of their creation."""
    with stage.views.snapshot() as s:
        found = [each for each in s.list(Level.PATIENT) if isinstance(each, Resource)]
    return "".join(each.tags[0x00100020] for each in found)


def order(stage: IndexStage) -> str:
    """The names of those that may be recycled, the oldest first."""
    with stage.views.snapshot() as s:
        refs = [s.row(RECYCLING, place) or b"" for place in s.keys(RECYCLING, b"")]
        return "".join(unpack(s.row(PATIENTS, ref) or b"")[PATIENT_TAGS][0x00100020] for ref in refs)


def statistics(stage: IndexStage) -> Statistics:
    with stage.views.snapshot() as s:
        return s.statistics()


def events_of(stage: IndexStage, tag: str) -> list[EventEntry]:
    with stage.views.snapshot() as s:
        return [entry for entry in get_events(s, limit=1 << 20) if entry.tag == tag]


# -- protection -------------------------------------------------------------------------------------------------------


def test_protection_is_an_event_that_says_who_asked_for_it(stage: IndexStage) -> None:
    stage.ask(store("A"))
    command = SetProtection(
        id=chain("A"), is_protected=True, remote_ip="192.0.2.7", username="alice", correlation=b"8 bytes."
    )
    stage.ask(command)
    (event,) = events_of(stage, "patient-protected/1")
    (stored,) = events_of(stage, "instance-stored/2")
    assert event.public == {"patient": stored.public["patient"]}
    assert event.personal == {"remote_ip": "192.0.2.7", "username": "alice"}
    assert (event.actor, event.correlation, event.aggregate) == ("rest", b"8 bytes.", stored.aggregate)


def test_what_is_so_already_is_no_event(stage: IndexStage) -> None:
    for is_protected in (False, True, True, False, False):
        stage.ask(store("A"))
        stage.ask(protect_command("A", is_protected=is_protected))
    assert len(events_of(stage, "patient-protected/1")) == len(events_of(stage, "patient-unprotected/1")) == 1


def test_only_a_patient_that_is_there_can_be_protected(stage: IndexStage) -> None:
    stage.ask(store("A"))
    study = SetProtection(id=chain("A", "S"), is_protected=True, remote_ip="", username="", correlation=b"")
    assert [type(answer) for answer in stage.run(protect_command("B"), study)] == [NotFound, NotFound]
    stage.ask(delete_command("A"))
    assert isinstance(stage.run(protect_command("A"))[0], NotFound)


def test_a_patient_that_comes_back_is_not_protected(stage: IndexStage) -> None:
    stage.ask(store("A"))
    stage.ask(protect_command("A"))
    assert order(stage) == ""
    stage.ask(delete_command("A"))
    stage.ask(store("A"))
    assert order(stage) == "A"


# -- the order --------------------------------------------------------------------------------------------------------


def test_an_instance_makes_its_patient_the_newest_unless_it_is_there_already(stage: IndexStage) -> None:
    stage.run(store("A"), store("B"), store("C"))
    assert order(stage) == "ABC"
    stage.ask(store("A", "2"))
    assert order(stage) == "BCA"
    assert stage.ask(store("B")) == "AlreadyStored"
    assert order(stage) == "BCA"


def test_who_is_protected_leaves_the_order_and_comes_back_as_the_newest(stage: IndexStage) -> None:
    stage.run(store("A"), store("B"), store("C"))
    stage.ask(protect_command("A"))
    assert order(stage) == "BC"
    stage.ask(store("A", "2"))
    assert order(stage) == "BC"
    stage.ask(protect_command("A", is_protected=False))
    assert order(stage) == "BCA"
    stage.ask(protect_command("B", is_protected=False))
    assert order(stage) == "BCA", "who was not protected keeps the place"


def test_a_deletion_leaves_no_row_of_the_order(stage: IndexStage) -> None:
    stage.run(store("A"), store("B"), store("B", "2"))
    stage.ask(protect_command("A"))
    stage.run(delete_command("A"), delete_command("B", "S", "R", "1"))
    assert order(stage) == "B"
    stage.ask(delete_command("B"))
    with stage.views.snapshot() as s:
        assert not [*s.keys(RECYCLING, b""), *s.keys(PLACES, b""), *s.keys(PROTECTED, b"")]


# -- recycling --------------------------------------------------------------------------------------------------------


def test_the_oldest_patients_make_room_for_a_new_one(start: Start) -> None:
    stage = start(patients=3)
    stage.run(*(store(name) for name in "ABCD"))
    assert patients(stage) == "BCD"
    stage.ask(store("B", "2"))
    stage.ask(store("E"))
    assert patients(stage) == "BDE"


def test_the_log_says_who_was_recycled_and_for_which_limit(start: Start) -> None:
    stage = start(patients=1, size_mb=1)
    stage.ask(store("A"))
    stage.ask(store("B"))
    stage.run(store("B", "2", 500_000), protect_command("B"))
    (gone,) = events_of(stage, "resource-deleted/2")
    assert (gone.actor, gone.public["reason"], gone.public["level"]) == ("recycling", "MaximumPatientCount", 1)
    assert gone.personal is not None
    assert gone.personal["requested_id"] == chain("A")
    (purged,) = events_of(stage, "rows-purged/2")
    assert purged.actor == "recycling"
    stage = start(size_mb=1)
    stage.ask(protect_command("B", is_protected=False))
    stage.ask(store("C", size_bytes=MB))
    assert [event.public["reason"] for event in events_of(stage, "resource-deleted/2")][1:] == ["MaximumStorageSize"]
    stage.ask(delete_command("C"))
    assert "reason" not in events_of(stage, "resource-deleted/2")[-1].public


def test_recycling_has_the_correlation_of_the_store_and_comes_before_it(start: Start) -> None:
    stage = start(patients=1)
    stage.ask(store("A"))
    stage.ask(store_command("B", correlation=b"8 bytes.", place=1))
    with stage.views.snapshot() as s:
        entries = [entry for entry in get_events(s, limit=100) if entry.correlation == b"8 bytes."]
    tags = [entry.tag.partition("/")[0] for entry in entries]
    assert tags[:3] == ["resource-deleted", "rows-purged", "instance-stored"]


@pytest.mark.parametrize("size_bytes", [1, 2])
def test_the_size_may_be_reached_and_not_passed(start: Start, size_bytes: int) -> None:
    stage = start(size_mb=1)
    stage.run(store("A", size_bytes=MB - 1), store("B", size_bytes=size_bytes))
    assert patients(stage) == {1: "AB", 2: "B"}[size_bytes]


def test_compressed_files_count_as_they_lie_on_the_disk(start: Start) -> None:
    stage = start(size_mb=1)
    for number, patient in enumerate("ABC"):
        packed: dict[str, Any] = {"compression": Compression.ZLIB, "packed_bytes": 300_000, "packed_md5": b""}
        stage.ask(store_command(patient, place=number, size_bytes=3 * MB, **packed))
    assert patients(stage) == "ABC"
    stage.ask(store("D", size_bytes=200_000))
    assert patients(stage) == "BCD"


def test_the_patient_that_is_received_is_never_recycled(start: Start) -> None:
    stage = start(size_mb=1)
    stage.run(store("A", size_bytes=400_000), store("B", size_bytes=400_000))
    stage.ask(store("A", "2", 400_000))
    assert patients(stage) == "A"
    (refusal,) = stage.run(store("A", "3", 400_000))
    assert (type(refusal), str(refusal)) == (LimitReached, "Cannot recycle more patients")
    assert statistics(stage).size_bytes == 800_000


def test_a_protected_patient_is_never_recycled(start: Start) -> None:
    stage = start(patients=2)
    stage.run(store("A"), store("B"), protect_command("A"))
    stage.ask(store("C"))
    assert patients(stage) == "AC"
    stage.ask(protect_command("C"))
    (refusal,) = stage.run(store("D"))
    assert (type(refusal), patients(stage)) == (LimitReached, "AC")
    assert [stage.ask(store(name, "2")) for name in "AC"] == ["Success", "Success"]


def test_nobody_is_recycled_in_vain(start: Start) -> None:
    """What does not fit in, however much is recycled, is refused and leaves all as it was."""
    stage = start(size_mb=1)
    stage.run(store("A", size_bytes=400_000), store("B"), protect_command("A"))
    before = stage.index._log.head
    for size_bytes, said in ((MB + 1, "Cannot store an instance of size"), (MB - 300_000, "Cannot recycle more")):
        (refusal,) = stage.run(store("C", size_bytes=size_bytes))
        assert isinstance(refusal, LimitReached)
        assert str(refusal).startswith(said)
    assert stage.index._log.head == before
    assert order(stage) == "B"


def test_a_whole_patient_leaves_the_counters_at_once_and_its_rows_step_by_step(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 1)
    stage = start(patients=1)
    stage.run(*(store("A", str(number)) for number in range(4)))
    stage.ask(store("B"))
    assert statistics(stage) == Statistics(1, 1, 1, 1, 1_000)
    assert stage.purges
    assert stage.ask(store("A")) == "Success", "its rows are being purged, so it is new"
    assert patients(stage) == "A"
    stage.purge_all()
    assert statistics(stage) == Statistics(1, 1, 1, 1, 1_000)


def test_commands_of_one_commit_count_each_other(start: Start) -> None:
    stage = start(patients=2)
    answers = stage.run(store("A"), protect_command("A"), store("B"), protect_command("B"), store("C"), store("B", "2"))
    assert isinstance(answers[4], LimitReached)
    assert (answers[5], patients(stage)) == ("Success", "AB")


# -- attachments ------------------------------------------------------------------------------------------------------


def attach(*names: str, size_bytes: int, place: int, number: int = 1024, **more: Any) -> SetAttachment:
    return SetAttachment(
        id=chain(*names),
        number=number,
        size_bytes=size_bytes,
        md5=b"",
        blob=make_blob_id(1, place),
        correlation=b"",
        **more,
    )


def test_attachments_count_and_obey_the_limit_of_size(start: Start) -> None:
    stage = start(size_mb=1)
    stage.run(*(store(name, size_bytes=300_000) for name in "ABC"))
    assert stage.ask(attach("C", "S", size_bytes=100_000, place=4000)) == 0
    assert patients(stage) == "ABC"
    assert stage.ask(attach("C", size_bytes=500_000, place=4001)) == 0
    assert patients(stage) == "C"
    for size_bytes, number, said in (
        (400_000, 1025, "Cannot recycle more"),
        (MB + 1, 1025, "Cannot store an instance"),
    ):
        (refusal,) = stage.run(attach("C", size_bytes=size_bytes, number=number, place=4002))
        assert isinstance(refusal, LimitReached)
        assert str(refusal).startswith(said)
    assert stage.ask(attach("C", size_bytes=600_000, place=4003)) == 1, "the one before makes room"
    stage.ask(store("D", size_bytes=100_000))
    assert patients(stage) == "D", "the attachments of C counted"


def test_an_attachment_does_not_make_its_patient_the_newest(start: Start) -> None:
    stage = start(size_mb=1)
    stage.run(store("A"), store("B"), attach("A", size_bytes=1_000, place=4000))
    assert order(stage) == "AB"


def test_what_is_not_compressed_any_more_needs_room(start: Start) -> None:
    stage = start(size_mb=1)
    packed = attach("A", size_bytes=800_000, place=4000, compression=Compression.ZLIB, packed_bytes=800, packed_md5=b"")
    stage.run(store("A"), packed, store("B", size_bytes=900_000))
    assert patients(stage) == "AB"
    values: dict[str, Any] = {"id": chain("A"), "number": 1024, "correlation": b"", "md5": b""}
    plain = RepackAttachment(replaced=packed.blob, blob=make_blob_id(1, 4001), size_bytes=800_000, **values)
    assert stage.ask(plain) is True
    assert patients(stage) == "A"
    again = replace(packed, blob=make_blob_id(1, 4002), size_bytes=MB + 1)
    assert stage.ask(again) == 1
    larger = replace(plain, replaced=again.blob, blob=make_blob_id(1, 4003), size_bytes=MB + 1)
    (refusal,) = stage.run(larger)
    assert str(refusal) == f"Cannot store an instance of size {MB + 1} bytes in a storage area limited to {MB}"


def test_with_reject_an_attachment_recycles_nobody(start: Start) -> None:
    """Other than in Orthanc 1.12.7, which recycles for attachments even then."""
    stage = start(size_mb=1, mode="Reject")
    stage.run(store("A", size_bytes=600_000), store("B"))
    (refusal,) = stage.run(attach("B", size_bytes=500_000, place=4000))
    assert isinstance(refusal, LimitReached)
    assert patients(stage) == "AB"


# -- refusal ----------------------------------------------------------------------------------------------------------


def test_with_reject_a_new_patient_is_refused_and_what_is_there_grows(start: Start) -> None:
    stage = start(patients=2, mode="Reject")
    stage.run(store("A"), store("B"))
    (refusal,) = stage.run(store("C"))
    assert (type(refusal), str(refusal)) == (LimitReached, "Maximum patient count reached")
    assert [stage.ask(store("A", "2")), stage.ask(store("A"))] == ["Success", "AlreadyStored"]
    assert patients(stage) == "AB"


def test_with_reject_nothing_is_stored_beyond_the_size(start: Start) -> None:
    stage = start(size_mb=1, mode="Reject")
    stage.ask(store("A", size_bytes=MB - 1_000))
    for command in (store("A", "2", 1_001), store("B", size_bytes=1_001)):
        (refusal,) = stage.run(command)
        assert (type(refusal), str(refusal)) == (LimitReached, "Maximum storage size reached")
    assert stage.ask(store("B")) == "Success"


# -- a start with lower limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"patients": 2}, {"size_mb": 2}])
def test_a_start_recycles_what_is_too_much(
    start: Start, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    start().run(*(store(name, size_bytes=MB) for name in "ABCDE"))
    monkeypatch.setattr(recycling, "PATIENTS_PER_STEP", 2)
    stage = start(**limits)
    assert [stage.ask(RecycleExcess()), stage.ask(RecycleExcess())] == [True, False]
    assert patients(stage) == "DE"
    assert {event.actor for event in events_of(stage, "resource-deleted/2")} == {"recycling"}


def test_a_start_recycles_nobody_if_that_would_not_do(start: Start) -> None:
    first = start()
    first.run(*(store(name) for name in "ABCD"), *(protect_command(name) for name in "ABC"))
    stage = start(patients=2)
    with pytest.raises(LimitReached, match="the 3 protected patients alone exceed MaximumPatientCount"):
        stage.ask(RecycleExcess())
    assert patients(stage) == "ABCD"
    assert [type(each) for each in stage.run(store("E"), store("A", "2"))] == [LimitReached, str]


def test_with_reject_a_start_recycles_nobody(start: Start) -> None:
    start().run(*(store(name) for name in "ABCD"))
    stage = start(patients=2, mode="Reject")
    assert stage.ask(RecycleExcess()) is False
    assert patients(stage) == "ABCD"
