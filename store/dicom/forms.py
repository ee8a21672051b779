"""The three forms in which Orthanc shows a dataset as JSON.

- full: `{"0010,0010": {"Name": "PatientName", "Type": "String", "Value": "A^B"}}`; `Type` is `String`, `Sequence`,
  `TooLong` (more than 256 bytes of UTF-8) or `Null` (no text: binary, empty numbers, unknown VR); private elements also
  have their `PrivateCreator`
- short: `{"0010,0010": "A^B"}`
- simplify: `{"PatientName": "A^B"}`, where of two tags with one name the last wins
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

Form = Literal["full", "short", "simplify"]
Json = dict[str, Any]  # as given to a JSON encoder


def reform(dataset: Mapping[str, Any], form: Form) -> Json:
    """A dataset in full form, in another form."""
    if form == "full":
        return dict(dataset)
    reformed: Json = {}
    for tag, labelled in dataset.items():
        value = labelled["Value"]
        if labelled["Type"] == "Sequence":
            value = [reform(item, form) for item in value]
        reformed[labelled["Name"] if form == "simplify" else tag] = value
    return dict(sorted(reformed.items())) if form == "simplify" else reformed


def reform_sequence(rendered: str, form: Form) -> list[Json]:
    """The items of a sequence that `rendering.render_sequence` rendered, in any form."""
    return [reform(item, form) for item in json.loads(rendered)]
