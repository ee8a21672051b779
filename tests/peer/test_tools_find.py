"""`/tools/find` and `/tools/count-resources` beside Orthanc: random queries over a generated archive, and what is peculiar to it.

Not among the random ones: a `?` where a name has letters beyond ASCII, which Orthanc does not count as characters, and capitals of
those, which it knows of some tags only.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from tests.data_factory import dataset, encode
from tests.examples import examples
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

LEVELS: Final = ("Patient", "Study", "Series", "Instance")
PLURALS: Final = ("patients", "studies", "series", "instances")
OPTIONS: Final = '"UserMetadata" : { "Mine" : 1024, "Other" : 1025 },'
# What resources of a level tell, most of it several times; None is absent.
VALUES: Final[Mapping[str, Mapping[str, tuple[str | None, ...]]]] = {
    "Patient": {
        "PatientName": ("Doe^Jane", "DOE^JANE", "Doe^John", "Ärger^Édith", "", None, "Smith^A-B"),
        "PatientID": ("P1", "p2", "P10", "P 3", "P4", "p10x", "Q-1"),
        "PatientBirthDate": ("19700101", "19700102", "", None),
        "PatientSex": ("F", "M", None),
        "OtherPatientIDs": ("X1", None),
    },
    "Study": {
        "StudyDate": ("20240101", "20240102", "20240229", "", None),
        "StudyTime": ("101112", "101112.5", "2359"),
        "AccessionNumber": ("A1", "a1", "A12", None),
        "StudyDescription": ("Head", "HEAD 2", "Headache", " Thorax ", "", None),
        "InstitutionName": ("General Hospital", "GENERAL", None),
        "ReferringPhysicianName": ("Ref^A", "ref^a", "Réf^B"),
        "StudyID": ("1", "2", "10", None),
    },
    "Series": {
        "Modality": ("CT", "MR", "US"),
        "SeriesDescription": ("t1 sag", "T1 SAG", "t2", "", None),
        "SeriesNumber": ("1", "2", "10", None),
        "SeriesDate": ("20240101", "20240103", None),
        "Manufacturer": ("Acme", "acme", None),
        "BodyPartExamined": ("HEAD", None),
    },
    "Instance": {"InstanceNumber": ("1", "2", "10", "+3", None), "ImageComments": ("first", "First", None)},
}
WITHOUT_WILDCARDS: Final = {
    "PatientBirthDate", "StudyDate", "StudyTime", "SeriesNumber", "SeriesDate", "InstanceNumber", "NumberOfStudyRelatedSeries",
}  # fmt: skip
BEYOND_ASCII: Final = {"PatientName", "ReferringPhysicianName"}


def _fill(pair: Pair) -> None:
    draw = random.Random(13)
    files = []
    for patient in range(1, 9):
        of_patient = _drawn(draw, "Patient") | {"PatientID": VALUES["Patient"]["PatientID"][patient % 7] or ""}
        for study in range(1, draw.randint(2, 4)):
            of_study = _drawn(draw, "Study")
            for series in range(1, draw.randint(2, 4)):
                of_series = _drawn(draw, "Series")
                for instance in range(1, draw.randint(2, 4)):
                    values = {**of_patient, **of_study, **of_series, **_drawn(draw, "Instance")}
                    values["PatientPosition"] = draw.choice(("HFS", "FFS"))
                    files.append(
                        encode(dataset(patient, study, series, instance, SpecificCharacterSet="ISO_IR 192", **values))
                    )
    assert_same(pair.differences([Request("/instances", "POST", file) for file in files]))
    beside = []
    for plural in PLURALS:
        for number, each in enumerate(pair.ids(plural)):
            path = f"/{plural}/{each}"
            beside += [Request(f"{path}/labels/{label}", "PUT", "") for label in ("a", "b", "C")[: number % 4]]
            if number % 3:
                beside.append(Request(f"{path}/metadata/Mine", "PUT", ("alpha", "Alpha", "10", "9.5", "")[number % 5]))
    assert_same(pair.differences(beside))
    pair.wait_until_stable()


def _drawn(draw: random.Random, level: str) -> dict[str, str | None]:
    return {name: draw.choice(values) for name, values in VALUES[level].items()}


@pytest.fixture(scope="module")
def filled(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("find"), OPTIONS) as pair:
        _fill(pair)
        yield pair


def _find(body: object, note: str = "") -> Request:
    """A request; `note` stands in its URI for the table of differences, and means nothing to the servers."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Request("/tools/find" + (f"?{note}" if note else ""), "POST", text)


