"""The bytes of the read models' rows. They are rebuilt by replay, so they may change with any release."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from struct import Struct
from typing import Any, assert_never

import msgpack

from events.files import FileHealed
from events.identifiers import Level, Ref, ResourceId, Seq
from events.reconstruction import InstanceReconstructed, TagsReconstructed
from events.resources import InstanceStored, PatientCreated, SeriesCreated, StudyCreated
from events.stored_file import StoredFile
from store.damaged_rows import DECODING, DamagedRow
from store.records import Instance, Resource, Tags
from store.tables import INSTANCES, PATIENTS, SERIES, STUDIES

TABLE_OF_LEVEL = {Level.PATIENT: PATIENTS, Level.STUDY: STUDIES, Level.SERIES: SERIES, Level.INSTANCE: INSTANCES}

# Positions in the msgpack lists below; every row starts with the identifier.
ID = 0
PARENT = 1  # of all but a patient's
INSTANCE_SERIES, INSTANCE_STUDY, INSTANCE_PATIENT, INSTANCE_RECEIVED, INSTANCE_BLOB, INSTANCE_SIZE = 1, 2, 3, 4, 5, 6
INSTANCE_SOP_CLASS, INSTANCE_INDEX, INSTANCE_TAGS = 9, 12, 18
INSTANCE_FACTS = slice(
    8, INSTANCE_INDEX + 1
)  # transfer syntax, SOP class, offset and VR of the pixels, index in the series
SERIES_STUDY, SERIES_PATIENT, SERIES_TAGS, SERIES_EXPECTED = 1, 2, 3, 4
STUDY_PATIENT, STUDY_TAGS, STUDY_PATIENT_TAGS = 1, 2, 3
PATIENT_SURROGATE, PATIENT_TAGS = 1, 2
TAGS_OF_LEVEL = {
    Level.PATIENT: PATIENT_TAGS,
    Level.STUDY: STUDY_TAGS,
    Level.SERIES: SERIES_TAGS,
    Level.INSTANCE: INSTANCE_TAGS,
}
_VALUES_OF_LEVEL = {Level.PATIENT: 3, Level.STUDY: 4, Level.SERIES: 5}


def pack(row: list[Any]) -> bytes:
    packed: bytes = msgpack.packb(row)
    return packed


def unpack(row: bytes) -> list[Any]:
    """Raises DamagedRow."""
    try:
        values: list[Any] = msgpack.unpackb(row, strict_map_key=False)
        if values[ID].__class__ is not bytes:
            raise TypeError
    except DECODING as exc:
        raise DamagedRow from exc
    return values


def id_of(row: bytes) -> ResourceId:
    """Return the identifier in a row without decoding the rest.

    A row is a msgpack list that starts with 20 bytes: list header (1 or 3 bytes), 0xc4 0x14, the identifier.
    """
    start = 3 if row[0] < 0xDC else 5
    return ResourceId(row[start : start + 20])


def arrival_of(row: bytes) -> tuple[ResourceId, int]:
    """Return identifier and time of reception from an instance's row without decoding the rest. Raises DamagedRow.

    Behind the identifier (see above) three refs, then the time: a 64-bit integer since 1970.
    """
    try:
        at = (3 if row[0] == _LONG_LIST else 1) + 22
        resource = ResourceId(row[at - 20 : at])
        for _ in range(3):
            at += _SIZE_OF_INT[row[at]]
        if row[at] != _INT64:
            raise DamagedRow
        return resource, int.from_bytes(row[at + 1 : at + 9])
    except IndexError as exc:
        raise DamagedRow from exc


# Of msgpack: how a list of 16 to 65535 items begins, an integer of 64 bits, and how many bytes an integer takes by its first.
_LONG_LIST, _INT64 = 0xDC, 0xCF
_SIZE_OF_INT = [{0xCC: 2, 0xCD: 3, 0xCE: 5, _INT64: 9}.get(first, 1) for first in range(256)]


def ancestors_of(level: Level, row: list[Any]) -> tuple[Ref, ...]:
    """Return the refs above a resource, nearest first, from its unpacked row."""
    match level:
        case Level.INSTANCE:
            return (Ref(row[1]), Ref(row[2]), Ref(row[3]))
        case Level.SERIES:
            return (Ref(row[1]), Ref(row[2]))
        case Level.STUDY:
            return (Ref(row[1]),)
        case Level.PATIENT:
            return ()
        case _:
            assert_never(level)


def tag_marker(tag: int) -> bytes:
    """Return what stands before the text of a tag in a row: in the row's map of tags it is a number of four bytes."""
    return b"\xce" + tag.to_bytes(4, "big")


