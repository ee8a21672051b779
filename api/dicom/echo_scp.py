"""C-ECHO: says that this server is there (PS3.4 Annex A, PS3.7 §9.1.5)."""

from typing import TYPE_CHECKING

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Field, encode_response
from actors.wire.dicom.pdu import Context
from api.dicom.services import Service
from api.dicom.sop_classes import VERIFICATION
from api.dicom.status import SUCCESS

if TYPE_CHECKING:
    from api.dicom.association import Association


def create_echo_service() -> Service:
    return Service(
        field=Field.C_ECHO,
        operation=lambda _context: Operation.ECHO,
        handle=_handle,
        abstract_syntaxes=frozenset({VERIFICATION}),
    )


def _handle(association: "Association", context: Context, command: Command) -> None:
    association.skip_dataset()  # there should be none; Orthanc aborts if there is one
    association.send(context, encode_response(command, SUCCESS))
