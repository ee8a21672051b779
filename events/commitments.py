"""Events about storage commitment (PS3.4 Annex J): what this server has asked other modalities to vouch for, and what they have said.

The other direction, in which this server vouches, is a job: see `events.jobs`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from events.event import personal
from events.server import ServerEvent


class CommitmentEvent(ServerEvent):
    """Events of the server: which transactions of storage commitment there are."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequested(CommitmentEvent):
    """A modality is about to be asked; until it reports, the transaction is pending."""

    TAG: ClassVar[str] = "commitment-requested/1"
    transaction: str = personal()  # its UID, from which nothing can be told; what it is about is the patient's
    remote_aet: str = personal()
    references: Sequence[Sequence[str]] = personal()  # SOP class and SOP instance of each


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReported(CommitmentEvent):
    """A modality has reported; a later report about the same transaction takes the place of this one."""

    TAG: ClassVar[str] = "commitment-reported/1"
    transaction: str = personal()
    remote_aet: str = personal()  # who has reported
    succeeded: Sequence[Sequence[str]] = personal()  # as `references`
    failed: Sequence[Sequence[str | int]] = personal()  # SOP class, SOP instance and Failure Reason of each


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentForgotten(CommitmentEvent):
    """A transaction has made room for a newer one (`StorageCommitmentReportsSize`), or the modality has refused it."""

    TAG: ClassVar[str] = "commitment-forgotten/1"
    transaction: str = personal()
