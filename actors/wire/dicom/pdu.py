"""The PDUs of the DICOM upper layer, decoded and encoded (PS3.8 §9.3, PS3.7 Annex D). Bytes in, values out."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from actors.wire.dicom.ending import AbortReason, Malformed
from store.dicom.uids import APPLICATION_CONTEXT

_P_DATA_HEADER = struct.Struct(">BxIIBB")
DEFAULT_MAXIMUM_LENGTH = 16384  # assumed of a peer that names none; PS3.8 leaves it open, DCMTK's default


class PduType(IntEnum):
    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


_TRANSIENT: Final = 2  # a rejection's result
_BY_USER, _BY_ACSE, _BY_PRESENTATION = 1, 2, 3
_REJECTIONS: Final = {  # source and reason (PS3.8 Table 9-21)
    (_BY_USER, 1): "No Reason",
    (_BY_USER, 2): "Application Context Name Not Supported",
    (_BY_USER, 3): "Calling AE Title Not Recognized",
    (_BY_USER, 7): "Called AE Title Not Recognized",
    (_BY_ACSE, 1): "No Reason",
    (_BY_ACSE, 2): "Protocol Version Not Supported",
    (_BY_PRESENTATION, 1): "Temporary Congestion",
    (_BY_PRESENTATION, 2): "Local Limit Exceeded",
}


@dataclass(frozen=True, slots=True)
class ProposedContext:
    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    id: int
    result: int  # PS3.8 Table 9-18
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Role:
    """SCP/SCU role selection (PS3.7 §D.3.3.4), from the requestor's side."""

    sop_class: str
    is_scu: bool
    is_scp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ. Extended negotiation, asynchronous operations and user identity are read over, unanswered."""

    protocol_version: int
    called_aet: str  # without padding
    calling_aet: str
    titles: bytes  # the 64 bytes of called title, calling title and reserved field, which the answer repeats
    application_context: str
    contexts: tuple[ProposedContext, ...]
    maximum_length: int  # of the P-DATA PDUs the peer takes; 0: no limit
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An A-ASSOCIATE-AC."""

    answers: tuple[ContextAnswer, ...]
    maximum_length: int  # of the P-DATA PDUs the peer takes; 0: no limit
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int

    @property
    def is_transient(self) -> bool:
        return self.result == _TRANSIENT

    def __str__(self) -> str:
        reason = _REJECTIONS.get((self.source, self.reason), f"reason {self.source}/{self.reason}")
        return f"{'Transient' if self.is_transient else 'Permanent'}: {reason}"


def decode_associate_request(body: bytes) -> AssociateRequest:
    """Decode what follows the six bytes of the PDU's header. Raises Malformed."""
    if len(body) < 68:
        raise Malformed("an A-ASSOCIATE-RQ shorter than its fixed part")
    application_context = ""
    maximum_length = DEFAULT_MAXIMUM_LENGTH
    contexts: list[ProposedContext] = []
    roles: list[Role] = []
    for kind, value in _read_items(body[68:]):
        if kind == 0x10:
            application_context = _decode_uid(value)
        elif kind == 0x20:
            contexts.append(_decode_context(value))
        elif kind == 0x50:
            for sub_kind, sub_value in _read_items(value):
                if sub_kind == 0x51 and len(sub_value) == 4:
                    (maximum_length,) = struct.unpack(">I", sub_value)
                elif sub_kind == 0x54:
                    roles.append(_decode_role(sub_value))
    if not contexts:
        raise Malformed("an A-ASSOCIATE-RQ without presentation context")
    return AssociateRequest(
        protocol_version=int.from_bytes(body[:2], "big"),
        called_aet=_decode_title(body[4:20]),
        calling_aet=_decode_title(body[20:36]),
        titles=body[4:68],
        application_context=application_context,
        contexts=tuple(contexts),
        maximum_length=maximum_length,
        roles=tuple(roles),
    )


def decode_associate_accept(body: bytes) -> Acceptance:
    """Decode what follows the six bytes of the PDU's header. Raises Malformed."""
    if len(body) < 68:
        raise Malformed("an A-ASSOCIATE-AC shorter than its fixed part")
    maximum_length = DEFAULT_MAXIMUM_LENGTH
    answers: list[ContextAnswer] = []
    roles: list[Role] = []
    for kind, value in _read_items(body[68:]):
        if kind == 0x21:
            answers.append(_decode_answer(value))
        elif kind == 0x50:
            for sub_kind, sub_value in _read_items(value):
                if sub_kind == 0x51 and len(sub_value) == 4:
                    (maximum_length,) = struct.unpack(">I", sub_value)
                elif sub_kind == 0x54:
                    roles.append(_decode_role(sub_value))
    return Acceptance(tuple(answers), maximum_length, tuple(roles))


def decode_associate_reject(body: bytes) -> Rejection:
    """Decode what follows the six bytes of the PDU's header. Raises Malformed."""
    if len(body) != 4:
        raise Malformed("an A-ASSOCIATE-RJ of a wrong length")
    return Rejection(*body[1:])


def _read_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise Malformed("an item's header is cut")
        kind, length = struct.unpack_from(">BxH", data, position)
        position += 4
        if position + length > len(data):
            raise Malformed("an item is longer than what holds it")
        yield kind, data[position : position + length]
        position += length


