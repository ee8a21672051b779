"""Events about the protection of patients: a patient that is protected is never recycled.

They have the patient's aggregate. What is asked for and found done is no event.
"""

from dataclasses import dataclass
from typing import ClassVar

from events.event import Event, personal
from events.identifiers import Ref


class ProtectionEvent(Event):
    """Family of the events that concern protection."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientProtected(ProtectionEvent):
    """A patient that could be recycled cannot any more."""

    TAG: ClassVar[str] = "patient-protected/1"
    patient: Ref
    remote_ip: str = personal()
    username: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientUnprotected(ProtectionEvent):
    """A patient that was protected can be recycled again, after all others that can."""

    TAG: ClassVar[str] = "patient-unprotected/1"
    patient: Ref
    remote_ip: str = personal()
    username: str = personal()
