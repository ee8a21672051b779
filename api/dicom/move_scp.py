"""C-MOVE: instances sent to a third party (PS3.4 §C.4.2).

Synchronous, as `SynchronousCMove` has it by default, the sub-operations are done while the peer waits, with a pending
response behind each but the last. Otherwise they are a job and the peer is told of success at once, of as many completed
sub-operations as there are instances: what Orthanc 1.12.7 says too, whose pending responses before that are left out.
"""

import logging
from collections.abc import Callable, Sequence

from actors.services.remote.modality import Modality, Operation
from actors.services.remote.store_scu import Originator
from actors.wire.dicom.command import Command, Element, Field
from actors.wire.dicom.pdu import Context
from api.dicom.association import Association
from api.dicom.retrieve import SubOperations, answer, explain, logged, send_pending
from api.dicom.sending import Sender, Sending
from api.dicom.service import FinalResponse, Service
from api.dicom.status import UnknownDestination
from events.identifiers import ResourceId
from store.dicom.tags import SOP_INSTANCE_UID
from store.dicom.uids import PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE
from store.views.retrieve import Named, find_instances
from store.views.views import Views

log = logging.getLogger(__name__)


FindModality = Callable[[str], Modality | None]  # by its AE title
OpenSender = Callable[[Modality, Originator, Sequence[ResourceId]], Sender]  # must not wait for the network
SubmitJob = Callable[[Modality, Originator, Sequence[ResourceId]], None]  # durable when it returns


def create_move_service(
    views: Views, find_modality: FindModality, open_sender: OpenSender, submit_job: SubmitJob
) -> Service:
    """Serve C-MOVE."""

    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        def retrieve(named: Named) -> SubOperations:
            aet = command.text(Element.MOVE_DESTINATION)
            destination = find_modality(aet)
            if destination is None:
                raise UnknownDestination(f"the move destination {aet!r} is no known modality")
            originator = Originator(association.request.calling_aet, command.message_id)
            with association.slots:
                instances = find_instances(views, named)
            log.info("C-MOVE of %d instances to %r", len(instances), aet)
            if not association.settings.synchronous_move:
                if instances:
                    submit_job(destination, originator, instances)
                return SubOperations(0, completed=len(instances))
            if not instances:
                return SubOperations(0)
            sender = open_sender(destination, originator, instances)
            return _Move(association, context, command, views).run(sender, instances)

        return answer(association, context, command, retrieve)

    return Service(
        field=Field.C_MOVE,
        operation=Operation.MOVE,
        handle=handle,
        explain=explain,
        abstract_syntaxes=frozenset({PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE}),
    )


class _Move:
    """One synchronous C-MOVE."""

    def __init__(self, association: Association, context: Context, command: Command, views: Views) -> None:
        self._association = association
        self._context = context
        self._command = command
        self._views = views

    def run(self, sender: Sender, instances: Sequence[ResourceId]) -> SubOperations:
        done = SubOperations(len(instances))
        with logged("C-MOVE", done), Sending(sender, instances) as sending:
            while not sending.is_over:
                # Before waiting: a C-CANCEL may have come in one piece with the request.
                if self._association.is_cancelled(self._command) and not done.is_cancelled:
                    done.is_cancelled = True
                    sending.interrupt()
                self._association.wait_beside(sending.wake)
                for status, instance in sending.take():
                    done.count(status, "" if status == 0 else self._name(instance))
                    if not done.is_cancelled:
                        send_pending(self._association, self._context, self._command, done)
        return done

    def _name(self, instance: ResourceId) -> str:
        """The SOP Instance UID; empty if the instance is gone."""
        with self._views.snapshot() as snapshot:
            record = snapshot.get_instance(instance)
        return "" if record is None else record.tags.get(SOP_INSTANCE_UID, "")
