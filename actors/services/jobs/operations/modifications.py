"""The operations `modify` of a sequence: a resource changed and stored as another, on which later operations may work.

The new identifiers follow from the secret of the plan, so that what came of a resource is known again in a later run, as long as the
resource is there. What a crash repeats makes the same instances, which are there already.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from actors.services.ingest.ingest import Derivation
from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations.named_resources import Operation, find_resource, instances_of
from actors.services.modification.modified_file import modify_file
from events.errors import InvalidDicom, NotFound
from events.identifiers import Level, ResourceId, format_resource_id
from store.dicom.change.drawn import SECRET_BYTES, Drawn
from store.dicom.change.edit import Changed, Editor
from store.dicom.change.request import Flags, read_modify
from store.dicom.summary import HierarchyIds, summarize
from store.records import Instance, Origin
from store.views.snapshot import Snapshot


class Modifications:
    """Those of one run of a job."""

    def __init__(self, bench: Workbench, plan: dict[str, Any], correlation: bytes) -> None:
        self._bench = bench
        self._operations: Sequence[Operation] = plan["operations"]
        self._secret: bytes = plan.get("secret", b"")
        self._correlation = correlation
        self._outputs: dict[int, str] = {}  # by operation: the identifier of what came of it

    def resolved(self, number: int) -> Operation:
        """Return an operation that names a resource, where the plan names what came of an earlier operation. Raises NotFound."""
        operation = self._operations[number]
        if operation["input"] is None:
            return operation
        return {**operation, "resource": self._output_of(operation["input"])}

    def modify(self, number: int, settle: Callable[[], None]) -> None:
        """Carry out an operation. Raises NotFound, InvalidRequest, InvalidDicom and what else ends an upload."""
        operation = self.resolved(number)
        level, editor = self._prepare(number, operation)
        settle()
        for resource in instances_of(self._bench.views, operation):
            record, sources = self._read(resource)
            changed = self._edit(record, editor)
            derivation = Derivation(sources=sources, kind="ModifiedFrom", keeps_labels=False)
            with self._bench.ingest.open(Origin("Lua"), self._correlation, derivation) as upload:
                for part in changed.parts:
                    upload.write(part)
                stored = upload.store()
            if stored.status == "FilteredOut":
                raise InvalidDicom("The filter of received instances is against a changed instance")
            self._outputs[number] = _name(stored.ids, level)

    def _output_of(self, number: int) -> str:
        known = self._outputs.get(number)
        if known is None:
            operation = self.resolved(number)
            level, editor = self._prepare(number, operation)
            record, _ = self._read(instances_of(self._bench.views, operation)[0])
            data = b"".join(self._edit(record, editor).parts)
            encoding = self._bench.ingest.settings().default_encoding
            known = self._outputs[number] = _name(summarize(data, default_encoding=encoding).ids, level)
        return known

    def _prepare(self, number: int, operation: Operation) -> tuple[Level, Editor]:
        with self._bench.views.snapshot() as snapshot:
            place = find_resource(snapshot, operation)
        if place is None:
            raise NotFound("The resource is not there any more")
        body = {"Replace": operation["replace"], "Remove": operation["remove"]}
        change = read_modify(body, place.level, Flags(removes_private=operation["remove_private"]))
        secret = hashlib.blake2b(number.to_bytes(4, "big"), key=self._secret, digest_size=SECRET_BYTES).digest()
        return place.level, Editor(change, Drawn(secret), self._bench.ingest.settings().default_encoding)

    def _edit(self, record: Instance, editor: Editor) -> Changed:
        bench = self._bench
        return modify_file(record, bench.blobs, bench.codecs, editor, check=bench.interruption.check)

    def _read(self, resource: ResourceId) -> tuple[Instance, dict[Level, ResourceId]]:
        with self._bench.views.snapshot() as snapshot:
            record = snapshot.get_instance(resource)
            if record is None:
                raise NotFound("An instance is not there any more")
            return record, {Level.INSTANCE: record.id, **identifiers_above(snapshot, record)}


def identifiers_above(snapshot: Snapshot, record: Instance) -> dict[Level, ResourceId]:
    """Return the identifiers of what an instance belongs to."""
    series = snapshot.parent(record)
    study = snapshot.parent(series)
    return {Level.SERIES: series.id, Level.STUDY: study.id, Level.PATIENT: snapshot.parent(study).id}


def identifier_at(ids: HierarchyIds, level: Level) -> ResourceId:
    by_level = {
        Level.PATIENT: ids.patient,
        Level.STUDY: ids.study,
        Level.SERIES: ids.series,
        Level.INSTANCE: ids.instance,
    }
    return by_level[level]


def _name(ids: HierarchyIds, level: Level) -> str:
    return format_resource_id(identifier_at(ids, level))
