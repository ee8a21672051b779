"""A client's JSON, read as a modification: `/modify` and `/anonymize` of all levels. Source: observed on Orthanc 1.12.7."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.change.basic_profile import DEFAULT_EDITION, EDITIONS
from store.dicom.change.errors import BadValue, UnknownEdition
from store.dicom.change.modification import IDENTIFIER_OF, OWN_UIDS, Modification, NewValue, new_uids
from store.dicom.change.tag_path import TagPath, parse_name, parse_path
from store.dicom.dictionary import dictionary_vr, format_tag, tag_name
from store.dicom.tags import (
    DEIDENTIFICATION_METHOD,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    PIXEL_DATA,
)

_IDENTIFIERS: Final = frozenset(IDENTIFIER_OF.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The Boolean fields of a request, and its texts; the JSON's own layer has checked their types."""

    force: bool = False
    removes_private: bool = False
    keeps_private: bool = False
    private_creator: str = ""


def read_modify(body: Mapping[str, Any], level: Level, flags: Flags) -> Modification:
    """Read a request to modify. Raises InvalidRequest and its refinements of `store.dicom.change.errors`."""
    remove, replace, keep = _lists(body, flags, kept_freely=False)
    replaced = {path.tag for path in replace if not path.parents}
    kept = {path.tag for path in keep if not path.parents}
    return Modification(
        replace={path: value for path, value in replace.items() if path not in keep or path.tag not in OWN_UIDS},
        remove=remove,
        keep=keep,
        removes_private=flags.removes_private,
        private_creator=flags.private_creator,
        new_uids=new_uids(level, replaced, kept),
    )


def read_anonymize(body: Mapping[str, Any], flags: Flags, program: str) -> Modification:
    """Read a request to anonymise, by `program`, which names itself in the result. Raises as `read_modify`."""
    edition = body.get("DicomVersion", DEFAULT_EDITION)
    if not isinstance(edition, str):
        raise BadValue("DicomVersion must be a text")
    if edition not in EDITIONS:
        raise UnknownEdition(f"Unknown specific version of the DICOM standard: {edition}")
    remove, replace, keep = _lists(body, flags, kept_freely=True)
    said = {path.tag for path in (*remove, *replace, *keep) if not path.parents}
    is_plain = not (remove or replace or keep or flags.keeps_private)
    stamps: dict[TagPath, NewValue] = {
        TagPath((), tag): value
        for tag, value in (
            (PATIENT_IDENTITY_REMOVED, "YES"),
            (DEIDENTIFICATION_METHOD, _method(program, edition) if is_plain else program),
        )
        if tag not in said
    }
    fixed = {path.tag for path in (*replace, *keep) if not path.parents}
    return Modification(
        replace=stamps | {path: value for path, value in replace.items() if path not in keep},
        remove=remove,
        keep=keep,
        removes_private=not flags.keeps_private,
        private_creator=flags.private_creator,
        edition=edition,
        new_uids=frozenset(OWN_UIDS) - fixed,
    )


def needs_name(change: Modification) -> bool:
    """Tell whether an anonymisation gives the patient a drawn name."""
    name = TagPath((), PATIENT_NAME)
    return change.is_anonymization and not (name in change.replace or name in change.remove or name in change.keep)


def _method(program: str, edition: str) -> str:
    return f"{program} - PS 3.15-{edition} Table E.1-1" + (" Basic Profile" if edition != "2008" else "")


def _lists(
    body: Mapping[str, Any], flags: Flags, *, kept_freely: bool
) -> tuple[frozenset[TagPath], dict[TagPath, NewValue], frozenset[TagPath]]:
    """Return what is to be removed, replaced and kept. Raises InvalidRequest."""
    remove = _paths(body, "Remove")
    replace = _replacements(body)
    keep = _paths(body, "Keep")
    for paths, word in ((remove, "removed"), (replace, "replaced"), (keep, "kept")):
        for path in paths:
            if path.parents or path.tag not in _IDENTIFIERS:
                continue
            if not flags.force:
                raise InvalidRequest(
                    f'Marking tag "{tag_name(path.tag)}" as to be {word} requires the "Force" option to be set to true'
                )
            if word == "removed":
                raise InvalidRequest("It is forbidden to remove one of the main Dicom identifiers")
    if not kept_freely:  # a modification keeps what it is not told to change
        keep = frozenset(path for path in keep if path.parents or path.tag != PATIENT_ID)
    return remove, replace, keep


def _paths(body: Mapping[str, Any], name: str) -> frozenset[TagPath]:
    names = body.get(name, [])
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise InvalidRequest(f"{name} must be an array of tags")
    return frozenset(map(parse_path, names))


def _replacements(body: Mapping[str, Any]) -> dict[TagPath, NewValue]:
    values = body.get("Replace", {})
    if not isinstance(values, dict):
        raise InvalidRequest("Replace must be an object of tags and their values")
    # Of two names of one tag the last in alphabetical order holds, as in Orthanc.
    paths = {parse_path(name): value for name, value in sorted(values.items())}
    if TagPath((), PIXEL_DATA) in paths:
        raise InvalidRequest("PixelData cannot be replaced: make a new instance by /tools/create-dicom")
    return {path: read_value(path.tag, value) for path, value in paths.items()}


def read_value(tag: int, value: Any) -> NewValue:
    """Read the new value of a tag: a text, null, or the items of a sequence. Raises BadValue, UnknownName."""
    match value:
        case str():
            return value
        case None:
            return ""
        case list() if dictionary_vr(tag) == "SQ":
            return tuple(_read_item(item) for item in value)
        case _:
            raise BadValue(f"Bad Parameter type for tag {format_tag(tag)}")


def _read_item(item: Any) -> Mapping[int, NewValue]:
    if not isinstance(item, dict):
        raise BadValue("An item of a sequence must be an object of tags and their values")
    return {tag: read_value(tag, value) for tag, value in ((parse_name(n), v) for n, v in item.items())}
