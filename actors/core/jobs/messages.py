"""What the scheduler hears besides how jobs stand, and how it and others talk to the index without waiting."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pykka

from actors.core.jobs.dispatch import Run
from actors.messages.commands.command import Command
from events.errors import SinogramError
from events.identifiers import Ref

logger = logging.getLogger(__name__)

Reply = Callable[[Any, SinogramError | None], None]
Submit = Callable[[Command, Reply], None]


@dataclass(frozen=True, slots=True)
class Request:
    """Of a worker or a client; see `actors.core.jobs.scheduler`."""

    values: list[Any]
    reply: Reply


@dataclass(frozen=True, slots=True)
class Started:
    """The start of a run is recorded, or was not possible: None."""

    run: Run
    number: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Commands that belong together and have to be carried out; each may be given again."""

    commands: tuple[Command, ...]
    reply: Reply  # takes the result of the last one


@dataclass(frozen=True, slots=True)
class LeftRunning:
    """What the last run of the server left of a job's run: nobody is at work on it."""

    job: Ref
    run: int
    is_crash: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """A process has ended, however it did."""

    process: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Completed jobs were forgotten, or not for an error."""

    is_done: bool


def log_refusal(_: Any, error: SinogramError | None) -> None:
    if error is not None:
        logger.error("jobs.refused error=%s", error)


def tell(actor: pykka.ActorRef[Any], message: object) -> None:
    with contextlib.suppress(pykka.ActorDeadError):  # at the end the index outlives whom it tells
        actor.tell(message)
