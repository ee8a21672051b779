"""What files tell once more: which events that causes, and what the tables say of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from actors.messages.commands.reconstruction import Reconstruct
from actors.messages.commands.server import ChooseMainTags
from events.event import Event
from events.identifiers import Level, Ref
from events.reconstruction import InstanceReconstructed, TagsReconstructed
from store.dicom.indexed_tags import MAIN_DICOM_TAGS, with_extra
from store.environment import Environment
from store.records import Instance
from store.tables import TOLD_ANEW, LookupKind
from store.views.feed import get_history
from store.views.lookup import find_refs
from store.views.resource_tags import kept_tags
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tests.job_stage import JobStage
from tools.replay import differences, rebuild

NAMES = ("P", "S", "R", "I")
COMMAND = store_command(*NAMES)
EXTRA = {Level.STUDY: (0x00081080,), Level.INSTANCE: (0x00180050,)}
ALL = (Level.INSTANCE, Level.SERIES, Level.STUDY, Level.PATIENT)


@pytest.fixture
def stage(env: Environment, clock: Clock) -> IndexStage:
    """An archive with one instance."""
    made = IndexStage(env, clock)
    made.lease()
    made.ask(COMMAND)
    return made


def told(*levels: Level, blob: bytes = COMMAND.blob, **changed: Mapping[int, str]) -> Reconstruct:
    """What the file says: as it was stored, but for tags of the levels that are named."""
    tags: dict[int, Any] = {Level.INSTANCE: COMMAND.tags, **COMMAND.tags_above}
    for name, more in changed.items():
        level = Level[name.upper()]
        tags[level] = {**tags[level], **more}
    chosen = {int(level): tags[level] for level in levels or ALL}
    facts = (COMMAND.transfer_syntax, COMMAND.sop_class, COMMAND.pixel_data_offset, COMMAND.pixel_data_vr, None)
    return Reconstruct(files=[[COMMAND.id, blob, chosen, tags[Level.PATIENT], *facts]], correlation=b"8 bytes.")


def choose(stage: IndexStage) -> None:
    stage.ask(ChooseMainTags(tags={int(level): list(tags) for level, tags in with_extra(EXTRA).items()}))


def ask(stage: IndexStage, command: Reconstruct) -> list[Event]:
    """Carry out a command; returns its events."""
    jobs = JobStage(stage)
    before = jobs.head
    count = stage.ask(command)
    found = jobs.events(before)
    assert count == len(found)
    return found


def test_what_files_say_already_is_no_event(stage: IndexStage) -> None:
    assert ask(stage, told()) == []


def test_only_what_is_new_is_an_event_that_carries_it(stage: IndexStage) -> None:
    (event,) = ask(stage, told(series={0x0008103E: "described"}))
    assert isinstance(event, TagsReconstructed)
    assert (event.level, event.id, event.patient_tags) == (Level.SERIES, chain("P", "S", "R"), {})
    assert event.tags == {**COMMAND.tags_above[Level.SERIES], 0x0008103E: "described"}
    (event,) = ask(stage, told(Level.STUDY, patient={0x00100040: "F"}))
    assert isinstance(event, TagsReconstructed)
    assert (event.level, event.patient_tags[0x00100040]) == (Level.STUDY, "F")
    assert ask(stage, told(Level.STUDY, patient={0x00100040: "F"})) == []


def test_other_tags_in_the_index_are_an_event_of_each_level_once(stage: IndexStage) -> None:
    choose(stage)
    found = ask(stage, told(instance={0x00180050: "2"}))
    assert [type(event) for event in found] == [InstanceReconstructed, *[TagsReconstructed] * 3]
    assert ask(stage, told(instance={0x00180050: "2"})) == []
    with stage.views.snapshot() as s:
        now = with_extra(EXTRA)
        assert [kept_tags(s, next(iter(s.list(level)))) for level in Level] == [now[level] for level in Level]


def test_levels_that_are_not_named_stay_as_they_are(stage: IndexStage) -> None:
    choose(stage)
    ask(stage, told(Level.STUDY, study={0x00081080: "broken"}, series={0x0008103E: "new"}))
    with stage.views.snapshot() as s:
        study, series = next(iter(s.list(Level.STUDY))), next(iter(s.list(Level.SERIES)))
        assert study.tags[0x00081080] == "broken"
        assert 0x0008103E not in series.tags
        assert kept_tags(s, series) == MAIN_DICOM_TAGS[Level.SERIES]


def test_an_instance_that_has_another_file_or_is_gone_is_passed_over(stage: IndexStage) -> None:
    assert ask(stage, told(blob=b"0" * 16, series={0x0008103E: "described"})) == []
    stage.ask(delete_command(*NAMES))
    assert ask(stage, told(series={0x0008103E: "described"})) == []


def test_queries_and_look_ups_find_the_new_values_and_not_the_old(stage: IndexStage) -> None:
    ask(stage, told(study={0x00080050: "OTHER"}, patient={0x00100010: "Roe^Richard"}))
    with stage.views.snapshot() as s:
        study = next(s.list_refs(Level.STUDY))
        assert list(find_refs(s, LookupKind.ACCESSION_NUMBER, "OTHER")) == [study]
        assert list(find_refs(s, LookupKind.ACCESSION_NUMBER, "ACCS")) == []
        assert list(find_refs(s, LookupKind.STUDY_INSTANCE_UID, "S")) == [study]
        names = [bytes(row) for row in s.keys(b"find", b"")]
    assert sum(b"ROE^RICHARD" in row for row in names) == 2  # of the patient, and of the patient in the study
    assert not any(b"DOE" in row for row in names)


def test_when_and_from_where_an_instance_came_stays(stage: IndexStage) -> None:
    def instance() -> Instance:
        with stage.views.snapshot() as s:
            found = s.get_instance(COMMAND.id)
        assert found is not None
        return found

    before = instance()
    ask(stage, told(instance={0x00204000: "comment"}))
    after = instance()
    assert (after.received_us, after.remote_aet, after.blob, after.ref) == (
        before.received_us,
        before.remote_aet,
        before.blob,
        before.ref,
    )
    assert after.tags != before.tags
    with stage.views.snapshot() as s:
        assert [entry.tag for entry in get_history(s, COMMAND.id)] == ["instance-stored/2", "instance-reconstructed/1"]


def test_a_replay_gives_the_same_bytes_before_and_after_a_deletion(
    stage: IndexStage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    choose(stage)
    ask(stage, told(instance={0x00180050: "2"}, study={0x00080050: "OTHER"}))
    for step in ("live", "deleted"):
        if step == "deleted":
            stage.ask(delete_command(*NAMES))
            stage.purge_all()
            with stage.views.snapshot() as s:
                assert s.txn.stat(s.tables[TOLD_ANEW])["entries"] == 0
        folder = tmp_path_factory.mktemp(step)
        with Environment(folder, writable=True, durable=False) as fresh, stage.env.begin() as live:
            rebuild(stage.env, live, fresh)
            with fresh.begin() as again:
                assert differences(live, stage.env.tables, again, fresh.tables) == {}


def test_refs_of_one_archive_without_a_choice_need_no_row(stage: IndexStage) -> None:
    ask(stage, told(series={0x0008103E: "described"}))
    with stage.views.snapshot() as s:
        assert s.txn.stat(s.tables[TOLD_ANEW])["entries"] == 0
        assert s.get_ref(Level.SERIES, Ref(next(iter(s.list_refs(Level.SERIES))))).tags[0x0008103E] == "described"
