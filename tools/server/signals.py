"""Signals of every process of a server: what ends it, what shows its stacks, and what must not touch it.

    SIGUSR2   how the supervisor stops a child; in the supervisor it means nothing
    SIGUSR1   the process writes the stacks of its threads to standard error
    SIGTERM, SIGINT, SIGHUP   are for the supervisor; a terminal or a service manager may send them to every process

What means nothing has a handler that does nothing, not SIG_IGN: that would be inherited by what scripts start with `os.execute`, which could
not be ended by SIGTERM. A child is born with these signals blocked and lets them come once its handlers stand; else one that is just
being started would die of them.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Iterator

# How the supervisor stops its children. Not SIGTERM: service managers send that to every process at once, and the core
# has to outlive the requests that gateways are finishing.
STOP_SIGNAL = signal.SIGUSR2
STACKS_SIGNAL = signal.SIGUSR1
FOR_THE_SUPERVISOR = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# No part of the server sends these; a terminal may, to a background process that writes to it. Their default would end or stop us.
MEANINGLESS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR, signal.SIGTTOU)
OURS = (STOP_SIGNAL, STACKS_SIGNAL, *FOR_THE_SUPERVISOR, *MEANINGLESS)

_ASKED = 0  # no signal has this number


class Ending:
    """A request that this process ends, made by a signal or by a thread.

    Not an Event: if a signal comes while the main thread enters `Event.wait`, its handler runs after the wait, which is
    never, or finds the Event's lock taken by the very thread it interrupts. The interpreter writes to a
    descriptor at once, whatever its threads are doing.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._requests = {_ASKED}

    def listen_to(self, *numbers: signal.Signals) -> None:
        """Take these signals as requests to end; for the main thread."""
        self._requests.update(numbers)
        for number in numbers:
            signal.signal(number, _nothing)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def ask(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of requests
            os.write(self._write, bytes([_ASKED]))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a request to end, or take all that came before; False if there was none in time, or another signal came."""
        while select.select([self._read], [], [], timeout_s)[0]:
            if self._requests.intersection(os.read(self._read, 1 << 16)):
                return True
            if timeout_s is not None:
                return False
        return False

    def close(self) -> None:
        """Stop listening to signals; for the main thread."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


class Stacks:
    """Writes the stacks of all threads to standard error when asked to, from a thread of its own.

    Not faulthandler's handler: it walks the frames of threads while they run, and a busy process dies of it sooner or later
    (SIGSEGV after 10 to 60 signals under load). This thread holds the interpreter's lock while it looks, and releases it to write, so
    that a blocked standard error holds up no other thread. A process that is inside a C function which keeps
    the lock shows its stacks when it is back.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._write, False)
        threading.Thread(target=self._run, name="stacks", daemon=True).start()

    def show(self) -> None:
        """Ask for the stacks; from any thread and from handlers of signals. Asked while one is being written: once more."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")

    def _run(self) -> None:
        while os.read(self._read, 1 << 16):
            _write_all(format_stacks(self._name).encode(errors="replace"))


def format_stacks(name: str) -> str:
    """Return the stacks of all threads of this process but the caller's, the latest call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = [f"stacks of {name} (process {os.getpid()}):\n"]
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  # the documented way
        if ident != threading.get_ident():
            lines += [f"  thread {names.get(ident, ident)}:\n", *traceback.format_list(_summary(frame))]
    return "".join(lines)


def _summary(frame: object) -> traceback.StackSummary:
    # Without the lines' texts: reading sources from the disk takes time, and they may have changed.
    walked = traceback.walk_stack(frame)  # type: ignore[arg-type]  # a frame
    return traceback.StackSummary.from_list(
        [(each.f_code.co_filename, line, each.f_code.co_qualname, "") for each, line in walked][::-1]
    )


def _write_all(text: bytes) -> None:
    """Write to standard error as it is now; do nothing if it is closed."""
    with contextlib.suppress(OSError):
        while text:
            text = text[os.write(2, text) :]


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Block our signals, so that a process which is started in the block is born with them blocked; for the main thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def disregard(*numbers: signal.Signals) -> None:
    """Let signals do nothing, without what we start inheriting that; for the main thread."""
    for number in numbers:
        signal.signal(number, _nothing)


def let_come() -> None:
    """Receive what `held_back` held back; for the main thread."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)


def end_deaf() -> None:
    """Let nothing disturb the interpreter's end, which gives back the default of each signal that has a handler."""
    for number in OURS:
        signal.signal(number, signal.SIG_IGN)


def _nothing(*_: object) -> None:
    """The handler of a signal whose coming is enough, or means nothing."""


def open_standard_descriptors() -> None:
    """Open what is closed of 0, 1 and 2: the next file we open would become standard error, and be written to.

    With `sinogram serve 2>&-` that was the index.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
