"""What a server and the processes it started hold: threads, descriptors, memory, files. Read from /proc."""

import re
from dataclasses import dataclass
from pathlib import Path

import lmdb


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of a whole process tree at one moment."""

    threads: int
    descriptors: int
    files: int  # below the data folder
    active_readers: int  # LMDB read transactions that are open

    def is_no_more_than(self, other: "Holdings") -> bool:
        """Whether nothing has grown; what a pool gave back may be less."""
        return all(getattr(self, name) <= getattr(other, name) for name in self.__slots__)


def process_tree(root: int) -> list[int]:
    """The process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (status := _read(entry / "status")):
            parent = int(re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index] # every process has the line
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def holdings(root: int, data: Path) -> Holdings:
    """What the tree of a server holds now."""
    pids = process_tree(root)
    return Holdings(
        threads=sum(_count(Path(f"/proc/{pid}/task")) for pid in pids),
        descriptors=sum(_count(Path(f"/proc/{pid}/fd")) for pid in pids),
        files=sum(1 for path in data.rglob("*") if path.is_file()),
        active_readers=_active_readers(data / "sinogram.mdb"),
    )


def resident_anonymous_bytes(root: int) -> int:
    """RssAnon of all processes of the tree together."""
    sizes = [
        re.search(r"^RssAnon:\s+(\d+) kB", _read(Path(f"/proc/{pid}/status")), re.MULTILINE)
        for pid in process_tree(root)
    ]
    return sum(int(size[1]) * 1024 for size in sizes if size)


def _active_readers(environment: Path) -> int:
    """Readers with a transaction number; the table is shared between processes, so we can look from here."""
    with lmdb.open(str(environment), subdir=False, readonly=True, create=False) as opened:
        lines = str(opened.readers()).splitlines()[1:]
    return sum(1 for line in lines if len(line.split()) == 3 and line.split()[2] != "-")


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:  # the process ended meanwhile
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
