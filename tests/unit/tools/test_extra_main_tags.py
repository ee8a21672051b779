"""`ExtraMainDicomTags` in the configuration: what is taken, what is left out with a warning, what stops the start."""

from typing import Any

import pytest

from events.identifiers import Level
from tools.configuration.main_tags import read_main_tags

ADDED = {"Own Name": 0x00091001}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"Study": ["Own Name"]}, {Level.STUDY: (0x00091001,)}),
        ({"Study": ["PatientComments", "0008-1080", "00080081"]}, {Level.STUDY: (0x00080081, 0x00081080, 0x00104000)}),
        ({"patient": ["0009,1001"], "IMAGE": ["Rows"]}, {Level.PATIENT: (0x00091001,), Level.INSTANCE: (0x00280010,)}),
        ({"Series": ["StudyDate", "StudyDate"], "SERIES": ["Rows"]}, {Level.SERIES: (0x00080020, 0x00280010)}),
        ({"Instance": ["TransferSyntaxUID"]}, {Level.INSTANCE: (0x00020010,)}),  # in the signature, as in Orthanc
        ({"Study": []}, {}),
    ],
)
def test_tags_are_read_by_name_and_number(section: dict[str, Any], expected: dict[Level, tuple[int, ...]]) -> None:
    assert read_main_tags(section, ADDED) == (expected, [], [])


@pytest.mark.parametrize(
    "name", ["StudyDate", "0008,0020", "ModalitiesInStudy", "RetrieveAETitle", "InstanceAvailability"]
)
def test_what_is_kept_or_computed_anyway_is_left_out_with_a_warning(name: str) -> None:
    extra, problems, (warning,) = read_main_tags({"Study": [name, "Rows"]}, ADDED)
    assert (extra, problems) == ({Level.STUDY: (0x00280010,)}, [])
    assert warning.startswith(f"ExtraMainDicomTags: Study: {name} is ")


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"Bogus": ["Rows"]}, "'Bogus': no level; write Patient, Study, Series or Instance"),
        ({"Study": "Rows"}, "Study: must be a list of tags"),
        ({"Study": None}, "Study: must be a list of tags"),
        (
            {"Study": ["Rows", "Rowz"]},
            "Study: 'Rowz': no tag; write a name of the standard or of Dictionary, or gggg,eeee",
        ),
        ({"Study": [12]}, "Study: 12: no tag; write a name of the standard or of Dictionary, or gggg,eeee"),
        (
            {"Study": ["0010,40"]},
            "Study: '0010,40': no tag; write a name of the standard or of Dictionary, or gggg,eeee",
        ),
    ],
)
def test_a_wrong_entry_is_named_with_its_reason(section: dict[str, Any], reason: str) -> None:
    assert read_main_tags(section, ADDED)[1] == [reason]
