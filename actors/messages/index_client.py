"""The index's typed proxy: the same whether the index lives in this process or behind the bridge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from actors.messages.commands import server
from actors.messages.commands.attachments import RemoveAttachment, RepackAttachment, SetAttachment
from actors.messages.commands.command import Command
from actors.messages.commands.commitments import ForgetCommitment, ReportCommitment, RequestCommitment
from actors.messages.commands.files import ForgetCondemned, OpenFolder, ReportDamage, ReportRecovery, RetireFolder
from actors.messages.commands.instances import NoteDuplicate, StoreInstance
from actors.messages.commands.jobs import AddJobOutput
from actors.messages.commands.labels import AddLabel, RemoveLabel
from actors.messages.commands.metadata import RemoveMetadata, SetMetadata
from actors.messages.commands.plain import to_plain
from actors.messages.commands.protection import SetProtection
from actors.messages.commands.reconstruction import Reconstruct
from actors.messages.commands.remotes import RemoteCommands
from actors.messages.commands.resources import DeleteResource, RetractInstance, SetStability, SettleResources
from actors.messages.commands.scripts import DeleteKeyValue, StoreKeyValue
from actors.messages.commands.worklists import RemoveWorklist, StoreWorklist
from actors.wire.bridge.client import ASK_TIMEOUT_S, BridgeClient
from events.identifiers import BlobId, Level, Ref, ResourceId, Seq
from store.blobs.damage import Damage
from store.records import Origin

Ask = Callable[[Command], Any]  # blocks; raises SinogramError, Busy when no answer comes in time
Begin = Callable[[Command], Callable[[], Any]]  # sends a command off; what is returned waits until it has taken effect

EXPORTS_PER_COMMAND = 1000  # some 200 kB of a message between processes


class ExportEntry(NamedTuple):
    """What was sent; identifiers below its level are empty."""

    level: int
    id: ResourceId
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """What `DELETE` of a resource left: the nearest ancestor that still exists."""

    remaining: tuple[Level, ResourceId] | None


class IndexClient:
    """Commands to the index. Every one is durable when it returns; one that timed out may still take effect."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def store_instance(self, command: StoreInstance) -> str:
        """Return "Success" or "AlreadyStored". Raises StorageFull, Busy."""
        status: str = self._ask(command)
        return status

    def delete(
        self,
        level: Level,
        resource: ResourceId,
        *,
        remote_ip: str = "",
        username: str = "",
        correlation: bytes = b"",
        before: int = 0,
    ) -> Deleted:
        """Remove a resource and what it leaves empty above. Raises NotFound; RevisionConflict if not all of it was there `before` an event."""
        command = DeleteResource(
            level=level, id=resource, remote_ip=remote_ip, username=username, correlation=correlation, before=before
        )
        remaining = self._ask(command)
        return Deleted(None if remaining is None else (Level(remaining[0]), ResourceId(remaining[1])))

    def note_duplicate(self, instance: ResourceId, origin: Origin, correlation: bytes = b"") -> None:
        """Record that an instance which is there was sent again: for scripts that want to hear of it. Else nothing."""
        self._ask(NoteDuplicate(id=instance, **origin.facts(), correlation=correlation))

    def retract(self, blob: BlobId) -> None:
        """Remove the instance that refers to a blob which is damaged or was never durable, if there is one."""
        self._ask(RetractInstance(blob=blob))

    def report_damage(self, damage: Damage) -> bool:
        """Record that a file is gone or damaged; returns whether an instance has that file."""
        return bool(self._ask(ReportDamage(blob=damage.blob, kind=damage.kind, found_bytes=damage.found_bytes)))

    def report_recovery(self, blob: BlobId) -> bool:
        """Record that a file which was damaged is whole again; returns whether an instance has that file."""
        return bool(self._ask(ReportRecovery(blob=blob)))

    def settle(self, resources: Sequence[tuple[Level, Ref, Seq]]) -> None:
        """Declare resources stable, in this order, each unless something arrived after the sequence given with it."""
        self._ask(SettleResources(resources=resources))

    def set_stability(self, resource: ResourceId, *, is_stable: bool, correlation: bytes = b"") -> bool:
        """Declare a patient, study or series stable, or let it wait for StableAge again; returns whether that changed it.

        Raises NotFound, and InvalidRequest for an instance.
        """
        return bool(self._ask(SetStability(id=resource, is_stable=is_stable, correlation=correlation)))

    def set_metadata(self, command: SetMetadata) -> int:
        """Keep a value beside a resource; returns its revision. Raises NotFound, RevisionConflict, InvalidRequest beyond 1 MiB."""
        return int(self._ask(command))

    def remove_metadata(self, command: RemoveMetadata) -> bool:
        """Remove such a value; returns whether there was one. Raises NotFound, RevisionConflict."""
        return bool(self._ask(command))

    def set_attachment(self, command: SetAttachment) -> int:
        """Make a durable file an attachment; returns its revision. Raises NotFound, RevisionConflict, FolderRevoked."""
        revision: int = self._ask(command)
        return revision

    def remove_attachment(self, command: RemoveAttachment) -> bool:
        """Remove an attachment; returns whether there was one. Raises NotFound, RevisionConflict."""
        return bool(self._ask(command))

    def repack_attachment(self, command: RepackAttachment) -> bool:
        """Replace the file of an attachment by one of the same content; returns whether it had the former. Raises NotFound."""
        return bool(self._ask(command))

    def reconstruct(self, files: list[list[Any]], correlation: bytes = b"") -> int:
        """Take over what files of instances told anew, as `Reconstruct` has it; returns how many resources have changed."""
        return int(self._ask(Reconstruct(files=files, correlation=correlation)))

    def change_label(self, command: AddLabel | RemoveLabel) -> None:
        """Give a resource a label or take it away. Raises NotFound, and InvalidRequest for what can be no label."""
        self._ask(command)

    def set_protection(self, command: SetProtection) -> None:
        """Protect a patient against recycling, or end that. Raises NotFound."""
        self._ask(command)

    def store_key_value(self, store: bytes, key: bytes, value: bytes, correlation: bytes = b"") -> None:
        """Keep a value for scripts. Raises InvalidRequest beyond 128 bytes of store, 255 of key, 1 MiB of value."""
        self._ask(StoreKeyValue(store=store, key=key, value=value, correlation=correlation))

    def delete_key_value(self, store: bytes, key: bytes, correlation: bytes = b"") -> bool:
        """Remove a value that a script keeps; returns whether there was one. Raises InvalidRequest."""
        return bool(self._ask(DeleteKeyValue(store=store, key=key, correlation=correlation)))

    def clear_changes(self) -> None:
        self._ask(server.ClearChanges())

    def clear_exports(self) -> None:
        self._ask(server.ClearExports())

    def draw_anonymous_name(self, correlation: bytes = b"") -> str:
        """Return a name for a patient that no other request to anonymise gives."""
        return f"Anonymized{self._ask(server.DrawAnonymousName(correlation=correlation))}"

    def log_exports(self, modality: str, exports: Sequence[ExportEntry], correlation: bytes = b"") -> None:
        """Record in `/exports` what a client has had sent to a modality or peer, named by its symbolic name."""
        for start in range(0, len(exports), EXPORTS_PER_COMMAND):
            some = [list(entry) for entry in exports[start : start + EXPORTS_PER_COMMAND]]
            self._ask(server.LogExports(modality=modality, exports=some, correlation=correlation))

    def store_remote(
        self,
        commands: RemoteCommands,
        values: dict[str, Any],
        correlation: bytes = b"",
        *,
        outlives_the_run: bool = True,
    ) -> None:
        """Add or replace a remote of a kind, given as the plain values that its event has, and its secrets."""
        command = commands.store if outlives_the_run else commands.change
        self._ask(command(values=values, correlation=correlation))

    def remove_remote(self, commands: RemoteCommands, name: str, correlation: bytes = b"") -> bool:
        """Remove a remote that outlives the run; returns whether there was one."""
        return bool(self._ask(commands.remove(name=name, correlation=correlation)))

    def drop_remote(self, commands: RemoteCommands, name: str, correlation: bytes = b"") -> None:
        """Have no such remote until the next start."""
        self._ask(commands.drop(name=name, correlation=correlation))

    def change_commitment(self, command: RequestCommitment | ReportCommitment | ForgetCommitment) -> None:
        """Record what becomes of a transaction of storage commitment."""
        self._ask(command)

    def store_worklist(self, command: StoreWorklist) -> None:
        """Add or replace an entry of the worklist. Raises NotFound, InvalidRequest."""
        self._ask(command)

    def remove_worklist(self, command: RemoveWorklist) -> bool:
        """Remove an entry of the worklist; returns whether it was there."""
        return bool(self._ask(command))

    def set_setting(self, name: str, value: Any) -> None:
        """Change a setting of all processes until the next start."""
        self._ask(server.SetSetting(name=name, value=value))

    def add_job_output(
        self,
        job: Ref,
        run: int,
        key: str,
        blob: BlobId,
        size_bytes: int,
        *,
        media_type: str,
        filename: str,
        keep: int = 0,
    ) -> bool:
        """Record a file of a job, which is durable; returns whether the run goes on and the job has it. Raises FolderRevoked."""
        command = AddJobOutput(
            job=job,
            run=run,
            key=key,
            blob=blob,
            size_bytes=size_bytes,
            media_type=media_type,
            filename=filename,
            keep=keep,
        )
        return bool(self._ask(command))

    def open_folder(self, owner: str) -> int:
        """Lease a new blob folder."""
        number: int = self._ask(OpenFolder(owner=owner))
        return number

    def retire_folder(self, folder: int) -> None:
        self._ask(RetireFolder(folder=folder))

    def forget_condemned(self, blobs: list[BlobId]) -> None:
        self._ask(ForgetCondemned(blobs=blobs))

    def save_cursor(self, consumer: str, seq: Seq) -> None:
        """Record that a consumer has dealt with all events up to a sequence."""
        self._ask(server.SaveCursor(consumer=consumer, seq=seq))

    def drop_cursor(self, consumer: str) -> None:
        """Forget a consumer: files of deleted instances do not wait for it any more."""
        self._ask(server.DropCursor(consumer=consumer))


def ask_over(bridge: BridgeClient) -> Ask:
    return lambda command: bridge.request("index", to_plain(command))


def begin_over(bridge: BridgeClient) -> Begin:
    return lambda command: bridge.begin("index", to_plain(command), timeout_s=ASK_TIMEOUT_S).result
