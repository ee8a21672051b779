"""Each row was observed on Orthanc 1.12.7: the same proposal with the same options gave this answer."""

import pytest

from actors.services.remote.modality import Modality
from actors.wire.dicom.pdu import AssociateRequest, ProposedContext, Rejection, Role
from api.dicom.negotiation import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AET_NOT_RECOGNIZED,
    CALLING_AET_NOT_RECOGNIZED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Agreement,
    negotiate,
    select_sop_classes,
    select_transfer_syntaxes,
)
from api.dicom.settings import DicomSettings
from store.dicom.uids import APPLICATION_CONTEXT

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
UNKNOWN = "1.2.3.4.5"
DICOMDIR = "1.2.840.10008.1.3.10"
PRINT = "1.2.840.10008.5.1.1.9"
IVR = "1.2.840.10008.1.2"
EVR = "1.2.840.10008.1.2.1"
EVB = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
J2K = "1.2.840.10008.1.2.4.90"


def ask(settings: DicomSettings, *contexts: ProposedContext, **changes: object) -> Agreement | Rejection:
    values: dict[str, object] = {
        "protocol_version": 1,
        "called_aet": "ORTHANC",
        "calling_aet": "SCU",
        "titles": bytes(64),
        "application_context": APPLICATION_CONTEXT,
        "contexts": contexts,
        "maximum_length": 16384,
        "roles": (),
    }
    request = AssociateRequest(**(values | changes))  # type: ignore[arg-type] # the fields above
    return negotiate(request, settings, frozenset({VERIFICATION}), "127.0.0.1")


def answer(settings: DicomSettings, abstract_syntax: str, *transfer_syntaxes: str) -> tuple[int, str]:
    agreement = ask(settings, ProposedContext(1, abstract_syntax, transfer_syntaxes))
    assert isinstance(agreement, Agreement)
    (one,) = agreement.answers
    assert (one.result == 0) == (1 in agreement.contexts)
    return one.result, one.transfer_syntax


@pytest.mark.parametrize(
    ("abstract_syntax", "proposed", "expected"),
    [
        (VERIFICATION, (IVR,), (0, IVR)),
        (VERIFICATION, (IVR, EVR), (0, EVR)),
        (VERIFICATION, (EVB, EVR), (0, EVR)),
        (VERIFICATION, (IVR, EVB), (0, EVB)),
        (VERIFICATION, (JPEG,), (4, IVR)),
        (VERIFICATION, (DEFLATED, IVR), (0, IVR)),
        (CT, (IVR, EVR, JPEG), (0, IVR)),
        (CT, (EVR, IVR), (0, EVR)),
        (CT, (JPEG, IVR, EVR), (0, JPEG)),
        (CT, (EVB, JPEG), (0, EVB)),
        (CT, (J2K, JPEG), (0, J2K)),
        (CT, (DEFLATED, EVB), (0, DEFLATED)),
        (CT, ("1.2.840.10008.1.99", IVR), (0, IVR)),
        (CT, ("1.2.3.4",), (3, IVR)),
        (UNKNOWN, (IVR,), (3, IVR)),
        (DICOMDIR, (IVR,), (3, IVR)),
        (PRINT, (IVR,), (3, IVR)),
    ],
)
def test_the_default_settings_choose_as_orthanc(
    abstract_syntax: str, proposed: tuple[str, ...], expected: tuple[int, str]
) -> None:
    assert answer(DicomSettings(), abstract_syntax, *proposed) == expected


@pytest.mark.parametrize(
    ("abstract_syntax", "proposed", "expected"),
    [
        (VERIFICATION, (IVR,), (0, IVR)),
        (CT, (EVR,), (3, IVR)),
        (CT, (EVR, JPEG), (0, JPEG)),
        (UNKNOWN, (JPEG, IVR), (0, JPEG)),
        (UNKNOWN, (IVR,), (4, IVR)),
        (DICOMDIR, (JPEG,), (3, IVR)),
        (PRINT, (JPEG,), (3, IVR)),
        (JPEG, (JPEG,), (3, IVR)),
    ],
)
def test_accepted_transfer_syntaxes_are_about_storage_alone(
    abstract_syntax: str, proposed: tuple[str, ...], expected: tuple[int, str]
) -> None:
    settings = DicomSettings(accepted_transfer_syntaxes=("1.2.840.10008.1.2.4.*",), unknown_sop_class_accepted=True)
    assert answer(settings, abstract_syntax, *proposed) == expected


@pytest.mark.parametrize(
    ("proposed", "expected"),
    [
        ((IVR, EVR), EVR),
        ((EVR, IVR), EVR),
        ((IVR, JPEG), IVR),
        ((EVB, IVR), IVR),
        ((EVB, JPEG), EVB),
        ((J2K, EVR), EVR),
    ],
)
def test_an_unknown_class_gets_an_uncompressed_syntax_first(proposed: tuple[str, ...], expected: str) -> None:
    assert answer(DicomSettings(unknown_sop_class_accepted=True), UNKNOWN, *proposed) == (0, expected)


