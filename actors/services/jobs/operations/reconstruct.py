"""The operation `Reconstruct`: files of instances are read again, and the index takes over what they tell. Its plan: `reconstruct_plan`.

What lies above instances has the tags that it would have if Orthanc 1.12.7 had read one file after the other, by their identifiers:
those of the last. Only that file is read for it, after all instances, so that no answer in between shows what will not last. With
`LimitToThisLevelMainDicomTags` it is the first file. A resource changes in one commit, and tells with it which tags are kept of it.

A step that a crash repeats finds nothing to change. A file that cannot be read is passed over; the job then fails at its end and says
which they were.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.reconstruct_plan import (
    PART_INSTANCES,
    PART_PATIENTS,
    from_plan,
    instances_of,
)
from actors.services.jobs.operations.told_file import ToldFile, summarize_file
from events.errors import DamagedFile, InvalidDicom, MissingTag
from events.identifiers import Level, Ref, ResourceId, format_resource_id
from store.projections import rows
from store.records import Instance
from store.tables import INSTANCES, key
from store.views.jobs import list_failures
from store.views.snapshot import Snapshot

log = logging.getLogger(__name__)

_NAMED: Final = 20  # instances in the text of the error; all are in the log
_UNREADABLE: Final = 20  # Orthanc's number of a damaged file, for the steps that met one

Settle = Callable[[], None]


class _Place(NamedTuple):
    """An instance and what holds it."""

    id: ResourceId
    ref: Ref
    series: Ref
    study: Ref


class Reconstruct(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._task = task
        self._bench = bench
        self._plan = from_plan(task.plan)
        self._unreadable: set[ResourceId] = set()  # met in this step
        self._refs: list[Ref] | None = None  # of the instances of the resource, in order

    def run_step(self, step: int, settle: Settle) -> int:
        self._unreadable.clear()
        parts = len(self._plan.instances)
        if self._plan.is_limited:
            told = list(self._tell_limited())
        elif step < parts:
            told = [each.values(Level.INSTANCE) for each in self._read_all(self._part(step))]
        else:
            told = list(self._tell_parents(step - parts))
        settle()
        for start in range(0, len(told), PART_INSTANCES):
            self._bench.index.reconstruct(told[start : start + PART_INSTANCES], self._task.correlation)
        if step == self._task.steps - 1:
            self._conclude()
        return _UNREADABLE if self._unreadable else 0

    # -- which instances ----------------------------------------------------------------------------------------------

    def _part(self, number: int) -> list[Instance]:
        """Return the instances of a part that are still there."""
        bounds = self._plan.instances
        first = bounds[number]
        following = bounds[number + 1] if number + 1 < len(bounds) else None
        with self._bench.views.snapshot() as s:
            if self._plan.level is None:
                refs = islice(s.list_refs(Level.INSTANCE, after=Ref(first - 1)), PART_INSTANCES)
            else:
                refs = islice((ref for ref in self._refs_of_resource(s) if ref >= first), PART_INSTANCES)
            wanted = (ref for ref in refs if following is None or ref < following)
            records = (s.get_ref(Level.INSTANCE, ref) for ref in wanted if s.row(INSTANCES, key(ref)) is not None)
            return [record for record in records if isinstance(record, Instance)]

    def _refs_of_resource(self, s: Snapshot) -> list[Ref]:
        if self._refs is None:
            assert self._plan.level is not None
            assert self._plan.resource is not None
            try:
                self._refs = sorted(instances_of(s, self._plan.level, self._plan.resource))
            except KeyError:  # deleted since
                self._refs = []
        return self._refs

    # -- their files --------------------------------------------------------------------------------------------------

    def _read_all(self, instances: Iterable[Instance]) -> Iterator[ToldFile]:
        for instance in instances:
            told = self._read(instance)
            if told is not None:
                yield told

    def _read(self, instance: Instance) -> ToldFile | None:
        """Read a file; None if it tells nothing. Raises Interrupted, StorageFailed."""
        self._bench.interruption.check()
        if instance.id in self._unreadable:
            return None
        try:
            data = self._bench.blobs.read_instance(instance, whole=False)
        except FileNotFoundError:  # deleted since, or another file has taken its place and was read then
            return None
        except DamagedFile as exc:
            self._pass_over(instance, exc)
            return None
        try:
            return ToldFile(instance, summarize_file(self._bench.ingest, data))
        except (InvalidDicom, MissingTag) as exc:
            self._pass_over(instance, exc)
            return None

    def _pass_over(self, instance: Instance, error: Exception) -> None:
        self._unreadable.add(instance.id)
        log.error("reconstruct.file-unreadable instance=%s error=%s", format_resource_id(instance.id), error)

    # -- what lies above them -----------------------------------------------------------------------------------------

    def _tell_parents(self, number: int) -> Iterator[list[Any]]:
        """Iterate over files with the levels above instances whose tags they tell."""
        if self._plan.level is not None:
            with self._bench.views.snapshot() as s:
                refs = self._refs_of_resource(s)
            yield from self._tell_last(refs, patient_too=True)
            return
        bounds = self._plan.patients
        following = bounds[number + 1] if number + 1 < len(bounds) else None
        with self._bench.views.snapshot() as s:
            patients = list(islice(s.list_refs(Level.PATIENT, after=Ref(bounds[number] - 1)), PART_PATIENTS))
        for patient in patients:
            if following is None or patient < following:
                yield from self._tell_patient(patient)

    def _tell_patient(self, patient: Ref) -> Iterator[list[Any]]:
        """Of the studies, in the order of their identifiers, the last tells the patient's tags."""
        with self._bench.views.snapshot() as s:
            studies = sorted(((s.id_of(Level.STUDY, ref), ref) for ref in s.child_refs(patient)), reverse=True)
        is_told = False
        for _, study in studies:
            with self._bench.views.snapshot() as s:
                try:
                    refs = instances_of(s, Level.STUDY, study)
                except KeyError:  # deleted since
                    continue
            for file in self._tell_last(refs, patient_too=not is_told):
                is_told = True
                yield file

    def _tell_last(self, refs: Iterable[Ref], *, patient_too: bool) -> Iterator[list[Any]]:
        """Iterate over the last files of the series, studies and, if wanted, of the patient that have these instances."""
        told: set[Ref] = set()
        for place in self._places(refs, last_first=True):
            read = None if place.series in told else self._read_at(place)
            if read is None:
                continue
            levels = [Level.SERIES]
            if place.study not in told:
                levels.append(Level.STUDY)
            if patient_too and not told:
                levels.append(Level.PATIENT)
            told |= {place.series, place.study}
            yield read.values(*levels)

    def _tell_limited(self) -> Iterator[list[Any]]:
        """Iterate over the one file that tells the tags of the resource alone: the first."""
        assert self._plan.level is not None
        with self._bench.views.snapshot() as s:
            refs = self._refs_of_resource(s)
        for place in self._places(refs, last_first=False):
            read = self._read_at(place)
            if read is not None:
                yield read.values(self._plan.level)
                return

    def _places(self, refs: Iterable[Ref], *, last_first: bool) -> list[_Place]:
        """Return instances in the order of their identifiers."""
        with self._bench.views.snapshot() as s:
            found = ((ref, s.row(INSTANCES, key(ref))) for ref in refs)
            unpacked = ((ref, rows.unpack(row)) for ref, row in found if row is not None)
            places = [
                _Place(row[rows.ID], ref, row[rows.INSTANCE_SERIES], row[rows.INSTANCE_STUDY]) for ref, row in unpacked
            ]
        return sorted(places, reverse=last_first)

    def _read_at(self, place: _Place) -> ToldFile | None:
        with self._bench.views.snapshot() as s:
            instance = s.get_instance(place.id)
        return None if instance is None else self._read(instance)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """Raise DamagedFile if files could not be read, in this run or an earlier one."""
        with self._bench.views.snapshot() as s:
            steps = [step for step, _ in list_failures(s, self._task.job)]
        for step in steps:
            if step < len(self._plan.instances):
                for _ in self._read_all(self._part(step)):  # again: only steps are recorded, not what they met
                    pass
        if not self._unreadable:
            return
        names = sorted(map(format_resource_id, self._unreadable))
        more = f" and {len(names) - _NAMED} more, which the log names" if len(names) > _NAMED else ""
        raise DamagedFile(
            f"{len(names)} files could not be read, all others were: those of the instances {', '.join(names[:_NAMED])}{more}; "
            "send these again"
        )

    def result(self) -> dict[str, Any]:
        return {}
