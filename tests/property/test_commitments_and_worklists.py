"""Transactions of storage commitment and worklist entries: any commands in any order are what a plain model says, and replay gives the very bytes."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages.commands.commitments import ForgetCommitment, ReportCommitment, RequestCommitment
from actors.messages.commands.plain import from_plain, to_plain
from actors.messages.commands.worklists import RemoveWorklist, StoreWorklist
from events.errors import NotFound
from store.environment import Environment
from store.projections.commitments import read_transaction
from store.views.worklists import list_worklists
from tests.clock import Clock
from tests.examples import examples
from tests.index_stage import IndexStage
from tools.replay import differences, rebuild

MOST = 3
uids = st.sampled_from(["1.1", "1.2", "1.3", "1.4", "1.5", "2.25." + "9" * 59])
pairs = st.lists(st.tuples(st.sampled_from(["1.2", "1.3"]), uids).map(list), max_size=2)
failures = st.lists(st.tuples(st.just("1.2"), uids, st.integers(0, 0xFFFF)).map(list), max_size=2)
names = st.sampled_from(["a", "b", "c"])
tags = st.dictionaries(
    st.sampled_from([0x00100010, 0x00100020]), st.text(max_size=4), max_size=2
) | st.fixed_dictionaries({0x00400100: st.lists(st.dictionaries(st.just(0x00080060), st.text(max_size=2)), max_size=2)})
steps = st.lists(
    st.one_of(
        st.tuples(st.just("request"), uids, pairs),
        st.tuples(st.just("report"), uids, pairs, failures),
        st.tuples(st.just("forget"), uids),
        st.tuples(st.just("create"), names, tags),
        st.tuples(st.just("change"), names, tags),
        st.tuples(st.just("remove"), names),
    ),
    max_size=25,
)


class Model:
    """What is known, in plain values; dictionaries keep the order of making."""

    def __init__(self) -> None:
        self.transactions: dict[str, list[Any]] = {}  # whom was asked, for what, and the report
        self.entries: dict[str, Any] = {}

    def request(self, uid: str, references: Any) -> None:
        if uid not in self.transactions:
            self._make_room()
            self.transactions[uid] = ["PACS", references, None]

    def report(self, uid: str, succeeded: Any, failed: Any) -> None:
        if uid not in self.transactions:
            self._make_room()
        asked = self.transactions.get(uid, ["", []])
        self.transactions[uid] = [*asked[:2], (succeeded, failed)]

    def forget(self, uid: str) -> None:
        if self.transactions.get(uid, [0, 0, 0])[2] is None:
            del self.transactions[uid]

    def _make_room(self) -> None:
        while len(self.transactions) >= MOST:
            del self.transactions[next(iter(self.transactions))]


def carry_out(stage: IndexStage, model: Model, kind: str, name: str, *values: Any) -> None:
    who: dict[str, Any] = {"remote_ip": "", "username": "", "correlation": b""}
    match kind:
        case "request":
            model.request(name, *values)
            ask(
                stage,
                RequestCommitment(
                    transaction=name, remote_aet="PACS", references=values[0], most=MOST, correlation=b""
                ),
            )
        case "report":
            model.report(name, *values)
            succeeded, failed = values
            ask(
                stage,
                ReportCommitment(transaction=name, remote_aet="PACS", succeeded=succeeded, failed=failed, most=MOST),
            )
        case "forget":
            model.forget(name)
            ask(stage, ForgetCommitment(transaction=name, correlation=b""))
        case "remove":
            removed = ask(stage, RemoveWorklist(id=name, reason="client", **who))
            assert removed is (model.entries.pop(name, None) is not None)
        case _:
            command = StoreWorklist(id=name, tags=values[0], is_new=kind == "create", **who)
            if kind == "change" and name not in model.entries:
                (answer,) = stage.run(command)
                assert isinstance(answer, NotFound)
            else:
                model.entries[name] = values[0]
                ask(stage, command)


def ask(stage: IndexStage, command: Any) -> Any:
    """Carry out a command as the bridge brings it."""
    return stage.ask(from_plain(to_plain(command)))


@given(steps=steps)
@settings(max_examples=examples(8), deadline=None)
def test_they_are_what_the_model_says_and_replay_agrees(steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder, environment(folder, "live") as live, environment(folder, "fresh") as fresh:
        stage, model = IndexStage(live, Clock()), Model()
        for each in steps:
            carry_out(stage, model, *each)
        with stage.views.snapshot() as snapshot:
            for uid in ("1.1", "1.2", "1.3", "1.4", "1.5", "2.25." + "9" * 59):
                found = read_transaction(snapshot.row, uid)
                told = None
                if found is not None:
                    said = found.report and (found.report.succeeded, [list(one) for one in found.report.failed])
                    told = [found.asked_aet, found.references, said]
                assert told == model.transactions.get(uid)
            entries = [(entry.id, plain(entry.values)) for entry in list_worklists(snapshot)]
            assert entries == list(model.entries.items())
        with live.begin() as txn:
            rebuild(live, txn, fresh)
            with fresh.begin() as rebuilt:
                assert differences(txn, live.tables, rebuilt, fresh.tables) == {}


@pytest.mark.parametrize("most", [1, 2, 10, 0])
def test_no_transaction_makes_room_before_there_are_as_many_as_are_remembered(most: int) -> None:
    with TemporaryDirectory() as folder, environment(folder, "live") as live:
        stage = IndexStage(live, Clock())
        for number in range(12):
            ask(
                stage,
                RequestCommitment(
                    transaction=f"1.{number}", remote_aet="PACS", references=[], most=most, correlation=b""
                ),
            )
            with stage.views.snapshot() as snapshot:
                known = [each for each in range(12) if read_transaction(snapshot.row, f"1.{each}") is not None]
            assert known == list(range(number + 1))[-most:]


def plain(values: Any) -> Any:
    return {
        tag: [plain(item) for item in value] if isinstance(value, tuple) else value for tag, value in values.items()
    }


def environment(folder: str, name: str) -> Environment:
    (Path(folder) / name).mkdir()
    return Environment(Path(folder) / name, writable=True, durable=False)
