"""Commands on their way between processes (`actors.wire.bridge`), and several as one."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from actors.messages.commands import (
    attachments,
    commitments,
    dicomweb_servers,
    files,
    instances,
    jobs,
    labels,
    metadata,
    peers,
    protection,
    reconstruction,
    recycling,
    resources,
    scripts,
    server,
    worklists,
)
from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Together(Command):
    """Carry out several commands in their order, all or none. Replies the list of their replies.

    Each is decided on what those before it have done. Raises what refuses the first of them that is refused.
    """

    commands: Sequence[list[Any]]  # of to_plain; none of them a Together itself


_FAMILIES = (
    instances,
    resources,
    reconstruction,
    recycling,
    protection,
    labels,
    metadata,
    peers,
    dicomweb_servers,
    commitments,
    worklists,
    attachments,
    files,
    jobs,
    scripts,
    server,
)
COMMANDS: dict[str, type[Command]] = {"Together": Together} | {
    name: member
    for family in _FAMILIES
    for name, member in vars(family).items()
    if isinstance(member, type) and issubclass(member, Command) and member.__module__ == family.__name__
}


def to_plain(command: Command) -> list[Any]:
    """Return a command as plain values: its name, then its fields in order."""
    return [type(command).__name__, *(getattr(command, f.name) for f in fields(command))]  # type: ignore[arg-type]


def from_plain(values: list[Any]) -> Command:
    """Return the command behind plain values. Raises KeyError or TypeError for what is none."""
    command_type = COMMANDS[values[0]]
    names = [f.name for f in fields(command_type)]  # type: ignore[arg-type]
    return command_type(**dict(zip(names, values[1:], strict=True)))


def parts_of(command: Command) -> list[Command]:
    """Return the commands that one stands for: itself, as a rule."""
    return [from_plain(plain) for plain in command.commands] if isinstance(command, Together) else [command]