def has_text(row: bytes, marker: bytes, is_it: Callable[[bytes], bool]) -> bool:
    """Tell whether the text of a tag may be one that is looked for, without decoding the rest of the row.

    Whatever looks like the tag is looked at, for the same bytes may be a part of something else. A string has its size before it:
    in 0xa0 … 0xbf, or in 1, 2 or 4 bytes behind 0xd9, 0xda, 0xdb.
    """
    place = row.find(marker)
    while place >= 0:
        place += 5
        head = row[place] if place < len(row) else 0
        if 0xA0 <= head <= 0xBF:
            if is_it(row[place + 1 : place + 1 + (head & 0x1F)]):
                return True
        elif 0xD9 <= head <= 0xDB:
            start = place + 1 + (1 << head - 0xD9)
            if is_it(row[start : start + int.from_bytes(row[place + 1 : start], "big")]):
                return True
        place = row.find(marker, place)
    return False


# An instance's row: its identifier, its place, when it came, these, then how its file is compressed, if it is.
_RECEIVED = (
    "blob", "size_bytes", "md5", "transfer_syntax", "sop_class", "pixel_data_offset", "pixel_data_vr", "index_in_series",
    "origin", "remote_ip", "remote_aet", "called_aet", "username", "tags",
)  # fmt: skip
_received = attrgetter(*_RECEIVED)
_healed = attrgetter(*_RECEIVED[: INSTANCE_INDEX + 1 - INSTANCE_BLOB])
_CONTENT = ("blob", "size_bytes", "md5")
_PACKED = ("compression", "packed_bytes", "packed_md5")
_facts = attrgetter(*_RECEIVED[INSTANCE_FACTS.start - INSTANCE_BLOB : INSTANCE_FACTS.stop - INSTANCE_BLOB])
_NAMES_OF_ROW = {INSTANCE_BLOB + len(names): names for names in (_RECEIVED, (*_RECEIVED, *_PACKED))}  # by its length
_content, _packed = attrgetter(*_CONTENT), attrgetter(*_PACKED)


def file_values(file: StoredFile) -> tuple[Any, ...]:
    """Return a file as the last values of a row: three, or six where it is compressed."""
    return *_content(file), *_packed_values(file)


def read_file(values: Sequence[Any]) -> dict[str, Any]:
    """Return the facts about a file, by the names of StoredFile, from the last values of a row. Raises DamagedRow."""
    return dict(zip(_CONTENT, values[:3], strict=True)) | _read_packed(values[3:])


def _packed_values(file: StoredFile) -> tuple[Any, ...]:
    values: tuple[Any, ...] = _packed(file) if file.compression else ()
    return values


def saved_bytes(row: Sequence[Any]) -> int:
    """Return how many bytes compression saves of an instance's file, from its unpacked row."""
    packed = row[INSTANCE_TAGS + 1 :]
    return row[INSTANCE_SIZE] - packed[1] if packed else 0


def _read_packed(values: Sequence[Any]) -> dict[str, Any]:
    if len(values) not in {0, len(_PACKED)}:
        raise DamagedRow
    return dict(zip(_PACKED, values, strict=False))


def instance_row(event: InstanceStored, at_us: int) -> bytes:
    return pack([event.id, event.series, event.study, event.patient, at_us, *_received(event), *_packed_values(event)])


def healed_row(event: FileHealed, old: bytes) -> bytes:
    """Return an instance's row with another file; when and from where the instance came stays as it was."""
    row = unpack(old)
    row[INSTANCE_BLOB : INSTANCE_INDEX + 1] = _healed(event)
    row[INSTANCE_TAGS:] = [event.tags, *_packed_values(event)]
    return pack(row)


def repacked_row(file: StoredFile, old: bytes) -> bytes:
    """Return an instance's row with another file of the same content."""
    row = unpack(old)
    row[INSTANCE_BLOB : INSTANCE_BLOB + len(_CONTENT)] = _content(file)
    row[INSTANCE_TAGS + 1 :] = _packed_values(file)
    return pack(row)


def retold_row(event: InstanceReconstructed, old: bytes) -> bytes:
    """Return an instance's row with what its file has told anew."""
    row = unpack(old)
    row[INSTANCE_FACTS] = _facts(event)
    row[INSTANCE_TAGS] = event.tags
    return pack(row)


