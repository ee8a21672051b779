"""From a DICOM identifier to the resources that carry it (`/tools/lookup`)."""

from collections.abc import Iterator

from events.identifiers import Level, Ref, ResourceId
from store.projections.lookup import LEVEL_OF_KIND
from store.tables import LOOKUP, U64, LookupKind, lookup_prefix
from store.views.snapshot import Snapshot


def find_identifier(snapshot: Snapshot, value: str) -> list[tuple[Level, ResourceId]]:
    """Return every resource whose PatientID or UID equals `value`, patients first (as Orthanc: no AccessionNumber)."""
    kinds = (
        LookupKind.PATIENT_ID,
        LookupKind.STUDY_INSTANCE_UID,
        LookupKind.SERIES_INSTANCE_UID,
        LookupKind.SOP_INSTANCE_UID,
    )
    return [
        (LEVEL_OF_KIND[kind], snapshot.id_of(LEVEL_OF_KIND[kind], ref))
        for kind in kinds
        for ref in find_refs(snapshot, kind, value)
    ]


def find_refs(snapshot: Snapshot, kind: LookupKind, value: str) -> Iterator[Ref]:
    """Iterate over the resources that carry one identifier, in order of creation."""
    level = LEVEL_OF_KIND[kind]
    prefix = lookup_prefix(kind, value)
    for row_key in snapshot.keys(LOOKUP, prefix):
        if len(row_key) != len(prefix) + U64.size:
            continue  # a longer identifier that has a NUL where this one ends
        ref = Ref(U64.unpack(row_key[-8:])[0])
        if snapshot.find(snapshot.id_of(level, ref)) == (level, ref):  # not an earlier life that is being purged
            yield ref