def test_a_pattern_accepts_among_known_classes_and_a_uid_as_it_is() -> None:
    settings = DicomSettings(accepted_sop_classes=("1.2.840.10008.5.1.4.1.1.?", "1.9.*", "1.8.8"))
    results = {uid: answer(settings, uid, IVR)[0] for uid in (CT, MR, ENHANCED_MR, SC, "1.9.9", "1.8.8", VERIFICATION)}
    assert results == {CT: 0, MR: 0, ENHANCED_MR: 3, SC: 0, "1.9.9": 3, "1.8.8": 0, VERIFICATION: 0}


def test_rejected_classes_are_taken_from_the_accepted_ones_but_not_from_unknown_ones() -> None:
    settings = DicomSettings(
        rejected_sop_classes=("1.2.840.10008.5.1.4.1.1.4.*", SC, UNKNOWN), unknown_sop_class_accepted=True
    )
    results = {uid: answer(settings, uid, IVR)[0] for uid in (CT, MR, ENHANCED_MR, SC, UNKNOWN)}
    assert results == {CT: 0, MR: 0, ENHANCED_MR: 3, SC: 3, UNKNOWN: 0}


def test_patterns_match_whole_uids_literally() -> None:
    assert select_transfer_syntaxes(("1.2.840.10008.1.2",)) == {IVR}
    assert select_transfer_syntaxes(("1.2.840.10008.1.2.?",)) == {EVR, EVB, "1.2.840.10008.1.2.5"}
    assert select_transfer_syntaxes(("1x2*", "1.2.3.4")) == frozenset()
    assert select_transfer_syntaxes(()) == frozenset()
    assert len(select_sop_classes((), ())) > 190


def test_every_context_is_answered_in_the_order_proposed() -> None:
    contexts = [ProposedContext(5, CT, (EVR,)), ProposedContext(1, CT, (JPEG,)), ProposedContext(3, UNKNOWN, (IVR,))]
    agreement = ask(DicomSettings(), *contexts)
    assert isinstance(agreement, Agreement)
    assert [(one.id, one.result) for one in agreement.answers] == [(5, 0), (1, 0), (3, 3)]
    assert {number: context.transfer_syntax for number, context in agreement.contexts.items()} == {5: EVR, 1: JPEG}


def test_an_identifier_used_twice_is_answered_once() -> None:
    agreement = ask(DicomSettings(), ProposedContext(3, VERIFICATION, (IVR,)), ProposedContext(3, CT, (IVR,)))
    assert isinstance(agreement, Agreement)
    assert [(one.id, one.result) for one in agreement.answers] == [(3, 0)]
    assert agreement.contexts[3].abstract_syntax == VERIFICATION


def test_roles_are_granted_for_storage_alone() -> None:
    roles = (Role(CT, is_scu=True, is_scp=True), Role(VERIFICATION, is_scu=True, is_scp=True))
    agreement = ask(DicomSettings(), ProposedContext(1, CT, (IVR,)), roles=roles)
    assert isinstance(agreement, Agreement)
    assert agreement.roles == roles[:1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"protocol_version": 2}, PROTOCOL_VERSION_NOT_SUPPORTED),
        ({"application_context": "1.2.3"}, APPLICATION_CONTEXT_NOT_SUPPORTED),
        ({"application_context": ""}, APPLICATION_CONTEXT_NOT_SUPPORTED),
        ({"called_aet": "WRONG"}, CALLED_AET_NOT_RECOGNIZED),
        ({"called_aet": " ORTHANC"}, CALLED_AET_NOT_RECOGNIZED),
        ({"called_aet": ""}, CALLED_AET_NOT_RECOGNIZED),
        ({"calling_aet": ""}, CALLING_AET_NOT_RECOGNIZED),
    ],
)
def test_a_request_is_rejected_for_what_it_says(changes: dict[str, object], expected: Rejection) -> None:
    settings = DicomSettings(check_called_aet=True)
    assert ask(settings, ProposedContext(1, CT, (IVR,)), **changes) == expected


def test_the_called_title_is_checked_only_if_wanted_and_without_case_unless_strict() -> None:
    context = ProposedContext(1, CT, (IVR,))
    assert isinstance(ask(DicomSettings(), context, called_aet="WRONG"), Agreement)
    assert isinstance(ask(DicomSettings(check_called_aet=True), context, called_aet="orthanc"), Agreement)
    strict = DicomSettings(check_called_aet=True, strict_aet_comparison=True)
    assert ask(strict, context, called_aet="orthanc") == CALLED_AET_NOT_RECOGNIZED


def test_a_stranger_is_rejected_when_nothing_is_open_to_everybody() -> None:
    settings = DicomSettings(
        always_allowed=frozenset(), modalities=(Modality(name="m", aet="KNOWN", host="10.0.0.1", port=104),)
    )
    context = ProposedContext(1, CT, (IVR,))
    assert ask(settings, context) == CALLING_AET_NOT_RECOGNIZED
    assert isinstance(ask(settings, context, calling_aet="KNOWN"), Agreement)
    assert isinstance(ask(settings, context, protocol_version=3, calling_aet="KNOWN"), Agreement)
