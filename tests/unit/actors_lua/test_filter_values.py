"""Filters: the seed page's scripts, the tables they see, and what their results mean."""

from typing import Any

import pytest

from actors.services.lua import events
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.filter_values import (
    NoStatus,
    NotPredicate,
    UnknownTag,
    WrongOutput,
    dimse_status,
    find_origin_table,
    flat_query,
    http_arguments,
    info_table,
    nested_query,
    origin_table,
    read_flat_query,
    read_nested_query,
    verdict,
)
from events.identifiers import Level
from store.dicom.matching import Dataset
from store.records import Origin

QUERY: Dataset = {
    0x00080052: "STUDY",
    0x00100010: "*",
    0x00081030: None,
    0x55550010: "PRIV",
    0x00400100: ({0x00080060: "MR", 0x00400001: ""}, {}),
    0x00081110: (),
}
PEER = Origin(kind="DicomProtocol", remote_ip="10.0.0.1", remote_aet="SCU", called_aet="SINOGRAM")


def call(script: str, name: str, *arguments: object) -> tuple[Any, ...]:
    interpreter = Interpreter()
    interpreter.load(script.encode(), "f.lua")
    return interpreter.call(name, *arguments)


@pytest.mark.parametrize(
    ("origin", "table"),
    [
        (
            Origin(kind="RestApi", remote_ip="127.0.0.1", username="alice"),
            {"RequestOrigin": "RestApi", "RemoteIp": "127.0.0.1", "Username": "alice"},
        ),
        (PEER, {"RequestOrigin": "DicomProtocol", "RemoteIp": "10.0.0.1", "RemoteAet": "SCU", "CalledAet": "SINOGRAM"}),
        (Origin(kind="Lua"), {"RequestOrigin": "Lua"}),
        (Origin(kind="Plugins"), {"RequestOrigin": "Plugins"}),
    ],
)
def test_origins(origin: Origin, table: dict[str, str]) -> None:
    assert origin_table(origin) == table


def test_only_mr() -> None:
    script = "function ReceivedInstanceFilter(dicom, origin, info) if dicom.Modality == 'MR' then return true else return false end end"
    info = info_table(has_pixel_data=True, transfer_syntax="1.2.840.10008.1.2.1")
    assert verdict(
        call(script, "ReceivedInstanceFilter", {"Modality": "MR", "PixelData": None}, origin_table(PEER), info)
    )
    assert not verdict(call(script, "ReceivedInstanceFilter", {"Modality": "CT"}, origin_table(PEER), info))


def test_null_tags_are_absent() -> None:
    script = "function F(tags, info) local n = 0 for k in pairs(tags) do n = n + 1 end return n, info.HasPixelData, info.TransferSyntaxUID end"
    info = info_table(has_pixel_data=False, transfer_syntax="")
    assert call(script, "F", {"A": None, "B": "", "C": [{"D": None}], "E": []}, info) == (3, False, None)


ADMIN = """
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  if method == 'GET' then return true elseif username == 'admin' then return true else return false end
end
"""


@pytest.mark.parametrize(
    ("method", "username", "accepted"),
    [("GET", "", True), ("HEAD", "", True), ("POST", "bob", False), ("DELETE", "admin", True)],
)
def test_access_by_method_and_user(method: str, username: str, accepted: bool) -> None:
    arguments = http_arguments(method, "/instances", "127.0.0.1", username, {"X-Token": "t"})
    assert arguments[4] == {"x-token": "t"}
    assert verdict(call(ADMIN, "IncomingHttpRequestFilter", *arguments)) is accepted


@pytest.mark.parametrize("results", [(), (None,), (1,), (0,), (b"true",), ([],), (2, True)])
def test_only_true_and_false_are_verdicts(results: tuple[Any, ...]) -> None:
    with pytest.raises(NotPredicate, match="not a predicate"):
        verdict(results)
    assert verdict((True, 1))


