"""Values that are text (`store.dicom.matching.Dataset`) as DICOM JSON (PS3.18 Annex F): what a query answers.

VRs are those of the dictionary. A number that is none stays text, as F.2.3.1 allows; a value without a text is shown as empty.
"""

import base64
from functools import lru_cache
from typing import Any, Final

from store.dicom.code_extensions import ONE_VALUE_VRS
from store.dicom.dicom_json import Json, number_json, texts_json
from store.dicom.dictionary import dictionary_vr, parse_tag
from store.dicom.matching import Dataset
from store.dicom.values import NUMBER_VRS

_PLAIN: Final = frozenset(("CS", "DA", "TM", "UI"))
_BINARY: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))


def render_values(dataset: Dataset) -> Json:
    """Return a dataset as an object of the DICOM JSON Model, its elements in the order of their tags."""
    rendered = {}
    for tag in sorted(dataset):
        name, vr = _name_and_vr(tag)
        value = dataset[tag]
        if isinstance(value, str):  # padding, whatever the length: it is not significant (PS3.5 §6.2)
            value = value.rstrip(" ")
        if isinstance(value, tuple):
            rendered[name] = _sequence(value)
        elif not value or vr in _BINARY:
            rendered[name] = {"vr": vr}
        elif vr == "UN":
            rendered[name] = {"vr": vr, "InlineBinary": base64.b64encode(value.encode("utf-8", "replace")).decode()}
        elif vr in _PLAIN:  # most of them, and few have several values
            rendered[name] = {"vr": vr, "Value": [value] if "\\" not in value else texts_json(value.split("\\"), vr)}
        else:
            values = _values(vr, value)
            rendered[name] = {"vr": vr, "Value": values} if values else {"vr": vr}
    return rendered


def _sequence(items: tuple[Dataset, ...]) -> Json:
    return {"vr": "SQ", "Value": [render_values(item) for item in items]} if items else {"vr": "SQ"}


@lru_cache(maxsize=4096)
def _name_and_vr(tag: int) -> tuple[str, str]:
    vr = dictionary_vr(tag) or "UN"
    return f"{tag:08X}", vr if len(vr) == 2 else "US" if "US" in vr else "OW"


def _values(vr: str, value: str) -> list[Any]:
    if vr in ONE_VALUE_VRS:
        return [value]
    parts = [part.rstrip(" ") for part in value.split("\\")]
    if vr in NUMBER_VRS:
        return [_number(part, vr) for part in parts]
    if vr == "AT":
        return [f"{tag:08X}" for part in parts if (tag := parse_tag(part)) is not None]
    return texts_json(parts, vr)


def _number(part: str, vr: str) -> int | float | str:
    try:
        return number_json(part, vr)
    except ValueError:
        return part
