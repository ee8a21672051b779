"""Common parts of requests to remote modalities: the modality, `LocalAet`, `Timeout`, levels, tags and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.services.remote.modality import Modality
from actors.services.remote.query import encoding_of, local_aet
from actors.services.remote.target import Target
from api.errors import BadField, BadType, OutOfRange, UnknownTag
from api.rest import fields, runtime
from api.rest.arguments import parse_tag
from api.rest.deps import Deps
from events.identifiers import Level
from store.dicom.dictionary import dictionary_vr, format_tag
from store.dicom.level_words import level_of
from store.dicom.matching import Dataset
from store.dicom.tags import SPECIFIC_CHARACTER_SET
from store.dicom.values import NUMBER_VRS


@dataclass(frozen=True, slots=True)
class Remote:
    """A modality and how this request reaches it."""

    modality: Modality
    local_aet: str
    timeout_s: int  # 0: none

    def target(self, deps: Deps) -> Target:
        """Raises RemoteFailed if the modality wants TLS and that is not configured."""
        return deps.scu.target(self.modality, local_aet=self.local_aet, timeout_s=self.timeout_s)


def remote_of(deps: Deps, modality: Modality, requested_aet: str | None, requested_timeout_s: int | None) -> Remote:
    """Return how to reach a modality: with the request's timeout if it has one, and the modality's own title if it has one."""
    timeout_s = modality.timeout_s or deps.scu.timeout_s
    return Remote(
        modality,
        local_aet(modality, requested_aet, deps.scu.aet),
        timeout_s if requested_timeout_s is None else requested_timeout_s,
    )


def requested_timeout(body: Mapping[str, Any]) -> int | None:
    """Return `Timeout` in seconds, None if it is absent. Raises BadField."""
    return fields.whole(body, "Timeout", default=0) if "Timeout" in body else None


def parse_level(text: str) -> Level:
    """Return the level that a word in singular or plural names, in any case. Raises OutOfRange."""
    level = level_of(text)
    if level is None:
        raise OutOfRange(f"Invalid resource type '{text}'")
    return level


def parse_keys(body: Mapping[str, Any]) -> Dataset:
    """Return the tags of the field `Query` with their values. Raises BadField."""
    try:
        keys: Dataset = {parse_tag(name): _string(key) for name, key in body.get("Query", {}).items()}
    except (UnknownTag, TypeError, AttributeError) as exc:
        raise BadField("Associative array of DICOM tags to strings expected in field: Query") from exc
    return keys


def parse_nested_keys(value: object) -> Dataset:
    """Return keys that may hold sequences. Raises BadType, UnknownTag."""
    if not isinstance(value, dict):
        raise BadType
    keys: Dataset = {}
    for name, key in value.items():
        tag = parse_tag(name)
        if isinstance(key, str):
            keys[tag] = key
        elif isinstance(key, list):
            keys[tag] = tuple(map(parse_nested_keys, key))
        else:
            raise BadType(f"Bad Parameter type for tag {format_tag(tag)}")
    return keys


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def check_keys(deps: Deps, keys: Dataset) -> str:
    """Return the encoding in which keys are sent. Raises OutOfRange for an unknown one, BadField for no number."""
    encoding = encoding_of(keys, runtime.default_encoding(deps))
    if encoding is None:
        raise OutOfRange(
            f'Unsupported value for the SpecificCharacterSet (0008,0005) tag: "{keys[SPECIFIC_CHARACTER_SET]}"'
        )
    for tag, value in keys.items():
        if isinstance(value, str) and value and dictionary_vr(tag) in NUMBER_VRS and not _are_numbers(value):
            raise BadField(
                f'While creating a DICOM instance, tag ({format_tag(tag)}) has out-of-range value: "{value}"'
            )
    return encoding


def _are_numbers(value: str) -> bool:
    try:
        for part in value.split("\\"):
            float(part)
    except ValueError:
        return False
    return True
