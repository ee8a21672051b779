"""Filters as they are asked: arguments, verdicts, failures, and that what is not defined is not asked."""

from typing import Any

import pytest

from actors.messages.scripts import ScriptRequest
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.errors import ScriptFailed
from actors.services.scripts.filter_values import NoStatus, NotPredicate, UnknownTag, WrongOutput
from actors.services.scripts.script_filters import NO_FILTERS, Judgement, ReceivedFile, ScriptFilters
from events.errors import Busy
from store.dicom.matching import Dataset
from store.records import Origin
from tests.data_factory import add_pixels, dataset, encode
from tests.scripts_stage import run_scripts

SYNTAX = "1.2.840.10008.1.2.1"
FILE = ReceivedFile(encode(dataset()), SYNTAX, "Latin1")
IMAGE = ReceivedFile(encode(add_pixels(dataset())), SYNTAX, "Latin1")
BY_REST = Origin(kind="RestApi", remote_ip="192.0.2.9", username="alice")
BY_DICOM = Origin(kind="DicomProtocol", remote_ip="192.0.2.9", remote_aet="SCU", called_aet="SINOGRAM")
ACCEPTED, DISCARDED = Judgement(is_accepted=True), Judgement(is_accepted=False)
QUERY: Dataset = {0x00080052: "STUDY", 0x00100010: "A*", 0x00081110: ({0x00080050: "7"},)}


def software_of(aet: str) -> str:
    return {"SCU": "Vitrea"}.get(aet, "Generic")


# -- what is not defined ----------------------------------------------------------------------------------------------


def refuse_to_be_asked(_request: ScriptRequest, _timeout_s: float) -> Any:
    raise AssertionError("nobody should be asked")


@pytest.mark.parametrize("defined", [(), ("OnHeartBeat", "Initialize")])
def test_what_no_script_defines_is_not_asked(defined: tuple[str, ...]) -> None:
    board = Board()
    board.publish(defined)
    client = ScriptsClient(board, refuse_to_be_asked)
    for filters in (NO_FILTERS, ScriptFilters(client, client)):
        assert not filters.has_received_filters
        assert not filters.hears_of_duplicates
        assert not filters.filters_requests
        assert not filters.filters_sending
        assert filters.judge_received(ReceivedFile(b"not even DICOM", "", ""), BY_DICOM) == ACCEPTED
        assert filters.admits_sending(ReceivedFile(b"", "", ""), "192.0.2.1", "PACS")
        assert filters.admits_request("GET", "/", "192.0.2.1", "", {})
        assert filters.filter_find(QUERY, BY_DICOM, software_of) is QUERY
        assert filters.filter_worklist(QUERY, BY_DICOM, software_of) is QUERY
        assert filters.filter_question(QUERY, "PACS") is QUERY


def test_each_interpreter_is_asked_for_its_own_filters() -> None:
    with run_scripts(
        "function IncomingHttpRequestFilter() return false end function OnStoredInstance() end"
    ) as scripts:
        received = ScriptFilters(received=scripts.client)
        assert received.admits_request("GET", "/", "192.0.2.1", "", {})
        assert not received.hears_of_duplicates
        main = ScriptFilters(main=scripts.client)
        assert not main.admits_request("GET", "/", "192.0.2.1", "", {})
        assert main.hears_of_duplicates


# -- received instances -----------------------------------------------------------------------------------------------


def test_only_images_of_one_modality_are_accepted() -> None:
    script = "function ReceivedInstanceFilter(dicom, origin, info) return dicom.Modality == 'MR' end"
    computed = ReceivedFile(encode(dataset(Modality="CT")), SYNTAX, "Latin1")
    with run_scripts(script) as scripts:
        assert scripts.filters.judge_received(FILE, BY_REST) == ACCEPTED
        assert scripts.filters.judge_received(computed, BY_REST) == DISCARDED


