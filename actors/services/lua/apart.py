"""Work that is done by another thread while the interpreter's serves what must not wait."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Apart(Generic[T]):
    """One piece of it; `notify` is called when it is over."""

    def __init__(self, work: Callable[[], T], notify: Callable[[], None]) -> None:
        self._work = work
        self._notify = notify
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.is_done = False

    def run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as exc:  # noqa: BLE001 # it is raised where the result is waited for
            self._error = exc
        self.is_done = True
        self._notify()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]
