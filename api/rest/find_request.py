"""The body of `/tools/find` and `/tools/count-resources`, checked in the order and with the words of Orthanc 1.12.7."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import falcon

from api.errors import InexistentItem, OutOfRange
from api.rest.arguments import TagForm, parse_tag
from api.rest.fields import flag, read_json
from api.rest.render_resources import TYPE_OF_LEVEL, Contents, parse_contents
from events.errors import InvalidRequest
from events.identifiers import Level, ResourceId, parse_resource_id
from store.dicom.dictionary import dictionary_vr, format_tag
from store.dicom.level_words import level_of
from store.dicom.matching import BadKey, Matcher, parse_text_key
from store.dicom.tags import MODALITIES_IN_STUDY
from store.dicom.value_matching import AllOf, InParts
from store.views.metadata import MetadataNaming
from store.views.query import Cast, LabelKey, Order
from store.views.resource_tags import present_tags
from store.views.views import Views

T = TypeVar("T")

_NOWHERE: Final = ResourceId(bytes(20))  # of a parent that no resource can have
_CONSTRAINTS: Final = ("All", "Any", "None")
_CASTS: Final = {
    "dicomtag": Cast.TEXT, "dicomtagasint": Cast.INTEGER, "dicomtagasfloat": Cast.REAL,
    "metadata": Cast.TEXT, "metadataasint": Cast.INTEGER, "metadataasfloat": Cast.REAL,
}  # fmt: skip
_TYPES: Final = 'Field "Type" must be "DicomTag", "DicomTagAsInt", "DicomTagAsFloat" or "Metadata", "MetadataAsInt", "MetadataAsFloat"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Which resources a request selects."""

    level: Level
    keys: Mapping[int, Matcher]
    metadata: Mapping[int, Matcher]
    labels: LabelKey | None
    parents: Mapping[Level, ResourceId]
    is_indexed: bool  # the index has all that is asked of the tags, in Orthanc's sense


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown of them, and in which order."""

    expand: bool
    contents: Contents
    form: TagForm
    tags: list[int]
    order: tuple[Order, ...]
    since: int
    is_page: bool  # `Since` is there
    limit: int


def read_body(req: falcon.Request) -> dict[str, Any]:
    """Return the JSON object of a request that has a level and a query. Raises InvalidRequest, InvalidJson."""
    body = read_json(req)
    if not isinstance(body, dict):
        raise InvalidRequest("The body must contain a JSON object")
    if not isinstance(body.get("Level"), str):
        raise InvalidRequest('Field "Level" is missing, or should be a string')
    if not isinstance(body.get("Query", ""), dict | None):
        raise InvalidRequest('Field "Query" is missing, or should be a JSON object')
    return body


def parse_selected(body: Mapping[str, Any], naming: MetadataNaming, views: Views) -> Selected:
    """Raises InvalidRequest, OutOfRange, UnknownTag, InexistentItem."""
    is_sensitive: bool = _typed(body, "CaseSensitive", bool, "a Boolean", default=False)
    labels: list[Any] = _typed(body, "Labels", list, "an array of strings", default=[])
    constraint: Any = _typed(body, "LabelsConstraint", str, "an array of strings", default="All")
    metadata: dict[str, Any] = _typed(body, "MetadataQuery", dict, "an JSON object", default={})
    parents = {
        level: parse_resource_id(_typed(body, name, str, "a string", default="")) or _NOWHERE
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
        if (name := f"Parent{TYPE_OF_LEVEL[level]}") in body
    }
    level = level_of(body["Level"])
    if level is None:
        raise OutOfRange(f"Invalid resource type '{body['Level']}'")
    if parents and max(parents) > level:
        raise InvalidRequest(f'Field "Parent{TYPE_OF_LEVEL[max(parents)]}" names a level below "Level"')
    if not all(isinstance(label, str) for label in labels):
        raise InvalidRequest('Field "Labels" must contain strings')
    if constraint not in _CONSTRAINTS:
        raise InvalidRequest('Field "LabelsConstraint" must be "All", "Any", or "None"')
    indexed = indexed_tags(views, level)
    keys = _parse_keys(body, indexed, folds=not is_sensitive)
    return Selected(
        level=level,
        keys=keys,
        metadata=_parse_metadata(metadata, naming, folds=not is_sensitive),
        labels=LabelKey(frozenset(labels), constraint) if labels or constraint == "None" else None,
        parents=parents,
        is_indexed=keys.keys() <= indexed | ({MODALITIES_IN_STUDY} if level == Level.STUDY else set()),
    )


def indexed_tags(views: Views, level: Level) -> frozenset[int]:
    with views.snapshot() as s:
        return present_tags(s, level)


def parse_shown(body: Mapping[str, Any], level: Level, naming: MetadataNaming, views: Views) -> Shown:
    """Raises InvalidRequest, OutOfRange, UnknownTag, InexistentItem, BadField."""
    limit, since = _count(body, "Limit"), _count(body, "Since")
    tags: list[Any] = _typed(body, "RequestedTags", list, "an array", default=[])
    contents: list[Any] | None = _typed(body, "ResponseContent", list, "an array", default=None)
    order: list[Any] = _typed(body, "OrderBy", list, "an array", default=[])
    expand = body.get("Expand")
    if not isinstance(expand, bool | int | None):
        raise InvalidRequest('Field "Expand" must be a Boolean')
    is_short, is_full = flag(body, "Short", default=False), flag(body, "Full", default=False)
    return Shown(
        expand=bool(expand) or contents is not None,
        contents=None if contents is None else parse_contents([str(each) for each in contents]),
        form="short" if is_short else "full" if is_full else "simplify",
        tags=[parse_tag(str(each)) for each in tags],
        order=tuple(_parse_order(each, indexed_tags(views, level), naming) for each in order),
        since=since,
        is_page="Since" in body,
        limit=limit,
    )


def _typed(body: Mapping[str, Any], name: str, kind: Callable[..., T], words: str, *, default: Any) -> T:
    """Return a field that has a type, or the default where it is not there."""
    if name not in body:
        absent: T = default
        return absent
    value: T = body[name]
    if type(value) is not kind:
        raise InvalidRequest(f'Field "{name}" must be {words}')
    return value


def _count(body: Mapping[str, Any], name: str) -> int:
    value: int = _typed(body, name, int, "an integer", default=0)
    if value < 0:
        raise OutOfRange(f'Field "{name}" must be a positive integer')
    return value


def _parse_keys(body: Mapping[str, Any], indexed: frozenset[int], *, folds: bool) -> dict[int, Matcher]:
    """`QueryAll` is this server's own: arrays of texts, all of which must match, such as words in any order."""
    found: dict[int, list[Matcher]] = {}
    for name, text in _texts(body):
        tag = parse_tag(name)
        try:
            key = parse_text_key(dictionary_vr(tag), text, folds=folds, in_parts=tag not in indexed)
        except BadKey as exc:
            raise OutOfRange(f"Wildcards are not allowed on tag {format_tag(tag)}") from exc
        if key is not None:
            found.setdefault(tag, []).append(key)
    # Of a list such as ModalitiesInStudy, each text may be another member.
    return {tag: keys[0] if len(keys) == 1 else AllOf(tuple(map(InParts, keys))) for tag, keys in found.items()}


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the tags and texts that are asked for, without those that are empty and match everything. Raises InvalidRequest."""
    for name, value in sorted((body["Query"] or {}).items()):
        if text := _text(name, value):
            yield name, text
    several: dict[str, Any] = _typed(body, "QueryAll", dict, "a JSON object", default={})
    for name, values in sorted(several.items()):
        # Without a text it is most likely a mistake, which must not select the whole archive.
        if not isinstance(values, list) or not any(values):
            raise InvalidRequest(
                f'Field "QueryAll": {name} must be associated with an array of strings, one at least not empty'
            )
        yield from ((name, text) for each in values if (text := _text(name, each)))


def _parse_metadata(query: Mapping[str, Any], naming: MetadataNaming, *, folds: bool) -> dict[int, Matcher]:
    keys = {}
    for name, value in sorted(query.items()):
        key = parse_text_key("LO", _text(name, value), folds=folds, in_parts=False)
        number = _metadata_number(name, naming)
        if key is not None:
            keys[number] = key
    return keys


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f'Tag "{name}" must be associated with a string')
    return value


def _metadata_number(name: str, naming: MetadataNaming) -> int:
    """Return which metadata a name or a number stands for. Raises InexistentItem."""
    number = naming.find(name)
    if number is not None:
        return number
    try:
        return int(name)
    except ValueError as exc:
        raise InexistentItem(f"There is no metadata {name}") from exc


def _parse_order(term: Any, indexed: frozenset[int], naming: MetadataNaming) -> Order:
    if not isinstance(term, dict):
        raise InvalidRequest('Field "OrderBy" must contain objects')
    name, direction, kind = term.get("Key"), term.get("Direction"), term.get("Type")
    if not isinstance(name, str):
        raise InvalidRequest('Field "Key" must be a string')
    if not isinstance(direction, str) or direction.upper() not in {"ASC", "DESC"}:
        raise InvalidRequest('Field "Direction" must be "ASC" or "DESC"')
    if not isinstance(kind, str) or kind.lower() not in _CASTS:
        raise InvalidRequest(_TYPES)
    cast, descends = _CASTS[kind.lower()], direction.upper() == "DESC"
    if kind.lower().startswith("metadata"):
        return Order(metadata=_metadata_number(name, naming), cast=cast, descends=descends)
    tag = parse_tag(name)
    if tag not in indexed or dictionary_vr(tag) == "SQ":
        raise InvalidRequest(
            f'Field "OrderBy": {name} is no main DICOM tag of this level or above, see "MainDicomTags" of /system'
        )
    return Order(tag=tag, cast=cast, descends=descends)