def test_dimse_statuses() -> None:
    assert [dimse_status((value,)) for value in (0, 0xA700, 42752.0, b"0")] == [0, 0xA700, 0xA700, 0]
    values: tuple[Any, ...] = (None, True, 65536, -1, 1.5, b"x", [], float("nan"))
    for value in values:
        with pytest.raises(NoStatus):
            dimse_status((value,))
    with pytest.raises(NoStatus):
        dimse_status(())


def test_c_find_queries_are_flat() -> None:
    assert flat_query(QUERY) == {"0008,0052": "STUDY", "0010,0010": "*", "0008,1030": "", "5555,0010": "PRIV"}


def test_a_private_key_is_removed() -> None:
    script = "function IncomingFindRequestFilter(query, origin) local v = query v['5555,0010'] = nil return v end"
    results = call(script, "IncomingFindRequestFilter", flat_query(QUERY), find_origin_table(PEER, "Generic"))
    assert read_flat_query(results) == {0x00080052: "STUDY", 0x00100010: "*", 0x00081030: ""}


def test_asterisks_are_replaced() -> None:
    script = "function OutgoingFindRequestFilter(query, modality) for key, value in pairs(query) do if value == '*' then query[key] = '' end end return query end"
    assert read_flat_query(call(script, "OutgoingFindRequestFilter", flat_query(QUERY), "AET"))[0x00100010] == ""


def test_a_worklist_query_is_given_the_station() -> None:
    script = "function IncomingWorklistRequestFilter(query, origin) query['0040,0100'][1]['0040,0001'] = origin['RemoteAet'] return query end"
    results = call(script, "IncomingWorklistRequestFilter", nested_query(QUERY), find_origin_table(PEER, "Generic"))
    assert read_nested_query(results) == QUERY | {
        0x00081030: "",
        0x00400100: ({0x00080060: "MR", 0x00400001: "SCU"}, {}),
    }


@pytest.mark.parametrize("name", [b"PatientName", b"0010,0010", b"0010-0010", b"00100010"])
def test_tags_may_be_spelled_in_every_way(name: bytes) -> None:
    assert read_flat_query(({name: b"Gr\xc3\xbcn*", b"0020,0013": 7},)) == {0x00100010: "Grün*", 0x00200013: "7"}


@pytest.mark.parametrize(
    "results",
    [
        (),
        (None,),
        (5,),
        (True,),
        ({b"0010,0010": True},),
        ({b"0010,0010": []},),
        ({b"0010,0010": {b"a": 1}},),
        ([b"x"],),
    ],
)
def test_what_is_no_query(results: tuple[Any, ...]) -> None:
    with pytest.raises(WrongOutput, match="must return a table"):
        read_flat_query(results)


def test_unknown_tags_are_refused() -> None:
    unknown: list[tuple[Any, ...]] = [({b"nonsense": b"x"},), ({b"1": b"x"},)]
    for results in unknown:
        with pytest.raises(UnknownTag):
            read_flat_query(results)
    with pytest.raises(UnknownTag):
        read_nested_query(({b"0040,0100": [{b"nonsense": b"x"}]},))


def test_what_is_no_worklist_query() -> None:
    wrong: list[tuple[Any, ...]] = [
        ([],),
        (None,),
        (),
        ({b"0040,0100": {b"a": b"b"}},),
        ({b"0040,0100": [b"x"]},),
        ({b"0010,0010": True},),
    ]
    for results in wrong:
        with pytest.raises(WrongOutput):
            read_nested_query(results)


def test_no_query_is_an_empty_one() -> None:
    assert read_flat_query(([],)) == {}


def test_deliveries() -> None:
    assert events.stored("id", {"A": "b"}, {}, PEER).arguments[3]["RemoteAet"] == "SCU"
    assert events.stable(Level.STUDY, "id", {}, {}).callback == "OnStableStudy"
    assert events.deleted(Level.INSTANCE, "id") == events.Delivery(callback="OnDeletedInstance", arguments=("id",))
    assert events.updated(Level.PATIENT, "id").callback == "OnUpdatedPatient"
    assert [events.job(end, "id").callback for end in events.JobEnd] == [
        "OnJobSubmitted",
        "OnJobSuccess",
        "OnJobFailure",
    ]
    assert len(set(callbacks.EVENTS)) == 16
