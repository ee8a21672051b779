"""The reader of the feed and its listeners, on a loop whose bells are heard at once."""

import asyncio
import threading
from typing import Any

import pytest

from api.rest.event_hub import EventHub, Selection
from store.views.event_pages import EventFilter

ALL = Selection(EventFilter(), with_values=True)
DEADLINE_S = 60.0


class Unreadable:
    """Views of an archive that cannot be read, once that is allowed."""

    def __init__(self) -> None:
        self.may_fail = threading.Event()

    def snapshot(self) -> Any:
        self.may_fail.wait(DEADLINE_S)
        raise OSError


@pytest.mark.parametrize("is_stopped", [False, True])
def test_who_is_woken_by_the_end_knows_that_it_is_the_end(is_stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that took it for news would wait for more, for as long as its alarm takes."""
    views: Any = Unreadable()
    hub = EventHub(views, lambda seq: seq)
    bell, woken, still_told = asyncio.Event(), threading.Event(), []

    def call(*_: Any) -> None:
        still_told.append(hub.is_told(bell))
        woken.set()

    async def listen() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", call)
        with hub.listening(bell, ALL):
            if is_stopped:
                hub.stop()
            views.may_fail.set()
            assert woken.wait(DEADLINE_S)
            hub.join()

    asyncio.run(listen())
    assert still_told == [False]
