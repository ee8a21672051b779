"""Main DICOM tags that are configured: what came under which of them, and what queries find of both."""

from collections.abc import Mapping

import pytest

from actors.messages.commands.server import ChooseMainTags
from actors.services.ingest.settings import IngestSettings
from events.identifiers import Level, format_resource_id
from events.numbered_warnings import ALL, NOT_READ_FROM_FILE, READ_FROM_FILE
from store.dicom.indexed_tags import MAIN_DICOM_TAGS, signature, with_extra
from store.dicom.matching import parse_key
from store.views.find import Finder
from store.views.metadata import list_metadata
from store.views.query import Query
from store.views.resource_tags import kept_above
from tests.dicom_bytes import dataset, element, encode, handmade, item
from tests.ingest_stage import Gate

DIAGNOSIS, THICKNESS, STUDY_UID, SERIES_UID, SOP_UID = 0x00081080, 0x00180050, 0x0020000D, 0x0020000E, 0x00080018
STUDY_DATE, ITEMS, CODE = 0x00080020, 0x0040A730, 0x00080100
BODY_PART, ROWS, SOP_CLASS = 0x00180015, 0x00280010, 0x00080016
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SIGNATURE = 15
EXTRA = {Level.STUDY: (DIAGNOSIS,), Level.SERIES: (STUDY_DATE,), Level.INSTANCE: (THICKNESS, ITEMS)}


def choose(gate: Gate, extra: Mapping[Level, tuple[int, ...]]) -> None:
    """Start again with other main tags."""
    gate.stage.ask(ChooseMainTags(tags={int(level): list(tags) for level, tags in with_extra(extra).items()}))
    gate.ingest.close()
    gate.settings = IngestSettings(extra_main_tags=extra)
    gate.ingest = gate.open()


def send(gate: Gate, study: int, instance: int, diagnosis: str, thickness: str) -> None:
    made = dataset(1, study, 1, instance, AdmittingDiagnosesDescription=diagnosis, SliceThickness=thickness)
    assert gate.send(encode(made)).status == "Success"


def signatures(gate: Gate, level: Level) -> list[str]:
    with gate.stage.views.snapshot() as s:
        return [list_metadata(s, record)[SIGNATURE].decode() for record in s.list(level)]


def find(
    gate: Gate,
    level: Level,
    keys: dict[int, str],
    *wanted: int,
    reads_files: bool = True,
    warnings: frozenset[str] = frozenset(),
) -> list[list[object]]:
    matchers = {tag: key for tag, text in keys.items() if (key := parse_key("LO", text))}
    query = Query(level=level, keys=matchers, wanted=wanted, reads_files=reads_files, warnings=warnings)
    found = [answer for batch in Finder(gate.stage.views, gate.blobs).find(query) for answer in batch]
    return [[answer.get(tag) for tag in wanted] for answer in found]


@pytest.fixture
def grown(gate: Gate) -> Gate:
    """A study of before the extra tags, to which an instance came later, and one of after."""
    send(gate, 1, 1, "HEAD", "1")
    choose(gate, EXTRA)
    send(gate, 1, 2, "NECK", "2")
    send(gate, 2, 1, "HAND", "3")
    return gate


def test_each_resource_keeps_the_signature_that_it_came_with(grown: Gate) -> None:
    now = with_extra(EXTRA)
    for level, before in ((Level.PATIENT, 1), (Level.STUDY, 1), (Level.SERIES, 1), (Level.INSTANCE, 1)):
        old, new = signature(MAIN_DICOM_TAGS[level]), signature(now[level])
        told = signatures(grown, level)
        assert told == [old] * before + [new] * (len(told) - before)
    assert signature(now[Level.STUDY]).split(";").index("0008,1080") == 7  # in order, between 0008,1030 and 0020,000d


def test_a_choice_is_recorded_once(grown: Gate) -> None:
    def log_length() -> int:
        with grown.stage.views.snapshot() as s:
            length: int = s.txn.stat(s.tables[b"events"])["entries"]
        return length

    before = log_length()
    choose(grown, EXTRA)
    assert log_length() == before
    choose(grown, {})
    send(grown, 3, 1, "FOOT", "4")
    assert signatures(grown, Level.STUDY)[-1] == signature(MAIN_DICOM_TAGS[Level.STUDY])
    with grown.stage.views.snapshot() as s:
        assert [len(choice.tags[Level.STUDY]) for choice in s.main_tags] == [11, 12, 11]


def test_what_the_index_lacks_of_older_resources_is_read_from_their_files(grown: Gate) -> None:
    assert find(grown, Level.STUDY, {DIAGNOSIS: "H*"}, DIAGNOSIS, STUDY_UID) == [
        ["HEAD", "2.25.7305.1.1"],
        ["HAND", "2.25.7305.1.2"],
    ]
    thick = find(grown, Level.INSTANCE, {}, THICKNESS, DIAGNOSIS)
    assert thick == [
        ["1", "HEAD"],
        ["2", "NECK"],
        ["3", "HAND"],
    ]  # the diagnosis of the older study is told by each file


def test_what_the_index_has_is_told_without_files(grown: Gate) -> None:
    for path in grown.files:
        path.unlink()
    assert find(grown, Level.STUDY, {DIAGNOSIS: "HAND"}, DIAGNOSIS, STUDY_UID) == [["HAND", "2.25.7305.1.2"]]
    assert find(grown, Level.INSTANCE, {THICKNESS: "2"}, SOP_UID) == [["2.25.7305.1.1.1.2"]]


def test_without_storage_access_only_what_the_index_has_is_found(grown: Gate) -> None:
    def found(level: Level, tag: int, text: str) -> list[list[object]]:
        return find(grown, level, {tag: text}, STUDY_UID, reads_files=False)

    assert found(Level.STUDY, DIAGNOSIS, "H*") == [["2.25.7305.1.2"]]
    assert found(Level.PATIENT, DIAGNOSIS, "H*") == []
    assert found(Level.INSTANCE, 0x00080008, "*") == []


