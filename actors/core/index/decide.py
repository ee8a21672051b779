"""Which events a command causes. Pure but for reading the batch: no clock, no file; randomness is handed in.

`decide` returns what to append; the actor appends and projects each event before it asks for more, so that later
events of one command (a series found complete) can be decided on what the earlier ones made visible.
"""

from actors.core.index.context import Context, Decisions, Steps
from actors.core.index.decisions import (
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

_FAMILIES = (
    instances,
    resources,
    reconstruction,
    recycling,
    protection,
    labels,
    metadata,
    peers,
    commitments,
    dicomweb_servers,
    worklists,
    attachments,
    files,
    jobs,
    scripts,
    server,
)
DECISIONS: Decisions = {command: decision for family in _FAMILIES for command, decision in family.DECISIONS.items()}


def decide(command: Command, context: Context) -> Steps:
    """Iterate over the events of a command; fill in the context's outcome. Raises SinogramError to refuse the command."""
    return DECISIONS[type(command)](command, context)
