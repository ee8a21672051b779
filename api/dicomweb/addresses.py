"""From the UIDs of a URI to the resources of the archive (PS3.18 §10.1: study, series, instance)."""

from events.errors import NotFound
from events.identifiers import Level
from store.dicom.tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from store.projections.rows import PARENT, TABLE_OF_LEVEL, TAGS_OF_LEVEL, unpack
from store.records import Instance, Resource
from store.tables import LookupKind, key
from store.views.lookup import find_refs
from store.views.snapshot import Snapshot, level_of

_KINDS = (
    (Level.STUDY, LookupKind.STUDY_INSTANCE_UID),
    (Level.SERIES, LookupKind.SERIES_INSTANCE_UID),
    (Level.INSTANCE, LookupKind.SOP_INSTANCE_UID),
)

UID_OF_LEVEL = {Level.STUDY: STUDY_INSTANCE_UID, Level.SERIES: SERIES_INSTANCE_UID}


class NoSuchUid(NotFound):
    """A URI names a study, series or instance that is not here, or not below the one before it."""


def find_addressed(
    snapshot: Snapshot, study: str, series: str | None = None, instance: str | None = None
) -> list[Resource | Instance]:
    """Return what a URI names: all studies of a UID (more than one where patients share it), a series, an instance, in order of creation.

    Raises NoSuchUid where there is none, or where it does not lie below what the URI names before it.
    """
    uids = [uid for uid in (study, series, instance) if uid is not None]
    level, kind = _KINDS[len(uids) - 1]
    found = [
        record
        for record in (snapshot.get_ref(level, ref) for ref in find_refs(snapshot, kind, uids[-1]))
        if _uids_above(snapshot, record) == uids[:-1]
    ]
    if not found:
        raise NoSuchUid(f"There is no {level.name.lower()} {'/'.join(uids):.300}")
    return found


def find_object(snapshot: Snapshot, instance: str, series: str | None = None, study: str | None = None) -> Instance:
    """Return the instance of a SOP Instance UID; what is told of series and study has to be so. Raises NoSuchUid."""
    for ref in find_refs(snapshot, LookupKind.SOP_INSTANCE_UID, instance):
        record = snapshot.get_ref(Level.INSTANCE, ref)
        told = zip((study, series), _uids_above(snapshot, record), strict=True)
        if all(uid is None or uid == own for uid, own in told):
            assert isinstance(record, Instance)
            return record
    raise NoSuchUid(f"There is no such instance: {'/'.join(filter(None, (study, series, instance))):.300}")


def _uids_above(snapshot: Snapshot, record: Resource | Instance) -> list[str]:
    """Return the UIDs of the study and the series above a record, as far as it has them."""
    level, above = level_of(record), record.parent
    found: list[str] = []
    while level > Level.STUDY and above is not None:
        level = Level(level - 1)
        # A whole record takes three times as long.
        row = unpack(snapshot.row(TABLE_OF_LEVEL[level], key(above)) or b"")
        found.insert(0, row[TAGS_OF_LEVEL[level]][UID_OF_LEVEL[level]])
        above = row[PARENT]
    return found
