"""The query of a search is read as PS3.18 §8.3.4 says; what cannot be meant is refused, with the parameter that is wrong."""

from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.dicomweb.search.request import MAX_DEPTH, MAX_NUMBER, SearchRequest, parse_search
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.matching import Value
from tests.examples import examples

SEQUENCE, STEP, PROCEDURE = 0x00400275, 0x00400009, 0x00401001


def parsed(query: str, level: Level = Level.STUDY) -> SearchRequest:
    return parse_search(query, level, is_case_sensitive=False)


@pytest.mark.parametrize("name", ["PatientName", "00100010", "0010,0010", "0010-0010"])
def test_an_attribute_has_a_keyword_or_a_tag(name: str) -> None:
    request = parsed(f"{name}=Doe%5EJane")
    assert request.keys[0x00100010].matches("Doe^Jane")
    assert 0x00100010 in request.shown


def test_a_retired_attribute_has_the_keyword_of_the_standard() -> None:
    assert 0x00080041 in parsed("DataSetSubtype=x", Level.INSTANCE).keys


def test_values_are_utf_8_and_a_plus_is_what_the_front_made_of_it() -> None:
    assert parsed("PatientName=M%C3%BCller").keys[0x00100010].matches("Müller")
    assert parsed("PatientName=a%2Bb").keys[0x00100010].matches("a+b")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("Foo=1", '"Foo" is no attribute'),
        ("PatientName.Foo=1", '"Foo" is no attribute'),
        ("patientname=Doe", "written PatientName"),
        ("1234567=1", '"1234567" is no attribute'),
        ("includefield=Foo", '"Foo" is no attribute'),
        ("includefield=PatientID,Foo", '"Foo" is no attribute'),
        ("PatientID.PatientName=1", "PatientID .* is no sequence"),
        ("RequestAttributesSequence=1", "is a sequence"),
        ("PatientID=1&00100020=2", '"00100020" is asked for twice'),
        ("PatientID=1&PatientID=2", "twice"),
        ("StudyDate=2024*", '"StudyDate".*wildcards'),
        ("limit=-1", '"limit" must be a whole number'),
        ("limit=", '"limit" must be'),
        ("limit=1.5", '"limit" must be'),
        ("offset=x", '"offset" must be'),
        (f"offset={MAX_NUMBER + 1}", '"offset" must be'),
        ("fuzzymatching=yes", '"fuzzymatching" must be "true" or "false"'),
        ("emptyvaluematching=1", '"emptyvaluematching" must be'),
        ("multiplevaluematching=TRUE", '"multiplevaluematching" must be'),
        ("00091001=1&00091001.00100010=2", "leads through"),
        ("00091001.00100010=2&00091001=1", "leads to others"),
        (".".join(["RequestAttributesSequence"] * MAX_DEPTH) + ".PatientID=1", "more than"),
        ("PatientID.=1", "no attribute"),
    ],
)
def test_what_is_wrong_is_refused_by_name(query: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parsed(query)


def test_parameters_of_others_are_left_alone() -> None:
    assert parsed("token=1&_=2&X-Amz-Date=3&accept=application%2Fdicom%2Bjson&charset=utf-8&orderby=x").keys == {}


def test_pages() -> None:
    assert (parsed("").limit, parsed("").offset) == (0, 0)
    assert (parsed("limit=5&offset=7").limit, parsed("limit=5&offset=7").offset) == (5, 7)


def test_fields_are_repeated_or_listed() -> None:
    request = parsed(
        "includefield=StudyDescription,00080080&includefield=InstitutionName&includefield=&includefield=all"
    )
    assert request.shown == {0x00081030: None, 0x00080080: None}
    assert request.shows_all
    assert not parsed("includefield=StudyDescription").shows_all


def test_fields_of_lower_levels_are_not_shown() -> None:
    """PS3.18 §10.6.3.3."""
    fields = "includefield=Modality,SeriesDescription,Rows,SOPClassUID,StudyDescription,PatientAge,NumberOfSeriesRelatedInstances"
    study, series, instance = (parsed(fields, level).shown for level in (Level.STUDY, Level.SERIES, Level.INSTANCE))
    assert set(study) == {0x00081030, 0x00101010}
    assert set(series) == {*study, 0x00080060, 0x0008103E, 0x00201209}
    assert set(instance) == {*series, 0x00280010, 0x00080016}


def test_paths_lead_into_sequences() -> None:
    request = parsed(f"00400275.{STEP:08X}=S&RequestAttributesSequence.RequestedProcedureID=P*", Level.SERIES)
    key = request.keys[SEQUENCE]
    assert key.matches(({STEP: "x"}, {STEP: "s", PROCEDURE: "P1"}))
    assert not key.matches(({STEP: "S"}, {PROCEDURE: "P1"}))  # one item must match both (PS3.4 §C.2.2.2.6)
    assert not key.matches(None)
    assert request.shown == {SEQUENCE: {STEP: None, PROCEDURE: None}}


def test_a_whole_sequence_is_more_than_a_part_of_it() -> None:
    for fields in ("00400275,00400275.00400009", "00400275.00400009,00400275"):
        assert parsed(f"includefield={fields}", Level.SERIES).shown == {SEQUENCE: None}


def test_a_study_has_the_modalities_of_its_series() -> None:
    assert set(parsed("Modality=CT").keys) == {0x00080061}
    assert set(parsed("Modality=CT", Level.SERIES).keys) == {0x00080060}
    both = parsed("Modality=CT&ModalitiesInStudy=PT").keys[0x00080061]
    assert [both.matches(text) for text in ("CT\\PT", "CT", "PT")] == [True, False, False]


def test_what_is_so_of_everything_is_no_key() -> None:
    assert not parsed("InstanceAvailability=ONLINE").finds_nothing
    assert parsed("InstanceAvailability=OFFLINE").finds_nothing
    assert parsed("InstanceAvailability=ONLINE&SpecificCharacterSet=x&RetrieveURL=y").keys == {}


ANYTHING: tuple[Value, ...] = (None, "", "a\\b", ({STEP: "x"},), ())
NAMES = """PatientName 00100010 StudyDate StudyInstanceUID 00400275.00400009 RequestAttributesSequence limit offset includefield Rows
    fuzzymatching emptyvaluematching multiplevaluematching ModalitiesInStudy Foo a.b .. 0008,0020"""
names = st.sampled_from(NAMES.split())
values = st.one_of(
    st.text(max_size=20), st.sampled_from(["*", '""', "1.2,1.3", "A\\B", "20240101-", "-", "true", "all", "7", "?*"])
)
queries = st.one_of(
    st.text(max_size=60),
    st.lists(st.tuples(names, values.map(quote)), max_size=5).map(lambda pairs: "&".join(map("=".join, pairs))),
)


@settings(max_examples=examples(100), deadline=None)
@given(query=queries, level=st.sampled_from([Level.STUDY, Level.SERIES, Level.INSTANCE]))
@example("%FF=%FF&&=&PatientName", Level.STUDY)
@example("00000000=&FFFEE000=1&FFFFFFFF.FFFFFFFF=2", Level.INSTANCE)
def test_any_query_is_read_or_refused(query: str, level: Level) -> None:
    try:
        request = parsed(query, level)
    except InvalidRequest:
        return
    for key in request.keys.values():
        for value in ANYTHING:
            key.matches(value)
