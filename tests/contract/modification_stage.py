"""Modifications and anonymisations as jobs have them, step by step, without a runner: a test says when each step is done."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.messages.commands.instances import NEVER
from actors.messages.job_types import RESOURCE_MODIFICATION
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.ingest import Derivation, Ingest, Upload
from actors.services.ingest.settings import IngestSettings
from actors.services.jobs.operation import Task, Workbench
from actors.services.jobs.operations.modification_plan import ModificationPlan, to_plan
from actors.services.jobs.operations.resource_modification import ResourceModification
from actors.wire.interruption import Interruption
from events.identifiers import Level, Ref, ResourceId, format_resource_id
from store.dicom.change.drawn import new_secret
from store.dicom.change.request import Flags, read_anonymize, read_modify
from store.records import Origin, Resource
from store.views.metadata import sources_of
from tests.contract.operations_stage import Engine

NAME = RESOURCE_MODIFICATION.name
PER_STEP = 16


def plan_of(
    engine: Engine,
    body: dict[str, Any] | None = None,
    *,
    modifies: bool = False,
    study: ResourceId | None = None,
    **values: Any,
) -> ModificationPlan:
    """The plan of a request about a study, that which was there first by default, whose instances are those of now."""
    flags = Flags(force=True)
    change = read_modify(body or {}, Level.STUDY, flags) if modifies else read_anonymize(body or {}, flags, "Program 1")
    with engine.core.views.snapshot() as s:
        study = study or next(iter(s.list_ids(Level.STUDY)))
        found = s.get(Level.STUDY, study)
        assert isinstance(found, Resource)
        instances = [each.id for each in s.descendants(found, Level.INSTANCE)]
    given: dict[str, Any] = {"instances": instances, "level": Level.STUDY, "per_step": PER_STEP} | values
    return ModificationPlan(
        change=change,
        secret=new_secret(),
        derivation="ModifiedFrom" if modifies else "AnonymizedFrom",
        parents=[format_resource_id(study)],
        **given,
    )


def sources(engine: Engine) -> dict[ResourceId, str]:
    """By changed instance: the identifier of what it was made from."""
    with engine.core.views.snapshot() as s:
        told = {record.id: list(sources_of(s, record.ref).values()) for record in s.list(Level.INSTANCE)}
    return {instance: found[0] for instance, found in told.items() if found}


def _new_event(engine: Engine) -> Ref:
    """Put an event into the log, as a job's submission would be; returns its sequence."""
    with engine.core.views.snapshot() as s:
        last = max(record.ref for record in s.list(Level.INSTANCE))
    engine.core.client.draw_anonymous_name()
    return Ref(last + 1)


class Stage:
    """Makes operations that no runner drives, and counts what they store."""

    def __init__(self, engine: Engine, codecs: CodecPool, overwrite: str, threads: int) -> None:
        core = engine.core
        self._lock = threading.Lock()
        self.stored = 0
        stage, settings = self, IngestSettings(sync=False, overwrite=overwrite)

        class Counted(Ingest):
            def open(self, origin: Origin, correlation: bytes = b"", derivation: Derivation | None = None) -> Upload:
                with stage._lock:
                    stage.stored += 1
                return super().open(origin, correlation, derivation)

        self.ingest = Counted(core.client, core.views, core.blobs, "worker-1", lambda: settings)
        self._job = _new_event(engine)
        unused: Any = None
        self._bench = Workbench(
            views=core.views,
            blobs=core.blobs,
            index=core.client,
            ingest=self.ingest,
            jobs=engine.jobs,
            modalities=unused,
            peers=unused,
            peer_client=unused,
            dicomweb_servers=unused,
            dicomweb_client=unused,
            scu=unused,
            associations=unused,
            codecs=codecs,
            filters=unused,
            temporary_directory=Path(),
            modification_threads=threads,
            interruption=Interruption(),
        )

    def operation(self, plan: ModificationPlan, *, run: int, position: int) -> ResourceModification:
        task = Task(
            job=self._job,
            id=bytes(16),
            run=run,
            type=NAME,
            priority=0,
            steps=plan.steps,
            position=position,
            plan=to_plan(plan),
        )
        return ResourceModification(task, self._bench)


@contextmanager
def cut_off(engine: Engine, overwrite: str = NEVER, threads: int = 8) -> Iterator[Stage]:
    codecs = CodecPool()
    stage = Stage(engine, codecs, overwrite, threads)
    try:
        yield stage
    finally:
        stage.ingest.close()
        codecs.close()
