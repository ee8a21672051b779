"""The operations `ResourceModification`, `SplitStudy` and `MergeStudy`: stored instances changed, and stored as others.

A step changes one instance; its new identifiers follow from the plan (`store.dicom.change.drawn`). Some steps are worked on at once, so that the
waits for the disk lie side by side. What a run that was cut off has stored beyond its last checkpoint is found by its identifier, and not
made again. The last step removes the sources, if they are not to be kept: only those of which a changed instance is there, and nothing
that has come to them since the job was made.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from actors.services.ingest.ingest import Derivation, StoreResult
from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.modification_plan import ModificationPlan, from_plan
from actors.services.jobs.operations.modifications import identifier_at, identifiers_above
from actors.services.jobs.operations.named_resources import Place, find_resource, remove_older
from actors.services.jobs.operations.passing_over import passed_over
from actors.services.jobs.operations.told_file import read_told
from actors.services.modification.modified_file import modify_file
from actors.services.transcoding.targets import Target
from events.errors import InvalidDicom, NotFound, SinogramError
from events.identifiers import Level, ResourceId, format_resource_id
from events.resources import InstanceStored
from store.dicom.change.drawn import Drawn
from store.dicom.change.edit import Changed, Editor
from store.dicom.change.modification import OWN_UIDS
from store.dicom.summary import HierarchyIds, summarize
from store.dicom.tags import SOP_INSTANCE_UID
from store.records import Instance, Origin
from store.tables import LookupKind
from store.views.feed import get_history
from store.views.jobs import list_failures
from store.views.lookup import find_refs
from store.views.snapshot import Snapshot

MOST_AHEAD: Final = (
    64  # instances that an earlier run may have worked on behind its step: JobsEngineThreadsCount allows no more
)
_TYPES: Final = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series", Level.INSTANCE: "Instance"}
_FOLDERS: Final = {
    Level.PATIENT: "patients",
    Level.STUDY: "studies",
    Level.SERIES: "series",
    Level.INSTANCE: "instances",
}


class ResourceModification(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._task = task
        self._bench = bench
        self._plan = plan = from_plan(task.plan)
        drawn = Drawn(plan.secret, self._find_kept(plan))
        self._editor = Editor(plan.change, drawn, bench.ingest.settings().default_encoding)
        quality = plan.lossy_quality or bench.codecs.settings.lossy_quality
        self._to_syntax = Target(plan.transfer_syntax, quality) if plan.transfer_syntax else None
        self._origin = Origin("RestApi", remote_ip=plan.remote_ip, username=plan.username)
        self._made: dict[int, HierarchyIds] = {}  # by its place in the plan: what came of an instance
        self._above: dict[int, dict[Level, ResourceId]] = {}  # by series: it and what it belongs to
        self._pool = ThreadPoolExecutor(bench.modification_threads, thread_name_prefix="modification")
        self._under_way: dict[int, Future[None]] = {}
        self._next = self._resumed = task.position * plan.per_step  # the first instance that nobody works on yet
        self._drawn = drawn

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        """Do a step. The steps behind it are under way, so its checkpoint is not waited for: what is repeated makes nothing new."""
        places = self._plan.places(step)
        if not places:
            self._finish(settle)
            return 0
        while self._next < min(places.stop + self._bench.modification_threads, len(self._plan.instances)):
            self._under_way[self._next] = self._pool.submit(self._change, self._next)
            self._next += 1
        try:
            for place in places:
                self._under_way.pop(place).result()
        except SinogramError as exc:
            return passed_over(exc, is_permissive=self._plan.permissive)
        return 0

    # -- one instance -------------------------------------------------------------------------------------------------

    def _change(self, place: int) -> None:
        record, sources = self._read(place)
        if self._is_resumed(place) and self._remember(place, record):
            return
        changed = self._edit_now(place, record)
        derivation = Derivation(sources=sources, kind=self._plan.derivation, keeps_labels=self._plan.keeps_labels)
        with self._bench.ingest.open(self._origin, self._task.correlation, derivation) as upload:
            for part in changed.parts:
                upload.write(part)
            self._note(place, upload.store())

    def _edit_now(self, place: int, record: Instance) -> Changed:
        """Return an instance changed, as it is now if another has taken its place and its file has gone. Raises NotFound."""
        try:
            return self._edit(record)
        except NotFound:
            again, _ = self._read(place)
            if again.blob == record.blob:
                raise
            return self._edit(again)

    def _edit(self, record: Instance) -> Changed:
        bench = self._bench
        check = bench.interruption.check
        return modify_file(record, bench.blobs, bench.codecs, self._editor, self._to_syntax, check)

    def _is_resumed(self, place: int) -> bool:
        """Tell whether an earlier run may have got as far as this instance."""
        return self._task.run > 1 and place < self._resumed + self._plan.per_step + MOST_AHEAD

    def _remember(self, place: int, record: Instance) -> bool:
        """Note what an earlier run has made of an instance, found by the identifier that it was given; returns whether it is there."""
        if record.ref > self._task.job:  # it has been changed in its place
            with self._bench.views.snapshot() as snapshot:
                self._made[place] = _ids_of(snapshot, record)
            return True
        if SOP_INSTANCE_UID not in self._plan.change.new_uids:
            return False
        with self._bench.views.snapshot() as snapshot:
            return self._find_made(snapshot, place, record.tags.get(SOP_INSTANCE_UID, ""))

    def _find_made(self, snapshot: Snapshot, place: int, old: str) -> bool:
        """Note the instance that has been made of one with an old SOPInstanceUID; returns whether it is there."""
        uid = self._drawn.uid(old.encode()).decode() if SOP_INSTANCE_UID in self._plan.change.new_uids else old
        for ref in find_refs(snapshot, LookupKind.SOP_INSTANCE_UID, uid):
            made = snapshot.get_ref(Level.INSTANCE, ref)
            if isinstance(made, Instance) and ref > self._task.job:
                self._made[place] = _ids_of(snapshot, made)
                return True
        return False

    def _note(self, place: int, result: StoreResult) -> None:
        """Note what came of an instance. Raises InvalidDicom if nothing did."""
        if result.status == "FilteredOut":
            raise InvalidDicom("The filter of received instances is against a changed instance")
        self._made[place] = result.ids

    def _read(self, place: int) -> tuple[Instance, dict[Level, ResourceId]]:
        """Return an instance, and the identifiers of itself and what it belongs to. Raises NotFound."""
        with self._bench.views.snapshot() as snapshot:
            record = snapshot.get_instance(self._plan.instances[place])
            if record is None:
                raise NotFound("An instance is not there any more")
            above = self._above.get(record.parent)
            if above is None:
                above = self._above[record.parent] = identifiers_above(snapshot, record)
        return record, {Level.INSTANCE: record.id, **above}

    def _find_kept(self, plan: ModificationPlan) -> dict[bytes, bytes]:
        """Return the UIDs of the request's own resources that are kept: references to them are kept, too."""
        kept = [tag for tag in OWN_UIDS if plan.change.is_anonymization and plan.change.keeps(tag)]
        if not kept:
            return {}
        uids: set[bytes] = set()
        with self._bench.views.snapshot() as snapshot:
            for resource in plan.instances:
                record = snapshot.get_instance(resource)
                if record is not None:
                    series = snapshot.parent(record)
                    tags = {**record.tags, **series.tags, **snapshot.parent(series).tags}
                    uids |= {tags[tag].encode() for tag in kept if tag in tags}
        return {uid: uid for uid in uids}

    # -- the end ------------------------------------------------------------------------------------------------------

    def _finish(self, settle: Callable[[], None]) -> None:
        settle()
        self._recall()
        if not self._plan.target:
            self._retell()
        if self._plan.keeps_source:
            return
        with self._bench.views.snapshot() as snapshot:
            doomed = list(self._sources(snapshot, self._replaced(snapshot)))
        who = {
            "remote_ip": self._plan.remote_ip,
            "username": self._plan.username,
            "correlation": self._task.correlation,
        }
        for source in doomed:
            remove_older(self._bench.views, self._bench.index, source, self._task.job, **who)

    def _replaced(self, snapshot: Snapshot) -> list[int]:
        """Return the places whose instances have become others that are there, each another: what nothing stands for must stay."""
        seen: set[ResourceId] = set()
        places = []
        for place, ids in sorted(self._made.items()):
            found = snapshot.find(ids.instance)
            is_other = ids.instance != self._plan.instances[place]
            if is_other and found is not None and found[1] > self._task.job and ids.instance not in seen:
                places.append(place)
            seen.add(ids.instance)
        return places

    def _sources(self, snapshot: Snapshot, places: list[int]) -> Iterator[Place]:
        """Iterate over what is to go: the named resources as a whole, or instances where something of them stays."""
        if len(places) == len(self._plan.instances):
            for parent in self._plan.parents:
                root = find_resource(snapshot, {"resource": parent})
                yield from [] if root is None else [root]
            return
        for place in places:
            source = find_resource(snapshot, {"resource": format_resource_id(self._plan.instances[place])})
            if source is not None:
                yield source

    def _recall(self) -> None:
        """Find out what came of the instances that an earlier run has changed: the same as if they were changed now."""
        with self._bench.views.snapshot() as snapshot:
            failed = {place for place, _ in list_failures(snapshot, self._task.job)}
        for place in range(min(self._resumed, len(self._plan.instances))):
            if place in failed or place in self._made:
                continue
            try:
                record, _ = self._read(place)
            except NotFound:
                self._remember_gone(place)
                continue
            if not self._remember(place, record):
                data = b"".join(self._edit(record).parts)
                self._made[place] = summarize(data, default_encoding=self._bench.ingest.settings().default_encoding).ids

    def _remember_gone(self, place: int) -> None:
        """Note what has come of a source that an earlier run's last step has removed: the log tells the identifier that it had."""
        with self._bench.views.snapshot() as snapshot:
            for entry in get_history(snapshot, self._plan.instances[place]):
                if entry.tag == InstanceStored.TAG and entry.personal and entry.seq < self._task.job:
                    self._find_made(snapshot, place, entry.personal["tags"].get(SOP_INSTANCE_UID, ""))

    def _retell(self) -> None:
        """Let what was there already, and holds changed instances now, take over what the last of them tells, as in Orthanc."""
        last = {ids.series: ids for _, ids in sorted(self._made.items())}
        with self._bench.views.snapshot() as snapshot:
            older = [ids for ids in last.values() if _is_older(snapshot, ids.patient, self._task.job)]
        told: set[ResourceId] = set()
        for ids in reversed(older):
            levels = [Level.SERIES]
            levels += [level for level in (Level.STUDY, Level.PATIENT) if identifier_at(ids, level) not in told]
            told |= {ids.study, ids.patient}
            file = read_told(self._bench, ids.instance)
            if file is not None:
                self._bench.index.reconstruct([file.values(*levels)], self._task.correlation)

    def result(self) -> dict[str, Any]:
        if self._plan.target:
            return self._target()
        if self._plan.level is not None:
            return self._of_level(self._plan.level)
        found = {level: sorted({identifier_at(ids, level) for ids in self._made.values()}) for level in reversed(Level)}
        return {"Resources": [_link(level, resource) for level, resources in found.items() for resource in resources]}

    def _of_level(self, level: Level) -> dict[str, Any]:
        """Return what clients are told of a modified patient, study or series."""
        ids = next(iter(self._made.values()), None)
        if ids is None:
            return {}
        return {**_link(level, identifier_at(ids, level)), "PatientID": format_resource_id(ids.patient)}

    def _target(self) -> dict[str, Any]:
        made = next(iter(self._made.values()), None)
        study = {} if made is None else {"TargetStudy": format_resource_id(made.study)}
        return {**self._plan.target, **study}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _ids_of(snapshot: Snapshot, record: Instance) -> HierarchyIds:
    above = identifiers_above(snapshot, record)
    return HierarchyIds(above[Level.PATIENT], above[Level.STUDY], above[Level.SERIES], record.id)


def _is_older(snapshot: Snapshot, resource: ResourceId, seq: int) -> bool:
    found = snapshot.find(resource)
    return found is not None and found[1] < seq


def _link(level: Level, resource: ResourceId) -> dict[str, str]:
    identifier = format_resource_id(resource)
    return {"ID": identifier, "Path": f"/{_FOLDERS[level]}/{identifier}", "Type": _TYPES[level]}
