"""Decides whether a message can be believed as the answer to our request (PS3.7 §9.1, §9.3; PS3.4 §B.2.3, §C.4). Pure.

A sender may delete an image once the answer says success. So an answer that lacks what the standard demands is a
failure, never a success: it needs the whole status and the identifier of the request. SOP class and instance need not be repeated,
but must be the request's if they are. Orthanc 1.12.7 asks for less: it takes any UID, any context, and a status of four bytes.
"""

from dataclasses import dataclass
from typing import Final

from actors.wire.dicom.command import NUMBER_BYTES, RESPONSE, Command, Element, Field
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.statuses import ANY_PENDING, DUPLICATE, SUCCESS

# With which warnings a request is done all the same, by its kind: PS3.4 Tables B.2-1 and C.4-1. Of C-MOVE and C-GET the one
# warning there is says that instances are missing.
_WARNINGS: Final = {Field.C_STORE: frozenset({0xB000, 0xB006, 0xB007}), Field.C_FIND: frozenset({0xB001})}
_RETRIEVALS: Final = frozenset({Field.C_MOVE, Field.C_GET})
_ANSWERED_ONCE: Final = frozenset({Field.C_STORE, Field.C_ECHO})
_MISSING: Final = (Element.FAILED_SUBOPERATIONS, Element.REMAINING_SUBOPERATIONS)


@dataclass(frozen=True, slots=True)
class Question:
    """A request as far as its answers are judged by it."""

    field: Field
    message_id: int
    context: Context
    sop_instance: str = ""

    def is_answered_by(self, context: Context, command: Command) -> bool:
        """Whether a message says that it answers this request; whether it can be believed is another question."""
        return (
            command.field == self.field | RESPONSE
            and command.message_id == self.message_id
            and context.id == self.context.id
        )

    def find_flaw(self, answer: Command) -> str:
        """Return the reason not to believe an answer; "" if there is none."""
        if len(answer.elements.get(Element.STATUS, b"")) != NUMBER_BYTES:
            return "without a status of two bytes"
        named = (
            (Element.AFFECTED_SOP_CLASS_UID, self.context.abstract_syntax),
            (Element.AFFECTED_SOP_INSTANCE_UID, self.sop_instance),
        )
        for element, expected in named:
            if expected and answer.text(element) not in {"", expected}:
                return "about another SOP class or instance"
        is_pending = answer.number(Element.STATUS) in ANY_PENDING
        if self.field in _ANSWERED_ONCE and (is_pending or answer.has_dataset):
            return "with more to come, where there is one answer without a dataset"
        if self.field == Field.C_FIND and is_pending and not answer.has_dataset:
            return "that is an answer to the query without its identifier"
        return ""


def is_done(field: Field, answer: Command) -> bool:
    """Whether a valid last answer says that the whole request was done."""
    status = answer.number(Element.STATUS)
    if field in _RETRIEVALS and any(answer.number(element) for element in _MISSING):
        return False  # a success of which something has failed, or remains, is none (PS3.4 §C.4.2.1.6, §C.4.2.1.8)
    return status == SUCCESS or is_warning(field, status) or (field, status) == (Field.C_STORE, DUPLICATE)


def is_warning(field: Field, status: int) -> bool:
    """Whether a request was done, if not quite as asked."""
    return status in _WARNINGS.get(field, ())
