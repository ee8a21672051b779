"""The conformance statement says what is negotiated, and nothing else."""

import re
from dataclasses import replace
from typing import Any

import pytest

from actors.services.remote import find_scu, get_scu
from actors.services.remote.modality import Operation
from actors.services.remote.requestor import Proposal
from actors.services.remote.target import ScuSettings
from actors.wire.dicom.command import Field
from actors.wire.dicom.pdu import AssociateRequest, ProposedContext
from api.dicom import conformance
from api.dicom.conformance import render_conformance
from api.dicom.echo_scp import create_echo_service
from api.dicom.negotiation import Agreement, negotiate
from api.dicom.service import FinalResponse, Service, Services
from api.dicom.settings import DicomSettings
from store.dicom.sop_classes import is_registered, storage_sop_classes
from store.dicom.syntax import transfer_syntaxes
from store.dicom.uids import APPLICATION_CONTEXT
from tests.conformance_statement import read_statement

MR = "1.2.840.10008.5.1.4.1.1.4"
PRIVATE = "1.2.826.0.1.3680043.9.1"


def service(field: Field, *abstract_syntaxes: str) -> Service:
    return Service(
        field=field,
        operation=Operation.STORE,
        handle=lambda *_: FinalResponse(0),
        abstract_syntaxes=frozenset(abstract_syntaxes),
    )


OFFERED = (create_echo_service(), service(Field.C_STORE), service(Field.C_FIND, "1.2.840.10008.5.1.4.1.2.1.1"))


def stated(*services: Service, scu: ScuSettings | None = None, **settings: Any) -> dict[str, list[tuple[str, str]]]:
    return read_statement(render_conformance(services or OFFERED, DicomSettings(**settings), scu or ScuSettings()))


def uids(rows: list[tuple[str, str]]) -> set[str]:
    return {uid for _, uid in rows}


def accepted(settings: DicomSettings, proposed: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs of abstract and transfer syntax that an association gets."""
    request = AssociateRequest(
        protocol_version=1,
        called_aet="ORTHANC",
        calling_aet="SCU",
        titles=bytes(64),
        application_context=APPLICATION_CONTEXT,
        contexts=tuple(
            ProposedContext(number, abstract, (syntax,)) for number, (abstract, syntax) in enumerate(proposed)
        ),
        maximum_length=0,
        roles=(),
    )
    agreement = negotiate(request, settings, Services(OFFERED).abstract_syntaxes, "127.0.0.1")
    assert isinstance(agreement, Agreement)
    return {(context.abstract_syntax, context.transfer_syntax) for context in agreement.contexts.values()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accepted_transfer_syntaxes": ("1.2.840.10008.1.2.4.9?", "1.2.840.10008.1.2.1")},
        {"accepted_sop_classes": ("1.2.840.10008.5.1.4.1.1.2*", PRIVATE)},
        {"rejected_sop_classes": ("1.2.840.10008.5.1.4.1.1.481.*", MR)},
        {"unknown_sop_class_accepted": True},
        {"accepted_transfer_syntaxes": ("1.2.3",)},
    ],
)
def test_what_is_stated_is_what_is_negotiated(options: dict[str, Any]) -> None:
    sections = stated(**options)
    known = storage_sop_classes() | Services(OFFERED).abstract_syntaxes
    pairs = [(name, syntax) for name in known | {PRIVATE} for syntax in transfer_syntaxes()]
    store = uids(sections["C-STORE as SCP"])
    named = {
        pair
        for heading in ("C-ECHO as SCP", "C-STORE as SCP", "C-FIND as SCP")
        for pair in _pairs(uids(sections[heading]))
    }
    got = accepted(DicomSettings(**options), pairs)
    if options.get("unknown_sop_class_accepted"):
        assert "that the standard does not register" in render_conformance(
            OFFERED, DicomSettings(**options), ScuSettings()
        )
        assert not is_registered(PRIVATE)
        named |= {(PRIVATE, syntax) for syntax in store & transfer_syntaxes()}
    assert got == named


def _pairs(found: set[str]) -> set[tuple[str, str]]:
    return {(name, syntax) for name in found - transfer_syntaxes() for syntax in found & transfer_syntaxes()}


def test_a_service_that_comes_or_goes_is_seen() -> None:
    assert "C-GET as SCP" not in stated()
    more = stated(*OFFERED, service(Field.C_GET, "1.2.840.10008.5.1.4.1.2.2.3"))
    assert ("StudyRootQueryRetrieveInformationModelGet", "1.2.840.10008.5.1.4.1.2.2.3") in more["C-GET as SCP"]
    fewer = stated(*OFFERED[:2])
    assert "C-FIND as SCP" not in fewer
    assert fewer["C-STORE as SCP"] == more["C-STORE as SCP"]


def test_what_is_proposed_comes_from_the_tables_of_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    before = stated()
    models = {proposal.abstract_syntax for proposal in find_scu.PROPOSALS}
    assert models < uids(before["C-FIND as SCU"])
    classes = {name for name, _ in get_scu.storage_contexts()}
    assert classes | set(get_scu.MODELS) < uids(before["C-GET as SCU"])
    monkeypatch.setitem(conformance.PROPOSED, Field.C_FIND, (Proposal("1.2.3.4", ("1.2.840.10008.1.2",)),))
    assert stated()["C-FIND as SCU"] == [("unnamed", "1.2.3.4"), ("ImplicitVRLittleEndian", "1.2.840.10008.1.2")]


def test_limits_and_titles_are_those_of_the_settings() -> None:
    scu = ScuSettings(maximum_pdu_length=4096, timeout_s=7)
    sections = stated(scu=scu, maximum_pdu_length=131072, maximum_associations=3, scp_timeout_s=5)
    limits = dict(sections["Limits"])
    assert limits["P-DATA PDU received as SCP, bytes"] == "131072"
    assert limits["P-DATA PDU received as SCU, bytes"] == "4096"
    assert limits["Associations served at once"] == "3"
    assert (
        limits["Silence of a peer as SCP, seconds (0: any)"],
        limits["Silence of a peer as SCU, seconds (0: any)"],
    ) == ("5", "7")
    title = render_conformance(OFFERED, DicomSettings(aet="HERE", check_called_aet=True), ScuSettings())
    assert "AE title HERE. Peers must call this title." in title


def test_transcoding_is_stated_where_it_is_done() -> None:
    assert "1.2.840.10008.1.2.4.90" in uids(stated()["C-STORE as SCU"])
    assert stated(scu=replace(ScuSettings(), transcode=False))["C-STORE as SCU"] == []


def test_character_sets_are_those_that_are_read() -> None:
    text = render_conformance(OFFERED, DicomSettings(), ScuSettings())
    section = text[text.index("Character sets") : text.index("Text that declares none")]
    assert {"ISO_IR 192", "ISO 2022 IR 87", "GB18030"} <= set(re.findall(r"^  (\S.*)$", section, re.MULTILINE))