def _decode_context(value: bytes) -> ProposedContext:
    if len(value) < 4:
        raise Malformed("a presentation context without identifier")
    abstract_syntax = ""
    transfer_syntaxes: list[str] = []
    for kind, item in _read_items(value[4:]):
        if kind == 0x30:
            abstract_syntax = _decode_uid(item)
        elif kind == 0x40:
            transfer_syntaxes.append(_decode_uid(item))
    if not abstract_syntax or not transfer_syntaxes:
        raise Malformed("a presentation context without abstract or transfer syntax")
    return ProposedContext(value[0], abstract_syntax, tuple(transfer_syntaxes))


def _decode_answer(value: bytes) -> ContextAnswer:
    if len(value) < 4:
        raise Malformed("an answered presentation context without identifier")
    syntax = next((_decode_uid(item) for kind, item in _read_items(value[4:]) if kind == 0x40), "")
    return ContextAnswer(value[0], value[2], syntax)


def _decode_role(value: bytes) -> Role:
    length = int.from_bytes(value[:2], "big")
    if len(value) != length + 4:
        raise Malformed("a role selection whose length does not fit")
    return Role(_decode_uid(value[2 : 2 + length]), bool(value[-2]), bool(value[-1]))


def _decode_uid(value: bytes) -> str:
    return value.decode("latin-1").rstrip("\0 ")


def _decode_title(value: bytes) -> str:
    # Orthanc keeps leading spaces, which the standard calls insignificant: a title with them is another title.
    return value.decode("latin-1").rstrip("\0 ")


def encode_associate_request(
    called_aet: str,
    calling_aet: str,
    contexts: Iterable[ProposedContext],
    roles: Iterable[Role],
    *,
    maximum_length: int,
    implementation_class_uid: str,
    implementation_version_name: str,
) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 §9.3.2); titles longer than 16 bytes are cut."""
    items = [_item(0x10, APPLICATION_CONTEXT.encode())]
    for context in contexts:
        syntaxes = b"".join(_item(0x40, uid.encode()) for uid in context.transfer_syntaxes)
        items.append(
            _item(0x20, bytes((context.id, 0, 0, 0)) + _item(0x30, context.abstract_syntax.encode()) + syntaxes)
        )
    items.append(_user_information(roles, maximum_length, implementation_class_uid, implementation_version_name))
    titles = _encode_title(called_aet) + _encode_title(calling_aet) + bytes(32)
    return _pdu(PduType.ASSOCIATE_RQ, struct.pack(">Hxx", 1) + titles + b"".join(items))


def _encode_title(title: str) -> bytes:
    return title.encode("latin-1", "replace")[:16].ljust(16)


def _user_information(roles: Iterable[Role], maximum_length: int, class_uid: str, version_name: str) -> bytes:
    user = [_item(0x51, struct.pack(">I", maximum_length)), _item(0x52, class_uid.encode())]
    for role in roles:
        uid = role.sop_class.encode()
        user.append(_item(0x54, struct.pack(">H", len(uid)) + uid + bytes((role.is_scu, role.is_scp))))
    user.append(_item(0x55, version_name.encode()))
    return _item(0x50, b"".join(user))


def encode_associate_accept(
    request: AssociateRequest,
    answers: Iterable[ContextAnswer],
    roles: Iterable[Role],
    *,
    maximum_length: int,
    implementation_class_uid: str,
    implementation_version_name: str,
) -> bytes:
    items = [_item(0x10, APPLICATION_CONTEXT.encode())]
    for answer in answers:
        head = struct.pack(">BxBx", answer.id, answer.result)
        items.append(_item(0x21, head + _item(0x40, answer.transfer_syntax.encode())))
    items.append(_user_information(roles, maximum_length, implementation_class_uid, implementation_version_name))
    return _pdu(PduType.ASSOCIATE_AC, struct.pack(">Hxx", 1) + request.titles + b"".join(items))


def encode_associate_reject(rejection: Rejection) -> bytes:
    return _pdu(PduType.ASSOCIATE_RJ, bytes((0, rejection.result, rejection.source, rejection.reason)))


def encode_release_request() -> bytes:
    return _pdu(PduType.RELEASE_RQ, bytes(4))


def encode_release_reply() -> bytes:
    return _pdu(PduType.RELEASE_RP, bytes(4))


def encode_abort(reason: AbortReason | None) -> bytes:
    """An A-ABORT by the service provider for `reason`, or (None) by the service user, who gives none."""
    return _pdu(PduType.ABORT, bytes(4) if reason is None else bytes((0, 0, 2, reason)))


def encode_p_data(context_id: int, data: bytes | memoryview, *, is_command: bool, is_last: bool) -> bytes:
    """One P-DATA-TF PDU with one fragment of a message (PS3.8 §9.3.5, Annex E)."""
    return p_data_header(context_id, len(data), is_command=is_command, is_last=is_last) + data


def p_data_header(context_id: int, length: int, *, is_command: bool, is_last: bool) -> bytes:
    """What stands before a fragment of `length` bytes in a P-DATA-TF PDU of its own."""
    return _P_DATA_HEADER.pack(PduType.P_DATA, length + 6, length + 2, context_id, is_command | is_last << 1)


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(kind: PduType, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body
