"""`/events` as pages and lines: every filter, every refusal, what an event says of its resource; and `/{level}/{id}/history`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.app import create_application
from api.rest.serving.in_process import InProcess
from events.envelope import EVENT_TYPES
from events.event import field_names
from events.identifiers import Ref
from events.subjects import SUBJECTS
from store.views import event_pages
from tests.contract.rest_stage import RestStage, error_of, rest_stage, shown
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

JSON_LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def upload(stage: RestStage, *numbers: int) -> dict[str, str]:
    """Store an instance; returns its identifiers by level."""
    answer: dict[str, str] = shown(stage.upload(encode(dataset(*numbers))))
    return {
        "instances": answer["ID"],
        "series": answer["ParentSeries"],
        "studies": answer["ParentStudy"],
        "patients": answer["ParentPatient"],
    }


def tell(stage: RestStage, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(stage.ask(f"/events?limit=1000&{query}"))["Events"]
    return found


def tags(events: list[dict[str, Any]]) -> list[str]:
    return [event["Tag"].partition("/")[0] for event in events]


# -- pages --------------------------------------------------------------------------------------------------------------


def test_a_page_says_how_far_was_looked_and_where_the_log_ends(stage: RestStage) -> None:
    page = shown(stage.ask("/events"))
    assert (page["Events"], page["Last"], page["Done"], page["Head"]) == ([], 0, True, 0)
    upload(stage, 1, 1, 1, 1)
    upload(stage, 1, 1, 1, 2)
    page = shown(stage.ask("/events?types=patient-created&limit=1"))
    assert (tags(page["Events"]), page["Last"], page["Done"], page["Head"]) == (["patient-created"], 4, False, 5)
    page = shown(stage.ask("/events?types=patient-created&since=4"))
    assert (page["Events"], page["Last"], page["Done"]) == ([], 5, True)
    head = shown(stage.ask("/events/head"))
    assert head == {"Head": 5, "HeadHash": page["HeadHash"]}
    assert len(bytes.fromhex(head["HeadHash"])) == 32


def test_to_bounds_a_page_and_desc_begins_at_its_end(stage: RestStage) -> None:
    for number in range(1, 5):
        upload(stage, 1, 1, 1, number)  # 4 events, then one each: 7
    assert [event["Seq"] for event in tell(stage, "since=2&to=5")] == [3, 4, 5]
    page = shown(stage.ask("/events?order=desc&limit=3"))
    assert ([event["Seq"] for event in page["Events"]], page["Last"], page["Done"]) == ([7, 6, 5], 5, False)
    page = shown(stage.ask("/events?order=desc&limit=9&to=4&since=1"))
    assert ([event["Seq"] for event in page["Events"]], page["Last"], page["Done"]) == ([4, 3, 2], 2, True)
    beyond = shown(stage.ask("/events?order=desc&to=99&limit=1"))
    assert [event["Seq"] for event in beyond["Events"]] == [7]
    assert shown(stage.ask("/events?order=desc&since=99"))["Done"]


def test_pages_of_any_length_in_both_directions_are_the_whole_log(stage: RestStage) -> None:
    for number in range(1, 5):
        upload(stage, number % 2, 1, 1, number)
    whole = tell(stage)
    for limit in (1, 2, 3, 1000):
        forward: list[Any] = []
        since, is_done = 0, False
        while not is_done:
            page = shown(stage.ask(f"/events?since={since}&limit={limit}"))
            forward, since, is_done = forward + page["Events"], page["Last"], page["Done"]
        back: list[Any] = []
        to, is_done = 10**9, False
        while not is_done:
            page = shown(stage.ask(f"/events?order=desc&to={to}&limit={limit}"))
            back, to, is_done = back + page["Events"], page["Last"] - 1, page["Done"]
        assert forward == whole == back[::-1], limit


def test_a_filter_that_matches_nothing_moves_on_when_its_time_is_over(
    stage: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a page of a long log would hold its snapshot for as long as it takes to read that."""
    for number in range(1, 9):
        upload(stage, 1, 1, 1, number)
    monkeypatch.setattr(event_pages, "_ROWS_BETWEEN_LOOKS", 1)
    monkeypatch.setattr(event_pages, "LOOK_S", -1.0)
    since, pages, is_done = 0, 0, False
    while not is_done:
        page = shown(stage.ask(f"/events?types=job-submitted&since={since}"))
        assert page["Events"] == []
        assert page["Last"] > since
        since, is_done, pages = page["Last"], page["Done"], pages + 1
    assert pages == shown(stage.ask("/events/head"))["Head"]


