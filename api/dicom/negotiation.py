"""The answer to an A-ASSOCIATE-RQ: a pure function of the request, the settings and the services on offer (PS3.8 §7.1).

Which transfer syntax is taken when a context proposes several follows Orthanc 1.12.7, observed:

| abstract syntax                     | taken                                                          | none fits |
|-------------------------------------|----------------------------------------------------------------|-----------|
| verification and other services     | explicit LE, explicit BE, implicit LE, in this order           | 4         |
| storage                             | the first proposed one among `AcceptedTransferSyntaxes`        | 3         |
| not registered, and those accepted  | explicit LE, implicit LE, else the first proposed accepted one | 4         |
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from actors.wire.dicom.pdu import (
    AssociateRequest,
    Context,
    ContextAnswer,
    ProposedContext,
    Rejection,
    Role,
)
from api.dicom.access import is_same_aet, is_welcome
from api.dicom.settings import DicomSettings
from store.dicom.sop_classes import is_registered, storage_sop_classes
from store.dicom.syntax import transfer_syntaxes
from store.dicom.uids import APPLICATION_CONTEXT, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, STORAGE_COMMITMENT

SERVICE_SYNTAXES = (EXPLICIT_LE, EXPLICIT_BE, IMPLICIT_LE)  # by preference
_UNKNOWN_CLASS_SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE)


class Result(IntEnum):
    """Of one presentation context (PS3.8 Table 9-18)."""

    ACCEPTED = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an association may use, and what the A-ASSOCIATE-AC says of each proposal."""

    contexts: dict[int, Context]
    answers: tuple[ContextAnswer, ...]
    roles: tuple[Role, ...]

    def contexts_served_by_peer(self) -> list[Context]:
        """The contexts in which the peer takes requests: where it has agreed to be SCP (PS3.7 §D.3.3.4)."""
        served = {role.sop_class for role in self.roles if role.is_scp}
        return [context for context in self.contexts.values() if context.abstract_syntax in served]


APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(result=1, source=1, reason=2)
CALLING_AET_NOT_RECOGNIZED = Rejection(result=1, source=1, reason=3)
CALLED_AET_NOT_RECOGNIZED = Rejection(result=1, source=1, reason=7)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(result=1, source=2, reason=2)
LOCAL_LIMIT_EXCEEDED = Rejection(result=2, source=3, reason=2)


def negotiate(
    request: AssociateRequest, settings: DicomSettings, services: Collection[str], remote_ip: str
) -> Agreement | Rejection:
    """Accept or reject; `services` are the abstract syntaxes on offer besides storage."""
    rejection = _find_rejection(request, settings, remote_ip)
    if rejection is not None:
        return rejection
    answers: list[ContextAnswer] = []
    contexts: dict[int, Context] = {}
    for proposed in request.contexts:
        if proposed.id in contexts:
            continue  # an identifier used twice: Orthanc answers the first
        result, syntax = _answer(proposed, settings, services)
        answers.append(ContextAnswer(proposed.id, result, syntax))
        if result is Result.ACCEPTED:
            contexts[proposed.id] = Context(proposed.id, proposed.abstract_syntax, syntax)
    return Agreement(contexts, tuple(answers), _agree_on_roles(request.roles, contexts.values(), settings, services))


def _agree_on_roles(
    roles: Iterable[Role], contexts: Iterable[Context], settings: DicomSettings, services: Collection[str]
) -> tuple[Role, ...]:
    """Roles as proposed, as Orthanc does: of all storage classes, of unknown ones that are accepted, and of storage commitment."""
    storage = select_sop_classes(settings.accepted_sop_classes, settings.rejected_sop_classes)
    accepted = {context.abstract_syntax for context in contexts}.difference(services) | {STORAGE_COMMITMENT}
    return tuple(role for role in roles if role.sop_class in storage or role.sop_class in accepted)


def _find_rejection(request: AssociateRequest, settings: DicomSettings, remote_ip: str) -> Rejection | None:
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    # On an empty title Orthanc 1.12.7 fails inside and never answers; the standard asks for a name (PS3.8 Table 9-11).
    if not request.called_aet or (
        settings.check_called_aet and not is_same_aet(settings, request.called_aet, settings.aet)
    ):
        return CALLED_AET_NOT_RECOGNIZED
    if not request.calling_aet or not is_welcome(settings, request.calling_aet, remote_ip):
        return CALLING_AET_NOT_RECOGNIZED
    return None


def _answer(proposed: ProposedContext, settings: DicomSettings, services: Collection[str]) -> tuple[Result, str]:
    accepted = select_transfer_syntaxes(settings.accepted_transfer_syntaxes)
    name = proposed.abstract_syntax
    syntax: str | None
    if name in services:
        syntax = _choose(SERVICE_SYNTAXES, proposed.transfer_syntaxes)
        refusal = Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
    elif name in select_sop_classes(settings.accepted_sop_classes, settings.rejected_sop_classes):
        syntax = _choose(proposed.transfer_syntaxes, accepted)
        refusal = Result.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif settings.unknown_sop_class_accepted and not is_registered(name):
        preferred = (uid for uid in _UNKNOWN_CLASS_SYNTAXES if uid in proposed.transfer_syntaxes)
        syntax = _choose((*preferred, *proposed.transfer_syntaxes), accepted)
        refusal = Result.TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        return Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_LE
    # Of a refused context the transfer syntax says nothing (PS3.8 §9.3.3.2); Orthanc names implicit LE.
    return (refusal, IMPLICIT_LE) if syntax is None else (Result.ACCEPTED, syntax)


def _choose(preferred: Iterable[str], possible: Collection[str]) -> str | None:
    return next((uid for uid in preferred if uid in possible), None)


@lru_cache(maxsize=16)
def select_transfer_syntaxes(patterns: tuple[str, ...]) -> frozenset[str]:
    """The known transfer syntaxes that one of the patterns (`*` and `?` as in file names) matches."""
    return frozenset(_match_any(patterns, transfer_syntaxes()))


@lru_cache(maxsize=16)
def select_sop_classes(accepted: tuple[str, ...], rejected: tuple[str, ...]) -> frozenset[str]:
    """The SOP classes that may be stored: all known, or the accepted ones, less the rejected ones.

    A pattern selects among the known classes, while a whole UID is taken as it is: so Orthanc, and so a private class
    can be accepted by name. `UnknownSopClassAccepted` comes on top and knows no rejection.
    """
    literal = frozenset(uid for uid in accepted if not _is_pattern(uid))
    allowed = literal.union(_match_any(accepted, storage_sop_classes())) if accepted else storage_sop_classes()
    return allowed.difference(_match_any(rejected, allowed))


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _match_any(patterns: Sequence[str], uids: Iterable[str]) -> Iterable[str]:
    if not patterns:
        return ()
    one = "|".join(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns)
    return filter(re.compile(one).fullmatch, uids)
