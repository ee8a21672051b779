"""Reads a conformance statement as a program would: its sections, and the rows `  Name | value` of each."""

import re

_HEADING = re.compile(r"^([-=]{4,})\n(.+)\n\1$", re.MULTILINE)
_ROW = re.compile(r"^  (\S.*?) +\| (.+)$", re.MULTILINE)


def read_statement(text: str) -> dict[str, list[tuple[str, str]]]:
    """Return the rows by the headings of their sections. Raises ValueError where a heading comes twice."""
    _, *parts = _HEADING.split(text)
    headings, bodies = parts[1::3], parts[2::3]
    if len(set(headings)) < len(headings):
        raise ValueError(headings)
    return {heading: _ROW.findall(body) for heading, body in zip(headings, bodies, strict=True)}
