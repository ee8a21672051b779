"""Which process of a server holds which connections, read from the kernel's tables."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

_ESTABLISHED = "01"
_INODE = 9  # fields of a line of /proc/net/tcp
_STATE = 3
_LOCAL = 1


def associations_of(pids: Iterable[int], port: int) -> list[int]:
    """Return how many connections to a port each of these processes holds."""
    inodes = {
        f"socket:[{fields[_INODE]}]"
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[_STATE] == _ESTABLISHED and int(fields[_LOCAL].rpartition(":")[2], 16) == port
    }
    return [sum(link in inodes for link in _links_of(pid)) for pid in pids]


def _links_of(pid: int) -> list[str]:
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            links.append(str(entry.readlink()))
    return links
