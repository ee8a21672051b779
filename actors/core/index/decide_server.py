"""Which events the commands about the server itself cause: feeds, modalities, exports."""

from actors.core.index.outcome import Context, Outcome, Planned, Steps
from actors.messages.commands import ClearChanges, ClearExports, Command, LogExports, RemoveModality, StoreModality
from events.identifiers import ResourceId
from events.server import ChangesCleared, ExportsCleared, ModalityRemoved, ModalityStored, ResourceExported
from store.tables import MODALITIES, modality_key

SERVER_COMMANDS = (ClearChanges, ClearExports, LogExports, StoreModality, RemoveModality)


def decide_server(command: Command, context: Context, outcome: Outcome) -> Steps:
    """Yield the events of a command; fill in the outcome."""
    match command:
        case ClearChanges():
            yield Planned(ChangesCleared())
        case ClearExports():
            yield Planned(ExportsCleared())
        case LogExports():
            for level, resource, *identifiers in command.exports:
                yield Planned(_exported(command.modality, level, resource, identifiers))
        case StoreModality():
            yield Planned(ModalityStored(**command.values))
        case RemoveModality():
            outcome.reply = context.batch.get(MODALITIES, modality_key(command.name)) is not None
            if outcome.reply:
                yield Planned(ModalityRemoved(name=command.name))
        case _:
            raise TypeError(type(command).__name__)


def _exported(modality: str, level: int, resource: bytes, identifiers: list[str]) -> ResourceExported:
    patient, study, series, instance = identifiers
    return ResourceExported(
        level=level,
        modality=modality,
        id=ResourceId(resource),
        patient_id=patient,
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=instance,
    )
