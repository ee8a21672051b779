"""Scripts between a client and the REST API: requests, uploads, and questions to modalities."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.messages.scripts import Call
from store.views.feed import get_events
from tests.contract.destination import destination
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.data_factory import dataset, encode
from tests.recording_scp import RecordingScp, recording_scp
from tests.scripts_stage import Scripts, run_scripts
from tools.server.core import Core


@contextmanager
def scripted(archive: Core, script: str) -> Iterator[tuple[RestStage, Scripts]]:
    with run_scripts(script) as scripts, rest_stage(archive, filters=scripts.filters) as stage:
        yield stage, scripts


@contextmanager
def asking(archive: Core, script: str) -> Iterator[tuple[RestStage, Scripts, RecordingScp]]:
    """With a modality `rec`."""
    with scripted(archive, script) as (stage, scripts), recording_scp([{0x00100020: "P1"}]) as rec:
        body = {"AET": "REC", "Host": "127.0.0.1", "Port": rec.port}
        assert stage.ask("/modalities/rec", "PUT", json.dumps(body).encode()).status == 200
        yield stage, scripts, rec


def post(stage: RestStage, path: str, body: object) -> Answer:
    return stage.ask(path, "POST", json.dumps(body).encode())


def described(answer: Answer) -> tuple[int, int, str | None]:
    body = json.loads(answer.body)
    return answer.status, body["OrthancStatus"], body.get("Details")


# -- requests ---------------------------------------------------------------------------------------------------------


def test_the_books_access_control(archive: Core) -> None:
    script = """
    function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
      -- Only allow GET requests for non-admin users
      if method == 'GET' then return true elseif username == 'admin' then return true else return false end
    end"""
    with scripted(archive, script) as (stage, _):
        assert stage.ask("/system").status == 200
        for method in ("POST", "PUT", "DELETE"):
            answer = stage.ask("/tools/now", method)
            assert (answer.status, answer.body, "Content-Type" in answer.headers) == (403, b"", False)


def test_a_request_and_what_it_causes_share_a_correlation(archive: Core) -> None:
    script = """
    function IncomingHttpRequestFilter() return true end
    function ReceivedInstanceFilter() return true end"""
    with scripted(archive, script) as (stage, scripts):
        assert stage.upload(encode(dataset())).status == 200
    with archive.views.snapshot() as snapshot:
        caused = {entry.correlation for entry in get_events(snapshot)}
    assert [asked.name for asked in scripts.asked if isinstance(asked, Call)] == [
        "IncomingHttpRequestFilter",
        "ReceivedInstanceFilter",
    ]
    assert {asked.correlation for asked in scripts.asked} == caused


# -- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_that_a_filter_discards_is_answered_so(archive: Core) -> None:
    script = "function ReceivedInstanceFilter(dicom) return dicom.Modality == 'MR' end"
    with scripted(archive, script) as (stage, _):
        answer = stage.upload(encode(dataset(Modality="CT")))
        assert (answer.status, json.loads(answer.body)["Status"]) == (200, "FilteredOut")
        assert json.loads(stage.ask("/instances").body) == []
        assert json.loads(stage.upload(encode(dataset())).body)["Status"] == "Success"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("error('boom')", (500, 2031, "test.lua:1: boom")),
        ("return 'true'", (500, 2034, None)),
        ("return", (500, 2034, None)),
    ],
)
def test_an_upload_meets_a_filter_that_fails(archive: Core, body: str, expected: tuple[int, int, str | None]) -> None:
    with scripted(archive, f"function ReceivedInstanceFilter() {body} end") as (stage, _):
        assert described(stage.upload(encode(dataset()))) == expected
        assert json.loads(stage.ask("/instances").body) == []


# -- questions to modalities ------------------------------------------------------------------------------------------

KEYS = {"PatientName": "*", "Rows": "", "5555,0010": "P"}
SHOW = """
function OutgoingFindRequestFilter(query, modality)
  local keys = {}
  for key, value in pairs(query) do table.insert(keys, key .. '=' .. value) end
  table.sort(keys)
  print(modality, table.concat(keys, ' '))
  return query
