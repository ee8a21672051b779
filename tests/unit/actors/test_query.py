"""What is sent of a query; every row was read off the identifiers that Orthanc 1.12.7 sent to a recording server."""

import pytest

from actors.services.remote.modality import Modality
from actors.services.remote.query import encoding_of, find_identifier, local_aet, normalize, worklist_identifier
from events.identifiers import Level
from store.dicom.matching import Dataset

STUDY_KEYS: Dataset = {0x00080020: "*", 0x00080030: "*", 0x00100020: "*", 0x00100030: "*", 0x00081030: "A*"}


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        (Level.PATIENT, {0x00100020, 0x00100010, 0x00080005}),
        (Level.STUDY, {0x00100020, 0x00100010, 0x00080005, 0x00080061, 0x00081030, 0x0020000D}),
        (Level.SERIES, {0x00100020, 0x00100010, 0x00080005, 0x00081030, 0x0020000D, 0x00080060, 0x0008103E}),
        (
            Level.INSTANCE,
            {0x00100020, 0x00100010, 0x00080005, 0x00081030, 0x0020000D, 0x00080060, 0x0008103E, 0x00200013},
        ),
    ],
)
def test_normalising_keeps_what_means_something_at_the_level(level: Level, kept: set[int]) -> None:
    tags = (0x00100020, 0x00100010, 0x00080005, 0x00080061, 0x00081030, 0x0020000D, 0x00080060, 0x0008103E, 0x00200013)
    assert normalize(level, dict.fromkeys((*tags, 0x00090010, 0x00091001, 0x00080052), "x"), "Generic").keys() == kept


@pytest.mark.parametrize(
    ("manufacturer", "emptied"),
    [
        ("Generic", set()),
        ("Vitrea", set()),
        ("GE", set()),
        ("GenericNoWildcardInDates", {0x00080020, 0x00100030}),
        ("GenericNoUniversalWildcard", {0x00080020, 0x00080030, 0x00100020, 0x00100030}),
    ],
)
def test_a_star_alone_is_emptied_where_a_manufacturer_does_not_know_it(manufacturer: str, emptied: set[int]) -> None:
    normal = normalize(Level.STUDY, STUDY_KEYS, manufacturer)
    assert {tag for tag, value in normal.items() if value == ""} == emptied
    assert normal[0x00081030] == "A*"


def test_the_identifier_always_asks_for_what_names_the_resource() -> None:
    assert find_identifier(Level.SERIES, {0x0020000D: "1.2", 0x00080052: "IMAGE"}, "Generic", "Latin1") == {
        0x00080005: "ISO_IR 100",
        0x00080050: "",
        0x00080052: "SERIES",
        0x00100020: "",
        0x0020000D: "1.2",
        0x0020000E: "",
    }


def test_a_patient_is_asked_for_without_a_study() -> None:
    assert find_identifier(Level.PATIENT, {}, "Generic", "Utf8") == {
        0x00080005: "ISO_IR 192",
        0x00080052: "PATIENT",
        0x00100020: "",
    }


def test_a_ge_system_is_asked_with_stars() -> None:
    identifier = find_identifier(Level.INSTANCE, {0x00200013: ""}, "GE", "Latin1")
    assert {tag for tag, value in identifier.items() if value == "*"} == {
        *(0x00080018, 0x00080050, 0x00100020, 0x0020000D, 0x0020000E)
    }
    assert identifier[0x00200013] == ""


def test_no_file_meta_information_is_sent() -> None:
    assert 0x00020003 not in find_identifier(Level.INSTANCE, {0x00020003: "1"}, "Generic", "Latin1")
    assert worklist_identifier({0x00020003: "1", 0x00100020: "P"}, "Latin1") == {
        0x00080005: "ISO_IR 100",
        0x00100020: "P",
    }


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "Latin1"),
        ("ISO_IR 192", "Utf8"),
        ("ISO_IR 6", "Ascii"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", "ISO 2022 IR 6\\ISO 2022 IR 87"),
        ("NOPE", None),
    ],
)
def test_a_query_may_declare_its_character_set(declared: str, encoding: str | None) -> None:
    assert encoding_of({0x00080005: declared}, "Latin1") == encoding


def test_the_title_of_a_modality_wins_over_the_one_a_request_asks_for() -> None:
    modality = Modality(name="m", aet="A", host="h", port=1)
    assert local_aet(modality, None, "DEFAULT") == "DEFAULT"
    assert local_aet(modality, "ASKED", "DEFAULT") == "ASKED"
