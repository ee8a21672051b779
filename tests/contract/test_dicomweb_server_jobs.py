"""Jobs that send to a DICOMweb server and retrieve from one, against a server of the test's own. Answers as observed on Orthanc 1.12.7."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.messages.job_states import Word
from actors.services.jobs.operations import stow_plan, wado_retrieve_plan
from actors.services.jobs.operations.stow_plan import StowPlan
from actors.services.jobs.operations.wado_retrieve_plan import WadoRetrievePlan
from api.app import create_application
from api.rest.serving.in_process import InProcess
from events.identifiers import Level
from store.projections.job_rows import JobState
from tests.contract.dicomweb_peer import (
    JSON,
    RELATED,
    DicomWebPeer,
    Reply,
    Seen,
    dicomweb_peer,
    files_in,
    multipart,
    stow_answer,
    uid_of,
)
from tests.contract.dicomweb_servers_stage import FILES, UIDS, post, refusing, servers_stage
from tests.contract.operations_stage import Ended, Engine, working
from tests.contract.rest_stage import RestStage, error_of, ids, shown
from tests.contract.retrieve_stage import fill, study
from tests.dicom_bytes import MR, dataset, encode
from tests.fault.servers import wait_for
from tools.server.core import Core


@pytest.fixture
def there() -> Iterator[DicomWebPeer]:
    with dicomweb_peer() as made:
        yield made


@pytest.fixture
def stage(archive: Core, there: DicomWebPeer) -> Iterator[RestStage]:
    with servers_stage(archive, there) as made:
        yield made


# -- instances that are sent -------------------------------------------------------------------------------------------


def test_resources_are_sent_in_batches(archive: Core, stage: RestStage, there: DicomWebPeer) -> None:
    fill(archive, *FILES)
    (whole,) = ids(stage, "studies")
    instances = ids(stage, "instances")
    content = shown(post(stage, "there/stow", {"Resources": [whole], "HttpHeaders": {"X-Z": "1"}}))
    assert content["InstancesCount"] == str(len(FILES))
    assert (content["NetworkSizeMB"], content["Server"]) == ("0", "there")
    assert content["Resources"]["Studies"] == [whole]
    assert sorted(content["Resources"]["Instances"]) == sorted(instances)
    assert sorted(there.has.values()) == sorted(FILES)
    assert [len(batch) for batch in there.stored()] == [2, 2, 2]
    headers = there.seen[0].headers
    assert headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert (headers["accept"], headers["x-token"], headers["x-z"]) == (JSON, "secret", "1")
    assert (headers["transfer-encoding"], "content-length" in headers) == ("chunked", False)
    assert b"X-Z" not in stage.ask("/jobs?expand").body


def test_nothing_to_be_sent_is_a_success(stage: RestStage) -> None:
    content = shown(post(stage, "there/stow", {"Resources": []}))
    assert content == {"InstancesCount": "0", "NetworkSizeMB": "0", "Resources": None, "Server": "there"}


def test_requests_without_resources(stage: RestStage) -> None:
    bodies: tuple[object, ...] = ({}, [], {"Resources": 5}, b"x")
    for body in bodies:
        assert error_of(post(stage, "there/stow", body))[:2] == (400, 15)


def test_what_cannot_be_sent_makes_no_job(archive: Core, stage: RestStage) -> None:
    fill(archive, *study())
    (name,) = ids(stage, "instances")
    assert post(stage, "there/stow", {"Resources": ["nope"]}).status == 404
    assert error_of(post(stage, "nope/stow", {"Resources": [name]})) == (404, 7, "Inexistent server: nope")
    assert shown(stage.ask("/jobs")) == []


def plan_of(engine: Engine, **values: Any) -> dict[str, Any]:
    return stow_plan.to_plan(StowPlan(server="there", instances=engine.instances(), **{"per_step": 10, **values}))


def run_stow(engine: Engine, **values: Any) -> Ended:
    plan = plan_of(engine, **values)
    return engine.run(stow_plan.JOB_TYPE, plan, stow_plan.from_plan(dict(plan)).steps)


def test_a_server_without_chunks_is_told_the_length(archive: Core, there: DicomWebPeer) -> None:
    large = encode(dataset(instance=9, SOPClassUID=MR, PixelData=bytes(1 << 20), BitsAllocated=8))
    fill(archive, *FILES, large)
    with working(archive, servers=[there.known(properties={"ChunkedTransfers": "0"})]) as engine:
        assert run_stow(engine).state is JobState.Success
    (seen,) = there.seen
    assert "transfer-encoding" not in seen.headers
    assert int(seen.headers["content-length"]) == len(seen.body)
    assert sorted(files_in(seen.body)) == sorted([*FILES, large])


@pytest.mark.parametrize(("most", "sizes"), [(0, [6]), (2 * max(map(len, FILES)), [2, 2, 2]), (1, [1] * 6)])
def test_large_files_have_requests_of_their_own(
    archive: Core, there: DicomWebPeer, most: int, sizes: list[int]
) -> None:
    fill(archive, *FILES)
    with working(archive, servers=[there.known()], stow_max_bytes=most) as engine:
        assert run_stow(engine).state is JobState.Success
    assert [len(batch) for batch in there.stored()] == sizes


def test_a_body_is_sent_again_where_a_redirect_says_so(archive: Core, there: DicomWebPeer) -> None:
    fill(archive, *FILES)
    there.answer = lambda seen: (307, {"Location": "/other/studies"}, b"") if seen.path == "/base/studies" else None
    with working(archive, servers=[there.known()]) as engine:
        assert run_stow(engine).state is JobState.Success
    assert [seen.path for seen in there.seen] == ["/base/studies", "/other/studies"]
    assert there.seen[0].body == there.seen[1].body
    assert sorted(there.has.values()) == sorted(FILES)


_SAYS_NOTHING = "DICOMweb server there does not say in DICOM JSON what it has stored"
_NOT_STORED = "DICOMweb server there has not stored"


_REFUSALS = [
    (refusing(202, stow_answer(UIDS[1:], {UIDS[0]: 0xA900})), f"{_NOT_STORED} 1 of 6 instances: {UIDS[0]} (A900, dataset does not match SOP class)"),
    (refusing(409, stow_answer([], {UIDS[0]: 0x0122, UIDS[1]: 0xC123}) ), f"{_NOT_STORED} 6 of 6 instances: {UIDS[0]} (0122, SOP class not supported), {UIDS[1]} (C123, cannot understand)"),
    (refusing(200, stow_answer(UIDS[1:])), f"{_NOT_STORED} 1 of 6 instances: {UIDS[0]} (not in the answer)"),
    (refusing(200, b'{"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}}'), f"{_NOT_STORED} 7 of 6 instances: an instance (0110, processing failure)"),
    (refusing(200, b"{}"), f"{_NOT_STORED} 6 of 6 instances"),
    (refusing(200, b"<html>log in</html>", "text/html"), _SAYS_NOTHING),
    (refusing(200, b"[]"), _SAYS_NOTHING),
    (refusing(200, b'{"00081199": 5}'), _SAYS_NOTHING),
    (refusing(200, b'{"00081199": {"Value": [5]}}'), _SAYS_NOTHING),
    (refusing(200, b'{"00081199": {"Value": [{"00081155": {"Value": [["1"]]}}]}}'), _SAYS_NOTHING),
    (refusing(200, b""), _SAYS_NOTHING),
    (refusing(409, b""), "DICOMweb server there has answered with HTTP status 409"),
    (refusing(413, b""), "DICOMweb server there has answered with HTTP status 413"),
    (refusing(302, b""), "DICOMweb server there has answered with HTTP status 302"),
]  # fmt: skip


def test_what_is_not_stored_there_is_an_error(archive: Core, there: DicomWebPeer) -> None:
    fill(archive, *FILES)
    with working(archive, servers=[there.known()]) as engine:
        for answer, details in _REFUSALS:
            there.answer = answer
            ended = run_stow(engine)
            assert (ended.state, ended.code) == (JobState.Failure, 9)
            assert ended.details.startswith(details), ended.details
    assert len(there.seen) == len(_REFUSALS)


def test_a_permissive_job_goes_on_and_tells(archive: Core, there: DicomWebPeer) -> None:
    fill(archive, *FILES)

    def answer(seen: Seen) -> Reply | None:
        uids = [uid_of(file) for file in files_in(seen.body)]
        if UIDS[0] not in uids:
            return None
        return 202, {}, stow_answer([uid for uid in uids if uid != UIDS[0]], {UIDS[0]: 0xC122})

    there.answer = answer
    with working(archive, servers=[there.known()]) as engine:
        ended = run_stow(engine, per_step=2, permissive=True)
    assert (ended.state, ended.failed) == (JobState.Success, 1)
    assert ended.result["FailedInstancesCount"] == 1
    assert ended.result["FailedInstances"] == {UIDS[0]: "C122, transfer syntax not supported"}
    assert len(there.seen) == 3


def test_a_server_that_is_full_is_asked_again_and_not_sent_what_it_has(archive: Core, there: DicomWebPeer) -> None:
    fill(archive, *FILES)
    full = iter([None, refusing(202, stow_answer([], dict.fromkeys(UIDS, 0xA700)))])

    def answer(seen: Seen) -> Reply | None:
        asked = next(full, None)
        return asked(seen) if asked else None

    there.answer = answer
    with working(archive, servers=[there.known()]) as engine:
        plan = plan_of(engine, per_step=2)
        ref = engine.jobs.submit(stow_plan.JOB_TYPE, plan, steps=3)[0]
        engine.jobs.wait(ref)
        assert engine.ended(ref).state is JobState.Success
    batches = there.stored()
    assert len(batches) == 4
    assert batches[1] == batches[2]  # the refused one, after 2 seconds
    assert sorted(there.has) == UIDS


# -- instances that are retrieved --------------------------------------------------------------------------------------


def retrieve(engine: Engine, *targets: str, **values: Any) -> Ended:
    plan = WadoRetrievePlan(server="there", targets=targets, **values)
    return engine.run(wado_retrieve_plan.JOB_TYPE, wado_retrieve_plan.to_plan(plan), len(targets))


def test_studies_series_and_instances_are_retrieved(stage: RestStage, there: DicomWebPeer) -> None:
    there.has |= {uid_of(file): file for file in FILES}
    resources = [
        {"Study": "1.2"},
        {"Study": "1.2", "Series": "1.3"},
        {"Study": "1.2", "Series": "1.3", "Instance": UIDS[0]},
    ]
    content = shown(post(stage, "there/retrieve", {"Resources": resources, "HttpHeaders": {"X-Z": "1"}}))
    assert content == {"NetworkUsageMB": "0", "ReceivedInstancesCount": str(2 * len(FILES) + 1)}
    assert [seen.path for seen in there.seen] == [
        "/base/studies/1.2", "/base/studies/1.2/series/1.3", f"/base/studies/1.2/series/1.3/instances/{UIDS[0]}",
    ]  # fmt: skip
    assert there.seen[0].headers["accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    assert there.seen[0].headers["x-z"] == "1"
    instances = ids(stage, "instances")
    assert len(instances) == len(FILES)
    assert stage.ask(f"/instances/{instances[0]}/metadata/Origin").body == b"Plugins"
    assert sorted(stage.ask(f"/instances/{name}/file").body for name in instances) == sorted(FILES)


def test_any_address_is_retrieved_by_a_job_of_its_own(stage: RestStage, there: DicomWebPeer) -> None:
    there.has |= {uid_of(file): file for file in FILES}
    body = {"Uri": "/odd/place", "Arguments": {"a": "b"}, "HttpHeaders": {"Accept": "x/y"}}
    path = shown(post(stage, "there/wado", body))["Path"]
    wait_for(lambda: shown(stage.ask(path))["State"] == "Success", "the job to end")
    assert (there.seen[0].path, there.seen[0].headers["accept"]) == ("/base/odd/place?a=b", "x/y")
    assert shown(stage.ask(path))["Type"] == "DicomWebWadoRetrieveClient"
    assert shown(stage.ask(path))["Content"] == {"NetworkUsageMB": "0", "ReceivedInstancesCount": str(len(FILES))}


_NO_RETRIEVALS: list[tuple[object, str]] = [
    (b"x", "A JSON file was expected"),
    ([], "This is not a JSON object"),
    ({}, 'The body must be a JSON object containing an array "Resources"'),
    ({"Resources": ["1.2"]}, ""),
    ({"Resources": [{"Series": "1.3"}]}, 'Missing "Study" field in the body'),
    ({"Resources": [{"Study": 5}]}, 'The field "Study" in a JSON object should be a string'),
    (
        {"Resources": [{"Study": "1", "Instance": "2"}]},
        'Missing "Series" field in the body, as "Instance" is present',
    ),
]  # fmt: skip


def test_retrievals_that_name_nothing(stage: RestStage) -> None:
    for body, details in _NO_RETRIEVALS:
        assert error_of(post(stage, "there/retrieve", body)) == (400, 15, details)
    assert shown(post(stage, "there/retrieve", {"Resources": []})) == {}
    assert len(shown(stage.ask("/jobs"))) == 1


def raw(status: int, *pieces: bytes, kind: str = RELATED, length: int | None = None) -> Any:
    """An answer that ends with its connection, or before the length that it has announced."""
    told = "" if length is None else f"Content-Length: {length}\r\n"
    head = f"HTTP/1.1 {status} Any\r\nContent-Type: {kind}\r\n{told}Connection: close\r\n\r\n".encode()
    return lambda _: iter((head, *pieces))


_WHOLE = multipart(FILES)
_HAS = "DICOMweb server there"


_BROKEN = [
    (raw(200, _WHOLE[:-200]), 5, f"{_HAS}: The multipart body is incomplete: its last part does not end with the boundary"),
    (raw(200, _WHOLE[:-200], length=len(_WHOLE)), 5, f"{_HAS} gives no answer: "),
    (raw(200, _WHOLE, kind='multipart/related; type="application/dicom"; boundary=other'), 0, f"{_HAS} has answered without any instance"),
    (raw(200, _WHOLE, kind="multipart/related"), 0, f"{_HAS} has answered with 'multipart/related', which holds no DICOM files"),
    (raw(200, b"<html>", kind="text/html"), 0, f"{_HAS} has answered with 'text/html', which holds no DICOM files"),
    (raw(200, _WHOLE.replace(b"application/dicom", b"image/jpeg", 1)), 0, f"{_HAS} has sent a part of type 'image/jpeg'"),
    (raw(206, _WHOLE), 6, f"{_HAS} has sent a part of the instances only (HTTP 206)"),
    (raw(404), 0, f"{_HAS} has answered with HTTP status 404"),
    (raw(200, kind="application/dicom\r\nContent-Encoding: gzip"), 0, f"{_HAS} has encoded its answer, unasked: 'gzip'"),
    (lambda _: iter(()), 0, f"{_HAS} gives no answer: "),
]  # fmt: skip


def test_what_is_not_whole_is_an_error(archive: Core, there: DicomWebPeer) -> None:
    with working(archive, servers=[there.known()]) as engine:
        for streams, stored, details in _BROKEN:
            there.streams = streams
            ended = retrieve(engine, "studies/1.2")
            assert (ended.state, ended.code) == (JobState.Failure, 9), details
            assert ended.details.startswith(details), ended.details
            assert len(engine.instances()) == stored, details  # what has come stays
            for instance in engine.instances():
                archive.client.delete(Level.INSTANCE, instance)


def test_simpler_servers_are_understood(archive: Core, there: DicomWebPeer) -> None:
    old = there.known(properties={"HasWadoRsUniversalTransferSyntax": "0"})
    with working(archive, servers=[old]) as engine:
        there.streams = raw(200, multipart(FILES[:1]))
        assert retrieve(engine, "studies/1.2").state is JobState.Success
        there.streams = raw(200, FILES[1], kind="application/dicom")
        assert retrieve(engine, "studies/1.2/series/1.3/instances/1.4").state is JobState.Success
        assert len(engine.instances()) == 2
    assert there.seen[0].headers["accept"] == 'multipart/related; type="application/dicom"'


def test_a_file_that_is_none(archive: Core, there: DicomWebPeer) -> None:
    body = multipart([FILES[0], b"no DICOM at all", FILES[1]])
    there.answer = lambda _: (200, {"Content-Type": RELATED}, body)
    with working(archive, servers=[there.known()]) as engine:
        ended = retrieve(engine, "studies/1.2")
        assert (ended.state, ended.code, len(engine.instances())) == (JobState.Failure, 15, 1)
        ended = retrieve(engine, "studies/1.2", permissive=True)
        assert (ended.state, ended.failed, len(engine.instances())) == (JobState.Success, 1, 2)


def cut_once(there: DicomWebPeer) -> None:
    """Let the first answer break off in its midst."""
    cut = iter([raw(200, _WHOLE[: len(_WHOLE) // 2])])
    there.has |= {uid_of(file): file for file in FILES}
    there.streams = lambda seen: make(seen) if (make := next(cut, None)) else None


def retrieve_twice(engine: Engine) -> Ended:
    """Have a retrieval fail, and go on."""
    plan = WadoRetrievePlan(server="there", targets=["studies/1.2"])
    steps = wado_retrieve_plan.to_plan(plan)
    ref, job = engine.jobs.submit(wado_retrieve_plan.JOB_TYPE, steps, steps=1, attempts=1)
    engine.jobs.wait(ref)
    assert engine.ended(ref).state is JobState.Failure
    assert engine.jobs.control(job, Word.RESUBMIT)
    engine.jobs.wait(ref)
    return engine.ended(ref)


def test_a_retrieval_that_is_tried_again_fetches_what_is_missing(archive: Core, there: DicomWebPeer) -> None:
    cut_once(there)
    with working(archive, servers=[there.known()]) as engine:
        assert retrieve_twice(engine).state is JobState.Success
        assert len(engine.instances()) == len(FILES)
    came = {uid_of(file) for file in FILES[: _WHOLE[: len(_WHOLE) // 2].count(b"--edge") - 1]}
    fetched = [seen.path.rpartition("/")[2] for seen in there.seen if "/instances/" in seen.path]
    assert came
    assert sorted(fetched) == sorted(set(UIDS) - came)
    assert sum(seen.path == "/base/studies/1.2" for seen in there.seen) == 1


@pytest.mark.parametrize("listing", [(501, {}, b""), (200, {}, b"[{}]")])
def test_a_server_that_lists_nothing_is_asked_for_all_once_more(
    archive: Core, there: DicomWebPeer, listing: Reply
) -> None:
    cut_once(there)
    there.answer = lambda seen: listing if "/instances" in seen.path else None
    with working(archive, servers=[there.known()]) as engine:
        assert retrieve_twice(engine).state is JobState.Success
        assert len(engine.instances()) == len(FILES)
    assert sum(seen.path == "/base/studies/1.2" for seen in there.seen) == 2


def test_a_silent_server_does_not_hold_up_who_cancels(archive: Core, there: DicomWebPeer) -> None:
    def silent(_: Seen) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\nContent-Type: {RELATED}\r\n\r\n".encode()
        yield _WHOLE[:1000]
        begun.append(True)
        there.may_answer.wait(60)

    begun: list[bool] = []
    there.streams = silent
    there.may_answer.clear()
    with working(archive, servers=[there.known()]) as engine:
        plan = WadoRetrievePlan(server="there", targets=["studies/1.2"])
        ref, job = engine.jobs.submit(wado_retrieve_plan.JOB_TYPE, wado_retrieve_plan.to_plan(plan), steps=1)
        wait_for(lambda: begun, "the first bytes")
        assert engine.jobs.control(job, Word.CANCEL)
        engine.jobs.wait(ref)
        assert engine.ended(ref).code == 37
        there.streams = lambda _: None
        there.has |= {uid_of(file): file for file in FILES}
        assert retrieve(engine, "studies/1.2").state is JobState.Success  # the only slot is free


def test_secrets_of_a_request_are_not_shown_by_the_log(stage: RestStage, there: DicomWebPeer) -> None:
    there.has |= {uid_of(file): file for file in FILES}
    body = {"Resources": [{"Study": "1.2"}], "HttpHeaders": {"Authorization": "Bearer of-news"}}
    assert shown(post(stage, "there/retrieve", body))
    assert there.seen[0].headers["authorization"] == "Bearer of-news"
    events = stage.ask("/events?personal=true&limit=1000")
    assert b"job-submitted" in events.body
    assert b"of-news" not in events.body


def test_scripts_ask_as_other_clients_do(archive: Core, stage: RestStage, there: DicomWebPeer) -> None:
    """`RestApiPost` and its like call the application in the interpreter's own process."""
    fill(archive, *FILES)
    rest = InProcess(create_application(stage.deps))

    def ask(method: str, path: str, body: object = None) -> Any:
        answer = rest.call(method, f"/dicom-web/servers{path}", json.dumps(body).encode(), {})
        assert answer is not None
        return json.loads(answer)

    assert ask("GET", "") == ["dead", "there"]
    assert ask("POST", "/there/stow", {"Resources": ids(stage, "studies")})["InstancesCount"] == str(len(FILES))
    assert len(ask("POST", "/there/get", {"Uri": "/studies/1.2/instances", "Arguments": {"offset": "0"}})) == len(FILES)
    assert ask("PUT", "/new", ["http://x"]) == {}
    assert rest.call("POST", "/dicom-web/servers/dead/get", b'{"Uri": "/x"}', {}) is None


def test_a_server_that_falls_silent_is_given_up(archive: Core, there: DicomWebPeer) -> None:
    def silent(_: Seen) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\nContent-Type: {RELATED}\r\n\r\n".encode()
        yield _WHOLE[:-200]
        there.may_answer.wait(60)

    there.streams = silent
    there.may_answer.clear()
    with working(archive, servers=[there.known(timeout_s=1)]) as engine:
        ended = retrieve(engine, "studies/1.2")
    assert (ended.state, ended.code) == (JobState.Failure, 9)
    assert ended.details.startswith("DICOMweb server there gives no answer: ")