def test_a_filter_is_told_what_came_from_whom_and_whether_it_has_pixels() -> None:
    script = """
    function ReceivedInstanceFilter(dicom, origin, info)
      print(dicom.PatientID, dicom.PixelData, origin.RequestOrigin, origin.Username, origin.RemoteAet)
      print(info.HasPixelData, info.TransferSyntaxUID)
      return true
    end"""
    with run_scripts(script) as scripts:
        scripts.filters.judge_received(FILE, BY_REST, b"12345678")
        scripts.filters.judge_received(IMAGE, BY_DICOM)
    assert scripts.printed == [
        "PAT1, nil, RestApi, alice, nil",
        f"false, {SYNTAX}",
        "PAT1, nil, DicomProtocol, nil, SCU",
        f"true, {SYNTAX}",
    ]
    assert scripts.asked[0].correlation == b"12345678"


def test_the_status_of_a_c_store_is_the_scripts() -> None:
    script = """
    function ReceivedInstanceFilter(dicom) return dicom.Modality ~= 'CT' end
    function ReceivedCStoreInstanceFilter(dicom, origin, info) return origin.RemoteAet == 'SCU' and 0xA700 or 0 end"""
    computed = ReceivedFile(encode(dataset(Modality="CT")), SYNTAX, "Latin1")
    other = Origin(kind="DicomProtocol", remote_aet="OTHER")
    with run_scripts(script) as scripts:
        assert scripts.filters.judge_received(FILE, BY_DICOM) == Judgement(is_accepted=False, dimse_status=0xA700)
        assert scripts.filters.judge_received(FILE, other) == ACCEPTED
        assert scripts.filters.judge_received(FILE, BY_REST) == ACCEPTED  # no C-STORE
        assert scripts.filters.judge_received(computed, BY_DICOM) == DISCARDED
    assert len(scripts.calls("ReceivedCStoreInstanceFilter")) == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return nil", NotPredicate),
        ("return 1", NotPredicate),
        ("return", NotPredicate),
        ("error('no')", ScriptFailed),
        ("error({})", ScriptFailed),
        ("return dicom.Modality.nothing.at.all", ScriptFailed),
    ],
)
def test_whatever_goes_wrong_refuses_an_instance(body: str, error: type[Exception]) -> None:
    with run_scripts(f"function ReceivedInstanceFilter(dicom) {body} end") as scripts, pytest.raises(error):
        scripts.filters.judge_received(FILE, BY_REST)


@pytest.mark.parametrize("body", ["return nil", "return true", "return {}", "return -1", "return 65536", "return 'x'"])
def test_what_is_no_status_refuses_an_instance(body: str) -> None:
    with run_scripts(f"function ReceivedCStoreInstanceFilter() {body} end") as scripts, pytest.raises(NoStatus):
        scripts.filters.judge_received(FILE, BY_DICOM)


def test_a_filter_that_has_no_time_refuses() -> None:
    board = Board()
    board.publish({"ReceivedInstanceFilter", "IncomingHttpRequestFilter"})

    def have_no_time(_request: ScriptRequest, _timeout_s: float) -> Any:
        raise Busy("the Lua interpreter is busy")

    client = ScriptsClient(board, have_no_time)
    filters = ScriptFilters(client, client)
    with pytest.raises(Busy):
        filters.judge_received(FILE, BY_REST)
    with pytest.raises(Busy):
        filters.admits_request("GET", "/", "192.0.2.1", "", {})


# -- sending ----------------------------------------------------------------------------------------------------------


def test_a_script_may_keep_an_instance_from_a_destination() -> None:
    script = "function OutgoingCStoreInstanceFilter(dicom, to) return to.RemoteAet ~= 'A' and to.RemoteIp ~= dicom.PatientID end"
    with run_scripts(script) as scripts:
        assert scripts.filters.filters_sending
        assert not scripts.filters.admits_sending(FILE, "192.0.2.1", "A")
        assert not scripts.filters.admits_sending(FILE, "PAT1", "B")
        assert scripts.filters.admits_sending(FILE, "192.0.2.1", "B", b"12345678")
    assert scripts.asked[-1].correlation == b"12345678"


