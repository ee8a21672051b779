"""The input of a decision, and its outcome."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from actors.core.index.settings import NO_LIMITS, StorageLimits
from actors.messages.commands.command import Command
from events.event import Event
from events.identifiers import Level, Ref, Seq, Surrogate
from store.batch import Batch
from store.projections.job_rows import Job


@dataclass(slots=True)
class Outcome:
    """What came of a command, apart from its events."""

    reply: Any = None
    touched: list[tuple[Level, Ref, Seq]] = field(default_factory=list)  # now waiting to become stable
    purging: list[Ref] = field(default_factory=list)  # deleted, with rows left to purge
    condemned: bool = False  # blobs wait for removal
    jobs: list[Job] = field(default_factory=list)  # as they stand now


def merge(outcomes: list[Outcome]) -> Outcome:
    """Return what came of commands that were carried out together; the reply is the list of theirs."""
    return Outcome(
        reply=[outcome.reply for outcome in outcomes],
        touched=[item for outcome in outcomes for item in outcome.touched],
        purging=[root for outcome in outcomes for root in outcome.purging],
        condemned=any(outcome.condemned for outcome in outcomes),
        jobs=[job for outcome in outcomes for job in outcome.jobs],
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """An event to append."""

    event: Event
    aggregate: bytes = b""
    actor: str = ""  # the name under which it enters the log, if that is not the command's


Steps = Iterable[Planned]
NOTHING: Steps = ()


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a decision may read, and the place for its outcome."""

    batch: Batch
    next_seq: Callable[[], Seq]
    new_surrogate: Callable[[], Surrogate]
    limits: StorageLimits = NO_LIMITS
    outcome: Outcome = field(default_factory=Outcome)


# From the type of a command to what decides it; each family's module ends with its own.
Decisions = dict[type[Command], Callable[[Any, Context], Steps]]