def _count(body: object, note: str = "") -> Request:
    return Request("/tools/count-resources" + (f"?{note}" if note else ""), "POST", json.dumps(body))


class Queries:
    """Draws queries of which the index has all that they ask."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self._random = random.Random(seed)
        self._ids = {plural: pair.ids(plural) for plural in PLURALS[:3]}

    def draw(self) -> dict[str, Any]:
        draw = self._random
        level = draw.choice(LEVELS)
        at_or_above = LEVELS[: LEVELS.index(level) + 1]
        names = {name: values for each in at_or_above for name, values in VALUES[each].items()}
        keys = draw.sample(sorted(names), draw.choice((0, 1, 1, 2, 2, 3)))
        body: dict[str, Any] = {"Level": level, "Query": {name: self._key(name, names[name]) for name in keys}}
        if level == "Study" and draw.random() < 0.2:
            body["Query"]["ModalitiesInStudy"] = draw.choice(("CT", "mr", "CT\\US", "XA"))
        for name, make in self._options(level, sorted(names)).items():
            if draw.random() < 0.2:
                body[name] = make()
        if "Labels" in body:
            body["LabelsConstraint"] = draw.choice(("All", "Any", "None"))
        return body

    def _key(self, name: str, values: tuple[str | None, ...]) -> str:
        draw = self._random
        text, other = (draw.choice(values) or "" for _ in range(2))
        cut = draw.randint(0, len(text))
        some = [text, text.lower(), text.upper() if text.isascii() else text, f"{text}\\{other}", text + "x"]
        if name.endswith(("Date", "Time")):
            some += [f"{min(text, other)}-{max(text, other)}", f"{text}-", f"-{text}"]
        if name not in WITHOUT_WILDCARDS:
            some += [f"{text[:cut]}*", f"*{text[cut:]}", f"*{text[cut : cut + 2]}*", "*"]
            some += [] if name in BEYOND_ASCII else [text[:cut] + "?" * (len(text) - cut), "?*"]
        return draw.choice(some)

    def _options(self, level: str, names: list[str]) -> dict[str, Callable[[], object]]:
        draw = self._random
        parents = [f"Parent{each}" for each in LEVELS[:3] if LEVELS.index(each) <= LEVELS.index(level)]
        parent = draw.choice(parents)
        return {
            "OrderBy": lambda: [self._term(names) for _ in range(draw.choice((1, 1, 2)))],
            "Limit": lambda: draw.randint(0, 10),
            "Since": lambda: draw.randint(0, 5),
            "Labels": lambda: draw.sample(("a", "b", "C", "x"), draw.randint(1, 2)),
            "MetadataQuery": lambda: {"Mine": draw.choice(("alpha", "AL*", "*", "?????", "10\\9.5", ""))},
            parent: lambda: draw.choice(self._ids[PLURALS[LEVELS.index(parent.removeprefix("Parent"))]]),
        }

    def _term(self, names: list[str]) -> dict[str, str]:
        kind, key = self._random.choice(
            [("DicomTag", self._random.choice(names)), ("DicomTagAsInt", "SeriesNumber"), ("Metadata", "Mine")]
        )
        if key not in [*names, "Mine"]:
            kind, key = "MetadataAsInt", "Mine"
        return {"Type": kind, "Key": key, "Direction": self._random.choice(("ASC", "DESC"))}


def test_random_queries_have_the_answers_of_orthanc(filled: Pair) -> None:
    queries = Queries(filled, seed=1)
    bodies = [queries.draw() for _ in range(examples(100))]
    assert_same(filled.differences([request for body in bodies for request in (_find(body), _count(body))]))


def test_case_counts_if_asked(filled: Pair) -> None:
    keys = [
        (level, name, form(text))
        for level in LEVELS
        for name, values in VALUES[level].items()
        for text in values[:2]
        if text and name not in WITHOUT_WILDCARDS
        for form in (str, str.lower, lambda text: text[:2] + "*")
    ]
    bodies = [
        {"Level": level, "Query": {name: key}, "CaseSensitive": is_sensitive}
        for level, name, key in keys
        for is_sensitive in (True, False)
    ]
    assert_same(filled.differences([_find(body) for body in bodies]))


def _study(**fields: object) -> dict[str, object]:
    return {"Level": "Study", "Query": {}, **fields}


def _by(kind: str, key: object, direction: object = "ASC") -> dict[str, object]:
    return {"Type": kind, "Key": key, "Direction": direction}


SHOWN: Final[tuple[dict[str, object], ...]] = (
    {"Expand": True}, {"Expand": False}, {"Expand": None}, {"Expand": 1}, {"Expand": 0}, {"Expand": True, "Full": True},
    {"Expand": True, "Short": True}, {"Expand": True, "Short": True, "Full": True}, {"Full": True},
    {"RequestedTags": ["PatientName"]}, {"Expand": True, "RequestedTags": []},
    {"Expand": True, "RequestedTags": ["PatientName", "0008,0020", "InstitutionName", "SpecificCharacterSet", "Rows"]},
    {"Expand": True, "Full": True, "RequestedTags": ["PatientName", "ModalitiesInStudy", "Rows"]},
    {"Expand": True, "Short": True, "RequestedTags": ["PatientName", "NumberOfStudyRelatedInstances", "Rows"]},
    {"ResponseContent": []}, {"ResponseContent": ["RequestedTags"], "RequestedTags": ["PatientID"]}, {"ResponseContent": ["MainDicomTags"]}, {"ResponseContent": ["Labels"], "Expand": False},
    {"ResponseContent": ["MainDicomTags", "Children", "Parent", "Labels", "Status", "IsStable"], "RequestedTags": ["PatientID"]},
)  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
def test_answers_are_shown_as_by_orthanc(filled: Pair, level: str) -> None:
    bodies = [{"Level": level, "Query": {}, "Limit": 3, **shown} for shown in SHOWN]
    xml = [Request(each.path, "POST", each.body, {"Accept": "application/xml"}) for each in map(_find, bodies[:6])]
    assert_same(filled.differences([*map(_find, bodies), *(xml if level != "Patient" else [])]))


def test_words_for_levels_and_names_of_tags(filled: Pair) -> None:
    levels = (
        "patient",
        "PATIENTS",
        "Study",
        "studies",
        "Series",
        "series",
        "image",
        "Images",
        "instances",
        "Nope",
        "",
        " Study",
    )
    names = ("0010,0010", "00100010", "0010-0010", "patientname", "PatientName ", "Nope", "")
    bodies: list[object] = [{"Level": level, "Query": {}} for level in levels]
    bodies += [_study(Query={name: value}) for name in names for value in ("Doe^Jane", "")]
    assert_same(filled.differences([request for body in bodies for request in (_find(body), _count(body))]))


KEYS = (
    ("PatientName", "Doe^Jane "), ("PatientName", " Doe^Jane"), ("PatientName", "Doe^Jane\\"), ("PatientName", "\\"),
    ("PatientName", " "), ("PatientName", "**"), ("PatientName", "-"), ("PatientName", "ärger*"), ("PatientName", "*ÉDITH"),
    ("PatientName", "*edith"), ("PatientName", "%"), ("PatientName", "D_e*"), ("PatientName", "Doe^J[ao]*"),
    ("PatientName", "Smith^A-B"), ("PatientID", "P 3"), ("PatientID", "p1\\P4"), ("StudyDate", "-"), ("StudyDate", "--"),
    ("StudyDate", "2024"), ("StudyDate", "20240102-20240101"), ("StudyDate", "20240101-20240101-"), ("StudyDate", " 20240101"),
    ("StudyDate", "2024*"), ("StudyDate", "20240101\\20240102"), ("StudyTime", "1011-1012"), ("StudyTime", "101112*"),
    ("StudyInstanceUID", "2.25.*"), ("StudyInstanceUID", "1"), ("StudyDescription", "Thorax"), ("StudyDescription", " thorax"),
    ("StudyDescription", "X\\"), ("ModalitiesInStudy", "CT\\MR"), ("ModalitiesInStudy", "ct"), ("SOPClassesInStudy", "*"),
    ("NumberOfStudyRelatedSeries", "1"), ("NumberOfStudyRelatedSeries", "1\\2"), ("Rows", "8"), ("Rows", "*"),
    ("SpecificCharacterSet", "ISO_IR 192"), ("SpecificCharacterSet", "iso*"), ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
    ("RequestAttributesSequence", "x"), ("RequestAttributesSequence", "*"), ("PixelData", "*"), ("0009,0010", "x*"),
)  # fmt: skip


def test_keys_of_all_kinds_match_as_for_orthanc(filled: Pair) -> None:
    bodies = [_study(Query={name: key}) for name, key in KEYS]
    assert_same(filled.differences([_find(body) for body in bodies]))
    beyond = [name for name, _ in KEYS if name in {"NumberOfStudyRelatedSeries", "Rows", "SpecificCharacterSet"}]
    refused = [_study(Query={name: "1"}, Since=1) for name in beyond]
    assert_same(filled.differences([*map(_find, refused), *map(_count, refused)]))


TERMS: Final[tuple[object, ...]] = (
    [_by("DicomTag", "StudyDate", "desc")], [_by("dicomtag", "PatientName")], [_by("DicomTag", "0010,0010", "DESC")],
    [_by("DicomTagAsInt", "StudyID")], [_by("DicomTagAsFloat", "StudyTime", "DESC")], [_by("Metadata", "Mine")],
    [_by("Metadata", "1024", "DESC")], [_by("MetadataAsInt", "Mine")], [_by("DicomTag", "StudyDate"), _by("Metadata", "Mine", "DESC")],
    [_by("DicomTag", "StudyDescription", "DESC"), _by("DicomTag", "StudyTime")], [_by("Metadata", "1030")], [],
    [_by("DicomTag", "Nope")], [_by("Metadata", "Nope")], [_by("x", "PatientName")], [_by("DicomTag", "PatientName", "x")],
    [_by("DicomTag", 1)], [_by("DicomTag", "PatientName", 1)], [{}], [1], "x", {}, None,
)  # fmt: skip


@pytest.mark.parametrize("terms", TERMS, ids=str)
def test_orders_are_those_of_orthanc(filled: Pair, terms: object) -> None:
    pages: tuple[dict[str, object], ...] = ({}, {"Limit": 4}, {"Limit": 3, "Since": 2}, {"Since": 3})
    assert_same(filled.differences([_find(_study(OrderBy=terms, **page)) for page in pages]))


def test_the_last_updates_make_an_order(filled: Pair) -> None:
    """The clocks of two servers differ: ours is compared with what it tells itself."""
    for direction in ("ASC", "DESC"):
        body = _study(OrderBy=[_by("Metadata", "LastUpdate", direction)], Limit=5, ResponseContent=["Metadata"])
        found: Any = filled.ours.ask(_find(body)).json()
        every: Any = filled.ours.get_json("/studies?expand")
        times = sorted((each["LastUpdate"] for each in every), reverse=direction == "DESC")
        assert [each["Metadata"]["LastUpdate"] for each in found] == times[:5]


WRONG: Final = {
    "CaseSensitive": (1, "x", None),
    "Full": (1, "x", None),
    "Short": (1, "x", None),
    "Limit": (-1, 1.5, "1", None, True, []),
    "Since": (-1, 1.5, "1", None, 10**6),
    "Labels": ("x", [1], None, {}, ["a b"], [], ["", "a"], ["a", "a"]),
    "LabelsConstraint": (1, "x", "all", None, "Any"),
    "MetadataQuery": ("x", [], None, {"LastUpdate": 1}, {"LastUpdate": "*"}, {"1030": "*"}, {"-1": "x"}, {"Mine": "é"}),
    "ParentPatient": ("x", 1, None, ""),
    "ParentStudy": ("x", 1, None, ""),
    "RequestedTags": ("x", ["Nope"], [1], None, {}),
    "ResponseContent": ("x", ["x"], [1], None, {}),
    "Nothing": (1,),
    "Query": ({"PatientName": 1}, {"PatientName": None}, {"PatientName": ["a"]}, {"Nope": 1}, None),
}


def test_what_is_wrong_is_refused_with_the_words_of_orthanc(filled: Pair) -> None:
    bodies: list[object] = [_study(**{name: value}) for name, values in WRONG.items() for value in values]
    bodies += ["", "x", "[]", "1", "null", '"a"', "{", {}, {"Level": "Study"}, {"Query": {}}, {"Level": 1, "Query": {}}]
    assert_same(filled.differences([_find(body) for body in bodies]))
    counted = [body for body in bodies if isinstance(body, dict) and not body.keys() & {"Limit", "Since"}]
    assert_same(filled.differences([_count(body) for body in counted]))
    methods = [Request(path, method) for path in ("/tools/find", "/tools/count-resources") for method in ("GET", "PUT")]
    assert_same(filled.differences([*methods, _count(_study(CaseSensitive=True))]))


def test_where_orthanc_stumbles(filled: Pair) -> None:
    """Each is a row of the table of differences."""
    study, series = filled.ids("studies")[0], filled.ids("series")[-1]
    requests = [
        _find(_study(Query=[]), "no-object"),
        _find(_study(Expand="true"), "no-boolean"),
        _find(_study(ParentSeries=series), "parent-below"),
        _find(_study(MetadataQuery={"Nope": "x"}), "no-metadata"),
        _find(_study(OrderBy=[_by("DicomTag", "Rows")]), "no-main-tag"),
        _find(_study(LabelsConstraint="None"), "no-labels"),
        _find(_study(Query={"PatientPosition": "HFS"}, Limit=2), "limit-of-files"),
        _find({"Level": "Series", "Query": {}, "ParentStudy": study, "ParentSeries": series}, "two-parents"),
        _find(_study(Query={"ModalitiesInStudy": "C*"}), "modality-by-wildcard"),
        _find(_study(ResponseContent=[], RequestedTags=["OtherPatientIDs"]), "absent-main-tag"),
        _find(_study(OrderBy=[_by("MetadataAsFloat", "Mine")]), "metadata-as-float"),
        _find(_study(Query={"ReferringPhysicianName": "R?f^B"}), "one-character"),
        _find(_study(Query={"ReferringPhysicianName": "RÉF^B"}), "one-character"),
    ]
    assert_same(filled.differences(requests))
    assert [each for each in requests if filled.ours.ask(each).body == filled.theirs.ask(each).body] == []


@pytest.fixture(scope="module")
def limited(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    options = (
        '"LimitFindResults" : 3, "LimitFindInstances" : 2, "StorageAccessOnFind" : "Never", "CaseSensitivePN" : true,'
    )
    with start_pair(oracle, tmp_path_factory.mktemp("limited"), options) as pair:
        files = [encode(dataset(patient, study)) for patient in (1, 2, 3, 4, 5) for study in (1, 2)]
        assert_same(pair.differences([Request("/instances", "POST", file) for file in files]))
        pair.wait_until_stable()
        yield pair


def test_the_limits_of_the_configuration_hold(limited: Pair) -> None:
    pages: tuple[dict[str, int], ...] = (
        {},
        {"Limit": 1},
        {"Limit": 4},
        {"Limit": 0},
        {"Since": 0},
        {"Since": 1},
        {"Since": 1, "Limit": 5},
    )
    bodies = [
        {"Level": level, "Query": query, **page}
        for level in LEVELS
        for query in ({}, {"PatientName": "doe*"})
        for page in pages
    ]
    wide = [
        _study(Query={"SpecificCharacterSet": "*"}),
        _study(Expand=True, RequestedTags=["SpecificCharacterSet", "StudyDate", "NumberOfStudyRelatedSeries"]),
    ]
    assert_same(limited.differences([request for body in [*bodies, *wide] for request in (_find(body), _count(body))]))
    listed = [Request(f"/{plural}?expand&requested-tags=Rows;PatientName") for plural in PLURALS]
    one = [
        Request(f"/studies/{limited.ids('studies')[0]}{rest}?requested-tags=Rows")
        for rest in ("", "/series", "/patient")
    ]
    assert_same(limited.differences([*listed, *one]))
