"""C-ECHO: says that this server is there (PS3.4 Annex A, PS3.7 §9.1.5)."""

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Field
from actors.wire.dicom.statuses import SUCCESS
from api.dicom.service import FinalResponse, Service
from store.dicom.uids import VERIFICATION


def create_echo_service() -> Service:
    """Serve C-ECHO. There should be no dataset; if there is one it is skipped, where Orthanc aborts."""
    return Service(
        field=Field.C_ECHO,
        operation=Operation.ECHO,
        handle=lambda _association, _context, _command: FinalResponse(SUCCESS),
        abstract_syntaxes=frozenset({VERIFICATION}),
    )
