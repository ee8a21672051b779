"""Metadata of resources, those of Orthanc's own and those of clients: `/instances/{id}/metadata`, the `metadata` tables of Lua callbacks.

Source: observed on Orthanc 1.12.7.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from events.derivation import ResourceDerived
from events.identifiers import Level, Ref, format_resource_id
from events.metadata import BUILT_IN, USER_NUMBERS
from events.resources import InstanceStored
from store.dicom.dictionary import format_tag, tag_name
from store.dicom.indexed_tags import is_sequence, sequence_json, signature
from store.dicom.tags import IMAGE_INDEX, INSTANCE_NUMBER
from store.log import read_event
from store.projections.metadata import Kept, unpack_metadata
from store.records import Instance, Resource
from store.tables import METADATA, U32, key, metadata_key
from store.times import format_us
from store.views.resource_tags import kept_tags
from store.views.snapshot import Snapshot, level_of

# So many events behind that of an instance its own derivation stands: behind three resources that are new, and an attachment.
_DERIVED_WITHIN: Final = 5


class MetadataNaming:
    """Which number each name has, and which name is shown for a number."""

    def __init__(self, user: Mapping[str, int]) -> None:
        """`user`: the option UserMetadata. `RemoteAet` is how Orthanc's book has it, 1.12.7 knows `RemoteAET` alone."""
        self._numbers = {"RemoteAet": BUILT_IN["RemoteAET"], **BUILT_IN, **user}
        self._names = {number: name for name, number in self._numbers.items()}

    def find(self, name: str) -> int | None:
        return self._numbers.get(name)

    def name_of(self, number: int) -> str:
        """Return the name of a number, or the number itself where it has none."""
        return self._names.get(number, str(number))


def find_metadata(snapshot: Snapshot, ref: Ref, level: Level, number: int) -> Kept | None:
    """Return one metadata of a resource that is there, None if it has none of this number."""
    row = snapshot.row(METADATA, metadata_key(ref, number)) if number in _NUMBERS else None
    if row is not None:
        return unpack_metadata(row)
    kind = _BY_NUMBER.get(number)
    if kind is None or level not in kind.levels:
        return None
    text = kind.read(snapshot, snapshot.get_ref(level, ref))
    if text is None:
        return None
    found = Kept(0, text.encode())
    # Where no revisions are counted another value has another number, which is enough for the caches of clients.
    return found if kind.is_fixed else found._replace(revision=int(found.md5()[:12], 16))


def list_metadata(snapshot: Snapshot, record: Resource | Instance) -> dict[int, bytes]:
    """Return all metadata of a resource by their numbers, in that order."""
    level = level_of(record)
    read = {number: kind.read(snapshot, record) for number, kind in _BY_NUMBER.items() if level in kind.levels}
    built_in = {number: text.encode() for number, text in read.items() if text is not None}
    kept = _list_kept(snapshot, record.ref)
    return dict(sorted((built_in | kept).items())) if kept else built_in


def sources_of(snapshot: Snapshot, ref: Ref) -> dict[str, str]:
    """Return what a resource was made from by a modification, under `ModifiedFrom` or `AnonymizedFrom`; nothing, as a rule."""
    found = {}
    for name in ("AnonymizedFrom", "ModifiedFrom"):
        row = snapshot.row(METADATA, metadata_key(ref, BUILT_IN[name]))
        if row is not None:
            found[name] = unpack_metadata(row).value.decode()
    return found


def sources_in_log(snapshot: Snapshot, ref: Ref) -> dict[str, str]:
    """Return the same of an instance from the log, for one that has been deleted since."""
    for seq in range(ref + 1, ref + _DERIVED_WITHIN + 1):
        _, event = read_event(snapshot.row, seq)
        if isinstance(event, ResourceDerived) and event.resource == ref:
            name = "AnonymizedFrom" if event.is_anonymization else "ModifiedFrom"
            return {name: format_resource_id(event.source)}
    return {}


def show_metadata(
    snapshot: Snapshot, record: Resource | Instance, naming: MetadataNaming, errors: str = "replace"
) -> dict[str, str]:
    """Return all metadata of a resource by name; `errors` says what becomes of bytes that are not UTF-8."""
    shown = list_metadata(snapshot, record).items()
    return {naming.name_of(number): value.decode("utf-8", errors) for number, value in shown}


