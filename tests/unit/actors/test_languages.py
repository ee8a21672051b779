"""Requests as they travel: each comes through as it was, and what is none is refused."""

import msgpack
import pytest

from actors.messages.control import CONTROL, Control
from actors.messages.log_watch import LOG_WATCH, AwaitEvents
from actors.messages.scheduler import SCHEDULER, AwaitEnd, EndRun, FailRun, RecordStep
from actors.messages.scripts import SCRIPTS, Call, Execute
from actors.wire.bridge.language import Language, Request
from events.errors import InvalidRequest

EXCHANGED = [
    (SCHEDULER, AwaitEnd(3)),
    (SCHEDULER, RecordStep(1, 2, 3, 0xB000)),
    (SCHEDULER, EndRun(1, 2, -1, 0, {"A": [1, "é", b"\0", None]})),
    (SCHEDULER, FailRun(1, 2, "busy", 36, "later")),
    (LOG_WATCH, AwaitEvents(7)),
    (LOG_WATCH, AwaitEvents(7, ())),
    (LOG_WATCH, AwaitEvents(7, ("a", "b"))),
    (SCRIPTS, Call("OnHeartBeat", [b"\xff", 1.5, {"x": []}], b"c")),
    (SCRIPTS, Execute(b"print(1)")),
    (CONTROL, Control("reset")),
]
NONSENSE = [
    (LOG_WATCH, []),
    (LOG_WATCH, ["AwaitEvents"]),
    (LOG_WATCH, ["AwaitEvents", "x"]),
    (LOG_WATCH, ["AwaitEvents", 1, "x"]),
    (LOG_WATCH, ["AwaitEnd", 1]),
    (SCHEDULER, ["Dance", 1]),
    (SCHEDULER, ["RecordStep", 1, 2, 3]),
    (SCHEDULER, [["AwaitEnd"], 1]),
    (SCRIPTS, ["Execute", "text"]),
    (SCRIPTS, ["Call", "name", "no list"]),
    (CONTROL, ["Control", "dance"]),
]


@pytest.mark.parametrize(("language", "request_"), EXCHANGED)
def test_a_request_arrives_as_it_was_sent(language: Language[Request], request_: Request) -> None:
    travelled = msgpack.unpackb(msgpack.packb(language.write(request_)))
    assert language.read(travelled) == request_


@pytest.mark.parametrize(("language", "values"), NONSENSE)
def test_what_is_no_request_of_the_actor_is_refused(language: Language[Request], values: list[object]) -> None:
    with pytest.raises(InvalidRequest, match=f'"{language.actor}" does not understand'):
        language.read(values)
