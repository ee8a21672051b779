"""`sinogram serve`: binds the ports, starts the processes in order and looks after them until the end.

    supervisor ─┬─ core          the writer; its death ends the whole
                ├─ lua-filter    filters of received instances; restarted when it dies
                ├─ lua-main      all other callbacks of scripts; restarted when it dies, goes on from its cursor
                ├─ gateway-1 …   DICOM associations and HTTP requests; stateless, restarted when it dies
                └─ worker-1 …    carries out jobs; restarted when it dies, its jobs go on from their checkpoints

The supervisor holds the listening sockets, so a restarted gateway finds its clients waiting. Start: core, then the
interpreters of scripts (where there are scripts), then the others, each answering that it is ready. Stop (SIGTERM, SIGINT,
`POST /tools/shutdown`): the gateways finish what is under way while the workers give their jobs back, then the interpreters
the callback under way, then the core. An interpreter that is stuck in a callback is killed
(`actors.services.scripts.heartbeat`). SIGHUP (`POST /tools/reset`) stops all and starts all again with the
same configuration. Children ignore these signals, so a terminal or a service manager may send them to every process.
SIGUSR1 makes every process print the stacks of its threads. However the supervisor is killed, its children are killed at once, and
the next start waits for the ports and locks that they still hold (`tools.server.predecessor`).
"""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from actors.services.scripts.settings import LUA_FILTER, LUA_MAIN
from events.errors import BadConfiguration, BadMedium
from tools.server.children import INTERPRETERS, Child, spawn, wait_for_one
from tools.server.composition import ServerSettings
from tools.server.logging_setup import LEVEL_WORDS, set_level
from tools.server.orders import Orders
from tools.server.process import CORE, GATEWAY, READY, REFUSED, WORKER, WORKING, Order, note_that_all_is_loaded
from tools.server.signals import (
    FOR_THE_SUPERVISOR,
    MEANINGLESS,
    STACKS_SIGNAL,
    STOP_SIGNAL,
    Stacks,
    disregard,
    end_deaf,
)
from tools.server.watchdog import LOOK_S, Watchdog

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0  # a core that sweeps after a crash may take its time
STOP_TIMEOUT_S = 30.0  # then a process is killed
LUA_STOP_TIMEOUT_S = 12.0  # likewise an interpreter, which ends callbacks after 5 s: it is stuck
RESTART_WINDOW_S = 60.0
SHORT_LIFE_S = 5.0  # of a worker or interpreter that cannot work at all
RESTARTS_PER_WINDOW = 10  # a process that dies more often than this ends the whole

EXIT_OK = 0
EXIT_REFUSED = 2  # the configuration or the medium
EXIT_CORE_DIED = 70


