"""Which events the protection of patients causes."""

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.reading import find_visible, surrogate_of
from actors.messages.commands.protection import SetProtection
from events import protection as events
from events.errors import NotFound
from events.identifiers import Level
from store.tables import PROTECTED, key


def _set(command: SetProtection, context: Context) -> Steps:
    patient = find_visible(context.batch, Level.PATIENT, command.id)
    if patient is None:
        raise NotFound("no such patient")
    if (context.batch.get(PROTECTED, key(patient)) is not None) != command.is_protected:
        event_type = events.PatientProtected if command.is_protected else events.PatientUnprotected
        event = event_type(patient=patient, remote_ip=command.remote_ip, username=command.username)
        yield Planned(event, surrogate_of(context.batch, patient))


DECISIONS: Decisions = {SetProtection: _set}
