"""Commands about storage commitment that this server asks of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCommitment(Command):
    """Record a transaction before the modality is asked; nothing, if it is there: a step of a job may be repeated."""

    ACTOR: ClassVar[str] = "commitment"
    IS_RECORD: ClassVar[bool] = True
    transaction: str
    remote_aet: str
    references: Sequence[Any]  # of [SOP class, SOP instance]
    most: int  # transactions that are remembered, 0 for all: the oldest make room
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCommitment(Command):
    """Record what a modality has said of a transaction, also of one that is unknown: it may have made room for others."""

    ACTOR: ClassVar[str] = "commitment"
    IS_RECORD: ClassVar[bool] = True
    transaction: str
    remote_aet: str
    succeeded: Sequence[Any]  # of [SOP class, SOP instance]
    failed: Sequence[Any]  # of [SOP class, SOP instance, Failure Reason]
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetCommitment(Command):
    """Forget a transaction that was never accepted; nothing, if it is not there or there is a report."""

    ACTOR: ClassVar[str] = "commitment"
    IS_RECORD: ClassVar[bool] = True
    transaction: str
    correlation: bytes
