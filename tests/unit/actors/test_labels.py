"""Labels: what a command about them leaves in the log and in the tables, and how labels go with their resource."""

from collections.abc import Iterator

import pytest

from actors.core.index.decisions import resources as decide
from actors.messages.commands.labels import AddLabel, RemoveLabel
from events.errors import InvalidRequest, NotFound
from events.identifiers import Level, Ref
from store.environment import Environment
from store.tables import LABELLED, LABELS
from store.views.feed import EventEntry, get_changes, get_events
from store.views.labels import has_label, labels_of, list_labels
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command

NAMES = ("P", "S", "R", "I")


def add(label: str, *names: str, level: int = 0) -> AddLabel:
    return AddLabel(
        level=Level(level or len(names)),
        id=chain(*names),
        label=label,
        remote_ip="192.0.2.7",
        username="alice",
        correlation=b"8 bytes.",
    )


def remove(label: str, *names: str) -> RemoveLabel:
    return RemoveLabel(
        level=Level(len(names)), id=chain(*names), label=label, remote_ip="", username="", correlation=b""
    )


@pytest.fixture
def stage(env: Environment, clock: Clock) -> IndexStage:
    """An archive with one instance."""
    made = IndexStage(env, clock)
    made.lease()
    made.ask(store_command(*NAMES))
    return made


def ref(stage: IndexStage, *names: str) -> Ref:
    with stage.views.snapshot() as s:
        found = s.find(chain(*names))
    assert found is not None
    return found[1]


def shown(stage: IndexStage, *names: str) -> list[str]:
    with stage.views.snapshot() as s:
        return labels_of(s, ref(stage, *names))


def in_use(stage: IndexStage) -> list[str]:
    with stage.views.snapshot() as s:
        return list(list_labels(s))


def events_of_labels(stage: IndexStage) -> list[EventEntry]:
    with stage.views.snapshot() as s:
        return [entry for entry in get_events(s) if entry.tag.startswith("label-")]


@pytest.mark.parametrize("level", Level)
def test_a_label_is_added_once_and_removed_once(stage: IndexStage, level: Level) -> None:
    names = NAMES[:level]
    for _ in range(2):
        stage.ask(add("a", *names))
    assert shown(stage, *names) == ["a"]
    for command in (remove("other", *names), remove("a", *names), remove("a", *names)):
        stage.ask(command)
    assert (shown(stage, *names), in_use(stage)) == ([], [])
    assert [entry.tag for entry in events_of_labels(stage)] == ["label-added/1", "label-removed/1"]


def test_the_log_says_who_and_keeps_the_words_apart(stage: IndexStage) -> None:
    stage.ask(add("Doe-Jane", "P", "S"))
    (entry,) = events_of_labels(stage)
    assert entry.public == {"level": Level.STUDY, "resource": ref(stage, "P", "S")}
    assert entry.personal == {"label": "Doe-Jane", "remote_ip": "192.0.2.7", "username": "alice"}
    assert (entry.actor, entry.correlation) == ("rest", b"8 bytes.")
    with stage.views.snapshot() as s:
        (stored,) = [each for each in get_events(s) if each.tag == "patient-created/1"]
    assert entry.aggregate == stored.aggregate


def test_changes_say_nothing(stage: IndexStage) -> None:
    with stage.views.snapshot() as s:
        before = get_changes(s)
    stage.ask(add("a", "P"))
    with stage.views.snapshot() as s:
        assert get_changes(s) == before


def test_labels_stand_in_the_order_of_their_bytes_and_levels_do_not_share_them(stage: IndexStage) -> None:
    for label in ("b", "a_", "Z", "a", "a-", "1", "x" * 64):
        stage.ask(add(label, "P", "S"))
    stage.ask(add("a", *NAMES))
    expected = ["1", "Z", "a", "a-", "a_", "b", "x" * 64]
    assert (shown(stage, "P", "S"), shown(stage, "P"), shown(stage, *NAMES)) == (expected, [], ["a"])
    assert in_use(stage) == expected
    with stage.views.snapshot() as s:
        assert [has_label(s, ref(stage, *NAMES), label) for label in ("a", "a-")] == [True, False]


@pytest.mark.parametrize("label", ["", " ", "a b", "a.b", "a\n", "a\0", "é", "٣", "x" * 65])
def test_what_can_be_no_label_is_refused(stage: IndexStage, label: str) -> None:
    answers = stage.run(add(label, "P"), add("good", "P"))
    assert isinstance(answers[0], InvalidRequest)
    assert shown(stage, "P") == ["good"]


def test_what_is_not_there_gets_no_label(stage: IndexStage) -> None:
    for command in (add("a", "Q"), remove("a", "Q"), add("a", "P", level=2)):
        with pytest.raises(NotFound):
            stage.ask(command)
    assert events_of_labels(stage) == []


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 1)
    return iter(())


@pytest.mark.usefixtures("small_steps")
def test_labels_are_gone_at_once_and_their_rows_with_those_of_the_resource(stage: IndexStage) -> None:
    for number in "234":
        stage.ask(store_command("P", "S", "R", number, place=int(number)))
        stage.ask(add(f"of-{number}", "P", "S", "R", number))
    stage.ask(store_command("Q", "S", "R", "I", place=9))
    for names in (("P",), ("P", "S"), NAMES, ("Q",)):
        stage.ask(add("shared", *names))
    stage.ask(delete_command("P"))
    assert stage.purges
    assert in_use(stage) == ["shared"]
    with pytest.raises(NotFound):
        stage.ask(add("late", *NAMES))
    stage.purge_all()
    with stage.views.snapshot() as s:
        assert [len(list(s.keys(table, b""))) for table in (LABELS, LABELLED)] == [1, 1]
    stage.ask(store_command(*NAMES, place=10))
    assert [shown(stage, *NAMES[:level]) for level in Level] == [[], [], [], []]