class Supervisor:
    """Runs the processes of one server."""

    def __init__(self, settings: ServerSettings) -> None:
        """Bind the ports. Raises CannotListen."""
        self._settings = settings
        self._orders = Orders(settings)
        self._children: list[Child] = []
        self._watchdog = Watchdog({})
        self._restarts: list[float] = []
        self._signals: list[int] = []
        self._stacks = Stacks("the supervisor")
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Serve until told to stop; returns the exit status."""
        with self._catch_signals():
            while True:
                status = self._run_once()
                if status is not None:
                    if status == EXIT_OK:
                        print("Sinogram has stopped", flush=True)
                    return status
                logger.warning("serve.reset")

    def _run_once(self) -> int | None:
        """Start everything, wait for the end and stop everything; None to start again."""
        self._settings.set_up_logging("sinogram")  # what REST has set holds until a reset
        try:
            failed = self._start()
            if failed is not None:
                return failed
            self._announce()
            return self._watch()
        finally:
            self._stop()

    # -- starting -----------------------------------------------------------------------------------------------------

    def _start(self) -> int | None:
        """Start all processes; returns the exit status if one of them does not come up."""
        core = self._spawn(self._orders.core())
        failed = self._await_ready(core)
        if failed is not None:
            return failed
        self._watchdog = Watchdog(self._orders.make_boards())
        others = [*self._orders.gateways(), *self._orders.workers()]
        return self._start_all(self._orders.interpreters()) or self._start_all(others)

    def _start_all(self, orders: list[Order]) -> int | None:
        started = [self._spawn(order) for order in orders]
        return next((failed for child in started if (failed := self._await_ready(child)) is not None), None)

    def _spawn(self, order: Order) -> Child:
        child = spawn(order)
        self._children.append(child)
        return child

    def _await_ready(self, child: Child) -> int | None:
        """Wait until a process says that it serves; returns the exit status if it refused (it has said why) or died."""
        while not child.is_ready:
            left_s = child.started_s + START_TIMEOUT_S - time.monotonic()
            look_s = LOOK_S if child.order.role in INTERPRETERS else left_s
            spoke = wait_for_one([child], self._wake_read, max(min(look_s, left_s), 0.0))
            self._end_stuck()  # a script that never ends being loaded
            if not spoke and look_s < left_s:
                continue
            if not spoke:
                logger.error("serve.not-ready name=%s after_s=%d", child.name, START_TIMEOUT_S)
                return EXIT_CORE_DIED
            if self._is_told_to_stop():
                logger.warning("serve.stopped-starting name=%s was not ready yet", child.name)
                return EXIT_OK
            if child in spoke and (failed := self._first_word(child)) is not None:
                return failed
        return None

    def _first_word(self, child: Child) -> int | None:
        match child.hear():
            case word if word == READY:
                child.is_ready = True
                return None
            case word if word == WORKING:
                child.started_s = time.monotonic()
                return None
            case word if word == REFUSED or child.was_stuck:
                return EXIT_REFUSED
        advice = self._advice() if child.order.role == CORE else ""
        logger.error("serve.died-starting name=%s%s", child.name, advice)
        return EXIT_CORE_DIED

    def _is_told_to_stop(self) -> bool:
        """Tell whether a signal has come that ends the server. SIGHUP is kept until it serves."""
        with suppress(BlockingIOError):
            os.read(self._wake_read, 512)
        return any(number != signal.SIGHUP for number in self._signals)

    def _announce(self) -> None:
        for line in self._settings.greeting():
            print(line, flush=True)

    # -- watching -----------------------------------------------------------------------------------------------------

    def _watch(self) -> int | None:
        while True:
            ready = wait_for_one(self._children, self._wake_read, self._next_look_s())
            self._end_stuck()
            self._end_late()
            for child in ready:
                if child is None:
                    os.read(self._wake_read, 512)
                elif child in self._children and (status := self._on_word(child)) is not None:
                    return status
            while self._signals:
                match self._signals.pop(0):
                    case signal.SIGHUP:
                        return None
                    case _:
                        return EXIT_OK

    def _next_look_s(self) -> float | None:
        """Return until when there is nothing to look after: interpreters, and those that are being started again."""
        return LOOK_S if self._watchdog.roles or not all(child.is_ready for child in self._children) else None

    def _end_late(self) -> None:
        """Kill those that were started again and do not come to serve; they are found dead on their lines, and replaced."""
        for child in self._children:
            if child.is_late(time.monotonic(), START_TIMEOUT_S):
                logger.error("serve.killed name=%s: it was not ready after %d s", child.name, START_TIMEOUT_S)
                child.kill()

    def _end_stuck(self) -> None:
        """Kill the interpreters that will not go on."""
        for role, what in list(self._watchdog.find_stuck(time.monotonic())):
            for child in (child for child in self._children if child.order.role == role):
                logger.error("serve.killed name=%s: it is stuck in %s", child.name, what)
                self._watchdog.note_killed(role)
                child.was_stuck = True
                child.kill()  # its end is found on its pipe
            self._watchdog.forget(role)

    def _on_word(self, child: Child) -> int | None:
        """Deal with a process that was started again and serves, that tells of a level of logs, or that is gone or going."""
        word = child.hear()
        if word == READY:
            child.is_ready = True
            logger.info("serve.ready name=%s", child.name)
            return None
        if word in LEVEL_WORDS:
            category, level = LEVEL_WORDS[word]
            set_level(level, category)
            return None
        return self._on_death(child)

    def _on_death(self, child: Child) -> int | None:
        if child.order.role in INTERPRETERS:
            child.kill()  # it is gone, or going; what its scripts have started goes with it
        code = child.process.wait()
        self._forget(child)
        if child.order.role == CORE:
            logger.critical("serve.core-died status=%d; the server ends%s", code, self._advice())
            return EXIT_CORE_DIED
        logger.error("serve.process-died name=%s status=%d; it is started again", child.name, code)
        if child.order.role in self._watchdog.roles:
            self._watchdog.forget(child.order.role)
        now = time.monotonic()
        # A worker that lived for a while died of its job, or was killed for not letting go of one: jobs answer for that.
        # Likewise an interpreter and its callback.
        if child.order.role not in INTERPRETERS | {WORKER} or now < child.started_s + SHORT_LIFE_S:
            self._restarts = [at for at in self._restarts if at > now - RESTART_WINDOW_S] + [now]
        if len(self._restarts) > RESTARTS_PER_WINDOW:
            logger.critical("serve.too-many-restarts; the server ends")
            return EXIT_CORE_DIED
        self._spawn(child.order)  # not waited for: another process may die at the same time
        return None

    def _advice(self) -> str:
        """What to do if the core dies again and again: a damaged page of the index may be what ends it."""
        index, storage = self._settings.index_directory, self._settings.storage_directory
        words = ["sinogram", "fsck", "--data", str(index), *(["--storage", str(storage)] if storage != index else [])]
        return f"; if starting it again does not help, see what is wrong with the archive: {shlex.join(words)}"

    def _forget(self, child: Child) -> None:
        self._children.remove(child)
        os.close(child.status_fd)
        if child.order.role == GATEWAY:
            self._orders.free_places(child.order.number)

    def _show_stacks(self) -> None:
        """Called by the handler of a signal, whatever we are doing."""
        self._stacks.show()
        for child in self._children:
            child.process.send_signal(STACKS_SIGNAL)

    # -- stopping -----------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop the gateways and workers, then the interpreters, then the core.

        The filters' interpreter last: a callback under way in the main one may store instances.
        """
        for roles in ({GATEWAY, WORKER}, {LUA_MAIN}, {LUA_FILTER}, {CORE}):
            group = [child for child in self._children if child.order.role in roles]
            for child in group:
                child.process.send_signal(STOP_SIGNAL)
            patience_s = LUA_STOP_TIMEOUT_S if roles <= INTERPRETERS else STOP_TIMEOUT_S
            deadline = time.monotonic() + patience_s
            for child in group:
                try:
                    child.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    logger.error("serve.killed name=%s: it did not stop in %d s", child.name, patience_s)
                    child.kill()
                self._forget(child)
        self._orders.close_boards()
        self._watchdog = Watchdog({})

    @contextmanager
    def _catch_signals(self) -> Iterator[None]:
        def note(number: int, _: object) -> None:
            self._signals.append(number)

        old_fd = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in FOR_THE_SUPERVISOR:
            signal.signal(number, note)
        signal.signal(STACKS_SIGNAL, lambda *_: self._show_stacks())
        try:
            yield
        finally:
            end_deaf()
            signal.set_wakeup_fd(old_fd)
            self._orders.close()
            os.close(self._wake_read)
            os.close(self._wake_write)


def serve(settings: ServerSettings, *, single_process: bool = False) -> int:
    """Run the server; returns the exit status (0 stopped, 2 refused to start, 70 the core died)."""
    disregard(STOP_SIGNAL, STACKS_SIGNAL, *MEANINGLESS)
    try:
        if single_process:
            from tools.server.single import serve_in_one_process

            note_that_all_is_loaded()
            return serve_in_one_process(settings)
        note_that_all_is_loaded()
        return Supervisor(settings).run()
    except (BadConfiguration, BadMedium) as exc:
        print(f"sinogram: {exc}", file=sys.stderr)
        return EXIT_REFUSED
