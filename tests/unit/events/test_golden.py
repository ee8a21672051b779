"""The bytes of every event type ever written stay what they are, and stay readable."""

import hashlib
import struct
from typing import Any

import pytest

from events import envelope
from events.envelope import EVENT_TYPES, UPCASTS
from events.errors import CorruptLog
from events.identifiers import Seq
from events.resources import InstanceStored, SeriesCompleted
from tests.golden import samples
from tests.golden.samples import ACTOR, AGGREGATE, AT_US, CORRELATION, ID, OTHER_ID, PREVIOUS_HASH, SALT, SEQ

TAGS = sorted(samples.EVENTS)

# The values of each sample in stored order, written out by hand: public, then personal (None: no personal part).
VALUES: dict[str, tuple[list[Any], list[Any] | None]] = {
    "instance-stored/1": (
        [
            301,
            302,
            70_000,
            bytes(range(0x80, 0x90)),
            5_000_000_000,
            "1.2.840.10008.1.2.4.70",
            "1.2.840.10008.5.1.4.1.1.4",
            1_234,
            "OB",
            None,
            "DicomProtocol",
        ],
        [
            ID,
            {0x00080018: "1.2.3.4", 0x00200013: "7", 0x00204000: "vue d'été"},
            bytes(range(0xA0, 0xB0)),
            "192.0.2.7",
            "MODALITY",
            "SINOGRAM",
            "",
        ],
    ),
    "instance-stored/2": (
        [
            301,
            302,
            70_000,
            "1.2.840.10008.1.2.4.70",
            "1.2.840.10008.5.1.4.1.1.4",
            1_234,
            "OB",
            None,
            bytes(range(0x80, 0x90)),
            5_000_000_000,
            "DicomProtocol",
            1,
            70_000,
        ],
        [
            ID,
            {0x00080018: "1.2.3.4", 0x00200013: "7", 0x00204000: "vue d'été"},
            bytes(range(0xA0, 0xB0)),
            "192.0.2.7",
            "MODALITY",
            "SINOGRAM",
            "",
            bytes(range(0xB0, 0xC0)),
        ],
    ),
    "series-created/1": ([302, 70_000, 200], [ID, {0x0020000E: "1.2.3", 0x00080060: "MR"}]),
    "study-created/1": (
        [303],
        [ID, {0x0020000D: "1.2", 0x00080050: "A1"}, {0x00100020: "P1", 0x00100010: "山田^太郎"}],
    ),
    "patient-created/1": ([], [ID, {0x00100020: "P1", 0x00100010: "Doe^Jane"}]),
    "resource-derived/1": ([2, 7, True], [ID, OTHER_ID]),
    "anonymous-name-drawn/1": ([12], None),
    "metadata-set/1": ([2, 302, 1024, None, 0], [ID, None, "vu d'été".encode()]),
    "metadata-removed/1": ([4, 300, 65535, 7], [ID, b"\xff\0"]),
    "attachment-set/1": (
        [2, 302, 1024, None, 0, bytes(range(0x80, 0x90)), 0],
        [ID, bytes(range(0xA0, 0xB0))],
    ),
    "attachment-removed/1": ([1, 303, 65535, 7], [ID]),
    "attachment-made/1": (
        [4, 300, 3, bytes(range(0x80, 0x90)), 5_000, 1, 700],
        [bytes(range(0xA0, 0xB0)), bytes(range(0xB0, 0xC0))],
    ),
    "attachment-repacked/1": (
        [4, 300, 1, bytes(range(0x90, 0xA0)), bytes(range(0x80, 0x90)), 5_000_000_000, 1, 70_000],
        [ID, bytes(range(0xA0, 0xB0)), bytes(range(0xB0, 0xC0))],
    ),
    "attachment-damaged/1": ([3, 301, 1030, bytes(range(0x80, 0x90)), "missing", None], None),
    "attachment-recovered/1": ([3, 301, 1030, bytes(range(0x80, 0x90))], None),
    "series-completed/1": ([5], None),
    "resource-stabilized/1": ([2, 302], None),
    "resource-deleted/1": ([1, 303, 3, 301], [ID, OTHER_ID, "2001:db8::1", "admin"]),
    "resource-deleted/2": ([1, 303, 3, 301, "MaximumPatientCount"], [ID, OTHER_ID, "2001:db8::1", "admin"]),
    "rows-purged/1": ([303, 250], None),
    "changes-cleared/1": ([], None),
    "exports-cleared/1": ([], None),
    "resource-exported/1": ([3, "PACS"], [ID, "P1", "1.2", "1.2.3", ""]),
    "main-tags-chosen/1": ([{1: [0x00100010, 0x00100020], 2: [0x0020000D], 3: [], 4: [0x00080018]}], None),
    "modality-stored/1": (
        ["pacs", 104, "Generic", ["Echo", "Store"], True, False, 70_000, "C-GET"],
        ["PACS", "192.0.2.7", ""],
    ),
    "modality-removed/1": (["pacs"], None),
    "modality-changed/1": (["pacs", 104, "GE", [], False, True, 0, "C-MOVE"], ["PACS", "192.0.2.7", "ME"]),
    "modality-dropped/1": (["pacs"], None),
    "peer-stored/1": (
        ["other", 70, False, "/keys/us.pem", "/keys/us.key"],
        ["secret", {"Token": "t"}, "key", "https://192.0.2.7/", "admin", {"RemoteSelf": "me"}],
    ),
    "peer-removed/1": (["other"], None),
    "peer-changed/1": (["other", 0, True, "", ""], ["http://192.0.2.7/", "", {}]),
    "peer-dropped/1": (["other"], None),
    "dicomweb-server-stored/1": (
        ["cloud", 70, False, "/keys/us.pem", "/keys/us.key"],
        ["secret", {"Token": "t"}, "key", "https://192.0.2.7/dicom-web/", "admin", {"HasDelete": "1"}],
    ),
    "dicomweb-server-removed/1": (["cloud"], None),
    "dicomweb-server-changed/1": (["cloud", 0, True, "", ""], ["http://192.0.2.7/dicom-web/", "", {}]),
    "dicomweb-server-dropped/1": (["cloud"], None),
    "commitment-requested/1": ([], ["2.25.70000", "PACS", [["1.2.840.10008.5.1.4.1.1.4", "1.2.3"]]]),
    "commitment-reported/1": (
        [],
        [
            "2.25.70000",
            "PACS",
            [["1.2.840.10008.5.1.4.1.1.4", "1.2.3"]],
            [["1.2.840.10008.5.1.4.1.1.4", "1.2.4", 0x0112]],
        ],
    ),
    "commitment-forgotten/1": ([], ["2.25.70000"]),
    "worklist-stored/1": (
        ["4f0e0f5a-0000-4000-8000-000000000007"],
        [{0x00100020: "P7", 0x00400100: [{0x00080060: "CT"}]}, "192.0.2.7", "alice"],
    ),
    "worklist-removed/1": (["4f0e0f5a-0000-4000-8000-000000000007", "age"], ["", ""]),
    "job-submitted/1": (
        [bytes(range(0xC0, 0xD0)), "DicomModalityStore", 7, 1_000, 70, 3],
        [{"remote": "PACS", "instances": [301, 70_000], "is_permissive": 0}, '{"a":1}'],
    ),
    "job-started/1": ([400, 1], None),
    "job-step-finished/1": ([400, 999, 0], None),
    "job-output-added/1": (
        [400, "archive", bytes(range(0x80, 0x90)), 5_000_000_000, "application/zip"],
        ["Doe.zip"],
    ),
    "job-output-dropped/1": ([400, "archive"], None),
    "job-interrupted/1": ([400, True], None),
    "job-paused/1": ([400], None),
    "job-resumed/1": ([400], None),
    "job-cancelled/1": ([400], None),
    "job-retry-scheduled/1": ([400, 2_000, 9], ["refused by PACS"]),
    "job-succeeded/1": ([400], [{"ID": "x", "Count": 2}]),
    "job-failed/1": ([400, 9], ["refused by PACS"]),
    "job-resubmitted/1": ([400], None),
    "job-forgotten/1": ([400], None),
    "rows-purged/2": ([303, 250], [[[4, ID], [3, OTHER_ID], [2, ID]]]),
    "instance-reconstructed/1": (
        [300, "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.4", None, "", 7],
        [ID, {0x00080018: "1.2.3.4", 0x0040A730: "\0[]"}],
    ),
    "tags-reconstructed/1": ([2, 302, 300], [ID, {0x0020000D: "1.2"}, {0x00100020: "P1"}]),
    "instance-received-again/1": ([300, "DicomProtocol"], [ID, "192.0.2.7", "MODALITY", "SINOGRAM", ""]),
    "resource-unsettled/1": ([3, 301], None),
    "patient-protected/1": ([303], ["192.0.2.7", "admin"]),
    "patient-unprotected/1": ([70_000], ["", ""]),
    "label-added/1": ([2, 302], ["Doe-Jane_2", "192.0.2.7", "admin"]),
    "label-removed/1": ([4, 70_000], ["7", "", ""]),
    "callback-failed/1": ([300, 2, "OnStoredInstance", 1, 5_000, "error"], ["no such patient: Doe^Jane"]),
    "callback-recovered/1": ([300, 2, "OnStoredInstance", 3], None),
    "callback-skipped/1": ([70_000, 0, "OnDeletedStudy", 3], None),
    "key-value-stored/1": ([], [b"routing", b"last", b"\x00\xff\n"]),
    "key-value-deleted/1": ([], [b"", b"last"]),
    "file-damaged/1": ([300, bytes(range(0x80, 0x90)), "truncated", 70_000], None),
    "file-recovered/1": ([300, bytes(range(0x80, 0x90))], None),
    "file-healed/1": (
        [
            300,
            bytes(range(0x80, 0x90)),
            bytes(range(0x90, 0xA0)),
            5_000_000_000,
            "1.2.840.10008.1.2.4.70",
            "1.2.840.10008.5.1.4.1.1.4",
            1_234,
            "OB",
            None,
            "DicomProtocol",
        ],
        [ID, {0x00080018: "1.2.3.4"}, bytes(range(0xA0, 0xB0)), "192.0.2.7", "MODALITY", "SINOGRAM", ""],
    ),
    "file-healed/2": (
        [
            300,
            bytes(range(0x80, 0x90)),
            "1.2.840.10008.1.2.4.70",
            "1.2.840.10008.5.1.4.1.1.4",
            1_234,
            "OB",
            None,
            bytes(range(0x90, 0xA0)),
            5_000_000_000,
            "DicomProtocol",
            1,
            70_000,
        ],
        [
            ID,
            {0x00080018: "1.2.3.4"},
            bytes(range(0xA0, 0xB0)),
            "192.0.2.7",
            "MODALITY",
            "SINOGRAM",
            "",
            bytes(range(0xB0, 0xC0)),
        ],
    ),
}


