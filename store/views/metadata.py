"""Metadata of resources, those of Orthanc's own and those of clients: `/instances/{id}/metadata`, the `metadata` tables of Lua callbacks.

Source: observed on Orthanc 1.12.7.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Final

from events.identifiers import Level, Ref
from events.metadata import BUILT_IN
from store.dicom.dictionary import dictionary_vr, format_tag, tag_name
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from store.dicom.tags import IMAGE_INDEX, INSTANCE_NUMBER
from store.projections.metadata import unpack_metadata
from store.records import Instance, Resource
from store.tables import METADATA, U32, key
from store.times import format_us
from store.views.snapshot import Snapshot, level_of

# Main tags that are sequences; the index keeps those as JSON.
SEQUENCES: Final = frozenset(tag for tags in MAIN_DICOM_TAGS.values() for tag in tags if dictionary_vr(tag) == "SQ")


@cache
def signature(level: Level) -> str:
    """Return which main DICOM tags a level keeps, as the metadata `MainDicomTagsSignature` and `/system` show it."""
    return ";".join(format_tag(tag) for tag in sorted(MAIN_DICOM_TAGS[level]))


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


def list_metadata(snapshot: Snapshot, record: Resource | Instance) -> dict[int, bytes]:
    """Return all metadata of a resource by their numbers, in that order."""
    built_in = instance_metadata(record) if isinstance(record, Instance) else resource_metadata(snapshot, record)
    numbered = {BUILT_IN[name]: text.encode() for name, text in built_in.items()}
    return dict(sorted(numbered.items())) | _list_kept(snapshot, record.ref)


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


def instance_metadata(instance: Instance) -> dict[str, str]:
    """Return an instance's metadata by Orthanc's names."""
    shown = _common(instance) | {
        "Origin": instance.origin,
        "ReceptionDate": format_us(instance.received_us),
        "RemoteAET": instance.remote_aet,
        "TransferSyntax": instance.transfer_syntax,
    }
    if instance.origin == "RestApi":
        shown |= {"HttpUsername": instance.username, "RemoteIP": instance.remote_ip}
    elif instance.origin == "DicomProtocol":
        shown |= {"CalledAET": instance.called_aet, "RemoteIP": instance.remote_ip}
    if instance.sop_class:
        shown["SopClassUid"] = instance.sop_class
    written = instance.tags.get(INSTANCE_NUMBER, instance.tags.get(IMAGE_INDEX))
    if written is not None:
        shown["IndexInSeries"] = written.strip()  # even if it is no number
    if instance.pixel_data_offset is not None:
        shown["PixelDataOffset"] = str(instance.pixel_data_offset)
    if instance.pixel_data_vr:
        shown["PixelDataVR"] = instance.pixel_data_vr
    return shown


def resource_metadata(snapshot: Snapshot, resource: Resource) -> dict[str, str]:
    """Return the metadata of a patient, study or series."""
    shown = _common(resource) | {"LastUpdate": format_us(resource.last_update_us)}
    if resource.expected_instances is not None:
        shown["ExpectedNumberOfInstances"] = str(resource.expected_instances)
    if resource.level == Level.SERIES:
        first = next(snapshot.children(resource))
        shown["RemoteAET"] = first.remote_aet if isinstance(first, Instance) else ""
    return shown


def _common(record: Resource | Instance) -> dict[str, str]:
    shown = {"MainDicomTagsSignature": signature(level_of(record))}
    sequences = {format_tag(tag): text for tag, text in record.tags.items() if tag in SEQUENCES}
    if sequences:
        shown["MainDicomSequences"] = _sequences_metadata(sequences)
    return shown


def _sequences_metadata(sequences: Mapping[str, str]) -> str:
    """Return the metadata in which Orthanc keeps main tags that are sequences."""
    labelled = {
        key: {"Name": tag_name(int(key.replace(",", ""), 16)), "Type": "Sequence", "Value": json.loads(text)}
        for key, text in sequences.items()
    }
    return json.dumps({"Sequences": labelled, "Version": 1}, separators=(",", ":"), sort_keys=True)