def retold_row_above(event: TagsReconstructed, old: bytes) -> bytes:
    """Return the row of a series, study or patient with other tags."""
    row = unpack(old)
    row[TAGS_OF_LEVEL[Level(event.level)]] = event.tags
    if event.level == Level.STUDY:
        row[STUDY_PATIENT_TAGS] = event.patient_tags
    return pack(row)


def series_row(event: SeriesCreated) -> bytes:
    return pack([event.id, event.study, event.patient, event.tags, event.expected_instances])


def study_row(event: StudyCreated) -> bytes:
    return pack([event.id, event.patient, event.tags, event.patient_tags])


def patient_row(event: PatientCreated, surrogate: bytes) -> bytes:
    return pack([event.id, surrogate, event.tags])


_AGGREGATE = Struct(">?QQQQII")
_COMPRESSING_AGGREGATE = Struct(">?QQQQIIq")  # where it is not 0 what compression saves
_AGGREGATE_BYTES = _AGGREGATE.size
_SAVED = Struct(">q")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The counters of a patient, study or series: one row of fixed size, rewritten with each instance."""

    is_stable: bool
    last_seq: Seq  # of the newest InstanceStored below
    last_update_us: int
    size_bytes: int
    instances: int
    series: int
    studies: int
    saved_bytes: int = 0  # by compression; negative where that makes files larger

    @property
    def disk_bytes(self) -> int:
        return self.size_bytes - self.saved_bytes

    def pack(self) -> bytes:
        row = _AGGREGATE.pack(
            self.is_stable,
            self.last_seq,
            self.last_update_us,
            self.size_bytes,
            self.instances,
            self.series,
            self.studies,
        )
        return row + _SAVED.pack(self.saved_bytes) if self.saved_bytes else row


EMPTY_AGGREGATE = Aggregate(
    is_stable=True, last_seq=Seq(0), last_update_us=0, size_bytes=0, instances=0, series=0, studies=0
)


def unpack_aggregate(row: bytes | None) -> Aggregate:
    """Return the counters of a row, or empty ones where there is no row yet."""
    if row is None:
        return EMPTY_AGGREGATE
    try:
        form = _AGGREGATE if len(row) == _AGGREGATE_BYTES else _COMPRESSING_AGGREGATE
        return Aggregate(*form.unpack(row))
    except struct.error as exc:
        raise DamagedRow from exc


def with_stability(aggregate: Aggregate, *, is_stable: bool) -> Aggregate:
    return replace(aggregate, is_stable=is_stable)


_TOTALS = Struct(">QQQQQ")
_COMPRESSING_TOTALS = Struct(">QQQQQq")


def unpack_totals(row: bytes | None) -> tuple[int, int, int, int, int, int]:
    """Return patients, studies, series, instances, bytes, and how many of them compression saves."""
    if row is None:
        return 0, 0, 0, 0, 0, 0
    if len(row) == _TOTALS.size:
        return *_TOTALS.unpack(row), 0
    return _COMPRESSING_TOTALS.unpack(row)


def pack_totals(totals: tuple[int, ...]) -> bytes:
    return _COMPRESSING_TOTALS.pack(*totals) if totals[-1] else _TOTALS.pack(*totals[:-1])


def read_instance(ref: Ref, row: bytes) -> Instance:
    """Decode an instance's row. Raises DamagedRow."""
    values = unpack(row)
    names = _NAMES_OF_ROW.get(len(values))
    if names is None:
        raise DamagedRow
    id_, series, _, _, at_us, *received = values
    known = dict(zip(names, received, strict=True))
    return Instance(ref=ref, id=id_, parent=series, received_us=at_us, **known)


def read_resource(level: Level, ref: Ref, row: bytes, aggregate: Aggregate) -> Resource:
    """Raises DamagedRow."""
    values = unpack(row)
    if len(values) != _VALUES_OF_LEVEL[level]:
        raise DamagedRow
    parent: Ref | None = None
    patient_tags: Tags = {}
    expected: int | None = None
    tags: Tags
    match level:
        case Level.PATIENT:
            tags = values[PATIENT_TAGS]
        case Level.STUDY:
            _, parent, tags, patient_tags = values
        case _:
            _, parent, _, tags, expected = values
    return Resource(
        ref=ref,
        level=level,
        id=ResourceId(values[ID]),
        parent=parent,
        tags=tags,
        patient_tags=patient_tags,
        last_update_us=aggregate.last_update_us,
        is_stable=aggregate.is_stable,
        expected_instances=expected,
        study_count=aggregate.studies,
        series_count=aggregate.series,
        instance_count=aggregate.instances,
        size_bytes=aggregate.size_bytes,
        disk_bytes=aggregate.disk_bytes,
    )
