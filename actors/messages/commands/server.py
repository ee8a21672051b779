"""Commands about the server itself: feeds, modalities, settings, and how far consumers of the log have come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from actors.messages.commands.command import Command
from events.identifiers import Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearChanges(Command):
    ACTOR: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearExports(Command):
    ACTOR: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawAnonymousName(Command):
    """Draw the number of a request to anonymise. Replies the number."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExports(Command):
    """Record in `/exports` what a client has had sent to a modality or peer."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    modality: str  # its symbolic name
    exports: list[Any]  # of [level, id, PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID]
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseMainTags(Command):
    """Record which main DICOM tags are configured, before anything is stored with them; nothing if they are the ones of before."""

    ACTOR: ClassVar[str] = "core"
    FREES_SPACE: ClassVar[bool] = True  # some hundred bytes: a start on a full disk may use the reserve for them
    tags: Mapping[int, list[int]]  # level -> tags, in ascending order


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreModality(Command):
    """Add or replace a modality in the log; it outlives the run."""

    ACTOR: ClassVar[str] = "rest"
    values: dict[str, Any]  # of actors.services.remote.modality.to_plain
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveModality(Command):
    """Remove a modality from the log. Replies whether there was one."""

    ACTOR: ClassVar[str] = "rest"
    name: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeModality(Command):
    """Add or replace a modality until the next start."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    values: dict[str, Any]  # of actors.services.remote.modality.to_plain
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DropModality(Command):
    """Have no such modality until the next start; who sends it has looked whether there is one."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    name: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetting(Command):
    """Change a setting of all processes until the next start. Not an event: it does not outlive the run."""

    IS_RECORD: ClassVar[bool] = True
    name: str
    value: Any  # plain values; None: what the configuration says holds again


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCursor(Command):
    """Record how far a consumer of the log has come."""

    FREES_SPACE: ClassVar[bool] = True
    RELEASES_FILES: ClassVar[bool] = True
    IS_RECORD: ClassVar[bool] = True
    consumer: str
    seq: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCursor(Command):
    """Forget a consumer of the log: nothing waits for it any more."""

    FREES_SPACE: ClassVar[bool] = True
    IS_RECORD: ClassVar[bool] = True
    consumer: str
