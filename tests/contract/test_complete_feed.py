"""The feed is complete: whatever changes the archive is an event, also where `/changes` is silent as Orthanc's."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from actors.core.index.settings import StorageLimits
from actors.messages.commands.command import Command
from actors.messages.commands.jobs import EndJob, FailJob, FinishJobStep, InterruptJob, StartJob
from events.identifiers import Ref
from events.resources import RowsPurged
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tests.job_stage import job_id, submit_command
from tools.server.core import Core


@dataclass
class Feed:
    """A REST API, and how far its feeds have been read."""

    stage: RestStage
    archive: Core
    seq: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)  # all events

    def ask(self, method: str, path: str, body: bytes = b"") -> None:
        answer = self.stage.ask(path, method, body)
        assert answer.status == 200, (path, answer)

    def news(self) -> tuple[list[str], list[str]]:
        """Events since the last look, without their versions, and the types of the changes."""
        events = json.loads(self.stage.ask(f"/events?limit=1000&since={self.seq}").body)
        changes = json.loads(self.stage.ask(f"/changes?limit=1000&since={self.seq}").body)
        self.seq = events["Last"]
        self.said += events["Events"]
        # The rows of what was deleted go in steps, when the index has nothing else to do.
        tags = [event["Tag"].partition("/")[0] for event in events["Events"] if event["Tag"] != RowsPurged.TAG]
        return tags, [change["ChangeType"] for change in changes["Changes"]]

    def values(self, tag: str) -> list[dict[str, Any]]:
        return [event["Values"] for event in self.said if event["Tag"].startswith(f"{tag}/")]


@pytest.fixture
def feed(archive_factory: Callable[..., Core]) -> Iterator[Feed]:
    archive = archive_factory(stable_age_s=3600.0, limits=StorageLimits(patients=2))
    with rest_stage(archive) as stage:
        yield Feed(stage, archive)


PACS = b'["PACS", "127.0.0.1", 104]'
PEER = b'["http://192.0.2.7/", "admin", "secret-word"]'
JOB = f"/jobs/{UUID(bytes=job_id(1))}"
NEW = [f"New{level}" for level in ("Instance", "Series", "Study", "Patient")]
CREATED = ["instance-stored", "series-created", "study-created", "patient-created"]
METADATA, ATTACHMENT = "UpdatedMetadata", "UpdatedAttachment"

Act = tuple[str, str, bytes]  # method, path with the level of the resource that is meant, body
# What is done, the events that tell of it, and the changes that Orthanc shows.
ACTS: list[tuple[Act, list[str], list[str]]] = [
    (("POST", "/instances", encode(dataset(1, 1, 1, 1))), CREATED, NEW),
    (("POST", "/instances", encode(dataset(1, 1, 1, 2))), CREATED[:1], NEW[:1]),
    (("PUT", "/studies/*/metadata/1024", b"one"), ["metadata-set"], [METADATA]),
    (("PUT", "/studies/*/metadata/1024", b"two"), ["metadata-set"], [METADATA]),
    (("DELETE", "/studies/*/metadata/1024", b""), ["metadata-removed"], [METADATA]),
    (("PUT", "/series/*/attachments/1024", b"one"), ["attachment-set"], [ATTACHMENT]),
    (("PUT", "/series/*/attachments/1024", b"two"), ["attachment-set"], [ATTACHMENT]),
    (("DELETE", "/series/*/attachments/1024", b""), ["attachment-removed"], [ATTACHMENT]),
    (("PUT", "/instances/*/labels/a", b""), ["label-added"], []),
    (("PUT", "/instances/*/labels/a", b""), [], []),
    (("DELETE", "/instances/*/labels/a", b""), ["label-removed"], []),
    (("DELETE", "/instances/*/labels/a", b""), [], []),
    (("PUT", "/patients/*/protected", b"1"), ["patient-protected"], []),
    (("PUT", "/patients/*/protected", b"1"), [], []),
    (("PUT", "/patients/*/protected", b"0"), ["patient-unprotected"], []),
    (("POST", "/instances", encode(dataset(2, 1, 1, 1))), CREATED, NEW),
    (("POST", "/instances", encode(dataset(3, 1, 1, 1))), ["resource-deleted", *CREATED], NEW),
    (("DELETE", "/patients/*", b""), ["resource-deleted"], []),
    (("DELETE", "/instances/*", b""), ["resource-deleted"], []),
    (("PUT", "/modalities/pacs", PACS), ["modality-changed"], []),
    (("DELETE", "/modalities/pacs", b""), ["modality-dropped"], []),
    (("PUT", "/peers/other", PEER), ["peer-changed"], []),
    (("DELETE", "/peers/other", b""), ["peer-dropped"], []),
    (("DELETE", "/changes", b""), ["changes-cleared"], []),
    (("DELETE", "/exports", b""), ["exports-cleared"], []),
]


def test_what_clients_do_is_an_event(feed: Feed) -> None:
    for act, events, changes in ACTS:
        method, path, body = act
        if "*" in path:
            level = path.split("/")[1]
            path = path.replace("*", json.loads(feed.stage.ask(f"/{level}").body)[0])
        feed.ask(method, path, body)
        assert (act[:2], *feed.news()) == (act[:2], events, changes)
    assert [(each["old_value"], each["value"]) for each in feed.values("metadata-set")] == [
        (None, "one"),
        ("one", "two"),
    ]
    assert [each["old_value"] for each in feed.values("metadata-removed")] == ["two"]
    assert [each.get("reason", "") for each in feed.values("resource-deleted")] == ["MaximumPatientCount", "", ""]
    assert all(each["remote_ip"] for tag in ("label-added", "patient-protected") for each in feed.values(tag))
    assert [(each["name"], each.get("aet")) for each in feed.values("modality-changed")] == [("pacs", "PACS")]


def test_modalities_in_the_database_are_events_too(archive: Core) -> None:
    with rest_stage(archive, modalities_in_database=True) as stage:
        feed = Feed(stage, archive)
        for method, tag in (("PUT", "modality-stored"), ("DELETE", "modality-removed")):
            feed.ask(method, "/modalities/pacs", PACS)
            assert feed.news() == ([tag], [])


def test_peers_in_the_database_are_events_too_and_their_passwords_are_not_told(archive: Core) -> None:
    with rest_stage(archive, peers_in_database=True) as stage:
        feed = Feed(stage, archive)
        for method, tag in (("PUT", "peer-stored"), ("DELETE", "peer-removed")):
            feed.ask(method, "/peers/other", PEER)
            assert feed.news() == ([tag], [])
        (told,) = feed.values("peer-stored")
        assert (told["url"], told["username"], told["password"]) == ("http://192.0.2.7/", "admin", "hidden")
        assert "secret-word" not in json.dumps(feed.said)


# By clients, by their words, and by workers.
TRANSITIONS: list[tuple[str, str | Callable[[Ref], Command]]] = [
    ("job-paused", "pause"),
    ("job-resumed", "resume"),
    ("job-cancelled", "cancel"),
    ("job-resubmitted", "resubmit"),
    ("job-started", lambda job: StartJob(job=job)),
    ("job-step-finished", lambda job: FinishJobStep(job=job, run=2, step=0, code=0)),
    ("job-interrupted", lambda job: InterruptJob(job=job, run=2, is_crash=True)),
    ("job-started", lambda job: StartJob(job=job)),
    ("job-retry-scheduled", lambda job: FailJob(job=job, run=3, code=9, details="refused", delay_ms=3_600_000)),
    ("job-paused", "pause"),
    ("job-resumed", "resume"),
    ("job-started", lambda job: StartJob(job=job)),
    ("job-step-finished", lambda job: FinishJobStep(job=job, run=4, step=1, code=0)),
    ("job-succeeded", lambda job: EndJob(job=job, run=4, result={})),
]


def test_each_transition_of_a_job_is_an_event(feed: Feed) -> None:
    job = Ref(feed.archive.index.ask(submit_command(1)))
    assert feed.news() == (["job-submitted"], [])
    for tag, cause in TRANSITIONS:
        if isinstance(cause, str):
            feed.ask("POST", f"{JOB}/{cause}")
        else:
            feed.archive.index.ask(cause(job))
        assert (cause, *feed.news()) == (cause, [tag], [])
    assert {each["job"] for each in feed.values("job-started")} == {job}
