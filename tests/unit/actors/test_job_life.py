"""What commands leave of a job, besides its state: checkpoints, counts, outputs, history; and that repeating one is safe."""

import pytest

from actors.core.index.decisions.jobs import CRASHED_CODE
from actors.core.jobs.queue import MAX_CRASHES
from actors.messages.commands.files import RevokeFolders
from actors.messages.commands.jobs import ControlJob, DropJobOutput, EndJob, FinishJobStep, StartJob
from actors.messages.commands.plain import from_plain, to_plain
from actors.messages.job_states import Word
from events.errors import FolderRevoked, InvalidRequest, NotFound
from events.identifiers import Ref, Seq
from events.jobs import JobFailed, JobSubmitted
from store.projections.job_rows import JobState, Progress
from store.projections.jobs import CANCELLED_CODE, COMPLETED, count_completed
from store.tables import BLOBS, CONDEMNED, JOB_FAILURES, JOB_OUTPUTS, TOTALS, key
from store.views.jobs import get_error_details, get_result
from tests.clock import Clock
from tests.index_stage import IndexStage
from tests.job_stage import JobStage, job_id, output_blob, output_command, submit_command


@pytest.fixture
def jobs(stage: IndexStage) -> JobStage:
    return JobStage(stage)


def progress(jobs: JobStage, ref: Ref) -> Progress:
    return jobs.job(ref).progress


def condemned(jobs: JobStage) -> list[bytes]:
    with jobs.stage.views.snapshot() as snapshot:
        return list(snapshot.keys(CONDEMNED, b""))


# -- submitting ---------------------------------------------------------------------------------------------------------


def test_a_job_is_the_sequence_of_its_submission_and_keeps_all_it_was_given(jobs: JobStage, clock: Clock) -> None:
    ref = jobs.submit(steps=7, priority=-3, attempts=4, step_timeout_s=60, kind="DicomMoveScu")
    assert ref == jobs.head
    job = jobs.job(ref)
    assert (job.id, job.type, job.steps, job.priority) == (job_id(1), "DicomMoveScu", 7, -3)
    assert (job.attempts, job.step_timeout_s, job.created_us) == (4, 60, clock())
    assert len(job.aggregate) == 8
    assert job.progress == Progress(queued=Seq(ref), last=Seq(ref), changed_us=clock())


def test_a_submission_sent_again_is_the_same_job(jobs: JobStage) -> None:
    """Its reply was lost; the plan of the second is not looked at."""
    first, second = jobs.run(submit_command(1), submit_command(1, plan={"other": True}))
    assert first == second == jobs.stage.ask(submit_command(1)) == jobs.head
    assert [type(event) for event in jobs.events()] == [JobSubmitted]


def test_every_job_has_an_aggregate_of_its_own(jobs: JobStage) -> None:
    assert jobs.job(jobs.submit()).aggregate != jobs.job(jobs.submit()).aggregate


def test_commands_to_jobs_travel_between_processes(jobs: JobStage) -> None:
    ref = jobs.submit()
    for command in (
        submit_command(9, plan={"instances": b"x" * 20, "permissive": True}),
        ControlJob(id=job_id(1), word="pause", correlation=b""),
        DropJobOutput(id=job_id(1), key="archive", correlation=b""),
        output_command(ref),
        EndJob(job=ref, run=1, result={"ID": "x"}),
    ):
        assert from_plain(to_plain(command)) == command


# -- steps --------------------------------------------------------------------------------------------------------------


def test_a_step_sent_again_counts_once(jobs: JobStage) -> None:
    ref = jobs.submit(steps=3)
    jobs.start(ref)
    assert jobs.finish_step(ref, 0) is True
    head = jobs.head
    assert jobs.finish_step(ref, 0) is True
    assert jobs.head == head
    assert jobs.finish_step(ref, 1) is True
    assert jobs.finish_step(ref, 0) is True
    assert progress(jobs, ref).position == 2


@pytest.mark.parametrize("step", [1, 2, 3])
def test_no_step_is_done_before_the_one_before_it_nor_after_the_last(jobs: JobStage, step: int) -> None:
    ref = jobs.submit(steps=2)
    jobs.start(ref)
    with pytest.raises(InvalidRequest):
        jobs.finish_step(ref, step)
    assert progress(jobs, ref).position == 0


def test_a_job_ends_only_when_its_steps_are_done(jobs: JobStage) -> None:
    ref = jobs.submit(steps=1)
    jobs.start(ref)
    with pytest.raises(InvalidRequest):
        jobs.end(ref)
    jobs.finish_step(ref, 0)
    assert jobs.end(ref, result={"ID": "x"}) is True
    with jobs.stage.views.snapshot() as snapshot:
        assert get_result(snapshot, jobs.job(ref)) == {"ID": "x"}


