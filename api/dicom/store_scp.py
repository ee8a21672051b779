"""C-STORE: a dataset on its way from the network into an upload, and the status it ends with (PS3.4 Annex B).

The dataset that is received is what is stored: it follows a file meta information that is made from the command. The
answer is sent when the instance is durable, or known not to be stored.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Element, Field, encode_response
from actors.wire.dicom.ending import AssociationEnded, Refusal, log_fault
from actors.wire.dicom.pdu import Context
from api.dicom.services import Service
from api.dicom.status import store_status
from events.errors import SinogramError
from store.dicom.received import Announced
from store.records import Origin

if TYPE_CHECKING:
    from api.dicom.association import Association

log = logging.getLogger(__name__)


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
    return Service(field=Field.C_STORE, operation=lambda _context: Operation.STORE, handle=_StoreScp(ingest).handle)


class _StoreScp:
    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def handle(self, association: "Association", context: Context, command: Command) -> None:
        sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID)
        sop_instance = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
        if not sop_class or not sop_instance or not command.has_dataset:
            raise Refusal("a C-STORE without SOP class, SOP instance or dataset")
        parts = association.dataset()
        try:
            status = self._store(association, context, sop_class, sop_instance, parts)
        except SinogramError as exc:
            status = store_status(exc)
            log.warning("C-STORE refused with 0x%04x: %s: %s", status, type(exc).__name__, exc)
        except AssociationEnded:
            raise
        except Exception as exc:  # noqa: BLE001 # a defect costs one instance, which stays with its sender
            status = store_status(exc)
            log_fault(f"C-STORE failed with 0x{status:04x}", exc)
        for _ in parts:
            pass  # what an early refusal left unread
        association.send(context, encode_response(command, status))

    def _store(
        self,
        association: "Association",
        context: Context,
        sop_class: str,
        sop_instance: str,
        parts: Iterator[memoryview],
    ) -> int:
        origin = Origin(
            kind="DicomProtocol",
            remote_ip=association.remote_ip,
            remote_aet=association.request.calling_aet,
            called_aet=association.request.called_aet,
        )
        announced = Announced(sop_class, sop_instance, context.transfer_syntax)
        with self._ingest.receive(origin, announced) as upload:
            for part in parts:
                upload.write(part)
            upload.judge()  # without a slot: a script that thinks long must not keep other associations waiting
            with association.slots:
                return upload.store().dimse_status
