"""The DICOM conformance statement of this server (PS3.2), drawn from the tables by which it negotiates, as they are now.

A class or a syntax is a line `  Name | UID`, as in Orthanc's, so that programs find it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from actors.services.remote import commitment_scu, echo_scu, find_scu, get_scu, move_scu
from actors.services.remote.requestor import Proposal
from actors.services.remote.target import ScuSettings
from actors.services.transcoding.targets import READABLE
from actors.wire.dicom.command import Field
from api.dicom.commitment_scp import DATASET_LIMIT_BYTES
from api.dicom.find_scp import IDENTIFIER_LIMIT_BYTES
from api.dicom.negotiation import SERVICE_SYNTAXES, select_sop_classes, select_transfer_syntaxes
from api.dicom.service import Service
from api.dicom.settings import DicomSettings
from store.dicom.charsets import defined_terms
from store.dicom.elements import MAX_DEPTH
from store.dicom.limits import limits
from store.dicom.pixels.decodable import DECODABLE
from store.dicom.uid_names import uid_name
from store.dicom.uids import APPLICATION_CONTEXT, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

# What is proposed, by the service that it is for. C-STORE proposes what is stored.
PROPOSED: Final[Mapping[Field, tuple[Proposal, ...]]] = {
    Field.C_ECHO: (echo_scu.PROPOSAL,),
    Field.C_FIND: find_scu.PROPOSALS,
    Field.C_MOVE: move_scu.PROPOSALS,
    Field.C_GET: tuple(get_scu.proposals(get_scu.storage_contexts())),
    Field.N_ACTION: (commitment_scu.REQUEST,),
    Field.N_EVENT_REPORT: (commitment_scu.REPORT,),  # on an association of its own, as SCP of the class
}


def render_conformance(services: Iterable[Service], settings: DicomSettings, scu: ScuSettings) -> str:
    """Return the statement as text; `services` are those on offer, `settings` are those of the moment."""
    parts = [_title(settings), *_scp(list(services), settings), *_scu(scu), _charsets(settings), _limits(settings, scu)]
    return "\n\n".join(parts) + "\n"


def _title(settings: DicomSettings) -> str:
    encryption = "TLS is required" if settings.tls else "TLS is not in use"
    called = "Peers must call this title." if settings.check_called_aet else "Peers may call any title."
    return _section(
        "DICOM Conformance Statement of Sinogram",
        f"AE title {settings.aet}. {called} {encryption} where peers connect.",
        _rows([("Application context", APPLICATION_CONTEXT), ("Implementation class", IMPLEMENTATION_CLASS_UID)]),
        f"Implementation version name: {IMPLEMENTATION_VERSION_NAME}.",
        "SCP/SCU role selection is answered for storage classes and storage commitment. Extended negotiation, asynchronous\n"
        "operations and user identity are read and not answered: one request at a time is served in an association.",
        line="=",
    )


def _scp(services: list[Service], settings: DicomSettings) -> Iterator[str]:
    for service in services:
        name = _service_name(service.field)
        if service.abstract_syntaxes:
            yield _section(f"{name} as SCP", _named(service.abstract_syntaxes), _preferred(SERVICE_SYNTAXES))
        else:
            yield _section(f"{name} as SCP", *_storage(settings))


def _storage(settings: DicomSettings) -> Iterator[str]:
    yield _named(select_sop_classes(settings.accepted_sop_classes, settings.rejected_sop_classes))
    if settings.unknown_sop_class_accepted:
        yield "Besides them every SOP class is accepted that the standard does not register."
    yield "Of the transfer syntaxes that a presentation context proposes, the first of these is taken:"
    yield _named(select_transfer_syntaxes(settings.accepted_transfer_syntaxes))


def _scu(scu: ScuSettings) -> Iterator[str]:
    for field, proposals in PROPOSED.items():
        by_syntaxes: dict[tuple[str, ...], list[str]] = {}
        for proposal in proposals:
            by_syntaxes.setdefault(tuple(proposal.transfer_syntaxes), []).append(proposal.abstract_syntax)
        groups = [part for syntaxes, names in by_syntaxes.items() for part in (_named(names), _proposed(syntaxes))]
        yield _section(f"{_service_name(field)} as SCU", *groups)
    transcoded = (
        f"Where the peer takes none of those, a dataset is transcoded, to {scu.preferred_transfer_syntax} first, from:",
        _named(DECODABLE | READABLE),
    )
    yield _section(
        f"{_service_name(Field.C_STORE)} as SCU",
        "Every SOP class is proposed that is to be sent, in the transfer syntaxes in which its instances are stored.",
        *(transcoded if scu.transcode else ("Datasets are not transcoded.",)),
    )


def _charsets(settings: DicomSettings) -> str:
    terms = "\n".join(f"  {term}" for term in defined_terms())
    return _section(
        "Character sets",
        "Specific Character Set (0008,0005) may hold, also several with code extensions:",
        terms,
        f"Text that declares none is read as {settings.find.default_encoding}, in which answers are written, too.",
    )


def _limits(settings: DicomSettings, scu: ScuSettings) -> str:
    stated = (
        ("P-DATA PDU received as SCP, bytes", settings.maximum_pdu_length),
        ("P-DATA PDU received as SCU, bytes", scu.maximum_pdu_length),
        ("Associations served at once", settings.maximum_associations),
        ("Operations at once in a process", settings.threads_count),
        ("Silence of a peer as SCP, seconds (0: any)", f"{settings.scp_timeout_s:g}"),
        ("Silence of a peer as SCU, seconds (0: any)", scu.timeout_s),
        ("Identifier of a query, bytes", IDENTIFIER_LIMIT_BYTES),
        ("Request or report of storage commitment, bytes", DATASET_LIMIT_BYTES),
        ("Answers to a query of patients, studies, series (0: all)", settings.find.limit_results),
        ("Answers to a query of instances (0: all)", settings.find.limit_instances),
        ("Depth of nested items", MAX_DEPTH),
        ("Elements of a dataset that is stored", limits().stored_elements),
    )
    return _section("Limits", _rows([(name, str(value)) for name, value in stated]))


def _service_name(field: Field) -> str:
    return field.name.replace("_", "-")


def _section(heading: str, *paragraphs: str, line: str = "-") -> str:
    rule = line * len(heading)
    return "\n\n".join((f"{rule}\n{heading}\n{rule}", *paragraphs))


def _preferred(syntaxes: Iterable[str]) -> str:
    return "One transfer syntax is taken, in this order:\n\n" + _rows((uid_name(uid), uid) for uid in syntaxes)


def _proposed(syntaxes: Iterable[str]) -> str:
    return "in the transfer syntaxes\n\n" + _rows((uid_name(uid), uid) for uid in syntaxes)


def _named(uids: Iterable[str]) -> str:
    """Return a line for each UID, in the order of their names."""
    return _rows(sorted((uid_name(uid), uid) for uid in set(uids))) or "  (none)"


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"  {name:{width}} | {value}" for name, value in pairs)
