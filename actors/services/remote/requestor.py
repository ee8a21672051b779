"""How this server requests an association: connects, proposes contexts, learns what the peer takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actors.services.remote.association import Association
from actors.services.remote.explanation import explain_end, explain_rejection
from actors.services.remote.target import Target
from actors.wire.dialling import dial
from actors.wire.dicom import pdu
from actors.wire.dicom.connection import Connection, TlsConnection
from actors.wire.dicom.ending import AssociationEnded, ConnectionLost, Violation
from actors.wire.dicom.pdu import Acceptance, Context, ProposedContext, Rejection, Role
from actors.wire.dicom.upper_layer import UpperLayer
from actors.wire.errors import NO_PRESENTATION_CONTEXT, RemoteFailed
from actors.wire.interruption import Interruption
from actors.wire.tls import client_context
from store.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MOST_CONTEXTS: Final = 128  # their identifiers are odd bytes (PS3.8 §9.3.2.2)

_ACCEPTED: Final = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A presentation context to be proposed; the peer chooses one of its transfer syntaxes."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    we_serve: bool = False  # we offer to be SCP: the peer may send requests (C-GET)
    we_use: bool = True  # we want to be SCU


def open_association(target: Target, proposals: Sequence[Proposal], interruption: Interruption) -> Association:
    """Connect and negotiate; at least one context is accepted. At most 128 proposals.

    Raises RemoteFailed, Interrupted, BadConfiguration.
    """
    if len(proposals) > MOST_CONTEXTS:
        raise ValueError("more proposals than an association has contexts")
    interruption.check()
    connection = _connect(target, interruption)
    try:
        with interruption.watch(connection.hang_up):
            association = _negotiate(target, proposals, connection)
    except AssociationEnded as exc:
        connection.close()
        interruption.check()
        raise explain_end(exc, target.called_aet, "connecting to") from exc
    except BaseException:
        connection.close()
        raise
    association.attach(interruption)
    return association


def _connect(target: Target, interruption: Interruption) -> Connection:
    context = None if target.tls is None else client_context(target.tls)
    sock = dial(
        target.host,
        target.port,
        peer=target.called_aet,
        timeout_s=target.timeout_s,
        interruption=interruption,
        patience_s=target.patience_s,
    )
    try:
        if context is None:
            return Connection(sock, timeout_s=target.timeout_s)
        sock = context.wrap_socket(sock, do_handshake_on_connect=False)
        return TlsConnection(sock, timeout_s=target.timeout_s)
    except OSError as exc:  # it has been closed already
        sock.close()
        raise explain_end(ConnectionLost(str(exc)), target.called_aet, "connecting to") from exc


def _negotiate(target: Target, proposals: Sequence[Proposal], connection: Connection) -> Association:
    connection.prepare()
    if target.timeout_s:
        connection.set_deadline(target.timeout_s)
    proposed = [
        ProposedContext(2 * number + 1, proposal.abstract_syntax, proposal.transfer_syntaxes)
        for number, proposal in enumerate(proposals)
    ]
    layer = UpperLayer(connection)
    try:
        answer = layer.request(_encode_request(target, proposals, proposed))
    except Violation as exc:
        layer.abort(pdu.encode_abort(exc.reason))
        raise
    if isinstance(answer, Rejection):
        raise explain_rejection(answer, target.called_aet)
    contexts = _agree(proposed, answer)
    layer.agree(
        {context.id: context for context in contexts},
        received_limit=target.maximum_pdu_length,
        sent_limit=answer.maximum_length,
    )
    connection.set_timeout(target.timeout_s)
    served = {role.sop_class for role in answer.roles if role.is_scp}
    association = Association(target, connection, layer, contexts, served)
    if not contexts:
        association.release()
        raise RemoteFailed(
            f'Unable to negotiate a presentation context with AET "{target.called_aet}"', code=NO_PRESENTATION_CONTEXT
        )
    return association


def _encode_request(target: Target, proposals: Sequence[Proposal], proposed: Sequence[ProposedContext]) -> bytes:
    roles = {p.abstract_syntax: Role(p.abstract_syntax, p.we_use, is_scp=True) for p in proposals if p.we_serve}
    return pdu.encode_associate_request(
        target.called_aet,
        target.calling_aet,
        proposed,
        roles.values(),
        maximum_length=target.maximum_pdu_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )


def _agree(proposed: Sequence[ProposedContext], acceptance: Acceptance) -> list[Context]:
    """The contexts that are accepted with a transfer syntax we have proposed."""
    answers = {answer.id: answer for answer in acceptance.answers}
    contexts = []
    for proposal in proposed:
        answer = answers.get(proposal.id)
        if answer is None or answer.result != _ACCEPTED:
            continue
        if answer.transfer_syntax not in proposal.transfer_syntaxes:
            continue  # not to be understood by either side
        contexts.append(Context(proposal.id, proposal.abstract_syntax, answer.transfer_syntax))
    return contexts