def pack(value: Any) -> bytes:
    """Encode by the msgpack specification, each value in its shortest form; as much of it as the log uses."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int() if value < 0x80:
            return struct.pack(">B", value)
        case int() if value < 0x100:
            return struct.pack(">BB", 0xCC, value)
        case int() if value < 0x10000:
            return struct.pack(">BH", 0xCD, value)
        case int() if value < 0x1_0000_0000:
            return struct.pack(">BI", 0xCE, value)
        case int():
            return struct.pack(">BQ", 0xCF, value)
        case bytes():
            return pack_length(0xC4, len(value)) + value
        case str():
            raw = value.encode()
            return (struct.pack(">B", 0xA0 | len(raw)) if len(raw) < 32 else pack_length(0xD9, len(raw))) + raw
        case list():
            return pack_header(0x90, 0xDC, len(value)) + b"".join(pack(item) for item in value)
        case dict():
            return pack_header(0x80, 0xDE, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())
        case _:
            raise TypeError(value)


def pack_length(first: int, count: int) -> bytes:
    return struct.pack(">BB", first, count) if count < 0x100 else struct.pack(">BH", first + 1, count)


def pack_header(short: int, long: int, count: int) -> bytes:
    return struct.pack(">B", short | count) if count < 16 else struct.pack(">BH", long, count)


@pytest.mark.parametrize("tag", TAGS)
def test_a_sample_is_what_the_description_of_envelope_1_says(tag: str) -> None:
    public, personal = VALUES[tag]
    digest = None
    personal_row = None
    if personal is not None:
        payload = pack(personal)
        digest = hashlib.sha256(SALT + payload).digest()
        personal_row = pack([SALT, payload])
    row = pack([tag, AT_US, AGGREGATE, ACTOR, CORRELATION, public, digest, PREVIOUS_HASH])
    assert samples.read(tag) == (row, personal_row)


@pytest.mark.parametrize("tag", TAGS)
def test_a_sample_is_read_as_its_event(tag: str) -> None:
    row, personal = samples.read(tag)
    record = envelope.decode_record(Seq(SEQ), row)
    assert (record.seq, record.tag, record.at_us, record.aggregate) == (SEQ, tag, AT_US, AGGREGATE)
    assert (record.actor, record.correlation, record.previous_hash) == (ACTOR, CORRELATION, PREVIOUS_HASH)
    assert envelope.decode_event(record, personal) == samples.EVENTS[tag]


@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag == samples.EVENTS[tag].TAG])
def test_an_event_is_written_as_its_sample(tag: str) -> None:
    encoded = samples.encode(samples.EVENTS[tag])
    assert (encoded.row, encoded.personal_row) == samples.read(tag)
    assert encoded.hash == hashlib.sha256(encoded.row).digest()


@pytest.mark.parametrize("old", ["instance-stored/1", "file-healed/1", "resource-deleted/1"])
def test_what_few_events_have_to_say_costs_nothing_in_the_others(old: str) -> None:
    written = samples.encode(samples.EVENTS[old])
    row, personal = samples.read(old)
    assert (len(written.row), written.personal_row) == (len(row), personal)
    record = envelope.decode_record(Seq(SEQ), written.row)
    assert record.tag == f"{old[:-1]}2"
    assert envelope.decode_event(record, written.personal_row) == samples.EVENTS[old]


@pytest.mark.parametrize("missing", [(1, 0), (0, 2), (2, 2)])
def test_values_that_may_be_absent_are_there_all_or_none(missing: tuple[int, int]) -> None:
    public, personal = VALUES["instance-stored/2"]
    assert personal is not None
    payload = pack(personal[: len(personal) - missing[1]])
    digest = hashlib.sha256(SALT + payload).digest()
    values = public[: len(public) - missing[0]]
    row = pack(["instance-stored/2", AT_US, AGGREGATE, ACTOR, CORRELATION, values, digest, PREVIOUS_HASH])
    record = envelope.decode_record(Seq(SEQ), row)
    with pytest.raises(CorruptLog, match="does not have the values"):
        envelope.decode_event(record, pack([SALT, payload]))


def test_tags_of_an_event_type_are_also_those_that_it_had_before() -> None:
    assert set(envelope.tags_of(InstanceStored)) == {"instance-stored/1", "instance-stored/2"}
    assert envelope.tags_of(SeriesCompleted) == ("series-completed/1",)


@pytest.mark.parametrize("tag", sorted({*EVENT_TYPES, *UPCASTS}))
def test_every_tag_ever_written_has_a_sample(tag: str) -> None:
    assert samples.path_of(tag).exists(), "add the event to tests/golden/samples.py and run it"
    assert tag in samples.EVENTS


def test_every_sample_has_a_tag_that_is_known() -> None:
    known = {samples.path_of(tag) for tag in {*EVENT_TYPES, *UPCASTS}}
    assert set(samples.FOLDER.glob("*.json")) == known


def test_the_values_of_every_sample_are_written_out() -> None:
    assert set(VALUES) == set(TAGS)
