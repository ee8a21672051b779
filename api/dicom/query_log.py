"""Logs the queries of peers, in category `dicom` from its level `verbose` on, as Orthanc 1.12.7 does.

Values may name a patient. With `DeidentifyLogs` none is shown but those of tags whose values are words and counts of the
standard: more is hidden than in any edition of PS3.15 Table E.1-1, so `DeidentifyLogsDicomVersion` changes nothing.
"""

import logging
from typing import Final

from actors.wire.dicom.command import Command, Field
from api.dicom.association import Association
from store.dicom.dictionary import format_tag, tag_name
from store.dicom.matching import Dataset, Value
from store.dicom.tags import (
    INSTANCE_AVAILABILITY,
    MODALITIES_IN_STUDY,
    MODALITY,
    QUERY_RETRIEVE_LEVEL,
    SOP_CLASS_UID,
    SOP_CLASSES_IN_STUDY,
    SPECIFIC_CHARACTER_SET,
)

HIDDEN: Final = "(hidden by DeidentifyLogs)"
MOST_KEYS: Final = 100  # of one query; the rest is counted

_HARMLESS: Final = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        SOP_CLASS_UID,
        QUERY_RETRIEVE_LEVEL,
        INSTANCE_AVAILABILITY,
        MODALITY,
        MODALITIES_IN_STUDY,
        SOP_CLASSES_IN_STUDY,
        *range(0x00201200, 0x0020120A, 2),  # NumberOf…
    }
)

log = logging.getLogger(__name__)


def log_query(association: Association, command: Command, asked: Dataset) -> None:
    """Write a line for the request and one for each key."""
    if not log.isEnabledFor(logging.INFO):
        return
    deidentify = association.settings.deidentify_logs
    log.info("%s request from %r", Field(command.field).name.replace("_", "-"), association.request.calling_aet)
    for tag in sorted(asked)[:MOST_KEYS]:
        log.info("  (%s) %s = %s", format_tag(tag), tag_name(tag), _shown(tag, asked[tag], deidentify=deidentify))
    if len(asked) > MOST_KEYS:
        log.info("  and %d more", len(asked) - MOST_KEYS)


def _shown(tag: int, value: Value, *, deidentify: bool) -> str:
    if not value:
        return ""
    if deidentify and tag not in _HARMLESS:
        return HIDDEN
    if isinstance(value, str):
        return value
    items = (
        ", ".join(f"{tag_name(inner)} = {_shown(inner, item[inner], deidentify=deidentify)}" for inner in sorted(item))
        for item in value
    )
    return "; ".join(f"[{item}]" for item in items)
