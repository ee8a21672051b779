"""Messages to the scheduler, and how it and others talk to the index without waiting."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actors.core.jobs.dispatch import Run
from actors.messages.commands.command import Command
from actors.messages.scheduler import SchedulerRequest
from actors.wire.reply import Reply
from events.errors import SinogramError
from events.identifiers import Ref
from store.projections.job_rows import Job

logger = logging.getLogger(__name__)

Submit = Callable[[Command, Reply], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """By a worker or a client."""

    request: SchedulerRequest
    reply: Reply


@dataclass(frozen=True, slots=True)
class JobsChanged:
    """How jobs stand after a commit."""

    jobs: list[Job]


@dataclass(frozen=True, slots=True)
class Ring:
    """The alarm: the time for something has come."""


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
    """A job's run that the last run of the server left: no worker works on it."""

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


SchedulerMessage = Asked | JobsChanged | Ring | Started | Refused | LeftRunning | Gone | Trimmed


def log_refusal(_: Any, error: SinogramError | None) -> None:
    if error is not None:
        logger.error("jobs.refused error=%s", error)