def test_one_event(stage: RestStage) -> None:
    upload(stage, 1, 1, 1, 1)
    assert shown(stage.ask("/events/3")) == tell(stage)[2]
    for missing in ("0", "5", "99999999999999999999", "x", "-1", "%C2%B2"):
        assert stage.ask(f"/events/{missing}").status == 404, missing


# -- filters ------------------------------------------------------------------------------------------------------------


def test_types_are_named_with_or_without_their_version(stage: RestStage) -> None:
    upload(stage, 1, 1, 1, 1)
    assert tags(tell(stage, "types=instance-stored,patient-created")) == ["instance-stored", "patient-created"]
    assert tags(tell(stage, "types=instance-stored/2")) == ["instance-stored"]


def test_levels_are_those_of_the_resource_that_an_event_is_about(stage: RestStage) -> None:
    made = upload(stage, 1, 1, 1, 1)
    stage.ask(f"/studies/{made['studies']}/labels/seen", "PUT")
    stage.ask("/changes", "DELETE")
    assert tags(tell(stage, "levels=Study")) == ["study-created", "label-added"]
    assert tags(tell(stage, "levels=Patient,Series")) == ["series-created", "patient-created"]
    both = tell(stage, "levels=Study&types=label-added,instance-stored")
    assert tags(both) == ["label-added"]


def test_a_resource_brings_what_is_below_it_and_the_deletion_of_what_it_belongs_to(stage: RestStage) -> None:
    other = upload(stage, 1, 2, 1, 1)
    made = upload(stage, 1, 1, 1, 1)
    upload(stage, 1, 1, 2, 1)
    stage.ask(f"/instances/{made['instances']}/labels/seen", "PUT")
    stage.ask(f"/patients/{made['patients']}/labels/seen", "PUT")
    below = ["instance-stored", "series-created", "study-created", "instance-stored", "series-created", "label-added"]
    assert tags(tell(stage, f"resource={made['studies']}")) == below
    stage.ask(f"/patients/{made['patients']}", "DELETE")
    assert tags(tell(stage, f"resource={made['studies']}")) == [*below, "resource-deleted"]
    assert tags(tell(stage, f"resource={other['studies']}"))[-1] == "resource-deleted"
    again = upload(stage, 1, 1, 1, 1)
    assert again == made
    assert tags(tell(stage, f"resource={made['studies']}")) == [*below, "resource-deleted", *CREATED[:3]]
    never = "0" * 8 + "-00000000" * 4
    assert tell(stage, f"resource={never}") == []


CREATED = ["instance-stored", "series-created", "study-created", "patient-created"]


def test_the_state_is_that_of_now(stage: RestStage) -> None:
    first = upload(stage, 1, 1, 1, 1)
    upload(stage, 1, 1, 1, 2)

    def states(seqs: range) -> list[str]:
        return [event["Resource"]["State"] for event in tell(stage) if event["Seq"] in seqs]

    assert states(range(1, 6)) == ["Current"] * 5
    stage.ask(f"/instances/{first['instances']}", "DELETE")
    assert states(range(1, 6)) == ["Deleted", *["Current"] * 4]
    upload(stage, 1, 1, 1, 1)
    assert states(range(1, 6)) == ["Replaced", *["Current"] * 4]
    stage.ask(f"/patients/{first['patients']}", "DELETE")
    assert states(range(1, 6)) == ["Deleted"] * 5
    told = next(event for event in tell(stage) if event["Tag"].startswith("resource-deleted"))
    expected = {"Level": "Instance", "ID": first["instances"], "Path": f"/instances/{first['instances']}"}
    assert {name: told["Resource"][name] for name in expected} == expected


def test_events_about_no_resource_have_none(stage: RestStage) -> None:
    stage.ask("/changes", "DELETE")
    assert [event["Resource"] for event in tell(stage)] == [None]


def test_every_event_that_refers_to_a_resource_says_which_it_is_about() -> None:
    """Whoever adds an event type is told here that it needs a line in `events.subjects`."""
    names = {"resource", "instance", "series", "study", "patient"}
    for event in EVENT_TYPES.values():
        refers = any(name in names for name in field_names(event)[0])
        assert refers <= (event in SUBJECTS), event.TAG
        if event in SUBJECTS:
            field = SUBJECTS[event].field
            assert not field or event.__dataclass_fields__[field].type in {Ref, "Ref"}  # type: ignore[attr-defined]


# -- refusals -----------------------------------------------------------------------------------------------------------


