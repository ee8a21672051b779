"""Finds in /proc which process holds a port or a lock, and whether that process is about to end."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.server import launcher

_LISTENING = "0A"  # of /proc/net/tcp
_EXITING = 0x4  # PF_EXITING, in the flags of /proc/PID/stat
_KILLED = 1 << 8  # SIGKILL, in the sets of signals of /proc/PID/status
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds something."""

    pid: int

    def __str__(self) -> str:
        return f"process {self.pid} ({_name_of(self.pid)})"

    def is_going(self) -> bool:
        """Tell whether it is ending: it is being killed, or it is a child of one of our supervisors which is gone."""
        if _is_dying(self.pid):
            return True
        supervisor = _supervisor_of(self.pid)
        return supervisor is not None and (_is_dying(supervisor) or _parent_of(self.pid) != supervisor)


def who_listens(port: int) -> Holder | None:
    """Return who listens on a TCP port, on whatever address; None if that cannot be seen."""
    wanted = {f"socket:[{inode}]" for inode in _inodes_on(port)}
    return _who_has(wanted) if wanted else None


def who_locks(path: Path) -> Holder | None:
    """Return who holds a lock (flock) on a file; None if that cannot be seen."""
    try:
        inode = path.stat().st_ino
        lines = (_PROC / "locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()  # number, FLOCK, ADVISORY, WRITE, pid, device:inode, …
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode) and int(words[4]) > 0:
            return Holder(int(words[4]))
    return None


def _inodes_on(port: int) -> list[str]:
    """Return the sockets on a local port, only those that listen if there are any."""
    listening: list[str] = []
    others: list[str] = []
    for table in ("tcp", "tcp6"):
        for words in _rows(_PROC / "net" / table):
            local, state, inode = words[1], words[3], words[9]
            if int(local.rpartition(":")[2], 16) == port and inode != "0":
                (listening if state == _LISTENING else others).append(inode)
    return listening or others


def _rows(table: Path) -> Iterator[list[str]]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    yield from (line.split() for line in lines)


def _who_has(links: set[str]) -> Holder | None:
    own = str(os.getpid())
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and entry.name != own and _has_open(entry, links):
            return Holder(int(entry.name))
    return None


def _has_open(process: Path, links: set[str]) -> bool:
    try:
        return any(str(fd.readlink()) in links for fd in (process / "fd").iterdir())
    except OSError:  # another user's, or gone by now
        return False


def _is_dying(pid: int) -> bool:
    try:
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        status = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return True  # it is gone
    if state in {"Z", "X"} or int(fields[5]) & _EXITING:
        return True
    pending = (line.partition(":")[2] for line in status if line.startswith(("SigPnd:", "ShdPnd:")))
    return any(int(signals, 16) & _KILLED for signals in pending)


def _words_of(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
    except OSError:
        return []


def _supervisor_of(pid: int) -> int | None:
    """Return the process that started one of ours as its child; None for any other process."""
    words = _words_of(pid)
    for place, word in enumerate(words[:-3]):
        if word == launcher.__file__ or word.endswith("/tools/server/launcher.py"):
            return int(words[place + 1]) if words[place + 1].isdecimal() else None
    return None


def _name_of(pid: int) -> str:
    if _supervisor_of(pid) is not None:
        return f"sinogram {_words_of(pid)[-1]}"
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return "gone"


def _parent_of(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
