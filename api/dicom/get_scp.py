"""C-GET: instances sent on the association that asks for them (PS3.4 §C.4.3).

Each goes in a context of its SOP class in which the peer has taken the role of an SCP: in the one of its own transfer
syntax, the bytes as they are stored; else in one that it can be transcoded to, if that is wanted (`TranscodeDicomProtocol`,
`AllowTranscoding`) or no pixels are touched by it; what keeps all of the pixels comes first. What
fits no context fails alone, while Orthanc gives up the rest with 0xC000.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from actors.services.codecs.pool import CodecPool
from actors.services.remote.modality import Operation
from actors.services.transcoding.targets import READABLE, CannotTranscode, Target, can_transcode
from actors.services.transcoding.transcode import transcode
from actors.wire.dicom.command import DATASET_FOLLOWS, Command, Element, Field, encode_command
from actors.wire.dicom.ending import AbortReason, Violation
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.response import Question
from actors.wire.dicom.statuses import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SOP_CLASS_NOT_SUPPORTED
from api.dicom.access import find_modality
from api.dicom.association import Association
from api.dicom.retrieve import SubOperations, answer, explain, logged, send_pending
from api.dicom.service import FinalResponse, Service
from events.errors import DamagedFile, SinogramError
from events.identifiers import ResourceId
from store.blobs.store import BlobStore
from store.dicom.encoding import sendable_dataset
from store.dicom.pixels.encodable import is_lossy
from store.dicom.tags import SOP_INSTANCE_UID
from store.dicom.uids import PATIENT_ROOT_GET, STUDY_ROOT_GET
from store.records import Instance
from store.views.retrieve import Named, find_instances
from store.views.views import Views

log = logging.getLogger(__name__)


def create_get_service(views: Views, blobs: BlobStore, codecs: CodecPool, *, transcodes: bool = True) -> Service:
    """Serve C-GET; `transcodes` is the option TranscodeDicomProtocol."""

    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        modality = find_modality(association.settings, association.request.calling_aet)
        may_transcode = transcodes and (modality is None or modality.allow_transcoding)
        run = _Retrieval(association, context, command, views, blobs, codecs, may_transcode=may_transcode)
        return answer(association, context, command, run.retrieve)

    return Service(
        field=Field.C_GET,
        operation=Operation.GET,
        handle=handle,
        explain=explain,
        abstract_syntaxes=frozenset({PATIENT_ROOT_GET, STUDY_ROOT_GET}),
    )


class _Cancelled(Exception):  # no error
    """The peer has cancelled while a sub-operation was being prepared: that one remains."""


class _Retrieval:
    """One C-GET."""

    def __init__(
        self,
        association: Association,
        context: Context,
        command: Command,
        views: Views,
        blobs: BlobStore,
        codecs: CodecPool,
        *,
        may_transcode: bool,
    ) -> None:
        self._association = association
        self._context = context
        self._command = command
        self._views = views
        self._blobs = blobs
        self._codecs = codecs
        self._may_transcode = may_transcode
        self._message_id = 0  # of the last C-STORE
        self._is_cancelled = False

    def retrieve(self, named: Named) -> SubOperations:
        with self._association.slots:
            instances = find_instances(self._views, named)
        done = SubOperations(len(instances))
        with logged("C-GET", done):
            for instance in instances:
                if self._is_cancelled or self._association.is_cancelled(self._command):
                    done.is_cancelled = True
                    break
                try:
                    done.count(*self._send(instance))
                except _Cancelled:
                    done.is_cancelled = True
                    break
                send_pending(self._association, self._context, self._command, done)
        return done

    def _send(self, instance: ResourceId) -> tuple[int, str]:
        """Do one sub-operation; returns its status, and the SOP Instance UID if it is known."""
        missing: Instance | None = None
        while True:
            with self._views.snapshot() as snapshot:
                record = snapshot.get_instance(instance)
            if record is None or (missing is not None and record.blob == missing.blob):
                return CANNOT_UNDERSTAND, ""  # deleted since
            try:
                return self._send_record(record)
            except FileNotFoundError:  # another file may have taken its place
                missing = record

    def _send_record(self, record: Instance) -> tuple[int, str]:
        """Raises FileNotFoundError if nothing was sent because the file is gone."""
        uid = record.tags.get(SOP_INSTANCE_UID, "")
        contexts = fitting_contexts(self._association.storage_contexts, record, may_transcode=self._may_transcode)
        if not contexts:
            log.warning("C-GET: no context for %s in %s", record.sop_class, record.transfer_syntax)
            return SOP_CLASS_NOT_SUPPORTED, uid
        try:
            context, sent, dataset = self._make(record, contexts)
        except FileNotFoundError:
            raise
        except DamagedFile as exc:
            log.error("C-GET: an instance cannot be sent: %s", exc)
            return OUT_OF_RESOURCES, uid
        except (OSError, ValueError, SinogramError) as exc:
            log.warning("C-GET: an instance cannot be sent: %s: %s", type(exc).__name__, exc)
            return CANNOT_UNDERSTAND, uid
        return self._store(context, record.sop_class, sent, dataset), uid

    def _make(self, record: Instance, contexts: Sequence[Context]) -> tuple[Context, str, memoryview]:
        """The first context that the dataset can be had for, and what is sent in it. Raises OSError, SinogramError."""
        for context in contexts:
            try:
                with self._turn(record, context.transfer_syntax):
                    return context, *self._read(record, context.transfer_syntax)
            except CannotTranscode:  # a syntax may have no room for these pixels that another one has
                if context is contexts[-1]:
                    raise
        raise AssertionError("there is a context")

    def _turn(self, record: Instance, transfer_syntax: str) -> AbstractContextManager[object]:
        """What to hold while a dataset is read: no slot for what a codec does, for that may take minutes, or be waited for."""
        needs_codec = (
            transfer_syntax != record.transfer_syntax and not {transfer_syntax, record.transfer_syntax} <= READABLE
        )
        return nullcontext() if needs_codec else self._association.slots

    def _check(self) -> None:
        if self._association.is_cancelled(self._command):
            raise _Cancelled

    def _read(self, record: Instance, transfer_syntax: str) -> tuple[str, memoryview]:
        """The SOP Instance UID and the dataset in a transfer syntax, a view of the file where that is its own. Raises OSError, SinogramError."""
        file = self._blobs.read_instance(record)
        data = memoryview(file)
        if transfer_syntax == record.transfer_syntax:
            return record.tags.get(SOP_INSTANCE_UID, ""), sendable_dataset(data)
        target = Target(transfer_syntax, self._codecs.settings.lossy_quality)
        made = transcode(data, target, self._codecs, self._blobs.reopener(record, file), self._check)
        return made.sop_instance, made.dataset

    def _store(self, context: Context, sop_class: str, sop_instance: str, dataset: memoryview) -> int:
        """Send a C-STORE and wait for its status."""
        self._message_id = self._message_id % 0xFFFF + 1
        request = encode_command(
            {
                Element.AFFECTED_SOP_CLASS_UID: sop_class,
                Element.COMMAND_FIELD: Field.C_STORE,
                Element.MESSAGE_ID: self._message_id,
                Element.PRIORITY: self._command.number(Element.PRIORITY),
                Element.DATA_SET_TYPE: DATASET_FOLLOWS,
                Element.AFFECTED_SOP_INSTANCE_UID: sop_instance,
            }
        )
        self._association.send_large(context, request, dataset)
        return self._receive_status(Question(Field.C_STORE, self._message_id, context, sop_instance))

    def _receive_status(self, question: Question) -> int:
        """Wait for the answer to a C-STORE; one that cannot be believed is a failure of this sub-operation."""
        while True:
            context, response = self._association.receive()
            if response.field == Field.C_CANCEL:
                self._is_cancelled |= response.message_id == self._command.message_id
            elif question.is_answered_by(context, response):
                self._association.skip_dataset()
                if flaw := question.find_flaw(response):
                    log.warning("C-GET: a response to the C-STORE %s", flaw)
                    return CANNOT_UNDERSTAND
                return response.number(Element.STATUS)
            else:
                raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a message that does not answer the C-STORE")


def fitting_contexts(contexts: Sequence[Context], record: Instance, *, may_transcode: bool) -> Sequence[Context]:
    """The contexts to send an instance in, the best first: that of its transfer syntax, else those that it can be made fit for."""
    fitting = [context for context in contexts if context.abstract_syntax == record.sop_class]
    stored = record.transfer_syntax
    same = next((context for context in fitting if context.transfer_syntax == stored), None)
    if same is not None:
        return [same]
    possible = [context for context in fitting if can_transcode(stored, context.transfer_syntax)]
    if not may_transcode:
        possible = [context for context in possible if {stored, context.transfer_syntax} <= READABLE]
    return sorted(possible, key=lambda context: _rank(context.transfer_syntax))


def _rank(transfer_syntax: str) -> int:
    """What nothing is lost in comes first, and of that what is not compressed; else the order of the peer's proposal."""
    if transfer_syntax in READABLE:
        return 0
    return 2 if is_lossy(transfer_syntax, 1) else 1
