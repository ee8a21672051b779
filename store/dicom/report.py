"""A structured report (PS3.3 §C.17) as text that people read: its content items in order, each under the one that it belongs to.

Names are the meanings of codes. What is no text, such as the coordinates of a region, is named and not drawn.
"""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, Final, NamedTuple

from store.dicom.dicom_json import Json

_NAME, _VALUE_TYPE, _CONTENT = "0040A043", "0040A040", "0040A730"
_REFERENCED_ITEM: Final = "0040DB73"
_MEANING, _CODE = "00080104", "00080100"
_FACTS: Final = (
    ("Patient", ("00100010", "00100020", "00100030", "00100040")),
    ("Study", ("00080020", "00081030", "00080050")),
    ("Content date", ("00080023", "00080033")),
    ("Completion", ("0040A491", "0040A492")),
    ("Verification", ("0040A493",)),
)
_OBSERVERS, _OBSERVER = "0040A073", ("0040A075", "0040A027", "0040A030")


class Item(NamedTuple):
    """One content item."""

    depth: int  # of what lies directly in the document: 0
    name: str
    value: str


class Report(NamedTuple):
    """What is shown of a report."""

    title: str
    facts: list[tuple[str, str]]  # of the patient, the study, the document
    items: list[Item]


def read_report(dataset: Json) -> Report:
    """Read a report from its dataset in the DICOM JSON Model."""
    facts = [(name, _joined(dataset, tags)) for name, tags in _FACTS]
    facts += [("Verified by", _joined(observer, _OBSERVER)) for observer in _items(dataset, _OBSERVERS)]
    return Report(
        _meaning(dataset, _NAME) or _first(dataset, "0008103E") or "Report",
        [(name, value) for name, value in facts if value],
        list(_content(dataset, 0)),
    )


def render_plain(report: Report) -> str:
    """Return a report as lines, each indented by its depth."""
    lines = [report.title, *(f"{name}: {value}" for name, value in report.facts), ""]
    for depth, name, value in report.items:
        indent = "  " * depth
        text = f"{name}: {value}" if name and value else name or value
        lines += [indent + line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def render_html(report: Report) -> str:
    """Return a report as a page without scripts; nothing of its text is taken for HTML."""
    facts = "".join(f"<p><b>{escape(name)}</b> {escape(value)}</p>\n" for name, value in report.facts)
    items = "".join(
        f'<p style="margin-left: {2 * depth}em"><b>{escape(name)}</b> {escape(value)}</p>\n'
        for depth, name, value in report.items
    )
    title = escape(report.title)
    return (
        f'<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"><title>{title}</title><style>p {{ white-space: pre-wrap }}</style></head>\n'
        f"<body>\n<h1>{title}</h1>\n{facts}<hr>\n{items}</body>\n</html>\n"
    )


def _content(holder: Json, depth: int) -> Iterator[Item]:
    for item in _items(holder, _CONTENT):
        yield Item(depth, _meaning(item, _NAME), _value(item))
        yield from _content(item, depth + 1)


def _value(item: Json) -> str:
    reference = _values(item, _REFERENCED_ITEM)
    if reference:
        return f"(see {'.'.join(map(str, reference))})"
    kind = _first(item, _VALUE_TYPE)
    if kind in _VALUES:
        return _VALUES[kind](item)
    return f"({kind})" if kind else ""


def _number(item: Json) -> str:
    return ", ".join(
        f"{_first(measured, '0040A30A')} {_meaning(measured, '004008EA')}".strip()
        for measured in _items(item, "0040A300")
    )


def _references(item: Json) -> str:
    return ", ".join(f"({_first(each, '00081155')})" for each in _items(item, "00081199"))


# The value of an item, by its Value Type (PS3.3 table C.17.3-7)
_VALUES: Final[Mapping[str, Callable[[Json], str]]] = {
    "CONTAINER": lambda _: "",
    "TEXT": lambda item: _first(item, "0040A160"),
    "CODE": lambda item: _meaning(item, "0040A168"),
    "NUM": _number,
    "PNAME": lambda item: _first(item, "0040A123"),
    "DATE": lambda item: _first(item, "0040A121"),
    "TIME": lambda item: _first(item, "0040A122"),
    "DATETIME": lambda item: _first(item, "0040A120"),
    "UIDREF": lambda item: _first(item, "0040A124"),
    "IMAGE": _references,
    "COMPOSITE": _references,
    "WAVEFORM": _references,
}


def _values(holder: Json, tag: str) -> list[Any]:
    found: list[Any] = holder.get(tag, {}).get("Value", [])
    return found


def _items(holder: Json, sequence: str) -> Iterator[Json]:
    return (item for item in _values(holder, sequence) if isinstance(item, dict))


def _first(holder: Json, tag: str) -> str:
    """Return a text, whose backslashes the model takes for separators of values, or a person's name."""
    shown = (_text(each) for each in _values(holder, tag) if each is not None)
    return "\\".join(shown).strip()


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(filter(None, map(str, value.values()))).replace("^", " ").strip()
    return str(value)


def _meaning(holder: Json, sequence: str) -> str:
    code = next(_items(holder, sequence), {})
    return _first(code, _MEANING) or _first(code, _CODE)


def _joined(holder: Json, tags: tuple[str, ...]) -> str:
    return ", ".join(filter(None, (_first(holder, tag) for tag in tags)))
