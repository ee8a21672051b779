"""The operations `DicomMoveScu` and `DicomGetScu`: a modality is asked for instances, one query a step.

One association serves all steps. A query that a crash repeats makes the modality send again what we, or the target,
have already: instances that are stored are acknowledged and left as they are.
"""

from collections.abc import Callable, Sequence

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.passing_over import passed_over
from actors.services.jobs.operations.retrieve_plan import Retrieval, from_plan
from actors.services.remote import get_scu, move_scu
from actors.services.remote.association import Association
from actors.services.remote.get_scu import Incoming, storage_contexts
from actors.services.remote.requestor import Proposal, open_association
from events.errors import SinogramError
from events.identifiers import Level
from store.dicom.charset_encoding import defined_term
from store.dicom.identifier import encode_dataset
from store.dicom.received import Announced
from store.dicom.tags import SOP_CLASSES_IN_STUDY, SPECIFIC_CHARACTER_SET
from store.dicom.uids import PATIENT_ROOT_GET, PATIENT_ROOT_MOVE, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from store.records import Origin


class _Retrieve(PlainOperation):
    """What both have in common."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._bench = bench
        self._plan = plan = from_plan(task.plan)
        self._target = bench.scu.target(plan.modality, local_aet=plan.local_aet, timeout_s=plan.timeout_s)
        self._encoding = bench.ingest.settings().default_encoding
        self._association: Association | None = None
        self._proposals: Sequence[Proposal] = ()  # for it

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        settle()
        try:
            self._retrieve(self._plan.queries[step])
        except SinogramError as exc:
            self.close()
            return passed_over(exc, is_permissive=self._plan.permissive)
        return 0

    def _retrieve(self, query: Retrieval) -> None:
        """Carry out a query. Raises RemoteFailed, also where some sub-operations have failed; Interrupted."""
        raise NotImplementedError

    def _open(self, proposals: Sequence[Proposal]) -> Association:
        if self._association is None or proposals != self._proposals or not self._association.is_still_open():
            self.close()
            self._association = open_association(self._target, proposals, self._bench.interruption)
            self._proposals = proposals
        return self._association

    def _encode(self, query: Retrieval) -> Callable[[str], bytes]:
        identifier = query.sent_keys(self._plan.method)
        identifier.setdefault(SPECIFIC_CHARACTER_SET, defined_term(self._encoding))
        return lambda syntax: encode_dataset(identifier, syntax, self._encoding)

    def close(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.release()


class MoveScu(_Retrieve):
    """One run of a job of C-MOVE."""

    def _retrieve(self, query: Retrieval) -> None:
        association = self._open(move_scu.PROPOSALS)
        model = _model(association, query.level, PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE)
        for _ in move_scu.move(association, model, self._encode(query), self._plan.target_aet):
            pass


class GetScu(_Retrieve):
    """One run of a job of C-GET; what arrives is stored as if the modality had sent it unasked."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        super().__init__(task, bench)
        self._origin = Origin(
            kind="DicomProtocol",
            remote_ip=self._target.host,
            remote_aet=self._target.called_aet,
            called_aet=self._target.calling_aet,
        )

    def _retrieve(self, query: Retrieval) -> None:
        classes = str(query.keys.get(SOP_CLASSES_IN_STUDY) or "")
        contexts = storage_contexts(name for name in classes.split("\\") if name)
        association = self._open(get_scu.proposals(contexts))
        model = _model(association, query.level, PATIENT_ROOT_GET, STUDY_ROOT_GET)
        for _ in get_scu.get(association, model, self._encode(query), self._store):
            pass

    def _store(self, incoming: Incoming) -> int:
        """Store an instance durably; one that is stored already is fine. Returns the status to answer. Raises SinogramError."""
        announced = Announced(incoming.sop_class, incoming.sop_instance, incoming.transfer_syntax)
        with self._bench.ingest.receive(self._origin, announced) as upload:
            for part in incoming.parts:
                upload.write(part)
            return upload.store().dimse_status


def _model(association: Association, level: Level, patient_root: str, study_root: str) -> str:
    """The information model for a level. Patients are unknown to Study Root; a modality may know nothing else."""
    if level == Level.PATIENT and association.find_context(patient_root) is not None:
        return patient_root
    return study_root if association.find_context(study_root) is not None else patient_root
