"""Statuses of DIMSE responses (PS3.4 Tables B.2-1, C.4-1 to C.4-3, PS3.7 Annex C), and what they say."""

from typing import Final

from actors.wire.dicom.command import Field
from store.dicom.standard_tables import read_statuses

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE: Final = 0x0111  # SOP instance (PS3.7 §C.5.7): the peer has it; for Orthanc a success too
NO_SUCH_INSTANCE: Final = 0x0112
NO_SUCH_EVENT_TYPE: Final = 0x0113
INVALID_ARGUMENT: Final = 0x0115
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION_TYPE: Final = 0x0123
UNRECOGNIZED_OPERATION: Final = 0x0211
RESOURCE_LIMITATION: Final = 0x0213
OUT_OF_RESOURCES: Final = 0xA700
UNABLE_TO_COUNT_MATCHES: Final = 0xA701
UNABLE_TO_PERFORM_SUBOPERATIONS: Final = 0xA702
MOVE_DESTINATION_UNKNOWN: Final = 0xA801
DATASET_DOES_NOT_MATCH_SOP_CLASS: Final = 0xA900  # of a C-STORE
IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900  # of a C-FIND, C-MOVE, C-GET
SUBOPERATIONS_WITH_FAILURES: Final = 0xB000
CANNOT_UNDERSTAND: Final = 0xC000  # also: unable to process
CANCELLED: Final = 0xFE00
PENDING: Final = 0xFF00

ANY_PENDING: Final = frozenset({PENDING, 0xFF01})  # the latter: not all optional keys were matched

_TABLES: Final = {  # of pynetdicom
    Field.C_ECHO: "VERIFICATION_SERVICE_CLASS_STATUS",
    Field.C_STORE: "STORAGE_SERVICE_CLASS_STATUS",
    Field.C_FIND: "QR_FIND_SERVICE_CLASS_STATUS",
    Field.C_MOVE: "QR_MOVE_SERVICE_CLASS_STATUS",
    Field.C_GET: "QR_GET_SERVICE_CLASS_STATUS",
    Field.N_ACTION: "GENERAL_STATUS",
    Field.N_EVENT_REPORT: "GENERAL_STATUS",
}


def meaning_of(field: Field, status: int) -> str:
    """What a status says, in the standard's words; "" if it has none. For logs: it is read from a table of 3 MB."""
    table = read_statuses().get(_TABLES.get(field, ""), {})
    return table.get(status, ("", ""))[1]