def test_the_last_words_of_a_run_whose_job_was_cancelled_are_no_error(jobs: JobStage) -> None:
    """The worker sends its last step and the end in one go, and has not heard yet."""
    ref = jobs.submit(steps=2)
    jobs.start(ref)
    jobs.control(ref, Word.CANCEL)
    step, end = jobs.run(FinishJobStep(job=ref, run=1, step=1, code=0), EndJob(job=ref, run=1, result={}))
    assert (step, end) == (False, False)


def test_a_paused_job_whose_last_step_was_done_ends_when_it_is_resumed(jobs: JobStage) -> None:
    ref = jobs.submit(steps=1)
    jobs.start(ref)
    jobs.control(ref, Word.PAUSE)
    assert jobs.finish_step(ref, 0) is False, "the run does not go on"
    assert jobs.end(ref) is False
    jobs.control(ref, Word.RESUME)
    assert jobs.start(ref) == 2
    assert jobs.end(ref, run=2) is True


def test_errors_that_are_passed_over_are_listed_and_wiped_out_by_a_resubmission(jobs: JobStage) -> None:
    ref = jobs.submit(steps=3)
    jobs.start(ref)
    for step, code in enumerate((17, 0, -1)):
        jobs.finish_step(ref, step, code=code)
    assert progress(jobs, ref).failed == 2
    with jobs.stage.views.snapshot() as snapshot:
        assert len(list(snapshot.keys(JOB_FAILURES, key(ref)))) == 2
    jobs.fail(ref)
    jobs.control(ref, Word.RESUBMIT)
    assert progress(jobs, ref).failed == 0
    with jobs.stage.views.snapshot() as snapshot:
        assert list(snapshot.keys(JOB_FAILURES, key(ref))) == []


# -- time ---------------------------------------------------------------------------------------------------------------


def test_runtime_is_that_of_all_runs_and_nothing_between(jobs: JobStage, clock: Clock) -> None:
    ref = jobs.submit(steps=1, attempts=2)
    clock.advance(100)
    jobs.start(ref)
    clock.advance(3)
    jobs.control(ref, Word.PAUSE)
    clock.advance(100)
    jobs.control(ref, Word.RESUME)
    jobs.start(ref)
    assert progress(jobs, ref).started_us == clock()
    clock.advance(4)
    jobs.fail(ref, run=2, delay_ms=8_000)
    assert progress(jobs, ref).due_us == clock() + 8_000_000
    clock.advance(100)
    jobs.start(ref)
    jobs.finish_step(ref, 0, run=3)
    clock.advance(5)
    jobs.end(ref, run=3)
    assert progress(jobs, ref).runtime_us == 12_000_000
    assert progress(jobs, ref).completed_us == clock()


# -- errors and retries -------------------------------------------------------------------------------------------------


def test_tries_are_counted_until_a_checkpoint(jobs: JobStage) -> None:
    ref = jobs.submit(steps=2, attempts=9)
    for run in (1, 2):
        jobs.start(ref)
        jobs.fail(ref, run=run, delay_ms=1)
    assert progress(jobs, ref).tries == 2
    jobs.start(ref)
    assert progress(jobs, ref).tries == 2
    jobs.finish_step(ref, 0, run=3)
    assert progress(jobs, ref).tries == 0


def test_an_error_is_shown_until_the_next_run_begins(jobs: JobStage) -> None:
    ref = jobs.submit(steps=1, attempts=2)

    def shown() -> tuple[int, str]:
        with jobs.stage.views.snapshot() as snapshot:
            return progress(jobs, ref).code, get_error_details(snapshot, jobs.job(ref))

    jobs.start(ref)
    assert shown() == (0, "")
    jobs.fail(ref, code=9, details="no route", delay_ms=1)
    assert shown() == (9, "no route")
    jobs.control(ref, Word.PAUSE)
    jobs.control(ref, Word.RESUME)
    assert shown() == (9, "no route")
    jobs.start(ref)
    assert shown() == (0, "")
    jobs.fail(ref, run=2, code=2015, details="no context")
    assert shown() == (2015, "no context")
    jobs.control(ref, Word.RESUBMIT)
    assert shown() == (2015, "no context"), "as Orthanc shows it"
    jobs.start(ref)
    jobs.finish_step(ref, 0, run=4)
    jobs.end(ref, run=4)
    assert shown() == (0, "")


def test_a_cancelled_job_has_orthancs_number_and_no_details(jobs: JobStage) -> None:
    ref = jobs.submit()
    jobs.control(ref, Word.CANCEL)
    assert progress(jobs, ref).code == CANCELLED_CODE == 37
    with jobs.stage.views.snapshot() as snapshot:
        assert get_error_details(snapshot, jobs.job(ref)) == ""