REFUSED = [
    ("since=x", 5, '"since" must be a whole number'),
    ("since=-1", 5, '"since" must be a whole number'),
    ("since=", 5, '"since" must be a whole number'),
    ("since=1.0", 5, '"since" must be a whole number'),
    ("since=9999999999999999999", 5, '"since" must be a whole number'),
    ("limit=0", 3, '"limit" is 1 or more'),
    ("limit=ten", 5, '"limit" must be a whole number'),
    ("to=-5", 5, '"to" must be a whole number'),
    ("types=", 3, '"types" is a list'),
    ("types=no-such-thing", 3, "there are: anonymous-name-drawn"),
    ("types=instance-stored/1", 3, "told as instance-stored/2"),
    ("types=instance-stored/9", 3, "no type of events"),
    ("levels=study", 3, "there are: Patient, Study, Series, Instance"),
    ("levels=,", 3, '"levels" is a list'),
    ("resource=nope", 5, '"resource" must be the identifier'),
    ("wait=61", 3, '"wait" is at most 60 seconds'),
    ("wait=-1", 5, '"wait" must be a whole number'),
    ("wait=5&order=desc", 8, '"wait" has no meaning with order=desc'),
    ("order=down", 3, '"order" is asc or desc'),
    ("types=" + "patient-created," * 201, 3, '"types" is a list of 1 to 200'),
]


def test_what_cannot_be_read_is_refused_and_the_error_says_why(stage: RestStage) -> None:
    for query, code, says in REFUSED:
        status, number, details = error_of(stage.ask(f"/events?{query}"))
        assert (status, number) == (400, code), query
        assert says in details, query


def test_a_form_refuses_what_has_no_meaning_there(stage: RestStage) -> None:
    for kind, names in (("text/event-stream", ("limit", "wait", "order")), ("application/x-ndjson", ("wait",))):
        for name in names:
            answer = stage.ask(f"/events?{name}=1", headers={"Accept": kind})
            assert error_of(answer)[0] == 400
            assert f'"{name}" has no meaning with {kind}' in error_of(answer)[2]


# -- lines --------------------------------------------------------------------------------------------------------------