end
"""


def test_a_script_sees_a_question_as_the_client_asked_it(archive: Core) -> None:
    with asking(archive, SHOW) as (stage, scripts, _):
        path = json.loads(post(stage, "/modalities/rec/query", {"Level": "Study", "Query": KEYS}).body)["Path"]
        assert scripts.printed == ["REC, 0010,0010=* 0028,0010= 5555,0010=P"]
        assert post(stage, f"{path}/answers/0/query-series", {"Query": {"Modality": "CT"}}).status == 200
        assert len(scripts.printed) == 2


def test_what_else_asks_a_modality_is_not_filtered(archive: Core) -> None:
    with asking(archive, SHOW) as (stage, scripts, _):
        assert post(stage, "/modalities/rec/find-study", {"PatientID": "0042"}).status == 200
        assert post(stage, "/modalities/rec/find-worklist", {"PatientName": "*"}).status == 200
        assert post(stage, "/modalities/rec/echo", {"CheckFind": True}).status == 200
        assert scripts.printed == []


@pytest.mark.parametrize(
    ("body", "is_normalized", "sent"),
    [
        # The Book's example.
        (
            "for key, value in pairs(query) do if value == '*' then query[key] = '' end end return query",
            True,
            {0x00100010: ""},
        ),
        (
            "query.PatientID = 42 query['0008-0020'] = '20200101' return query",
            True,
            {0x00100020: "42", 0x00080020: "20200101"},
        ),
        ("query.Rows = '5' query['0008,0052'] = 'SERIES' return query", True, {0x00100010: "*"}),
        ("query.Rows = '5' query['0008,0052'] = 'SERIES' return query", False, {0x00280010: "5", 0x00100010: "*"}),
        ("return {}", True, {}),
    ],
)
def test_a_script_changes_what_is_sent(archive: Core, body: str, *, is_normalized: bool, sent: dict[int, str]) -> None:
    with asking(archive, f"function OutgoingFindRequestFilter(query) {body} end") as (stage, _, rec):
        question = {"Level": "Study", "Query": {"PatientName": "*"}, "Normalize": is_normalized}
        path = json.loads(post(stage, "/modalities/rec/query", question).body)["Path"]
        ((_, _, identifier),) = rec.take()
        assert json.loads(stage.ask(f"{path}/query?simplify").body) == {"PatientName": "*"}  # as it was asked
    always = {0x00080005: "ISO_IR 100", 0x00080052: "STUDY", 0x00080050: "", 0x00100020: "", 0x0020000D: ""}
    expected: dict[int, Any] = always | ({} if 0x00100010 in sent or "{}" in body else {0x00100010: "*"}) | sent
    assert identifier == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return nil", (500, 2033, "Lua: The script must return a table")),
        ("error('q')", (500, 2031, "test.lua:1: q")),
        ("query.nonsense = 'x' return query", (500, 27, "nonsense")),
        (
            "query['0008,0005'] = 'NOPE' return query",
            (400, 3, 'Unsupported value for the SpecificCharacterSet (0008,0005) tag: "NOPE"'),
        ),
        (
            "query.Rows = 'x' return query",
            (400, 15, 'While creating a DICOM instance, tag (0028,0010) has out-of-range value: "x"'),
        ),
    ],
)
def test_a_question_meets_a_filter_that_fails(archive: Core, body: str, expected: tuple[int, int, str | None]) -> None:
    with asking(archive, f"function OutgoingFindRequestFilter(query) {body} end") as (stage, _, rec):
        question = {"Level": "Study", "Query": {"PatientName": "*"}, "Normalize": False}
        assert described(post(stage, "/modalities/rec/query", question)) == expected
        assert rec.take() == []
        assert json.loads(stage.ask("/queries").body) == []


# -- files that are sent on -------------------------------------------------------------------------------------------


def test_a_file_that_a_script_keeps_back_is_not_sent_on(archive: Core) -> None:
    script = """
    function OutgoingCStoreInstanceFilter(dicom, destination)
      print(destination.RemoteIp, destination.RemoteAet)
      if dicom.PatientID == 'PAT3' then error('boom') end
      return dicom.PatientID == 'PAT1'
    end"""
    with scripted(archive, script) as (stage, scripts), destination() as there:
        body = {"AET": "THERE", "Host": "127.0.0.1", "Port": there.port}
        assert stage.ask("/modalities/there", "PUT", json.dumps(body).encode()).status == 200
        path = "/modalities/there/store-straight"
        assert stage.ask(path, "POST", encode(dataset(1))).status == 200
        kept = stage.ask(path, "POST", encode(dataset(2)))
        assert (kept.status, kept.body) == (403, b"")
        assert described(stage.ask(path, "POST", encode(dataset(3)))) == (500, 2031, "test.lua:4: boom")
        assert len(there.sent) == 1
    assert scripts.printed == ["127.0.0.1, THERE"] * 3
