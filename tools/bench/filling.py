"""`bench fill`: an archive of many instances for measuring, written through the index's own decisions and projections.

What a server would have written stands in the archive: the same events, the same read models, a chain that verifies. What
is left out is what would take days: the files (instances refer to blobs that are not there), and waiting for the disk. The
environment is made durable once, at the end; an archive whose filling was cut off is to be removed.

Instances, series and studies are spread evenly over what is above them, one parent after the other, as scanners send them.
Values differ as far as queries can tell: names, dates, accession numbers and modalities are of a patient, study or series.
"""

import gc
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from actors.core.index.context import Context, Outcome
from actors.core.index.decide import decide
from actors.messages.commands.command import Command
from actors.messages.commands.files import OpenFolder, RetireFolder
from actors.messages.commands.instances import StoreInstance
from actors.messages.commands.resources import SettleResources
from events.errors import InvalidRequest
from events.identifiers import BlobId, Level, Ref, Seq, Surrogate, hash_resource_id
from store import projections
from store.batch import Batch
from store.blobs.store import FOLDER_FILES, BlobStore
from store.blobs.writer import make_blob_id
from store.boot import mark_clean
from store.dicom.uids import EXPLICIT_LE, MR_IMAGE_STORAGE
from store.environment import FILE_NAME, Environment
from store.log import LogWriter, read_head
from tools.bench import senders
from tools.bench.results import Run, run_of
from tools.bench.samples import make_uid
from tools.bench.targets import OWN_NAME
from tools.server.archive import open_archive

