"""Replies of actors that answer when they can, by calling what they were given."""

import threading
from collections.abc import Callable
from typing import Any

from events.errors import Busy, SinogramError

Reply = Callable[[Any, SinogramError | None], None]  # a result or an error; called once, on the actor's thread


def stopping() -> Busy:
    """The answer of an actor that takes no more requests."""
    return Busy("the server is stopping")


def wait_for_reply(request: Callable[[Reply], None], timeout_s: float, silence: Busy) -> Any:
    """Make a request and return its result. Raises the error it is answered with; `silence` if there is no answer in time."""
    answered = threading.Event()
    answer: tuple[Any, SinogramError | None] = (None, silence)

    def reply(result: Any, error: SinogramError | None) -> None:
        nonlocal answer
        answer = (result, error)
        answered.set()

    request(reply)
    answered.wait(timeout_s)
    result, error = answer
    if error is not None:
        raise error
    return result
