"""Rows that are none, personal parts that were erased or altered, and old types that are read as new ones."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgpack
import pytest

from events import envelope
from events.envelope import Record, Upcast
from events.errors import CorruptLog
from events.identifiers import Seq
from events.resources import PatientCreated, RowsPurged
from tests.golden import samples

PATIENT = "patient-created/1"


def record_of(tag: str) -> tuple[Record, bytes | None]:
    row, personal = samples.read(tag)
    return envelope.decode_record(Seq(1), row), personal


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"\xc0",
        b"\xc1",
        b"not msgpack at all",
        msgpack.packb([]),
        msgpack.packb(["tag", 1, b"", "actor", b"", [], None]),  # no link
        msgpack.packb(["tag", 1, b"", "actor", b"", [], None, b"", 9]),  # one value too many
        msgpack.packb(["tag", "1", b"", "actor", b"", [], None, b""]),  # a date that is no number
        msgpack.packb(["tag", 1, b"", "actor", b"", {}, None, b""]),
        msgpack.packb([1, 1, b"", "actor", b"", [], None, b""]),
        msgpack.packb(["tag", 1, b"", "actor", b"", [], None, None]),
    ],
)
def test_what_is_no_envelope_is_a_corrupt_log(row: bytes) -> None:
    with pytest.raises(CorruptLog, match="event 1 is not an envelope"):
        envelope.decode_record(Seq(1), row)


def test_an_erased_event_has_no_values_and_says_so() -> None:
    record, personal = record_of(PATIENT)
    assert not envelope.is_erased(record, personal)
    assert envelope.is_erased(record, None)
    assert envelope.decode_personal(record, None) is None
    assert envelope.decode_event(record, None) is None


def test_an_event_without_a_personal_part_is_never_erased() -> None:
    record, personal = record_of("rows-purged/1")
    assert personal is None
    assert not envelope.is_erased(record, None)
    assert envelope.decode_event(record, None) == samples.EVENTS["rows-purged/1"]


@pytest.mark.parametrize("personal", [b"", b"\xc0", b"\xc1", msgpack.packb([1, 2]), msgpack.packb(["salt", "payload"])])
def test_a_personal_part_that_is_none_is_a_corrupt_log(personal: bytes) -> None:
    record, _ = record_of(PATIENT)
    with pytest.raises(CorruptLog, match="personal part of event 1"):
        envelope.decode_event(record, personal)


def test_a_personal_part_of_another_event_is_a_corrupt_log() -> None:
    record, _ = record_of(PATIENT)
    _, other = record_of("series-created/1")
    with pytest.raises(CorruptLog, match="does not match"):
        envelope.decode_personal(record, other)


def test_a_tag_that_nobody_knows_is_a_corrupt_log() -> None:
    record, personal = record_of("rows-purged/1")
    with pytest.raises(CorruptLog, match="unknown type instance-teleported/1"):
        envelope.decode_event(replace(record, tag="instance-teleported/1"), personal)


@pytest.mark.parametrize("public", [[], [303], [303, 250, 1]])
def test_values_that_do_not_fit_their_type_are_a_corrupt_log(public: list[Any]) -> None:
    record, _ = record_of("rows-purged/1")
    with pytest.raises(CorruptLog, match="does not have the values"):
        envelope.decode_event(replace(record, public=public), None)


# -- old types ----------------------------------------------------------------------------------------------------------


def _drop_the_reason(public: list[Any], personal: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    return public[:1], personal


def _add_a_limit(public: list[Any], personal: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    return [*public, 250], personal


OLD_TYPES = MappingProxyType(
    {
        "rows-removed/1": Upcast("rows-removed/2", _drop_the_reason),
        "rows-removed/2": Upcast("rows-purged/1", _add_a_limit),
    }
)


def test_an_old_type_is_read_as_its_successors_successor() -> None:
    assert envelope.upcast("rows-removed/1", [7, "because"], None, OLD_TYPES) == ("rows-purged/1", [7, 250], None)
    assert envelope.upcast("rows-removed/2", [7], None, OLD_TYPES) == ("rows-purged/1", [7, 250], None)


def test_a_type_of_today_is_left_alone() -> None:
    assert envelope.upcast("rows-purged/1", [7, 1], [b""], OLD_TYPES) == ("rows-purged/1", [7, 1], [b""])


def test_an_event_of_an_old_type_is_decoded_through_its_upcasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "UPCASTS", MappingProxyType({**envelope.UPCASTS, **OLD_TYPES}))
    record, _ = record_of("rows-purged/1")
    old = replace(record, tag="rows-removed/1", public=[7, "because"])
    assert envelope.decode_event(old, None) == RowsPurged(resource=7, limit=250, deleted=[])  # type: ignore[arg-type]  # a plain number, as stored


def test_an_upcast_may_move_a_value_out_of_the_personal_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def split(public: list[Any], personal: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
        return public[1:], None if personal is None else [*personal, public[0]]

    monkeypatch.setattr(envelope, "UPCASTS", MappingProxyType({"patient-seen/1": Upcast(PATIENT, split)}))
    record, _ = record_of(PATIENT)
    payload = msgpack.packb([samples.ID])
    digest = envelope.hash_row(b"salt" + payload)
    old = replace(record, tag="patient-seen/1", public=[{0x00100020: "P"}], personal_digest=digest)
    event = envelope.decode_event(old, msgpack.packb([b"salt", payload]))
    assert event == PatientCreated(id=samples.ID, tags={0x00100020: "P"})


def test_no_upcast_leads_to_a_tag_that_nobody_knows_or_in_a_circle() -> None:
    for tag in envelope.UPCASTS:
        seen = [tag]
        while (step := envelope.UPCASTS.get(seen[-1])) is not None:
            assert step.to_tag not in seen
            seen.append(step.to_tag)
        assert seen[-1] in envelope.EVENT_TYPES