OWNER: Final = "filler"
BATCH_INSTANCES: Final = 20_000  # of one transaction: some 50 MB of dirty pages
SAID_EVERY: Final = 500_000  # instances
_FIRST_DAY: Final = date(2000, 1, 1)
_STUDIES_PER_DAY: Final = 200
_MODALITIES: Final = ("MR", "CT", "US", "CR", "DX", "MG", "NM", "PT", "XA", "OT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many of each; none is more than what is below it. Numbers count from 0."""

    patients: int
    studies: int
    series: int
    instances: int
    seed: int = 1  # of the UIDs, < 10**10

    def check(self) -> None:
        """Raise InvalidRequest for an archive that cannot be."""
        if not 0 < self.patients <= self.studies <= self.series <= self.instances:
            raise InvalidRequest("an archive has at least one patient, and at no level fewer than at the one above")

    def series_of(self, instance: int) -> int:
        return instance * self.series // self.instances

    def study_of(self, series: int) -> int:
        return series * self.studies // self.series

    def patient_of(self, study: int) -> int:
        return study * self.patients // self.studies

    def first_instance_of(self, series: int) -> int:
        return -(-series * self.instances // self.series)

    def chain(self, instance: int) -> tuple[str, str, str, str]:
        """Return PatientID and the UIDs of study, series and instance."""
        series = self.series_of(instance)
        study = self.study_of(series)
        return (
            patient_id(self.patient_of(study)),
            make_uid(1, self.seed, study),
            make_uid(2, self.seed, series),
            make_uid(3, self.seed, instance),
        )


def patient_id(number: int) -> str:
    return f"FILL-{number:09d}"


def accession_number(study: int) -> str:
    return f"A{study:09d}"


def patient_name(number: int) -> str:
    return f"F{number % 1000:03d}X^G{number // 1000:06d}"


def study_date(number: int) -> str:
    return f"{_FIRST_DAY + timedelta(days=number // _STUDIES_PER_DAY % 9000):%Y%m%d}"


class _Above:
    """What stands above an instance, made once for each series: the next instance is of the same one, as a rule."""

    def __init__(self, shape: Shape, series: int) -> None:
        self.series = series
        self._first = shape.first_instance_of(series)
        chain = shape.chain(self._first)
        study = shape.study_of(series)
        patient = shape.patient_of(study)
        self._uids = chain[:3]
        self._ids = [hash_resource_id(*chain[:count]) for count in (1, 2, 3)]
        who = {0x00100010: patient_name(patient), 0x00100020: chain[0], 0x00100030: "19700101", 0x00100040: "O"}
        self._tags = {
            1: who,
            2: {
                0x00080020: study_date(study),
                0x00080030: "101112",
                0x00080050: accession_number(study),
                0x00080090: f"REF{study % 500:03d}^DR",
                0x00081030: f"STUDY {study % 5000:04d}",
                0x0020000D: chain[1],
                0x00200010: str(study),
            },
            3: {
                0x00080060: _MODALITIES[series % len(_MODALITIES)],
                0x0008103E: f"series {series % 100}",
                0x0020000E: chain[2],
                0x00200011: str(series % 10),
            },
        }

    def command(self, shape: Shape, number: int, blob: BlobId, md5: bytes) -> StoreInstance:
        uid = make_uid(3, shape.seed, number)
        index = number - self._first + 1
        patient, study, series = self._ids
        return StoreInstance(
            patient=patient,
            study=study,
            series=series,
            id=hash_resource_id(*self._uids, uid),
            tags={0x00080018: uid, 0x00200013: str(index)},
            tags_above=self._tags,
            blob=blob,
            size_bytes=170_000,
            md5=md5,
            transfer_syntax=EXPLICIT_LE,
            sop_class=MR_IMAGE_STORAGE,
            pixel_data_offset=1234,
            pixel_data_vr="",
            index_in_series=index,
            expected_instances=None,
            origin="DicomProtocol",
            remote_ip="192.0.2.1",
            remote_aet="FILLER",
            called_aet="ORTHANC",
            username="",
            correlation=b"",
        )


class Filler:
    """Carries commands out as the index does, many in one transaction; what it has written is synced when it closes."""

    def __init__(self, folder: Path) -> None:
        """Make a new archive in `folder`. Raises BadMedium, and InvalidRequest where there is one."""
        if (folder / FILE_NAME).exists():
            raise InvalidRequest(f"{folder} holds an archive already; fill an empty folder")
        folder.mkdir(parents=True, exist_ok=True)
        made, _ = open_archive(folder, BlobStore(folder))
        mark_clean(made)
        made.close()
        self._environment = Environment(folder, writable=True, durable=False)
        with self._environment.begin() as txn:
            self._log = LogWriter(read_head(txn, self._environment.tables))

    def run(self, some: Iterable[Command]) -> list[Outcome]:
        """Carry out some commands in one transaction."""
        with self._environment.begin(write=True) as txn:
            batch = Batch(txn, self._environment.tables)
            outcomes = [self._carry_out(command, batch) for command in some]
            batch.flush()
        return outcomes

    def lease(self) -> int:
        """Lease another blob folder."""
        return int(self.run([OpenFolder(owner=OWNER)])[0].reply)

    def _carry_out(self, command: Command, batch: Batch) -> Outcome:
        context = Context(batch, self._log.next_seq, _new_surrogate)
        for planned in decide(command, context):
            appended = self._log.append(
                batch,
                planned.event,
                now_us=time.time_ns() // 1000,
                aggregate=planned.aggregate,
                actor=command.ACTOR,
                correlation=b"",
            )
            projections.apply(batch, appended)
        batch.savepoint()
        return context.outcome

    def close(self) -> None:
        """Make everything durable."""
        self._environment.sync()
        self._environment.close()


def fill(folder: Path, shape: Shape, *, settled: bool = True) -> Run:
    """Make an archive in an empty folder; a rate is instances a second. Raises InvalidRequest, BadMedium.

    Unless `settled`, all patients, studies and series wait for StableAge: the next start finds them ripe after that time.
    """
    shape.check()
    started = time.monotonic()
    filler = Filler(folder)
    gc.disable()  # millions of small objects, none of them in a circle
    try:
        for first in range(0, shape.instances, BATCH_INSTANCES):
            numbers = range(first, min(first + BATCH_INSTANCES, shape.instances))
            folders = [filler.lease() for _ in range(0, len(numbers), FOLDER_FILES)]
            outcomes = filler.run(_commands(shape, numbers, folders))
            filler.run(RetireFolder(folder=number) for number in folders)
            if settled:
                filler.run([SettleResources(resources=_untouched_later(shape, numbers, outcomes))])
            if numbers.stop % SAID_EVERY == 0:
                rate = numbers.stop / (time.monotonic() - started)
                print(f"{numbers.stop:,} instances, {rate:,.0f}/s", file=sys.stderr, flush=True)
    finally:
        gc.enable()
        filler.close()
    seconds = time.monotonic() - started
    return run_of("fill", OWN_NAME, 1, senders.Outcome(shape.instances, seconds))


def _commands(shape: Shape, numbers: range, folders: list[int]) -> Iterator[StoreInstance]:
    above = _Above(shape, shape.series_of(numbers.start))
    for place, number in enumerate(numbers):
        series = shape.series_of(number)
        if series != above.series:
            above = _Above(shape, series)
        blob = make_blob_id(folders[place // FOLDER_FILES], place % FOLDER_FILES)
        yield above.command(shape, number, blob, secrets.token_bytes(16))


def _untouched_later(shape: Shape, numbers: range, outcomes: list[Outcome]) -> list[tuple[Level, Ref, Seq]]:
    """Return what these instances have touched, without what the next one will touch again, with the last sequence."""
    last: dict[Ref, tuple[Level, Ref, Seq]] = {}
    for outcome in outcomes:
        for level, ref, seq in outcome.touched:
            last[ref] = (level, ref, seq)
    if numbers.stop < shape.instances:
        here, following = shape.chain(numbers.stop - 1), shape.chain(numbers.stop)
        for (_, ref, _), mine, its in zip(reversed(outcomes[-1].touched), here, following, strict=False):
            if mine == its:
                del last[ref]
    return list(last.values())


def _new_surrogate() -> Surrogate:
    return Surrogate(secrets.token_bytes(8))