# -- HTTP -------------------------------------------------------------------------------------------------------------

ADMIN = """
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  print(method, uri, ip, httpHeaders['x-custom'])
  if method == 'GET' then return true
  elseif username == 'admin' then return true
  else return false
  end
end
"""


@pytest.mark.parametrize(
    ("method", "username", "is_admitted"),
    [("GET", "", True), ("HEAD", "", True), ("PUT", "alice", False), ("DELETE", "admin", True), ("POST", "", False)],
)
def test_the_books_example_lets_administrators_write(method: str, username: str, is_admitted: bool) -> None:
    with run_scripts(ADMIN) as scripts:
        headers = {"X-Custom": b"Gr\xc3\xbcn"}
        assert scripts.filters.admits_request(method, b"/tools", "192.0.2.9", username, headers) is is_admitted
    seen = "GET" if method == "HEAD" else method
    assert scripts.printed == [f"{seen}, /tools, 192.0.2.9, Grün"]


# -- queries ----------------------------------------------------------------------------------------------------------


def test_a_script_may_change_a_query() -> None:
    script = """
    function IncomingFindRequestFilter(query, origin)
      print(query['0010,0010'], query['0008,1110'], origin.RemoteAet, origin.CalledAet, origin.Manufacturer)
      query['PatientName'] = nil
      query['0010,0010'] = nil
      query['StudyDate'] = 20200101
      return query
    end"""
    with run_scripts(script) as scripts:
        changed = scripts.filters.filter_find(QUERY, BY_DICOM, software_of)
    assert changed == {0x00080052: "STUDY", 0x00080020: "20200101"}
    assert scripts.printed == ["A*, nil, SCU, SINOGRAM, Vitrea"]


def test_the_sequences_of_a_worklist_may_be_changed() -> None:
    script = """
    function IncomingWorklistRequestFilter(query, origin)
      query['0040,0100'][1]['0040,0001'] = origin.RemoteAet
      query['0040,0100'][1]['0008,0060'] = nil
      return query
    end"""
    query: Dataset = {0x00100010: "", 0x00400100: ({0x00080060: "MR", 0x00400001: ""},), 0x00081110: ()}
    with run_scripts(script) as scripts:
        changed = scripts.filters.filter_worklist(query, BY_DICOM, software_of)
    assert changed == {0x00100010: "", 0x00400100: ({0x00400001: "SCU"},), 0x00081110: ()}


def test_a_question_may_be_changed_for_a_modality() -> None:
    script = """
    function OutgoingFindRequestFilter(query, modality)
      for key, value in pairs(query) do
        if value == '*' then query[key] = '' end
      end
      query['0008,0060'] = modality
      return query
    end"""
    with run_scripts(script) as scripts:
        changed = scripts.filters.filter_question({0x00100010: "*", 0x00100020: "7"}, "PACS")
    assert changed == {0x00100010: "", 0x00100020: "7", 0x00080060: "PACS"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return nil", WrongOutput),
        ("return 5", WrongOutput),
        ("query['nonsense'] = 'x' return query", UnknownTag),
        ("query['0010,0010'] = {'a'} return query", WrongOutput),
        ("error('q')", ScriptFailed),
    ],
)
def test_whatever_goes_wrong_ends_a_query(body: str, error: type[Exception]) -> None:
    names = ("IncomingFindRequestFilter", "IncomingWorklistRequestFilter", "OutgoingFindRequestFilter")
    script = "\n".join(f"function {name}(query) {body} end" for name in names)
    with run_scripts(script) as scripts:
        with pytest.raises(error):
            scripts.filters.filter_find(QUERY, BY_DICOM, software_of)
        with pytest.raises(ScriptFailed):
            scripts.filters.filter_worklist(QUERY, BY_DICOM, software_of)
        with pytest.raises(error):
            scripts.filters.filter_question(QUERY, "PACS")
