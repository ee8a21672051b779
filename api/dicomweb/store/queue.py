"""The uploads of one request on their way into the archive, several at once: each waits for the disk and for the index, which take many together.

What became of them is noted in the order in which they came. An instance that comes twice goes in twice, one after the other.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, NamedTuple, Self

from api.dicomweb.store.answer import StoreAnswer
from api.rest.deps import IdentifiedResult, IdentifiedUpload, Identity
from events.errors import CorruptLog, ReadOnlyArchive, SinogramError

AT_ONCE: Final = 4  # of a request; more gave no more instances a second on two processors


class _Entry(NamedTuple):
    identity: Identity
    result: Future[IdentifiedResult]


class StoreQueue:
    """A context; at its end everything that was put in is stored, or refused, and noted."""

    def __init__(self, answer: StoreAnswer, at_once: int = AT_ONCE) -> None:
        """With 1 `at_once`, each is stored before `put` returns."""
        self._answer = answer
        self._at_once = at_once
        self._waiting: deque[_Entry] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._is_first = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        try:
            while self._waiting:
                self._settle()
        finally:
            if self._threads is not None:
                self._threads.shutdown()

    def put(self, upload: IdentifiedUpload, identity: Identity) -> None:
        """Store a file that is complete; it is discarded here. Raises what is wrong with the archive itself."""
        if self._is_first or self._at_once == 1:  # most requests bring one instance, and need no thread
            self._is_first = False
            done: Future[IdentifiedResult] = Future()
            try:
                done.set_result(_keep(upload))
            except Exception as exc:  # noqa: BLE001  # it is raised where the others' are
                done.set_exception(exc)
            self._waiting.append(_Entry(identity, done))
            self._settle()
            return
        while len(self._waiting) == self._at_once or any(
            each.identity.sop_uid == identity.sop_uid for each in self._waiting
        ):
            self._settle()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._at_once, "stow")
        self._waiting.append(_Entry(identity, self._threads.submit(_keep, upload)))

    def _settle(self) -> None:
        """Note what became of the one that waits longest."""
        identity, future = self._waiting.popleft()
        try:
            result = future.result()
        except (CorruptLog, ReadOnlyArchive):
            raise
        except SinogramError as exc:
            self._answer.fail(exc, identity.sop_class, identity.sop_uid)
            return
        if result.status == "FilteredOut":
            self._answer.filter_out(result.summary, result.dimse_status)
        else:
            self._answer.add(result.summary)


def _keep(upload: IdentifiedUpload) -> IdentifiedResult:
    try:
        return upload.store()
    finally:
        upload.discard()
