"""The instances of a series, or one of them, as they are at one point of the log: what is answered, and a digest of all that decides it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from events.identifiers import Level, Ref
from store.blobs.writer import NOWHERE, is_kept
from store.dicom.tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from store.projections.rows import TABLE_OF_LEVEL, read_instance
from store.records import Instance, Resource
from store.tables import DAMAGED_FILES, key
from store.views.snapshot import Snapshot

_NOWHERE: Final = NOWHERE.to_bytes(6, "big")  # how the name of a file begins that was never kept


@dataclass(frozen=True, slots=True)
class Members:
    """Of one series."""

    series: Ref
    study_uid: str
    series_uid: str
    refs: tuple[Ref, ...]  # of those that have a file, in order of creation
    missing: int  # how many have none, or one that is known to be damaged
    digest: bytes
    is_whole: bool = True  # all of the series


def list_members(
    snapshot: Snapshot, roots: Iterable[Resource | Instance], *, needs_files: bool = True
) -> list[Members]:
    """Return what lies below some studies, series or instances, series by series; those without a file are missing, if they are needed."""
    found = []
    for root in roots:
        if isinstance(root, Instance):
            found.append(_read(snapshot, snapshot.parent(root), (root.ref,), needs_files=needs_files, is_whole=False))
        elif root.level is Level.SERIES:
            found.append(_read(snapshot, root, snapshot.child_refs(root.ref), needs_files=needs_files))
        else:
            for series in snapshot.children(root):
                assert isinstance(series, Resource)
                found.append(_read(snapshot, series, snapshot.child_refs(series.ref), needs_files=needs_files))
    return found


def _read(
    snapshot: Snapshot, series: Resource, refs: Iterable[Ref], *, needs_files: bool, is_whole: bool = True
) -> Members:
    table = TABLE_OF_LEVEL[Level.INSTANCE]
    digest = hashlib.blake2b(digest_size=16)
    kept, missing = [], 0
    has_damaged = snapshot.txn.stat(snapshot.tables[DAMAGED_FILES])["entries"] > 0
    for ref in refs:
        row = snapshot.row(table, key(ref))
        if row is None:
            continue  # its deletion is being purged
        is_damaged = has_damaged and snapshot.row(DAMAGED_FILES, key(ref)) is not None
        if needs_files and (is_damaged or (_NOWHERE in row and not is_kept(read_instance(ref, row).blob))):
            missing += 1
            continue
        kept.append(ref)
        digest.update(key(ref) + row)
    study = snapshot.parent(series)
    return Members(
        series.ref,
        study.tags[STUDY_INSTANCE_UID],
        series.tags[SERIES_INSTANCE_UID],
        tuple(kept),
        missing,
        digest.digest(),
        is_whole,
    )
