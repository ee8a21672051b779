"""`/events` as Server-Sent Events and as a long poll, over the real HTTP server, read by a parser of others (httpx-sse)."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent

from actors.wire import metrics
from api.app import create_app
from tests.contract.http_serving import DEADLINE_S, connect, serving
from tests.contract.rest_stage import RestStage, rest_stage, shown
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


@pytest.fixture
def url(stage: RestStage) -> Iterator[str]:
    with serve(stage) as url:
        yield url


@contextmanager
def serve(stage: RestStage) -> Iterator[str]:
    with serving(create_app(stage.deps), silence_s=30.0, is_alone=False) as (host, port):
        yield f"http://{host}:{port}"
        stage.deps.feed.stop()


def upload(stage: RestStage, *numbers: int) -> dict[str, Any]:
    answer: dict[str, Any] = shown(stage.upload(encode(dataset(*numbers))))
    return answer


@contextmanager
def listening(url: str, query: str = "", **headers: str) -> Iterator[Iterator[ServerSentEvent]]:
    with (
        httpx.Client(timeout=DEADLINE_S) as client,
        client.stream("GET", f"{url}/events?{query}", headers={**STREAM, **headers}) as response,
    ):
        assert response.status_code == 200, response.read()
        yield EventSource(response).iter_sse()


def to_head(events: Iterator[ServerSentEvent]) -> list[ServerSentEvent]:
    """Return what comes up to an event `head`, that one last."""
    found = []
    for event in events:
        found.append(event)
        if event.event == "head":
            break
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def pages(stage: RestStage, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(stage.ask(f"/events?limit=1000&{query}"))["Events"]
    return found


# -- the stream ---------------------------------------------------------------------------------------------------------


def test_a_stream_tells_what_pages_tell_and_goes_on_with_what_comes(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    with listening(url) as events:
        first = to_head(events)
        assert [json.loads(event.data) for event in first[:-1]] == pages(stage)
        assert [event.event for event in first[:-1]] == [told["Tag"] for told in pages(stage)]
        assert [event.id for event in first] == ["1", "2", "3", "4", "4"]
        assert [event.retry for event in first] == [2000, None, None, None, None]
        assert json.loads(first[-1].data) == {"Head": 4}
        for number in range(2, 5):
            upload(stage, 1, 1, 1, number)
            event = next(events)
            assert (event.id, event.event) == (str(number + 3), "instance-stored/2")
            assert json.loads(event.data) == pages(stage)[-1]


def test_the_bytes_are_those_of_the_format(stage: RestStage, url: str) -> None:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream, byte by byte."""
    upload(stage, 1, 1, 1, 1)
    with httpx.Client(timeout=DEADLINE_S) as client:
        answer = client.get(f"{url}/events?to=4&types=patient-created", headers=STREAM)
    told = json.dumps(pages(stage)[3], sort_keys=True, separators=(",", ":"))
    assert answer.text == (
        f'retry: 2000\nid: 4\nevent: patient-created/1\ndata: {told}\n\nid: 4\nevent: head\ndata: {{"Head":4}}\n\n'
    )
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert "no-cache" in answer.headers["Cache-Control"]
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in answer.headers


def test_a_position_is_an_id_or_since_or_now(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    for query, headers, expected in (
        ("since=2", {}, ["3", "4", "4"]),
        ("since=0", {"Last-Event-ID": "3"}, ["4", "4"]),
        ("since=now", {"Last-Event-ID": "2"}, ["3", "4", "4"]),
        ("since=now", {}, ["4"]),
    ):
        with listening(url, query, **headers) as events:
            assert [event.id for event in to_head(events)] == expected, (query, headers)
    with listening(url, "since=now") as events:
        assert len(to_head(events)) == 1
        upload(stage, 1, 1, 1, 2)
        assert next(events).id == "5"


REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("since=99", {}, "the log ends with event 4, before 99"),
    ("", {"Last-Event-ID": "99"}, "this position is of another log"),
    ("", {"Last-Event-ID": "x"}, '"Last-Event-ID" must be the id'),
    ("types=x", {}, '"types" names'),
]


def test_a_position_that_cannot_be_is_refused(stage: RestStage) -> None:
    upload(stage, 1, 1, 1, 1)
    for query, headers, says in REFUSED:
        answer = stage.ask(f"/events?{query}", headers={**STREAM, **headers})
        assert answer.status == 400, query
        assert says in json.loads(answer.body)["Details"]


