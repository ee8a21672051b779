"""What C-MOVE and C-GET have in common: the identifier, the counts of sub-operations, the last response (PS3.4 §C.4.2, §C.4.3).

Orthanc 1.12.7 answers 0xC000 to every error; here the status is the standard's. A C-MOVE goes on after a
sub-operation that fails, which would end Orthanc's. A resource that is not in the archive is no error: it has no sub-operation.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from actors.wire.dicom.command import Command, Element, Field, encode_response
from actors.wire.dicom.ending import AssociationEnded
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.response import is_warning
from actors.wire.dicom.statuses import (
    CANCELLED,
    PENDING,
    SUBOPERATIONS_WITH_FAILURES,
    SUCCESS,
    UNABLE_TO_PERFORM_SUBOPERATIONS,
)
from api.dicom.association import Association
from api.dicom.find_scp import parse_level
from api.dicom.query_log import log_query
from api.dicom.service import FinalResponse
from api.dicom.status import IdentifierMismatch, comment_on, retrieve_status
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.matching import Dataset
from store.dicom.tags import FAILED_SOP_INSTANCE_UID_LIST, QUERY_RETRIEVE_LEVEL
from store.tables import LookupKind
from store.views.retrieve import TAG_OF_KIND, Named

IDENTIFIER_LIMIT_BYTES: Final = 1 << 22  # 60,000 SOP Instance UIDs
FAILED_LIST_BYTES: Final = 60_000  # an element of explicit VR UI ends at 65,534

_KINDS: Final = {
    Level.PATIENT: (LookupKind.PATIENT_ID,),
    Level.STUDY: (LookupKind.STUDY_INSTANCE_UID, LookupKind.ACCESSION_NUMBER),  # the latter as in Orthanc
    Level.SERIES: (LookupKind.SERIES_INSTANCE_UID,),
    Level.INSTANCE: (LookupKind.SOP_INSTANCE_UID,),
}
_LOWEST_FIRST: Final = tuple(kind for level in sorted(_KINDS, reverse=True) for kind in _KINDS[level])

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SubOperations:
    """How far a retrieval has come; the counts always add up to the number of instances."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warnings: int = 0
    failed_uids: list[str] = field(default_factory=list)
    is_cancelled: bool = False

    def count(self, status: int, sop_instance: str) -> None:
        """Note the end of a sub-operation: the status of its C-STORE."""
        self.remaining -= 1
        if status == SUCCESS:
            self.completed += 1
        elif is_warning(Field.C_STORE, status):
            self.warnings += 1
        else:
            self.failed += 1
            if sop_instance:
                self.failed_uids.append(sop_instance)

    @property
    def status(self) -> int:
        """The status of the last response (PS3.4 Tables C.4-2 and C.4-3)."""
        if self.is_cancelled and self.remaining:
            return CANCELLED
        if not self.failed and not self.warnings:
            return SUCCESS
        return SUBOPERATIONS_WITH_FAILURES if self.completed or self.warnings else UNABLE_TO_PERFORM_SUBOPERATIONS

    def elements(self, status: int) -> dict[Element, int | str]:
        """The counts as a response has them: what remains only as long as something can."""
        counts: dict[Element, int | str] = {
            Element.COMPLETED_SUBOPERATIONS: self.completed,
            Element.FAILED_SUBOPERATIONS: self.failed,
            Element.WARNING_SUBOPERATIONS: self.warnings,
        }
        if status in {PENDING, CANCELLED}:
            counts[Element.REMAINING_SUBOPERATIONS] = self.remaining
        return {element: min(count, 0xFFFF) if isinstance(count, int) else count for element, count in counts.items()}


@contextmanager
def logged(service: str, done: SubOperations) -> Iterator[None]:
    """Log the counts of a retrieval whose association has ended: no peer is left to be told them."""
    try:
        yield
    except AssociationEnded:
        log.warning(
            "%s: the association ended during the retrieval: %d completed, %d failed, %d with warnings, %d remaining",
            *(service, done.completed, done.failed, done.warnings, done.remaining),
        )
        raise


# Does the sub-operations and sends the pending responses; returns the counts at the end.
Retrieve = Callable[[Named], SubOperations]


def answer(association: Association, context: Context, command: Command, retrieve: Retrieve) -> FinalResponse:
    """Read the identifier and have it retrieved."""
    data = association.read_identifier(IDENTIFIER_LIMIT_BYTES)
    identifier, _ = decode_dataset(data, context.transfer_syntax, association.settings.find.default_encoding)
    log_query(association, command, identifier)
    done = retrieve(parse_named(identifier))
    failed = _encode_failed(done.failed_uids, context.transfer_syntax)
    return FinalResponse(done.status, done.elements(done.status), failed)


def explain(error: Exception) -> FinalResponse:
    """The response to a request that came to no sub-operation."""
    status = retrieve_status(error)
    return FinalResponse(status, SubOperations(0).elements(status) | comment_on(error))


def send_pending(association: Association, context: Context, command: Command, done: SubOperations) -> None:
    """Tell the counts, unless the last response is about to."""
    if done.remaining:
        association.send(context, encode_response(command, PENDING, done.elements(PENDING)))


def parse_named(identifier: Dataset) -> Named:
    """Read what an identifier names; without a level, by its lowest key. Raises: IdentifierMismatch."""
    kinds = _LOWEST_FIRST
    if identifier.get(QUERY_RETRIEVE_LEVEL):
        try:
            kinds = _KINDS[parse_level(identifier[QUERY_RETRIEVE_LEVEL])]
        except InvalidRequest as exc:
            raise IdentifierMismatch(str(exc)) from exc
    kind = next((kind for kind in kinds if _values(identifier, kind)), None)
    if kind is None:
        raise IdentifierMismatch("the identifier lacks the key of its level")
    values = _values(identifier, kind)
    if kind not in {LookupKind.PATIENT_ID, LookupKind.ACCESSION_NUMBER} and any("*" in v or "?" in v for v in values):
        raise IdentifierMismatch("a unique key with a wildcard")
    above = {other: found[0] for other in LookupKind if other != kind and len(found := _values(identifier, other)) == 1}
    return Named(kind=kind, values=values, above=above)


def _values(identifier: Dataset, kind: LookupKind) -> tuple[str, ...]:
    value = identifier.get(TAG_OF_KIND[kind])
    if not isinstance(value, str):
        return ()
    return tuple(each.strip() for each in value.split("\\") if each.strip())


def _encode_failed(uids: list[str], transfer_syntax: str) -> tuple[bytes, ...]:
    """The Failed SOP Instance UID List as a dataset; as many as an element holds. Nothing without failures."""
    if not uids:
        return ()
    kept, size = [], 0
    for uid in uids:
        size += len(uid) + 1
        if size > FAILED_LIST_BYTES:
            break
        kept.append(uid)
    return (encode_dataset({FAILED_SOP_INSTANCE_UID_LIST: "\\".join(kept)}, transfer_syntax, "Ascii"),)
