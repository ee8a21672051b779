"""Pages of the log as `/events` tells them: each event with the resource that it is about, filtered.

A page looks at so many rows and no longer than so, whatever it finds: `last` says how far it has looked, so a filter that matches
nothing moves on, too.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from events.envelope import EVENT_TYPES, tags_of
from events.identifiers import Level, Ref, ResourceId, Seq
from events.resources import ResourceDeleted
from events.server import ResourceExported
from events.subjects import BY_TAG
from store.log import read_end, tag_of
from store.projections.rows import TABLE_OF_LEVEL
from store.tables import EVENTS, PERSONAL, U64, key
from store.views.feed import MAX_SEQ, EventEntry, read_entry
from store.views.history import PARENT_FIELD, Kinship, list_above
from store.views.snapshot import Snapshot

LOOK_S: Final = 0.2  # of one snapshot
_ROWS_BETWEEN_LOOKS: Final = 64  # at the clock


@dataclass(frozen=True, slots=True)
class Concerned:
    """The resource that an event is about."""

    level: Level
    id: ResourceId | None  # None: erased
    above: tuple[ResourceId, ...]  # what it belongs to, nearest first
    state: str  # as of the snapshot: "Current", "Replaced" by a later life of the same identifier, or "Deleted"


@dataclass(frozen=True, slots=True)
class Told:
    """An event as the feed tells it."""

    entry: EventEntry
    resource: Concerned | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted; None: any."""

    tags: frozenset[str] | None = None  # as they stand in rows
    levels: frozenset[Level] | None = None
    resource: ResourceId | None = None  # this one, what is below it, and the deletion of what it belongs to

    @property
    def is_open(self) -> bool:
        """Whether rows need not be decoded to know that they are wanted."""
        return self.levels is None and self.resource is None

    def takes_tag(self, tag: str) -> bool:
        return self.tags is None or tag in self.tags

    def takes(self, told: Told, above: Collection[ResourceId | None]) -> bool:
        """Tell whether an event is wanted; `above` is what the wanted resource belongs to."""
        if not self.takes_tag(told.entry.tag):
            return False
        found = told.resource
        if self.is_open:
            return True
        if found is None or (self.levels is not None and found.level not in self.levels):
            return False
        wanted = self.resource
        return (
            wanted is None
            or wanted == found.id
            or wanted in found.above
            or (told.entry.tag == ResourceDeleted.TAG and found.id in above)
        )


def filter_tags(*names: str) -> frozenset[str]:
    """Return the tags, old ones, too, of event types by their names, with or without the version. Raises KeyError for an unknown one."""
    return frozenset(tag for name in names for tag in tags_of(EVENT_TYPES[_TAG_OF_NAME.get(name, name)]))


_TAG_OF_NAME: Final = {tag.partition("/")[0]: tag for tag in EVENT_TYPES}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, and where in the log they stand."""

    events: list[Told]
    last: int  # how far was looked: the next page follows it, or, backwards, precedes it
    done: bool  # that was to the end
    head: Seq  # the last event of the log
    head_hash: bytes


class Reader:
    """Tells events of a snapshot. One thread at a time."""

    def __init__(self) -> None:
        self._kinship = Kinship()

    def page(
        self,
        snapshot: Snapshot,
        wanted: EventFilter,
        *,
        since: int,
        to: int | None = None,
        limit: int,
        backwards: bool = False,
    ) -> EventPage:
        """Return up to `limit` events in (since, to], oldest first; backwards, the newest first."""
        head, head_hash = read_end(snapshot.txn, snapshot.tables)
        end = head if to is None else min(to, head)
        above = () if wanted.resource is None else list_above(snapshot, wanted.resource)
        events: list[Told] = []
        last, deadline = end if backwards else min(since, MAX_SEQ), time.monotonic() + LOOK_S
        for count, (seq, row) in enumerate(_rows(snapshot, since, end, backwards=backwards), 1):
            last = seq
            if wanted.takes_tag(tag_of(row)):
                told = self.tell(snapshot, read_entry(seq, row, snapshot.row(PERSONAL, key(seq))))
                if wanted.takes(told, above):
                    events.append(told)
            if len(events) >= limit or (count % _ROWS_BETWEEN_LOOKS == 0 and time.monotonic() > deadline):
                break
        else:
            last = min(since + 1, MAX_SEQ) if backwards else max(since, end)
        return EventPage(events, last, last <= since + 1 if backwards else last >= end, head, head_hash)

    def tell(self, snapshot: Snapshot, entry: EventEntry) -> Told:
        """Return an event with the resource that it is about."""
        subject = BY_TAG.get(entry.tag)
        if subject is None:
            return Told(entry, _exported(snapshot, entry) if entry.tag == ResourceExported.TAG else None)
        if not subject.field and subject.level is not None and entry.personal is not None:
            level, ref, resource = subject.level, Ref(entry.seq), entry.personal["id"]
            parent = entry.public.get(PARENT_FIELD[level])
            above = () if parent is None else self._kinship.above(snapshot, parent)
        else:
            kin = self._kinship.of(snapshot, Ref(entry.public[subject.field] if subject.field else entry.seq))
            if kin is None:
                return Told(entry, None)
            level, ref, resource, above = kin.level, kin.ref, kin.id, kin.above
        return Told(entry, Concerned(level, resource, above, _state(snapshot, level, ref, resource)))


def _state(snapshot: Snapshot, level: Level, ref: Ref, resource: ResourceId | None) -> str:
    if snapshot.row(TABLE_OF_LEVEL[level], key(ref)) is not None and not snapshot.is_hidden(level, ref):
        return "Current"
    return "Deleted" if resource is None or snapshot.find(resource) is None else "Replaced"


def _exported(snapshot: Snapshot, entry: EventEntry) -> Concerned:
    """An export names its resource by its identifier."""
    resource = None if entry.personal is None else ResourceId(entry.personal["id"])
    is_there = resource is not None and snapshot.find(resource) is not None
    above = () if resource is None else list_above(snapshot, resource)
    return Concerned(Level(entry.public["level"]), resource, above, "Current" if is_there else "Deleted")


def _rows(snapshot: Snapshot, since: int, to: int, *, backwards: bool) -> Iterator[tuple[Seq, bytes]]:
    """Iterate over the rows of the log in (since, to]."""
    snapshot.last_table = EVENTS
    with snapshot.txn.cursor(db=snapshot.tables[EVENTS]) as cursor:
        found = cursor.set_range(key(min(to, MAX_SEQ) if backwards else min(since, MAX_SEQ) + 1))
        if backwards and not found:
            found = cursor.last()
        while found:
            seq: Seq = U64.unpack(cursor.key())[0]
            if not since < seq <= to:
                if backwards and seq > to and cursor.prev():
                    continue
                return
            yield seq, cursor.value()
            found = cursor.prev() if backwards else cursor.next()
