"""The warnings that Orthanc numbers, in the logs of both servers: what they tell, whatever the words."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.peer.conftest import Pair
from tests.peer.exchange import Server

_NUMBER = re.compile(r"\b(W00\d): (.*)")
_TAG = re.compile(r"\b[0-9a-f]{4},[0-9a-f]{4}\b")
_LEVEL = re.compile(r"(?<!/)\b(?:patient|study|series|instance)\b(?!/)")
_RESOURCE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}(?:/reconstruct)?")


class Told(NamedTuple):
    """One warning."""

    number: str
    tags: list[str]
    levels: list[str]
    resources: list[str]


class WarningLog:
    """What the log of a server says from now on."""

    def __init__(self, server: Server) -> None:
        self._path: Path = server.data.parent / f"{server.name}.log"
        self._start = self._path.stat().st_size

    def read(self) -> list[Told]:
        with self._path.open("rb") as log:
            log.seek(self._start)
            text = log.read().decode(errors="replace")
        return [_parse(*found) for found in _NUMBER.findall(text)]


def logs_of(pair: Pair) -> tuple[WarningLog, WarningLog]:
    return WarningLog(pair.ours), WarningLog(pair.theirs)


def _parse(number: str, text: str) -> Told:
    if number == "W007":  # names no resource in Orthanc
        return Told(number, _TAG.findall(text), [], [])
    return Told(number, _TAG.findall(text), sorted(set(_LEVEL.findall(text))), _RESOURCE.findall(text))
