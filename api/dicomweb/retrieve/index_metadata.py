"""Metadata of instances as the index has them (`StudiesMetadata` and `SeriesMetadata`): no file is read, or three of a series.

`MainDicomTags` are those of the patient, the study, the series and the instance. `Extrapolate` adds what the first, the middle and the last instance
of the series have in common, but for bulk data.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from api.dicomweb.datasets import encode_json
from api.dicomweb.retrieve.members import Members
from events.identifiers import Level
from store.dicom.tags import SOP_CLASS_UID, SPECIFIC_CHARACTER_SET
from store.dicom.value_json import render_values
from store.records import Instance
from store.views.snapshot import Snapshot

FULL: Final = "Full"
EXTRAPOLATE: Final = "Extrapolate"
_UTF_8: Final = "ISO_IR 192"  # in which JSON is, whatever the file was in (PS3.18 §F.2)

Tags = dict[int, str]


def tags_above(snapshot: Snapshot, members: Members) -> Tags:
    """Return the main tags of a series, its study and its patient."""
    series = snapshot.get_resource(Level.SERIES, members.series)
    study = snapshot.parent(series)
    patient = snapshot.parent(study)
    return {**patient.tags, **study.patient_tags, **study.tags, **series.tags}


def write_from_index(above: Tags, instance: Instance, common: dict[str, Any] | None = None) -> bytes:
    """Return the text of an instance's main tags, with what is `common` to its series."""
    told = {SPECIFIC_CHARACTER_SET: _UTF_8, SOP_CLASS_UID: instance.sop_class, **above, **instance.tags}
    own = render_values({tag: text for tag, text in told.items() if text})
    return encode_json(dict(sorted(((common or {}) | own).items())))


def find_common(members: Members, read: Callable[[int], bytes | None]) -> dict[str, Any]:
    """Return what up to three instances have in common; `read` gives the text of the one at a place, None where it cannot be had."""
    last = len(members.refs) - 1
    texts: Iterable[bytes | None] = [read(place) for place in sorted({0, last // 2, last})] if last >= 0 else []
    shown = [json.loads(text) for text in texts if text is not None]
    if not shown:
        return {}
    first, *others = shown
    return {
        tag: value
        for tag, value in first.items()
        if all(other.get(tag) == value for other in others) and "BulkDataURI" not in json.dumps(value)
    }
