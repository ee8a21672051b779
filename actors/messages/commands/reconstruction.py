"""Commands about what files told once more."""

from dataclasses import dataclass
from typing import Any, ClassVar

from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruct(Command):
    """Take over what the files of some instances have told. Replies how many resources have changed.

    An instance that is gone or has another file by now is passed over: whoever stored that file has read it.
    """

    ACTOR: ClassVar[str] = "reconstruction"
    # Of [identifier, blob, level -> tags of the instance or of what it belongs to, the patient's tags, then as InstanceReconstructed
    # has them: transfer syntax, SOP class, offset and VR of the pixels, index in the series]. Other levels stay as they are.
    files: list[list[Any]]
    correlation: bytes
