"""What clients and workers read of jobs: rows, plans and texts from the log, pages of a job's events."""

import pytest

from actors.messages.job_states import Word
from events.identifiers import Ref
from store.tables import PERSONAL, key
from store.views import jobs as views
from store.views.jobs import (
    JobEventsPage,
    find_job,
    get_error_details,
    get_job,
    get_output,
    get_plan,
    get_result,
    list_failures,
    list_job_events,
    list_jobs,
)
from tests.index_stage import IndexStage, store_command
from tests.job_stage import JobStage, job_id, output_blob


@pytest.fixture
def jobs(stage: IndexStage) -> JobStage:
    return JobStage(stage)


def page(jobs: JobStage, ref: Ref, *, since: int = 0, limit: int = 100) -> JobEventsPage:
    with jobs.stage.views.snapshot() as snapshot:
        job = get_job(snapshot, ref)
        assert job is not None
        return list_job_events(snapshot, job, since=since, limit=limit)


def tags(found: JobEventsPage) -> list[str]:
    return [event.tag.removesuffix("/1") for event in found.events]


def test_jobs_are_listed_in_the_order_of_their_submission(jobs: JobStage) -> None:
    refs = [jobs.submit(priority=priority) for priority in (0, 9, -9)]
    jobs.start(refs[1])
    with jobs.stage.views.snapshot() as snapshot:
        assert [job.ref for job in list_jobs(snapshot)] == refs
        assert find_job(snapshot, job_id(2)) == get_job(snapshot, refs[1])
        assert find_job(snapshot, job_id(9)) is None
        assert get_job(snapshot, Ref(1_000)) is None


def test_a_plan_is_read_from_the_log(jobs: JobStage) -> None:
    ref = jobs.submit(plan={"instances": b"\1" * 40, "permissive": True}, user_data='{"a": 1}')
    other = jobs.submit()
    with jobs.stage.views.snapshot() as snapshot:
        plan = get_plan(snapshot, ref)
        assert plan is not None
        assert plan.values == {"instances": b"\1" * 40, "permissive": True}
        assert plan.user_data == '{"a": 1}'
        assert get_plan(snapshot, other) != plan
        assert get_plan(snapshot, Ref(1_000)) is None


def test_a_plan_that_was_erased_is_none(jobs: JobStage) -> None:
    ref = jobs.submit()
    with jobs.stage.env.begin(write=True) as txn:
        txn.delete(key(ref), db=jobs.stage.env.tables[PERSONAL])
    with jobs.stage.views.snapshot() as snapshot:
        assert get_plan(snapshot, ref) is None
        assert get_job(snapshot, ref) is not None


def test_a_job_without_an_outcome_has_neither_result_nor_details(jobs: JobStage) -> None:
    ref = jobs.submit()
    with jobs.stage.views.snapshot() as snapshot:
        assert get_result(snapshot, jobs.job(ref)) == {}
        assert get_error_details(snapshot, jobs.job(ref)) == ""


def test_failed_steps_are_listed_with_their_codes_in_order(jobs: JobStage) -> None:
    ref, other = jobs.submit(steps=300), jobs.submit()
    jobs.start(ref)
    for step in range(300):
        jobs.finish_step(ref, step, code={1: 17, 256: -1, 299: 2015}.get(step, 0))
    with jobs.stage.views.snapshot() as snapshot:
        assert list(list_failures(snapshot, ref)) == [(1, 17), (256, -1), (299, 2015)]
        assert list(list_failures(snapshot, other)) == []


def test_an_output_has_its_file_and_the_name_to_save_it_under(jobs: JobStage) -> None:
    ref = jobs.submit()
    jobs.start(ref)
    jobs.add_output(ref)
    with jobs.stage.views.snapshot() as snapshot:
        found = get_output(snapshot, ref, "archive")
        assert found is not None
        output, filename = found
        assert (output.blob, output.size_bytes, output.media_type) == (output_blob(1), 1_000, "application/zip")
        assert filename == "Archive.zip"
        assert get_output(snapshot, ref, "report") is None


# -- events -------------------------------------------------------------------------------------------------------------


def interleaved(jobs: JobStage) -> Ref:
    """Return a job whose events lie between those of others."""
    jobs.submit()
    ref = jobs.submit(steps=3)
    jobs.start(ref)
    for step in range(3):
        jobs.finish_step(ref, step)
        jobs.stage.ask(store_command(instance=str(step), place=step + 10))
        jobs.submit()
    jobs.add_output(ref)
    jobs.end(ref)
    jobs.submit()
    return ref


EVENTS_OF_IT = [
    "job-submitted",
    "job-started",
    "job-step-finished",
    "job-step-finished",
    "job-step-finished",
    "job-output-added",
    "job-succeeded",
]


def test_a_jobs_events_are_its_own_in_order(jobs: JobStage) -> None:
    ref = interleaved(jobs)
    found = page(jobs, ref)
    assert tags(found) == EVENTS_OF_IT
    assert found.is_done
    assert found.last == jobs.job(ref).progress.last
    assert int(found.events[0].seq) == ref


def test_what_happens_to_an_output_later_is_listed(jobs: JobStage) -> None:
    ref = interleaved(jobs)
    jobs.drop_output(ref)
    assert tags(page(jobs, ref)) == [*EVENTS_OF_IT, "job-output-dropped"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("scan_rows", [1, 4, 1_000])
def test_pages_follow_one_another_without_a_gap(
    jobs: JobStage, monkeypatch: pytest.MonkeyPatch, limit: int, scan_rows: int
) -> None:
    """Also where a page ends because enough of the log was looked through."""
    monkeypatch.setattr(views, "SCAN_ROWS", scan_rows)
    ref = interleaved(jobs)
    found, since = [], 0
    for _ in range(jobs.head + 2):
        one = page(jobs, ref, since=since, limit=limit)
        assert len(one.events) <= limit
        found += tags(one)
        if one.is_done:
            break
        assert one.last > since
        since = one.last
    assert found == EVENTS_OF_IT


def test_after_the_last_event_there_is_nothing(jobs: JobStage) -> None:
    ref = interleaved(jobs)
    rest = page(jobs, ref, since=jobs.head)
    assert (rest.events, rest.is_done) == ([], True)


def test_a_forgotten_job_is_nowhere_but_in_the_log(jobs: JobStage) -> None:
    ref = jobs.submit(steps=0)
    jobs.start(ref)
    jobs.end(ref)
    jobs.control(ref, Word.FORGET)
    with jobs.stage.views.snapshot() as snapshot:
        assert find_job(snapshot, job_id(1)) is None
        assert list(list_jobs(snapshot)) == []
        assert get_plan(snapshot, ref) is not None
