"""Read queries on one short LMDB snapshot.

A snapshot answers from one point of the log. It must not live longer than a second, and never across a network write:
collect what is needed, leave it, then answer. A resource whose deletion is being purged is hidden here.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import lmdb
import msgpack

from events.identifiers import LEVELS, Level, Ref, ResourceId, Seq
from store.projections import rows
from store.projections.attachments import ATTACHED_TOTAL, unpack_sizes
from store.projections.counters import STATISTICS
from store.projections.main_tags import Choice, read_choices
from store.records import Instance, Resource, Statistics
from store.tables import (
    AGGREGATES,
    BLOBS,
    CHILDREN,
    CURSORS,
    IDS,
    LEASES,
    LEVEL_REF,
    MAIN_TAGS,
    SETTINGS,
    TOMBSTONES,
    TOTALS,
    U64,
    key,
)


class Snapshot:
    """The archive at one point of the log; made by `Views.snapshot`."""

    def __init__(self, txn: lmdb.Transaction, tables: Any) -> None:
        self.txn = txn
        self.tables = tables
        self.last_table = b""  # that was read: names it where a row cannot be decoded
        self._something_hidden: bool | None = None

    # -- rows -----------------------------------------------------------------------------------------------------

    def row(self, table: bytes, row_key: bytes) -> bytes | None:
        """Return a row of a table, None if there is none."""
        self.last_table = table
        found: bytes | None = self.txn.get(row_key, db=self.tables[table])
        return found

    def keys(self, table: bytes, prefix: bytes, start: bytes | None = None) -> Iterator[bytes]:
        """Iterate in order over the keys with a prefix, from `start` on if given."""
        self.last_table = table
        with self.txn.cursor(db=self.tables[table]) as cursor:
            found = cursor.set_range(prefix if start is None else start)
            while found:
                row_key = cursor.key()
                if not row_key.startswith(prefix):
                    return
                yield row_key
                found = cursor.next()

    # -- one resource ---------------------------------------------------------------------------------------------

    def find(self, resource_id: ResourceId) -> tuple[Level, Ref] | None:
        """Return level and ref of an identifier, None if the archive does not hold it."""
        packed = self.row(IDS, resource_id)
        if packed is None:
            return None
        number, ref = LEVEL_REF.unpack(packed)
        level = LEVELS[number]
        if self._something_hidden is not False and self.is_hidden(level, ref):  # a call takes a sixth of the whole
            return None
        return level, ref

    def get(self, level: Level, resource_id: ResourceId) -> Resource | Instance | None:
        """Return a resource, None if the archive does not hold it at this level."""
        found = self.find(resource_id)
        return self.get_ref(level, found[1]) if found is not None and found[0] == level else None

    def get_instance(self, resource_id: ResourceId) -> Instance | None:
        """Return an instance by its identifier, None if it is not there."""
        record = self.get(Level.INSTANCE, resource_id)
        return record if isinstance(record, Instance) else None

    def get_ref(self, level: Level, ref: Ref) -> Resource | Instance:
        """Return a resource by its ref. Raises KeyError if it is gone."""
        packed = self.row(rows.TABLE_OF_LEVEL[level], key(ref))
        if packed is None:
            raise KeyError(ref)
        if level == Level.INSTANCE:
            return rows.read_instance(ref, packed)
        aggregate = rows.unpack_aggregate(self.row(AGGREGATES, key(ref)))
        self.last_table = rows.TABLE_OF_LEVEL[level]
        return rows.read_resource(level, ref, packed, aggregate)

    def get_resource(self, level: Level, ref: Ref) -> Resource:
        """Return a patient, study or series that is known to be there."""
        record = self.get_ref(level, ref)
        assert isinstance(record, Resource)
        return record

    def id_of(self, level: Level, ref: Ref) -> ResourceId:
        """Return the identifier behind a ref without decoding the whole row. Raises KeyError if it is gone."""
        packed = self.row(rows.TABLE_OF_LEVEL[level], key(ref))
        if packed is None:
            raise KeyError(ref)
        return rows.id_of(packed)

    def owner_of_blob(self, blob: bytes) -> Ref | None:
        """Return the instance, the job or the resource of the attachment that has a blob, None if nothing refers to it."""
        packed = self.row(BLOBS, blob)
        return None if packed is None else Ref(U64.unpack_from(packed)[0])

    def is_leased(self, folder: int) -> bool:
        """Tell whether somebody may be writing into a blob folder."""
        return self.row(LEASES, key(folder)) is not None

    @cached_property
    def main_tags(self) -> list[Choice]:
        """The main DICOM tags that were ever configured, the present ones first."""
        return read_choices((row_key, self.row(MAIN_TAGS, row_key) or b"") for row_key in self.keys(MAIN_TAGS, b""))

    # -- up and down ----------------------------------------------------------------------------------------------

    def parent(self, record: Resource | Instance) -> Resource:
        """Return what a resource belongs to. A patient has no parent: ValueError."""
        if record.parent is None:
            raise ValueError("a patient has no parent")
        return self.get_resource(Level(level_of(record) - 1), record.parent)

    def ancestor(self, record: Resource | Instance, level: Level) -> Resource:
        """Return the resource of a higher level that this one belongs to."""
        above = self.parent(record)
        while above.level != level:
            above = self.parent(above)
        return above

    def child_refs(self, ref: Ref) -> Iterator[Ref]:
        """Iterate over the refs right below a resource, in order of creation."""
        for link in self.keys(CHILDREN, key(ref)):
            yield Ref(U64.unpack(link[8:])[0])

    def child_ids(self, record: Resource) -> list[ResourceId]:
        """Return the identifiers right below a resource, in order of creation."""
        below = Level(record.level + 1)
        return [self.id_of(below, ref) for ref in self.child_refs(record.ref)]

    def children(self, record: Resource) -> Iterator[Resource | Instance]:
        """Iterate over the resources one level below, in order of creation."""
        below = Level(record.level + 1)
        for ref in self.child_refs(record.ref):
            yield self.get_ref(below, ref)

    def descendant_refs(self, record: Resource, level: Level) -> Iterator[Ref]:
        """Iterate over the refs of one level below a resource: depth first, in order of creation."""
        yield from self._below(record.level, record.ref, level)

    def _below(self, at: Level, ref: Ref, level: Level) -> Iterator[Ref]:
        below = Level(at + 1)
        for child in self.child_refs(ref):
            if below == level:
                yield child
            else:
                yield from self._below(below, child, level)

    def descendants(self, record: Resource, level: Level) -> Iterator[Resource | Instance]:
        """Iterate over the resources of a lower level below a resource."""
        for ref in self.descendant_refs(record, level):
            yield self.get_ref(level, ref)

    # -- lists ----------------------------------------------------------------------------------------------------

    def list_refs(self, level: Level, since: int = 0, limit: int = 0, *, after: Ref | None = None) -> Iterator[Ref]:
        """Iterate over the refs of a level in order of creation.

        `since` skips that many; `limit` 0 means all; `after` goes on behind a ref, for scans over several snapshots.
        """
        start = key(after + 1) if after is not None else None
        count = 0
        for packed in self.keys(rows.TABLE_OF_LEVEL[level], b"", start):
            ref = Ref(U64.unpack(packed)[0])
            if self.is_hidden(level, ref):
                continue
            count += 1
            if count <= since:
                continue
            yield ref
            if limit and count >= since + limit:
                return

    def list(self, level: Level, since: int = 0, limit: int = 0) -> Iterator[Resource | Instance]:
        """Iterate over the resources of a level in order of creation: `limit` (0: all) behind the first `since`."""
        for ref in self.list_refs(level, since, limit):
            yield self.get_ref(level, ref)

    def list_ids(self, level: Level, since: int = 0, limit: int = 0) -> Sequence[ResourceId]:
        return [self.id_of(level, ref) for ref in self.list_refs(level, since, limit)]

    # -- the whole ------------------------------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """Return the totals of the whole archive."""
        attached = unpack_sizes(self.row(TOTALS, ATTACHED_TOTAL))
        patients, studies, series, instances, size_bytes, saved_bytes = rows.unpack_totals(self.row(TOTALS, STATISTICS))
        return Statistics(patients, studies, series, instances, size_bytes, *attached, saved_bytes)

    def setting(self, name: str) -> Any:
        """Return a setting that was changed at run time, None where the configuration still holds."""
        packed = self.row(SETTINGS, name.encode())
        return None if packed is None else msgpack.unpackb(packed)

    def settings(self, prefix: str) -> dict[str, Any]:
        """Return the settings that were changed at run time whose names start with a prefix, by the rest of the name."""
        start = prefix.encode()
        with self.txn.cursor(db=self.tables[SETTINGS]) as cursor:
            found = cursor.set_range(start)
            changed = {}
            while found and cursor.key().startswith(start):
                changed[cursor.key()[len(start) :].decode()] = msgpack.unpackb(cursor.value())
                found = cursor.next()
        return changed

    def cursors(self) -> dict[str, Seq]:
        """Return up to where each durable consumer has dealt with the log, by its name."""
        names = list(self.keys(CURSORS, b""))
        return {name.decode(): Seq(U64.unpack(self.row(CURSORS, name) or bytes(8))[0]) for name in names}

    @property
    def hides_something(self) -> bool:
        """Tell whether a deletion is being purged: else all rows are those of resources that are there."""
        if self._something_hidden is None:
            self._something_hidden = self.txn.stat(self.tables[TOMBSTONES])["entries"] > 0
        return self._something_hidden

    def is_hidden(self, level: Level, ref: Ref) -> bool:
        """Tell whether a resource lies below one whose deletion is being purged."""
        if not self.hides_something:
            return False
        packed = self.row(rows.TABLE_OF_LEVEL[level], key(ref))
        if packed is None:
            return True
        above = rows.ancestors_of(level, rows.unpack(packed))
        return any(
            self.row(rows.TABLE_OF_LEVEL[Level(level - distance)], key(ancestor)) is None
            for distance, ancestor in enumerate(above, 1)
        )


def level_of(record: Resource | Instance) -> Level:
    return record.level if isinstance(record, Resource) else Level.INSTANCE
