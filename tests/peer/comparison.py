"""Tells two answers apart where a client could notice: status, headers that matter, and the body without what must differ."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from tests.peer.differences import ACCEPTED, Accepted
from tests.peer.exchange import Answer, Request, Server

HEADERS_THAT_MATTER = (
    "content-type",
    "content-disposition",
    "content-range",
    "content-encoding",
    "location",
    "www-authenticate",
    "allow",
    "etag",
    "x-content-type-options",
)
# Values no two servers share: each is replaced by its name, once it has the right form.
_VOLATILE = (
    (re.compile(rb'("(?:FileUuid|Uuid)" : )"[0-9a-f-]{36}"'), rb'\1"<uuid>"'),
    (re.compile(rb"(<(?:FileUuid|Uuid)>)[0-9a-f-]{36}<"), rb"\1<uuid><"),
    (re.compile(rb"(<(?:LastUpdate|ReceptionDate|Date)>)\d{8}T\d{6}<"), rb"\1<date><"),
    (re.compile(rb'("(?:LastUpdate|ReceptionDate|Date)" : )"\d{8}T\d{6}"'), rb'\1"<date>"'),
    (re.compile(rb'("DatabaseServerIdentifier" : )"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}"'), rb'\1"<server>"'),
    (re.compile(rb'("(?:HttpPort|DicomPort)" : )\d+'), rb'\1"<port>"'),
)
_NAMED_BY_FILE = re.compile(r'filename="[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"')
LISTS_ARE_SORTED = (1, 12)  # since then (at the latest) resources are listed by identifier, before by age
SHOWN_DIFFERENCES = 40  # of one test; the rest is counted


@dataclass(frozen=True, slots=True)
class Difference:
    """Where ours is not what Orthanc says."""

    request: Request
    aspect: str  # "status", "header allow", "body", "body/MainDicomTags/PatientName" …
    ours: object
    theirs: object

    def __str__(self) -> str:
        return f"{self.request}\n    {self.aspect}: ours {_short(self.ours)}, Orthanc's {_short(self.theirs)}"


def compare(request: Request, ours: Answer, theirs: Answer) -> list[Difference]:
    """What differs and is not accepted in `differences.py`."""
    return unaccepted(_differences(request, ours, theirs), theirs.version)


def unaccepted(found: Iterable[Difference], version: tuple[int, ...]) -> list[Difference]:
    """Without those that a reviewed rule covers, for an oracle of that version."""
    rules = [rule for rule in ACCEPTED if rule.before is None or version < rule.before]
    return [each for each in found if not any(is_accepted(each, rule) for rule in rules)]


def is_accepted(found: Difference, rule: Accepted) -> bool:
    """Whether a reviewed rule covers this difference: method, path, aspect and the values must all fit."""
    return (
        rule.method in {found.request.method, "*"}
        and re.fullmatch(rule.path, found.request.path) is not None
        and re.fullmatch(rule.aspect, found.aspect) is not None
        and rule.when(found.ours, found.theirs)
    )


def ask_both(ours: Server, theirs: Server, requests: Iterable[Request]) -> list[Difference]:
    """All differences over many requests, so that one run tells everything."""
    return [
        each for request in requests for each in compare(request, ours.ask(request), theirs.ask(request))
    ]  # fmt: skip


def assert_same(differences: list[Difference]) -> None:
    """Fails with every difference in one readable text: the kinds with their counts, the commonest first."""
    if not differences:
        return
    kinds: dict[str, list[Difference]] = {}
    for each in differences:
        kinds.setdefault(_kind(each), []).append(each)
    ranked = sorted(kinds.values(), key=lambda members: -len(members))
    lines = [f"{len(members)} × {members[0]}" for members in ranked[:SHOWN_DIFFERENCES]]
    lines += [f"(+{len(ranked) - SHOWN_DIFFERENCES} kinds)"] if len(ranked) > SHOWN_DIFFERENCES else []
    raise AssertionError(f"{len(differences)} differences of {len(kinds)} kinds\n" + "\n".join(lines))


def _kind(each: Difference) -> str:
    """Differences of one kind have one cause: the same header, or the same place in the answers of one route."""
    if each.aspect.startswith("header"):
        return f"{each.aspect} {each.ours} {each.theirs}"
    path = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}", "{id}", each.request.path)
    aspect = re.sub(r"/\d+(?=/|$)", "/#", re.sub(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}", "{id}", each.aspect))
    return f"{each.request.method} {path} {aspect}"


def _differences(request: Request, ours: Answer, theirs: Answer) -> Iterator[Difference]:
    if ours.status != theirs.status:
        yield Difference(request, "status", _verdict(ours), _verdict(theirs))
        return
    for name in HEADERS_THAT_MATTER:
        mine, right = _steady_header(ours, name), _steady_header(theirs, name)
        if mine != right:
            yield Difference(request, f"header {name}", mine, right)
    our_body, their_body = _steady(ours.body), _steady(theirs.body)
    if our_body == their_body:
        return
    parsed = _parse(our_body), _parse(their_body)
    if theirs.version < LISTS_ARE_SORTED and None not in parsed:
        parsed = _sorted_resources(parsed[0]), _sorted_resources(parsed[1])
        if parsed[0] == parsed[1]:
            return
    if None in parsed:
        yield Difference(request, "body", our_body, their_body)
        return
    inner = list(walk(parsed[0], parsed[1]))
    if not inner:
        yield Difference(request, "layout of the JSON", our_body, their_body)
    for path, our_value, their_value in inner:
        yield Difference(request, f"body{path}", our_value, their_value)


def walk(ours: object, theirs: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """The places where two JSON values part, as a path with both values; absent ones show as `...`."""
    match ours, theirs:
        case dict(), dict():
            for key in sorted(ours.keys() | theirs.keys()):
                yield from walk(ours.get(key, ...), theirs.get(key, ...), f"{path}/{key}")
        case list(), list():
            if len(ours) != len(theirs):
                yield f"{path}#length", ours, theirs
                return
            for index, (mine, right) in enumerate(zip_longest(ours, theirs)):
                yield from walk(mine, right, f"{path}/{index}")
        case _:
            if type(ours) is not type(theirs) or ours != theirs:
                yield path, ours, theirs


def _verdict(answer: Answer) -> str:
    """The status, and for an error Orthanc's number and details."""
    parsed = _parse(answer.body)
    if isinstance(parsed, dict) and "OrthancStatus" in parsed:
        return f"{answer.status} ({parsed['OrthancStatus']}: {parsed.get('Details', parsed['Message'])})"
    return f"{answer.status} {answer.body[:60]!r}"


def _sorted_resources(value: object) -> object:
    """The same JSON with every list of resources or identifiers in the order of the identifiers."""
    match value:
        case dict():
            return {key: _sorted_resources(inner) for key, inner in value.items()}
        case [dict(first), *_] if "ID" in first and "Seq" not in first:
            return sorted((_sorted_resources(each) for each in value), key=lambda each: str(each["ID"]))  # type: ignore[index] # a resource
        case [str(first), *_] if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}", first):
            return sorted(map(str, value))
        case list():
            return [_sorted_resources(each) for each in value]
        case _:
            return value


def _steady_header(answer: Answer, name: str) -> str | None:
    value = answer.headers.get(name)
    return None if value is None else _NAMED_BY_FILE.sub('filename="<uuid>"', value)


def _steady(body: bytes) -> bytes:
    for pattern, name in _VOLATILE:
        body = pattern.sub(name, body)
    return body


def _parse(body: bytes) -> object | None:
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return None
    return parsed


def _short(value: object) -> str:
    text = "absent" if value is ... else repr(value)
    return text if len(text) < 240 else f"{text[:236]}… ({len(text)} characters)"
