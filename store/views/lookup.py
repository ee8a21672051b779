"""From a DICOM identifier to the resources that carry it (`/tools/lookup`)."""

from events.identifiers import Level, Ref, ResourceId
from store.projections.lookup import LEVEL_OF_KIND
from store.tables import LOOKUP, U64, LookupKind, lookup_prefix
from store.views.snapshot import Snapshot


def find_identifier(snapshot: Snapshot, value: str) -> list[tuple[Level, ResourceId]]:
    """Return every resource whose PatientID or UID equals `value`, patients first (as Orthanc: no AccessionNumber)."""
    found = []
    for kind in (
        LookupKind.PATIENT_ID,
        LookupKind.STUDY_INSTANCE_UID,
        LookupKind.SERIES_INSTANCE_UID,
        LookupKind.SOP_INSTANCE_UID,
    ):
        level = LEVEL_OF_KIND[kind]
        prefix = lookup_prefix(kind, value)
        for row_key in snapshot.keys(LOOKUP, prefix):
            if len(row_key) != len(prefix) + U64.size:
                continue  # a longer identifier that has a NUL where this one ends
            ref = Ref(U64.unpack(row_key[-8:])[0])
            resource_id = snapshot.id_of(level, ref)
            if snapshot.find(resource_id) == (level, ref):  # not an earlier life that is being purged
                found.append((level, resource_id))
    return found