def _list_kept(snapshot: Snapshot, ref: Ref) -> dict[int, bytes]:
    """Return what clients have set, by number."""
    kept = {}
    for row_key in snapshot.keys(METADATA, key(ref)):
        row = snapshot.row(METADATA, row_key)
        if row is not None:
            kept[U32.unpack_from(row_key, 8)[0]] = unpack_metadata(row).value
    return kept


# -- those of Orthanc's own ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A metadata of Orthanc's own. Nothing is kept for it: it is read from what is known of its resource."""

    name: str  # its number stands in `events.metadata`
    levels: frozenset[Level]
    read: Callable[[Snapshot, Any], str | None]  # from the record of a resource of these levels; None: it has none
    is_fixed: bool = True  # for as long as the resource is there


def _index_in_series(_: Snapshot, instance: Instance) -> str | None:
    written = instance.tags.get(INSTANCE_NUMBER, instance.tags.get(IMAGE_INDEX))
    return None if written is None else written.strip()  # even if it is no number


def _remote_aet(snapshot: Snapshot, record: Resource | Instance) -> str:
    """Return the sender of an instance. A series keeps that of its first instance, also when this one has gone."""
    if isinstance(record, Instance):
        return record.remote_aet
    _, first = read_event(snapshot.row, record.ref - 1)  # what made the series
    if isinstance(first, InstanceStored):
        return first.remote_aet
    oldest = next(snapshot.children(record))  # its personal part was erased
    return oldest.remote_aet if isinstance(oldest, Instance) else ""


def _sequences(_: Snapshot, record: Resource | Instance) -> str | None:
    sequences = {tag: sequence_json(kept) for tag, kept in record.tags.items() if is_sequence(tag, kept)}
    return _sequences_metadata(sequences) if sequences else None


def _of_origins(name: str, *origins: str) -> Callable[[Snapshot, Instance], str | None]:
    """Return what reads a field of instances that came by one of these ways."""
    return lambda _, instance: getattr(instance, name) if instance.origin in origins else None


def _number(name: str) -> Callable[[Snapshot, Any], str | None]:
    """Return what shows a number that may be unknown."""
    return lambda _, record: None if (found := getattr(record, name)) is None else str(found)


_NUMBERS: Final = range(USER_NUMBERS.stop)
_ALL: Final = frozenset(Level)
_INSTANCES: Final = frozenset({Level.INSTANCE})
_SERIES: Final = frozenset({Level.SERIES})

KINDS: Final = (
    BuiltIn("IndexInSeries", _INSTANCES, _index_in_series),
    BuiltIn("ReceptionDate", _INSTANCES, lambda _, instance: format_us(instance.received_us)),
    BuiltIn("RemoteAET", _SERIES | _INSTANCES, _remote_aet),
    BuiltIn("ExpectedNumberOfInstances", _SERIES, _number("expected_instances")),
    BuiltIn("LastUpdate", _ALL - _INSTANCES, lambda _, record: format_us(record.last_update_us), is_fixed=False),
    BuiltIn("Origin", _INSTANCES, lambda _, instance: instance.origin),
    BuiltIn("TransferSyntax", _INSTANCES, lambda _, instance: instance.transfer_syntax),
    BuiltIn("SopClassUid", _INSTANCES, lambda _, instance: instance.sop_class or None),
    BuiltIn("RemoteIP", _INSTANCES, _of_origins("remote_ip", "RestApi", "DicomProtocol")),
    BuiltIn("CalledAET", _INSTANCES, _of_origins("called_aet", "DicomProtocol")),
    BuiltIn("HttpUsername", _INSTANCES, _of_origins("username", "RestApi")),
    BuiltIn("PixelDataOffset", _INSTANCES, _number("pixel_data_offset")),
    BuiltIn("MainDicomTagsSignature", _ALL, lambda s, record: signature(kept_tags(s, record)), is_fixed=False),
    BuiltIn("MainDicomSequences", _ALL, _sequences, is_fixed=False),
    BuiltIn("PixelDataVR", _INSTANCES, lambda _, instance: instance.pixel_data_vr or None),
)
_BY_NUMBER: Final = {BUILT_IN[kind.name]: kind for kind in KINDS}  # in the order of their numbers, as they are listed


def _sequences_metadata(sequences: Mapping[int, str]) -> str:
    """Return the metadata in which Orthanc keeps main tags that are sequences."""
    labelled = {
        format_tag(tag): {"Name": tag_name(tag), "Type": "Sequence", "Value": json.loads(text)}
        for tag, text in sequences.items()
    }
    return json.dumps({"Sequences": labelled, "Version": 1}, separators=(",", ":"), sort_keys=True)