def test_a_filtered_stream_resumes_where_was_looked_not_where_it_matched(
    stage: RestStage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.rest.event_streams.HEAD_S", 0.05)
    made = upload(stage, 1, 1, 1, 1)
    query = f"types=patient-created,label-added&resource={made['ParentStudy']}"
    with listening(url, query) as events:
        assert [event.id for event in to_head(events)] == ["4"]
        upload(stage, 1, 2, 1, 1)
        stage.ask(f"/studies/{made['ParentStudy']}/labels/seen", "PUT")
        event = next(event for event in events if event.event != "head")
        assert event.event == "label-added/1"
        upload(stage, 1, 2, 1, 2)
        end = shown(stage.ask("/events/head"))["Head"]
        assert int(event.id) < end
        assert any(event.event == "head" and event.id == str(end) for event in events)
    with listening(url, query, **{"Last-Event-ID": str(end)}) as events:
        assert [event.id for event in to_head(events)] == [str(end)]


def test_a_stream_to_an_event_ends_there_and_a_browser_does_not_come_again(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    with listening(url, "to=5") as events, ThreadPoolExecutor() as pool:
        assert to_head(events)[-1].id == "4"
        rest = pool.submit(list, events)
        upload(stage, 1, 1, 1, 2)
        upload(stage, 1, 1, 1, 3)
        assert [(event.id, event.event) for event in rest.result(DEADLINE_S)] == [
            ("5", "instance-stored/2"),
            ("5", "head"),
        ]
    again = httpx.get(f"{url}/events?to=5", headers={**STREAM, "Last-Event-ID": "5"}, timeout=DEADLINE_S)
    assert (again.status_code, again.content) == (204, b"")


def test_a_removal_makes_what_is_held_of_before_be_read_again(stage: RestStage, url: str) -> None:
    """What is in memory says of a resource that it is there, which a deletion makes untrue."""
    with listening(url, "since=now") as events:
        to_head(events)
        made = upload(stage, 1, 1, 1, 1)
        assert json.loads(next(events).data)["Resource"]["State"] == "Current"
        stage.ask(f"/patients/{made['ParentPatient']}", "DELETE")
        next(event for event in events if event.event.startswith("resource-deleted"))
        with listening(url) as late:
            told = [json.loads(event.data) for event in to_head(late)[:-1]]
    assert [event["Resource"]["State"] for event in told[:4]] == ["Deleted"] * 4


def test_values_are_withheld_in_a_stream_too(archive: Core) -> None:
    with rest_stage(archive, event_values_users=()) as stage, serve(stage) as url:
        upload(stage, 1, 1, 1, 1)
        with listening(url) as events:
            told = [json.loads(event.data) for event in to_head(events)[:-1]]
            upload(stage, 2, 1, 1, 1)
            told += [json.loads(next(events).data) for _ in range(4)]
        assert all(event["IsWithheld"] for event in told)
        assert "Doe^Jane" not in json.dumps(told)


def test_an_empty_log_has_a_stream(stage: RestStage, url: str) -> None:
    with listening(url) as events:
        assert [event.id for event in to_head(events)] == ["0"]
        upload(stage, 1, 1, 1, 1)
        assert [next(events).id for _ in range(4)] == ["1", "2", "3", "4"]


def test_compression_does_not_touch_a_stream(archive: Core) -> None:
    with rest_stage(archive, http_compression_enabled=True) as stage, serve(stage) as url:
        upload(stage, 1, 1, 1, 1)
        with listening(url, **{"Accept-Encoding": "gzip"}) as events:
            assert [event.id for event in to_head(events)] == ["1", "2", "3", "4", "4"]
            upload(stage, 1, 1, 1, 2)
            assert next(events).id == "5"


def test_a_client_of_http_1_0_gets_a_stream_without_chunks(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    host, port = url.removeprefix("http://").split(":")
    request = b"GET /events?to=4&types=patient-created HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n"
    with connect((host, int(port)), request) as client, client.makefile("rb") as file:
        head, _, body = file.read().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"retry: 2000\nid: 4\n")


# -- many listeners -----------------------------------------------------------------------------------------------------


def test_listeners_hold_no_threads_and_each_gets_everything_once_in_order(stage: RestStage, url: str) -> None:
    count = 20
    with ExitStack() as stack:
        streams = [stack.enter_context(listening(url))]
        to_head(streams[0])
        threads = threading.active_count()
        streams += [stack.enter_context(listening(url)) for _ in range(count - 1)]
        for events in streams[1:]:
            to_head(events)
        assert threading.active_count() <= threads + 2  # the server's own, which answer all requests
        assert metrics.EVENT_LISTENERS.total() == count
        for number in range(1, 21):
            upload(stage, 1, 1, 1, number)
        end = shown(stage.ask("/events/head"))["Head"]
        for events in streams:
            ids = [int(next(event for event in events if event.event != "head").id) for _ in range(end)]
            assert ids == list(range(1, end + 1))
    wait_for(lambda: metrics.EVENT_LISTENERS.total() == 0)


def test_there_are_places_for_so_many_and_one_that_leaves_makes_room(archive: Core) -> None:
    with rest_stage(archive, max_event_streams=2) as stage, serve(stage) as url:
        with listening(url), listening(url) as events:
            to_head(events)
            for path, headers in (("/events", STREAM), ("/events?wait=30", {})):
                answer = httpx.get(url + path, headers=headers, timeout=DEADLINE_S)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert "MaxEventStreams" in answer.json()["Details"]
            assert httpx.get(f"{url}/events", timeout=DEADLINE_S).status_code == 200
        wait_for(lambda: metrics.EVENT_LISTENERS.total() == 0)
        with listening(url) as events:
            to_head(events)


def test_the_end_of_the_server_ends_streams_at_once_and_in_order(stage: RestStage, url: str) -> None:
    with listening(url) as events, ThreadPoolExecutor() as pool:
        to_head(events)
        poll = pool.submit(httpx.get, f"{url}/events?wait=60", timeout=DEADLINE_S)
        wait_for(lambda: metrics.EVENT_LISTENERS.total() == 2)
        stage.deps.feed.stop()
        assert list(events) == []  # a connection that broke would raise
        assert poll.result(DEADLINE_S).json()["Events"] == []


def test_a_log_that_cannot_be_read_ends_streams_and_who_comes_again_is_served(
    stage: RestStage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = stage.deps.feed
    with listening(url) as events:
        to_head(events)
        with monkeypatch.context() as patched:
            patched.setattr(feed, "_look", lambda *_: 1 // 0)
            upload(stage, 1, 1, 1, 1)
            assert list(events) == []
    with listening(url) as events:
        assert [event.id for event in to_head(events)] == ["1", "2", "3", "4", "4"]


def test_who_is_behind_what_is_held_reads_the_log(stage: RestStage, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory for three events and pieces of two: everybody is behind now and then."""
    monkeypatch.setattr("api.rest.event_hub.HELD_EVENTS", 3)
    monkeypatch.setattr("api.rest.event_hub.PIECE_EVENTS", 2)
    monkeypatch.setattr("api.rest.event_hub.PIECE_BYTES", 1000)
    with listening(url) as events, listening(url, "types=instance-stored") as filtered:
        for number in range(1, 31):
            upload(stage, 1, 1, 1, number)
        told = [int(next(event for event in events if event.event != "head").id) for _ in range(33)]
        assert told == list(range(1, 34))
        stored = [int(next(event for event in filtered if event.event != "head").id) for _ in range(30)]
        assert stored == [1, *range(5, 34)]
    with listening(url, "since=7") as late:
        assert [int(event.id) for event in to_head(late)[:-1]] == list(range(8, 34))


# -- the long poll ------------------------------------------------------------------------------------------------------


def test_a_long_poll_is_answered_by_what_it_waits_for(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    with ThreadPoolExecutor() as pool:
        polls = [
            pool.submit(httpx.get, f"{url}/events?{query}&wait=60", timeout=DEADLINE_S)
            for query in ("since=4", "since=now", "types=study-created&since=4", "levels=Study&since=now")
        ]
        wait_for(lambda: metrics.EVENT_LISTENERS.total() == 4)
        upload(stage, 1, 1, 1, 2)
        for poll in polls[:2]:
            page = poll.result(DEADLINE_S).json()
            assert [event["Seq"] for event in page["Events"]] == [5]
            assert (page["Last"], page["Done"], page["Head"]) == (5, True, 5)
        assert not polls[2].done()
        upload(stage, 1, 2, 1, 1)
        for poll in polls[2:]:
            page = poll.result(DEADLINE_S).json()
            assert [event["Tag"] for event in page["Events"]] == ["study-created/1"]
    wait_for(lambda: metrics.EVENT_LISTENERS.total() == 0)


def test_a_long_poll_that_has_waited_in_vain_says_how_far_was_looked(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    for accept in ("application/json", "application/xml"):
        answer = httpx.get(
            f"{url}/events?since=2&types=label-added&wait=1", headers={"Accept": accept}, timeout=DEADLINE_S
        )
        assert answer.status_code == 200
        if accept == "application/json":
            assert answer.json() == shown(stage.ask("/events?since=2&types=label-added"))
        else:
            assert answer.content == stage.ask("/events?since=2&types=label-added", headers={"Accept": accept}).body


def test_a_long_poll_does_not_wait_where_there_is_something(stage: RestStage, url: str) -> None:
    upload(stage, 1, 1, 1, 1)
    for query in ("since=3&wait=60", "since=3&to=4&wait=60", "types=label-added&to=4&wait=60"):
        answer = httpx.get(f"{url}/events?{query}", timeout=DEADLINE_S)
        assert answer.json()["Last"] == 4


def test_a_client_that_leaves_gives_its_place_back(stage: RestStage, url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    requests = (
        b"GET /events?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
    )
    clients: list[socket.socket] = [connect((host, int(port)), request) for request in requests]
    wait_for(lambda: metrics.EVENT_LISTENERS.total() == 2)
    for client in clients:
        client.close()
    wait_for(lambda: metrics.EVENT_LISTENERS.total() == 0)
