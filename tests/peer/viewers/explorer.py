"""Orthanc Explorer as a folder: its pages lie in Orthanc's program, so a running Orthanc is asked for all that they name."""

import re
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

from tests.peer.exchange import Server

_NAMED: Final = re.compile(
    r"""(?:src|href)=["']([\w./-]+)["']|url\(["']?([\w./-]+)["']?\)|["']((?:images|libs)/[\w./-]+)["']"""
)


def fetch(server: Server, place: Path) -> Path:
    """Copy `/app/explorer.html` and what it names, and what that names, into a folder."""
    folder = place / "explorer"
    waiting, seen = ["/app/explorer.html"], set[str]()
    while waiting:
        path = waiting.pop()
        answer = server.get(path)
        if answer.status != 200:  # such as a name in a comment
            continue
        file = folder / path.removeprefix("/app/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.body)
        if file.suffix not in {".html", ".css", ".js"}:
            continue
        for names in _NAMED.findall(answer.body.decode("utf-8", "replace")):
            found = normpath(join(dirname(path), next(filter(None, names))))
            if found.startswith("/app/") and found not in seen:
                seen.add(found)
                waiting.append(found)
    return folder
