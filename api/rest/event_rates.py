"""`GET /events/rates`: how many events there were in each step of the time that has just passed. Not Orthanc's."""

from typing import Final

import falcon

from api.errors import OutOfRange
from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.serving.replies import send_json
from store.views.event_times import count_over_time

MOST_STEPS: Final = 500
LONGEST_S: Final = 10 * 366 * 86_400


class EventRates:
    """`?seconds=` and `?steps=`; an hour in 60 steps unless they are told."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        seconds, steps = arguments.lenient_numbers(req, seconds=3_600, steps=60)
        if not 1 <= steps <= MOST_STEPS or not steps <= seconds <= LONGEST_S:
            raise OutOfRange(f"steps must be 1 to {MOST_STEPS}, and seconds at least as many, {LONGEST_S} at most")
        step_us = seconds * 1_000_000 // steps
        end_us = int(self._deps.now().timestamp() * 1e6)
        bounds_us = range(end_us - steps * step_us, end_us + 1, step_us)
        with self._deps.views.snapshot() as snapshot:
            counts = count_over_time(snapshot, bounds_us)
        send_json(req, resp, {"Counts": counts, "SinceMicroseconds": bounds_us[0], "StepMicroseconds": step_us})


def routes(deps: Deps) -> Routes:
    return {"/events/rates": EventRates(deps)}