# -- crashes ------------------------------------------------------------------------------------------------------------


def test_a_job_is_blamed_after_three_crashes_without_a_checkpoint(jobs: JobStage) -> None:
    ref = jobs.submit(steps=2)
    for crash in range(1, MAX_CRASHES):
        jobs.start(ref)
        assert jobs.interrupt(ref, run=crash) is True
        assert progress(jobs, ref).crashes == crash
        assert jobs.state(ref) is JobState.Pending
    jobs.start(ref)
    jobs.interrupt(ref, run=MAX_CRASHES)
    assert jobs.state(ref) is JobState.Failure
    assert progress(jobs, ref).code == CRASHED_CODE
    assert isinstance(jobs.events()[-1], JobFailed)


def test_a_checkpoint_clears_a_job(jobs: JobStage) -> None:
    ref = jobs.submit(steps=20)
    for run in range(1, 20):
        jobs.start(ref)
        jobs.finish_step(ref, run - 1, run=run)
        assert progress(jobs, ref).crashes == 0
        jobs.interrupt(ref, run=run)
    assert (jobs.state(ref), progress(jobs, ref).position) == (JobState.Pending, 19)


def test_a_stop_in_order_is_no_crash_and_keeps_the_place_in_the_queue(jobs: JobStage) -> None:
    ref = jobs.submit()
    for run in range(1, 10):
        jobs.start(ref)
        jobs.interrupt(ref, run=run, is_crash=False)
    assert (progress(jobs, ref).crashes, progress(jobs, ref).queued) == (0, Seq(ref))


# -- resubmitting -------------------------------------------------------------------------------------------------------


def test_a_resubmitted_job_begins_anew_and_foreign_to_its_old_runs(jobs: JobStage) -> None:
    ref = jobs.submit(steps=3, attempts=5)
    jobs.start(ref)
    jobs.finish_step(ref, 0)
    jobs.interrupt(ref)
    jobs.start(ref)
    jobs.fail(ref, run=2)
    jobs.control(ref, Word.RESUBMIT)
    now = progress(jobs, ref)
    assert (now.state, now.run, now.position, now.tries, now.crashes) == (JobState.Pending, 3, 0, 0, 0)
    assert (now.runtime_us, now.completion, now.completed_us, now.queued) == (0, 0, 0, jobs.head)
    assert jobs.finish_step(ref, 0, run=2) is False
    assert jobs.start(ref) == 4


# -- outputs ------------------------------------------------------------------------------------------------------------


def test_an_output_belongs_to_its_job_and_goes_with_it(jobs: JobStage) -> None:
    ref = jobs.submit(steps=0)
    jobs.start(ref)
    assert jobs.add_output(ref, "archive", place=1)
    assert jobs.add_output(ref, "report", place=2)
    jobs.end(ref)
    before = jobs.stage.announced.condemned
    with jobs.stage.views.snapshot() as snapshot:
        assert [snapshot.row(BLOBS, output_blob(place)) for place in (1, 2)] == [key(ref)] * 2
    jobs.control(ref, Word.FORGET)
    with jobs.stage.views.snapshot() as snapshot:
        assert list(snapshot.keys(BLOBS, b"")) == list(snapshot.keys(JOB_OUTPUTS, b"")) == []
    assert condemned(jobs) == [output_blob(1), output_blob(2)]
    assert jobs.stage.announced.condemned == before + 1, "whoever removes files is told"


def test_an_output_made_again_condemns_the_one_before(jobs: JobStage) -> None:
    """The run that made it first ended before its checkpoint."""
    ref = jobs.submit()
    jobs.start(ref)
    jobs.add_output(ref, place=1)
    jobs.interrupt(ref)
    jobs.start(ref)
    assert jobs.add_output(ref, run=2, place=2)
    assert condemned(jobs) == [output_blob(1)]


def test_an_output_sent_again_is_the_same_output(jobs: JobStage) -> None:
    """Its reply was lost. Were it replaced by itself, its own file would be condemned."""
    ref = jobs.submit()
    jobs.start(ref)
    assert jobs.add_output(ref)
    head = jobs.head
    assert jobs.add_output(ref)
    assert (jobs.head, condemned(jobs)) == (head, [])


def test_a_file_of_a_process_that_is_gone_is_no_output(jobs: JobStage) -> None:
    """Its folder is being swept of what nobody owns."""
    ref = jobs.submit()
    jobs.start(ref)
    jobs.stage.ask(RevokeFolders(owner="gateway-1"))
    with pytest.raises(FolderRevoked):
        jobs.add_output(ref)
    with jobs.stage.views.snapshot() as snapshot:
        assert list(snapshot.keys(BLOBS, b"")) == []


