"""An answer of a remote modality as Orthanc's JSON. Source: observed on Orthanc 1.12.7.

Two tags are not the remote's: SpecificCharacterSet says which encoding this server takes for granted, since text has
been decoded, and MediaStorageSOPInstanceUID stands beside SOPInstanceUID as in a file. Sequences are left out, but for
worklists. Unlike Orthanc, which converts text to that encoding, no character is lost.
"""

from typing import Any

from api.rest.arguments import TagForm
from store.dicom.charset_encoding import defined_term
from store.dicom.dictionary import format_tag, tag_name
from store.dicom.matching import Dataset, Value
from store.dicom.tags import MEDIA_STORAGE_SOP_INSTANCE_UID, SOP_INSTANCE_UID, SPECIFIC_CHARACTER_SET

_PRIVATE = 0x10000  # groups with an odd number


def render_answer(answer: Dataset, form: TagForm, default_encoding: str) -> dict[str, Any]:
    """Return an answer of `/queries` and the `find-…` routes."""
    flat: Dataset = {tag: value for tag, value in answer.items() if not isinstance(value, tuple)}
    return _render(with_meta(_without_private(flat)) | {SPECIFIC_CHARACTER_SET: defined_term(default_encoding)}, form)


def render_worklist(answer: Dataset, form: TagForm) -> dict[str, Any]:
    """Return an answer of `find-worklist`: it is shown as it came."""
    return _render(answer, form)


def render_keys(keys: Dataset, form: TagForm) -> dict[str, Any]:
    """Return a query as the client gave it, or the keys of a retrieval."""
    return _render(keys, form)


def with_meta(values: Dataset) -> Dataset:
    """Return values with MediaStorageSOPInstanceUID, where they name an instance."""
    instance = values.get(SOP_INSTANCE_UID)
    return {**values, MEDIA_STORAGE_SOP_INSTANCE_UID: instance} if instance else values


def _without_private(values: Dataset) -> Dataset:
    """Leave out private elements; their creators stay, as in Orthanc."""
    return {
        tag: None if tag & _PRIVATE else value
        for tag, value in values.items()
        if not tag & _PRIVATE or 0x10 <= tag & 0xFFFF <= 0xFF
    }


def _render(values: Dataset, form: TagForm) -> dict[str, Any]:
    if form == "full":
        return {format_tag(tag): _labelled(tag, value) for tag, value in values.items()}
    name = tag_name if form == "simplify" else format_tag
    return {name(tag): _plain(value, form) for tag, value in values.items()}


def _plain(value: Value, form: TagForm) -> Any:
    return [_render(item, form) for item in value] if isinstance(value, tuple) else value


def _labelled(tag: int, value: Value) -> dict[str, Any]:
    kind = "Sequence" if isinstance(value, tuple) else "Null" if value is None else "String"
    return {"Name": tag_name(tag), "Type": kind, "Value": _plain(value, "full")}