def test_lines_have_no_limit_and_end_with_a_line_that_says_so(
    stage: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.rest.events._PIECE", 2)
    for number in range(1, 6):
        upload(stage, 1, 1, 1, number)
    answer = stage.ask("/events", headers=JSON_LINES)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    *events, end = [json.loads(line) for line in answer.body.splitlines()]
    assert events == tell(stage)
    assert end == {"Done": True, "Last": 8, **shown(stage.ask("/events/head"))}


def test_lines_are_filtered_and_limited_like_pages(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.rest.events._PIECE", 2)
    for number in range(1, 6):
        upload(stage, number, 1, 1, 1)
    for query in (
        "types=patient-created",
        "since=3&to=9",
        "order=desc",
        "order=desc&to=7&since=2",
        "limit=3",
        "limit=5",
    ):
        lines = stage.ask(f"/events?{query}", headers=JSON_LINES).body.splitlines()
        page = shown(stage.ask(f"/events?{'limit=1000&' if 'limit' not in query else ''}{query}"))
        *events, end = [json.loads(line) for line in lines]
        assert (events, end["Last"], end["Done"]) == (page["Events"], page["Last"], page["Done"]), query


KINDS = [
    ("application/x-ndjson", "application/x-ndjson"),
    ("application/json, application/x-ndjson", "application/json; charset=utf-8"),
    ("APPLICATION/X-NDJSON;q=0.9", "application/x-ndjson"),
    ("application/x-ndjson;q=0", "application/json; charset=utf-8"),
    ("*/*", "application/json; charset=utf-8"),
    ("application/xml", "application/xml; charset=utf-8"),
]


def test_the_form_is_the_first_that_a_client_takes(stage: RestStage) -> None:
    for accept, kind in KINDS:
        assert stage.ask("/events", headers={"Accept": accept}).headers["Content-Type"] == kind, accept


# -- values -------------------------------------------------------------------------------------------------------------


ALICE = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
BOB = {"Authorization": "Basic Ym9iOnNlY3JldA=="}
USERS = {"alice": "secret", "bob": "secret"}


def test_values_are_shown_to_those_whom_the_configuration_names(archive: Core) -> None:
    with rest_stage(
        archive, authentication_enabled=True, registered_users=USERS, event_values_users=("alice",)
    ) as stage:
        stage.ask("/instances", "POST", encode(dataset(1, 1, 1, 1)), ALICE)
        made = json.loads(stage.ask("/patients", headers=BOB).body)[0]
        full = stage.ask("/events", headers=ALICE)
        less = stage.ask("/events", headers=BOB)
        assert b"Doe^Jane" in full.body
        assert made.encode() in full.body
        for path in ("/events", "/events/4", f"/patients/{made}/history"):
            for headers in (BOB, {**BOB, **JSON_LINES}):
                body = stage.ask(path, headers=headers).body
                assert b"instance-stored" in body or b"patient-created" in body
                assert b"Doe^Jane" not in body
                assert made.encode() not in body
        told = json.loads(less.body)["Events"][3]
        assert told["IsWithheld"]
        assert told["Resource"] == {"Level": "Patient", "ID": None, "Path": None, "State": "Current"}
        assert stage.ask(f"/events?resource={made}", headers=BOB).status == 403
        assert stage.ask(f"/events?resource={made}", headers=ALICE).status == 200
        stage.ask(f"/patients/{made}", "DELETE", headers=ALICE)
        # What is gone is not found by guessing.
        assert stage.ask(f"/patients/{made}/history", headers=BOB).status == 404
        assert stage.ask(f"/patients/{made}/history", headers=ALICE).status == 200


def test_without_authentication_a_name_is_only_a_claim(archive: Core) -> None:
    with rest_stage(archive, event_values_users=("alice",)) as stage:
        upload(stage, 1, 1, 1, 1)
        assert b"Doe^Jane" not in stage.ask("/events", headers=ALICE).body


# -- history ------------------------------------------------------------------------------------------------------------


def history(stage: RestStage, level: str, identifier: str) -> list[str]:
    return tags(shown(stage.ask(f"/{level}/{identifier}/history")))


def test_every_level_has_its_history(stage: RestStage) -> None:
    made = upload(stage, 1, 1, 1, 1)
    for level, identifier in made.items():
        stage.ask(f"/{level}/{identifier}/metadata/1024", "PUT", b"x")
        stage.ask(f"/{level}/{identifier}/attachments/1024", "PUT", b"x")
        stage.ask(f"/{level}/{identifier}/labels/seen", "PUT")
        stage.ask(f"/{level}/{identifier}/labels/seen", "DELETE")
    stage.ask(f"/patients/{made['patients']}/protected", "PUT", b"1")
    touched = ["metadata-set", "attachment-set", "label-added", "label-removed"]
    assert history(stage, "instances", made["instances"]) == ["instance-stored", *touched]
    assert history(stage, "series", made["series"]) == ["series-created", *touched]
    assert history(stage, "studies", made["studies"]) == ["study-created", *touched]
    assert history(stage, "patients", made["patients"]) == ["patient-created", *touched, "patient-protected"]
    told = shown(stage.ask(f"/studies/{made['studies']}/history"))
    assert {event["Resource"]["ID"] for event in told} == {made["studies"]}


def test_a_history_has_every_life_and_the_deletion_of_what_was_above(stage: RestStage) -> None:
    made = upload(stage, 1, 1, 1, 1)
    upload(stage, 1, 2, 1, 1)  # keeps the patient
    stage.ask(f"/studies/{made['studies']}", "DELETE")
    upload(stage, 1, 1, 1, 1)
    stage.ask(f"/patients/{made['patients']}", "DELETE")
    for level, created in (("studies", "study-created"), ("series", "series-created")):
        assert history(stage, level, made[level]) == [created, "resource-deleted"] * 2, level
    assert history(stage, "patients", made["patients"]) == ["patient-created", "resource-deleted"]


def test_a_study_that_leaves_as_it_is_empty_has_that_in_its_history(stage: RestStage) -> None:
    made = upload(stage, 1, 1, 1, 1)
    stage.ask(f"/instances/{made['instances']}", "DELETE")
    for level, created in zip(("series", "studies", "patients"), CREATED[1:], strict=True):
        assert history(stage, level, made[level]) == [created, "resource-deleted"], level


def test_what_was_never_here_has_no_history(stage: RestStage) -> None:
    for level in ("patients", "studies", "series", "instances"):
        for identifier in ("nope", "0" * 8 + "-00000000" * 4):
            assert stage.ask(f"/{level}/{identifier}/history").status == 404


def test_a_long_history_comes_in_pieces_and_whole(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    made = upload(stage, 1, 1, 1, 1)
    for number in range(5):
        stage.ask(f"/studies/{made['studies']}/metadata/{1024 + number}", "PUT", b"x")
    whole = shown(stage.ask(f"/studies/{made['studies']}/history"))
    monkeypatch.setattr("api.rest.events._PIECE", 2)
    assert shown(stage.ask(f"/studies/{made['studies']}/history")) == whole
    assert len(whole) == 6


# -- scripts ------------------------------------------------------------------------------------------------------------


def test_a_script_cannot_wait(stage: RestStage) -> None:
    inside = InProcess(create_application(stage.deps))
    page = inside.call("GET", "/events", b"", {})
    assert page is not None
    assert json.loads(page)["Done"]
    assert inside.call("GET", "/events?wait=1", b"", {}) is None
    assert inside.call("GET", "/events", b"", {"accept": "text/event-stream"}) is None