def test_an_output_is_dropped_once_and_only_where_there_is_one(jobs: JobStage) -> None:
    ref = jobs.submit(steps=0)
    jobs.start(ref)
    jobs.add_output(ref)
    jobs.end(ref)
    with pytest.raises(NotFound):
        jobs.drop_output(ref, "report")
    jobs.drop_output(ref)
    assert condemned(jobs) == [output_blob(1)]
    with pytest.raises(NotFound):
        jobs.drop_output(ref)
    assert progress(jobs, ref).completion < progress(jobs, ref).last == jobs.head, "it completed when it completed"


# -- forgetting ---------------------------------------------------------------------------------------------------------


def completed_count(jobs: JobStage) -> int:
    with jobs.stage.views.snapshot() as snapshot:
        return count_completed(snapshot.row(TOTALS, COMPLETED))


def test_trimming_forgets_what_completed_first_and_nothing_unfinished(jobs: JobStage) -> None:
    refs = [jobs.submit(steps=0) for _ in range(5)]
    for ref in (refs[3], refs[0], refs[4]):
        jobs.start(ref)
        jobs.end(ref)
    assert completed_count(jobs) == 3
    jobs.trim(2)
    assert [ref for ref in refs if jobs.find(ref)] == [refs[0], refs[1], refs[2], refs[4]]
    assert completed_count(jobs) == 2
    jobs.trim(0)
    assert [ref for ref in refs if jobs.find(ref)] == [refs[1], refs[2]]
    head = jobs.head
    jobs.trim(0)
    assert (jobs.head, completed_count(jobs)) == (head, 0)


def test_trimming_condemns_outputs(jobs: JobStage) -> None:
    ref = jobs.submit(steps=0)
    jobs.start(ref)
    jobs.add_output(ref)
    jobs.end(ref)
    before = jobs.stage.announced.condemned
    jobs.trim(0)
    assert condemned(jobs) == [output_blob(1)]
    assert jobs.stage.announced.condemned == before + 1


def test_a_job_that_was_resubmitted_is_not_trimmed(jobs: JobStage) -> None:
    ref = jobs.submit()
    jobs.control(ref, Word.CANCEL)
    jobs.control(ref, Word.RESUBMIT)
    assert completed_count(jobs) == 0
    jobs.trim(0)
    assert jobs.find(ref) is not None


@pytest.mark.parametrize("word", [Word.PAUSE, Word.RESUME, Word.CANCEL, Word.RESUBMIT, Word.FORGET])
def test_nothing_can_be_said_to_a_job_that_is_forgotten_or_never_was(jobs: JobStage, word: Word) -> None:
    ref = jobs.submit()
    jobs.control(ref, Word.CANCEL)
    jobs.control(ref, Word.FORGET)
    for number in (1, 77):
        with pytest.raises(NotFound):
            jobs.stage.ask(ControlJob(id=job_id(number), word=word.value, correlation=b""))


@pytest.mark.parametrize("word", ["start", "finish-step", "succeed", "fail", "drop-output", "dance", ""])
def test_clients_can_say_what_clients_may_say_and_nothing_else(jobs: JobStage, word: str) -> None:
    ref = jobs.submit()
    with pytest.raises(InvalidRequest):
        jobs.stage.ask(ControlJob(id=jobs.job(ref).id, word=word, correlation=b""))


# -- announcements ------------------------------------------------------------------------------------------------------


def test_the_scheduler_hears_of_every_change_once(jobs: JobStage) -> None:
    announced = jobs.stage.announced.jobs
    ref = jobs.submit(steps=1)
    jobs.start(ref)
    jobs.finish_step(ref, 0)
    jobs.end(ref)
    assert [job.progress.state.name for job in announced] == ["Pending", "Running", "Running", "Success"]
    assert announced[-1] == jobs.job(ref)


def test_one_commit_of_many_commands_keeps_their_order(jobs: JobStage) -> None:
    ref = jobs.submit(steps=2)
    answers = jobs.run(
        StartJob(job=ref),
        FinishJobStep(job=ref, run=1, step=0, code=0),
        ControlJob(id=job_id(1), word="pause", correlation=b""),
        FinishJobStep(job=ref, run=1, step=1, code=0),
        StartJob(job=ref),
        ControlJob(id=job_id(1), word="resume", correlation=b""),
        StartJob(job=ref),
        EndJob(job=ref, run=1, result={}),
        EndJob(job=ref, run=2, result={}),
    )
    assert answers == [1, True, True, False, None, True, 2, False, True]
    assert jobs.state(ref) is JobState.Success