def test_a_tag_of_a_study_is_that_of_the_study_where_series_keep_it_too(gate: Gate) -> None:
    choose(gate, EXTRA)
    for series, date in ((1, "20240101"), (2, "20250101")):
        assert gate.send(encode(dataset(1, 1, series, 1, StudyDate=date))).status == "Success"
    with gate.stage.views.snapshot() as s:
        kept = [record.tags[STUDY_DATE] for record in s.list(Level.SERIES)]
    assert kept == ["20240101", "20250101"]
    assert find(gate, Level.SERIES, {STUDY_DATE: "20240101"}, STUDY_DATE) == [["20240101"], ["20240101"]]
    assert find(gate, Level.SERIES, {STUDY_DATE: "20250101"}, STUDY_DATE) == []


def test_a_sequence_is_matched_and_told_item_by_item(gate: Gate) -> None:
    choose(gate, EXTRA)
    for number, code in enumerate((b"HEAD", b"NECK"), 1):
        assert gate.send(handmade(number, (ITEMS, "SQ", item(element(CODE, "SH", code)) + item()))).status == "Success"
    keys = {ITEMS: parse_key("SQ", ({CODE: "N*"},))}
    query = Query(level=Level.INSTANCE, keys={tag: key for tag, key in keys.items() if key}, wanted=(ITEMS,))
    (batch,) = Finder(gate.stage.views, gate.blobs).find(query)
    assert batch == [{ITEMS: ({CODE: "NECK"}, {})}]


def test_a_text_that_looks_like_a_sequence_is_none(gate: Gate) -> None:
    """Where the element of the one sequence by default holds text, and where an extra tag's text is JSON."""
    comments = 0x00204000
    assert gate.send(handmade(1, (0x00400275, "LO", b'[{"'), (comments, "LT", b'[{"a": 1}]'))).status == "Success"
    with gate.stage.views.snapshot() as s:
        (series,), (instance,) = s.list(Level.SERIES), s.list(Level.INSTANCE)
        assert 0x00400275 not in series.tags
        assert instance.tags[comments] == '[{"a": 1}]'
        assert "0040,0275" not in list_metadata(s, series).get(16, b"").decode()
        assert 16 not in list_metadata(s, instance)


def test_tags_of_levels_above_count_as_those_came(grown: Gate) -> None:
    with grown.stage.views.snapshot() as s:
        kept = [kept_above(s, record) for record in s.list(Level.INSTANCE)]
    assert [DIAGNOSIS in tags for tags in kept] == [False, False, True]
    assert [THICKNESS in tags for tags in kept] == [False, True, True]


def ids(gate: Gate, level: Level) -> list[str]:
    with gate.stage.views.snapshot() as s:
        return [format_resource_id(record.id) for record in s.list(level)]


def test_a_query_warns_of_what_is_read_from_files(grown: Gate, caplog: pytest.LogCaptureFixture) -> None:
    old, new = ids(grown, Level.STUDY)
    find(grown, Level.STUDY, {DIAGNOSIS: "H*"}, STUDY_UID, BODY_PART, warnings=ALL)
    assert caplog.messages == [
        "W005: tag 0018,0015 should be asked of these levels only: series, instance",
        f"W001: tags of study {old} are read from a file: 0008,1080;0018,0015",
        f"W001: tags of study {new} are read from a file: 0018,0015",
    ]
    caplog.clear()
    find(grown, Level.STUDY, {}, STUDY_UID, BODY_PART, THICKNESS, warnings=ALL - {READ_FROM_FILE})
    assert caplog.messages == [
        "W005: tag 0018,0015 should be asked of these levels only: series, instance",
        "W005: tag 0018,0050 should be asked of these levels only: instance",
    ]
    caplog.clear()
    find(grown, Level.INSTANCE, {}, SOP_UID, THICKNESS, STUDY_DATE, warnings=ALL)
    assert [message[:5] for message in caplog.messages] == ["W001:"]  # the instance that came first


def test_a_query_warns_of_what_is_read_from_no_file(grown: Gate, caplog: pytest.LogCaptureFixture) -> None:
    old, new = ids(grown, Level.STUDY)
    find(grown, Level.STUDY, {}, DIAGNOSIS, ROWS, reads_files=False, warnings=ALL)
    text = 'are not in the index, and "StorageAccessOnFind" lets no file be read'
    assert caplog.messages == [
        f"W007: tags of study {old} {text}: 0008,1080;0028,0010",
        f"W007: tags of study {new} {text}: 0028,0010",
    ]
    caplog.clear()
    find(grown, Level.STUDY, {ROWS: "8", STUDY_UID: "1"}, STUDY_UID, reads_files=False, warnings=ALL)
    assert caplog.messages == [f"W007: a query finds nothing: keys {text}: 0028,0010"]
    caplog.clear()
    find(grown, Level.STUDY, {ROWS: "8"}, ROWS, reads_files=False, warnings=ALL - {NOT_READ_FROM_FILE})
    assert not caplog.messages


def test_the_class_of_an_instance_is_told_without_its_file(grown: Gate) -> None:
    for path in grown.files:
        path.unlink()
    classes = find(grown, Level.INSTANCE, {SOP_CLASS: MR, SOP_UID: ""}, SOP_CLASS, reads_files=False)
    assert classes == [[MR]] * 3
    assert find(grown, Level.INSTANCE, {SOP_CLASS: CT}, SOP_CLASS) == []
    assert find(grown, Level.SERIES, {SOP_CLASS: MR}, SOP_CLASS, reads_files=False) == []
