"""The permission matrix; each row was observed on Orthanc 1.12.7."""

from dataclasses import replace

import pytest

from actors.services.remote.modality import Modality, Operation
from api.dicom.access import find_modality, is_allowed, is_welcome
from api.dicom.settings import DicomSettings

HERE = "127.0.0.1"
EVERYTHING = frozenset(Operation)
KNOWN = Modality(name="known", aet="KNOWN", host=HERE, port=104)
DEAF = Modality(name="deaf", aet="DEAF", host=HERE, port=104, allowed=frozenset())
ECHO_ONLY = Modality(name="echo", aet="ECHOONLY", host=HERE, port=104, allowed=frozenset({Operation.ECHO}))
ELSEWHERE = Modality(name="far", aet="FAR", host="10.9.9.9", port=104)
BY_NAME = Modality(name="localhost", aet="LOCAL", host="localhost", port=104)
CLOSED = DicomSettings(always_allowed=frozenset(), modalities=(KNOWN, DEAF, ECHO_ONLY, ELSEWHERE, BY_NAME))
CHECKED = replace(CLOSED, check_modality_host=True)


@pytest.mark.parametrize(
    ("settings", "aet", "welcome", "echo", "store"),
    [
        (DicomSettings(), "STRANGER", True, True, True),
        (DicomSettings(modalities=(DEAF,)), "DEAF", True, True, True),
        (CLOSED, "STRANGER", False, False, False),
        (CLOSED, "KNOWN", True, True, True),
        (CLOSED, "known", True, True, True),
        (CLOSED, "DEAF", True, False, False),
        (CLOSED, "ECHOONLY", True, True, False),
        (CLOSED, "FAR", True, True, True),
        (CHECKED, "KNOWN", True, True, True),
        (CHECKED, "FAR", False, False, False),
        (CHECKED, "LOCAL", False, False, False),
        (replace(CHECKED, always_allowed=frozenset({Operation.ECHO})), "FAR", True, True, False),
        (replace(CLOSED, always_allowed=frozenset({Operation.FIND})), "STRANGER", True, False, False),
        (replace(CLOSED, strict_aet_comparison=True), "known", False, False, False),
        (replace(CLOSED, strict_aet_comparison=True), "KNOWN", True, True, True),
    ],
)
def test_the_matrix(*, settings: DicomSettings, aet: str, welcome: bool, echo: bool, store: bool) -> None:
    assert is_welcome(settings, aet, HERE) is welcome
    assert is_allowed(settings, Operation.ECHO, aet, HERE) is echo
    assert is_allowed(settings, Operation.STORE, aet, HERE) is store


def test_of_two_modalities_with_one_title_the_first_by_name_counts() -> None:
    first = replace(ELSEWHERE, name="a", aet="KNOWN")
    assert find_modality(replace(CLOSED, modalities=(KNOWN, first)), "KNOWN") is first
    assert find_modality(replace(CLOSED, modalities=(replace(first, name="z"), KNOWN)), "KNOWN") is KNOWN
    assert find_modality(CLOSED, "NOBODY") is None
