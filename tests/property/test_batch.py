"""A batch reads like one dictionary per table, whatever is stored, written, undone or flushed meanwhile."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store.batch import Batch
from store.environment import Environment
from store.tables import CHANGES, CHILDREN
from tests.examples import examples

TABLES = (CHANGES, CHILDREN)
tables = st.sampled_from(TABLES)
keys = st.binary(min_size=1, max_size=2).map(lambda raw: bytes(byte % 3 for byte in raw))
values = st.binary(max_size=2)
Model = dict[bytes, dict[bytes, bytes]]


class BatchMachine(RuleBasedStateMachine):
    """Commands of a batch against plain dictionaries: as it is now, and as it was at the savepoint."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._env = Environment(Path(self._folder.name), writable=True, durable=False)
        self._txn = self._env.begin(write=True)
        self._batch = Batch(self._txn, self._env.tables)
        self._now: Model = {table: {} for table in TABLES}
        self._saved = _copy(self._now)

    @initialize(rows=st.dictionaries(st.tuples(tables, keys), values))
    def store_rows(self, rows: dict[tuple[bytes, bytes], bytes]) -> None:
        for (table, key), value in rows.items():
            self._txn.put(key, value, db=self._env.tables[table])
            self._now[table][key] = value
        self._saved = _copy(self._now)

    @rule(table=tables, key=keys, value=values)
    def put(self, table: bytes, key: bytes, value: bytes) -> None:
        self._batch.put(table, key, value)
        self._now[table][key] = value

    @rule(table=tables, key=keys)
    def delete(self, table: bytes, key: bytes) -> None:
        self._batch.delete(table, key)
        self._now[table].pop(key, None)

    @rule(table=tables)
    def clear(self, table: bytes) -> None:
        self._batch.clear(table)
        self._now[table].clear()

    @rule(table=tables, prefix=st.one_of(st.just(b""), keys))
    def delete_all_while_iterating(self, table: bytes, prefix: bytes) -> None:
        seen = []
        for key in self._batch.keys(table, prefix):
            seen.append(key)
            self._batch.delete(table, key)
        assert seen == [key for key in sorted(self._now[table]) if key.startswith(prefix)]
        for key in seen:
            del self._now[table][key]

    @rule(table=tables, prefix=keys)
    def leave_an_iteration_early(self, table: bytes, prefix: bytes) -> None:
        first = next(self._batch.items(table, prefix), None)
        assert first == next((row for row in sorted(self._now[table].items()) if row[0].startswith(prefix)), None)

    @rule(table=tables, prefix=st.one_of(st.just(b""), keys), after=keys)
    def go_on_after_a_key(self, table: bytes, prefix: bytes, after: bytes) -> None:
        rest = [row for row in sorted(self._now[table].items()) if row[0].startswith(prefix) and row[0] > after]
        assert list(self._batch.items(table, prefix, after=after)) == rest

    @rule()
    def savepoint(self) -> None:
        self._batch.savepoint()
        self._saved = _copy(self._now)

    @rule()
    def rollback(self) -> None:
        self._batch.rollback()
        self._now = _copy(self._saved)

    @rule()
    def flush(self) -> None:
        self._batch.flush()
        self._saved = _copy(self._now)
        for table in TABLES:
            assert dict(self._txn.cursor(db=self._env.tables[table])) == self._now[table]

    @invariant()
    def it_reads_like_the_model(self) -> None:
        for table in TABLES:
            assert list(self._batch.items(table, b"")) == sorted(self._now[table].items())
            assert list(self._batch.keys(table, b"\1")) == sorted(k for k in self._now[table] if k.startswith(b"\1"))
            for key in (b"\0", b"\1", b"\1\2", b"\2\0"):
                assert self._batch.get(table, key) == self._now[table].get(key)

    def teardown(self) -> None:
        self._txn.abort()
        self._env.close()
        self._folder.cleanup()


def _copy(model: Model) -> Model:
    return {table: dict(rows) for table, rows in model.items()}


TestBatch = BatchMachine.TestCase
TestBatch.settings = settings(max_examples=examples(30), stateful_step_count=30, deadline=None)
