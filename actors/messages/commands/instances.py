"""Commands about instances that come in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from actors.messages.commands.command import Command
from events.identifiers import ResourceId
from events.received import Originated, ReceivedInstance

NEVER: Final = "Never"  # the values of OverwriteInstances
ALWAYS: Final = "Always"
IF_CHANGED: Final = "IfChanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInstance(Command, ReceivedInstance):
    """Add a DICOM file that is durable as `blob`. Replies Stored. Idempotent: the same blob may be sent again."""

    ACTOR: ClassVar[str] = "ingest"
    patient: ResourceId
    study: ResourceId
    series: ResourceId
    tags_above: Mapping[int, Mapping[int, str]]  # level -> main DICOM tags of patient, study and series
    expected_instances: int | None
    correlation: bytes
    overwrite: str = NEVER  # whether the file takes the place of one that the instance has; else than for NEVER it is durable already
    # The file of what stands before Pixel Data, durable already, as the last values of a row; it becomes an attachment.
    head: list[Any] | None = None
    heals: bytes = b""  # the damaged blob of this instance that this one, durable already, takes the place of
    # Of what it was made from: level -> identifier, for itself and what may be new above it.
    derived_from: Mapping[int, bytes] | None = None
    derivation: str = ""  # the metadata that says so, "ModifiedFrom" or "AnonymizedFrom"; "" for none
    keeps_labels: bool = False  # what is new gets the labels of what it was made from


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDuplicate(Command, Originated):
    """Record that an instance which is there was sent again. Replies whether it is there."""

    ACTOR: ClassVar[str] = "ingest"
    id: ResourceId
    correlation: bytes
