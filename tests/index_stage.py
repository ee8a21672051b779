"""The index on the test's own thread: a command is committed when the test says so, and so is each step of a purge."""

import queue
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from actors.core.index.actor import Index, _Waiting
from actors.core.index.settings import NO_LIMITS, StorageLimits
from actors.messages.commands.command import Command
from actors.messages.commands.files import OpenFolder
from actors.messages.commands.instances import StoreInstance
from actors.messages.commands.protection import SetProtection
from actors.messages.commands.resources import DeleteResource, PurgeRows
from actors.wire.reply import Reply
from events.errors import SinogramError
from events.identifiers import BlobId, Level, Ref, ResourceId, Seq, hash_resource_id
from store.blobs.writer import make_blob_id
from store.environment import Environment
from store.projections.job_rows import Job
from store.views.views import Views


class Announcements:
    """What the index tells its listener, written down."""

    def __init__(self) -> None:
        self.touched: list[tuple[Level, Ref, Seq]] = []
        self.condemned = 0
        self.jobs: list[Job] = []
        self.heads: list[Seq] = []

    def on_touched(self, touched: list[tuple[Level, Ref, Seq]]) -> None:
        self.touched += touched

    def on_condemned(self) -> None:
        self.condemned += 1

    def on_jobs(self, jobs: list[Job]) -> None:
        self.jobs += jobs

    def on_appended(self, head: Seq, tags: AbstractSet[str]) -> None:
        self.heads.append(head)


class IndexStage:
    """An index whose commits and purge steps are taken one by one."""

    def __init__(self, env: Environment, clock: Callable[[], int], limits: StorageLimits = NO_LIMITS) -> None:
        self.env = env
        self.views = Views(env)
        self.announced = Announcements()
        self.purges: list[PurgeRows] = []  # steps that wait
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self.index = Index(env, clock, self._waiting, limits=limits)
        self.index.on_receive(self.announced)

    def put(self, command: Command, reply: Reply) -> None:
        """Queue a command."""
        self._waiting.put(_Waiting(command, reply))

    def commit(self) -> None:
        """Commit what waits, and set purge steps that it gave aside."""
        self.index.on_receive("wake")
        while not self._waiting.empty():
            step = self._waiting.get().command
            assert isinstance(step, PurgeRows)
            self.purges.append(step)

    def run(self, *commands: Command) -> list[Any]:
        """Commit commands together; returns each one's result, or the error that refused it."""
        answers: list[Any] = [AssertionError("no reply")] * len(commands)

        def taker(place: int) -> Reply:
            def take(result: Any, error: SinogramError | None) -> None:
                assert isinstance(answers[place], AssertionError), "a reply came twice"
                answers[place] = result if error is None else error

            return take

        for place, command in enumerate(commands):
            self.put(command, taker(place))
        self.commit()
        return answers

    def ask(self, command: Command) -> Any:
        """Commit one command. Raises what refused it."""
        (answer,) = self.run(command)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def purge_step(self) -> None:
        """Take the step of a purge that has waited longest."""
        self.ask(self.purges.pop(0))

    def purge_all(self) -> None:
        while self.purges:
            self.purge_step()

    def lease(self, owner: str = "gateway-1") -> int:
        folder: int = self.ask(OpenFolder(owner=owner))
        return folder


def chain(*names: str) -> ResourceId:
    """Return the identifier of `patient[, study[, series[, instance]]]`."""
    return hash_resource_id(*names)


def store_command(
    patient: str = "P",
    study: str = "S",
    series: str = "R",
    instance: str = "I",
    *,
    folder: int = 1,
    place: int = 0,
    blob: BlobId | None = None,
    size_bytes: int = 1_000,
    index_in_series: int | None = None,
    expected_instances: int | None = None,
    correlation: bytes = b"",
    **others: Any,
) -> StoreInstance:
    """Return the command of a small MR image; names stand for PatientID and UIDs."""
    values: dict[str, Any] = {"md5": b"", **others}
    return StoreInstance(
        patient=chain(patient),
        study=chain(patient, study),
        series=chain(patient, study, series),
        id=chain(patient, study, series, instance),
        tags={0x00080018: instance},
        tags_above={
            1: {0x00100020: patient, 0x00100010: f"Doe^{patient}"},
            2: {0x0020000D: study, 0x00080050: f"ACC{study}"},
            3: {0x0020000E: series, 0x00080060: "MR"},
        },
        blob=make_blob_id(folder, place) if blob is None else blob,
        size_bytes=size_bytes,
        transfer_syntax="1.2.840.10008.1.2.1",
        sop_class="1.2.840.10008.5.1.4.1.1.4",
        pixel_data_offset=None,
        pixel_data_vr="",
        index_in_series=index_in_series,
        expected_instances=expected_instances,
        origin="DicomProtocol",
        remote_ip="192.0.2.1",
        remote_aet="MODALITY",
        called_aet="SINOGRAM",
        username="",
        correlation=correlation,
        **values,
    )


def protect_command(patient: str, *, is_protected: bool = True) -> SetProtection:
    return SetProtection(id=chain(patient), is_protected=is_protected, remote_ip="", username="", correlation=b"")


def delete_command(*names: str, before: int = 0) -> DeleteResource:
    """Return the command that deletes `patient[, study[, series[, instance]]]`."""
    level = Level(len(names))
    return DeleteResource(level=level, id=chain(*names), remote_ip="", username="", correlation=b"", before=before)
