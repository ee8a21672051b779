"""C-STORE: a dataset on its way from the network into an upload, and the status it ends with (PS3.4 Annex B).

The dataset that is received is what is stored: it follows a file meta information that is made from the command. The
answer is sent when the instance is durable, or known not to be stored.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Element, Field
from actors.wire.dicom.ending import Refusal
from actors.wire.dicom.pdu import Context
from api.dicom.association import Association
from api.dicom.service import FinalResponse, Service
from api.dicom.status import store_status
from store.dicom.received import Announced
from store.records import Origin


class StoreResult(Protocol):
    """What this module needs of `actors.services.ingest.ingest.StoreResult`."""

    @property
    def dimse_status(self) -> int: ...  # what a filter of scripts wants to be answered; success if none has a say


class Upload(Protocol):
    """What this module needs of `actors.services.ingest.ingest.Upload`. A view given to `write` is reused once `write` has returned."""

    def write(self, data: bytes | memoryview) -> None: ...

    def judge(self) -> None: ...

    def store(self) -> StoreResult: ...


class Ingest(Protocol):
    """What this module needs of `actors.services.ingest.ingest.Ingest`. Leaving the upload's `with` block discards what is not stored."""

    def receive(self, origin: Origin, announced: Announced) -> AbstractContextManager[Upload]: ...


def create_store_service(ingest: Ingest) -> Service:
    """Serve C-STORE: all storage classes, so it names none."""

    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID)
        sop_instance = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
        if not sop_class or not sop_instance or not command.has_dataset:
            raise Refusal("a C-STORE without SOP class, SOP instance or dataset")
        announced = Announced(sop_class, sop_instance, context.transfer_syntax)
        with ingest.receive(association.origin, announced) as upload:
            for part in association.dataset():
                upload.write(part)
            upload.judge()  # without a slot: a script that thinks long must not keep other associations waiting
            with association.slots:
                return FinalResponse(upload.store().dimse_status)

    return Service(
        field=Field.C_STORE,
        operation=Operation.STORE,
        handle=handle,
        explain=lambda error: FinalResponse(store_status(error)),
    )
