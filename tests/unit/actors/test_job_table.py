"""What every command does to a job in every state, said a second time and in other words than the table says it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from actors.messages.job_states import TRANSITIONS, Verdict, Word
from events import jobs
from events.errors import NotFound
from events.identifiers import Ref
from store.projections.job_rows import JobState
from store.projections.jobs import STATE_AFTER
from tests.index_stage import IndexStage
from tests.job_stage import JobStage

Pending, Running, Paused, Retry = JobState.Pending, JobState.Running, JobState.Paused, JobState.Retry
Success, Failure = JobState.Success, JobState.Failure
UNFINISHED, COMPLETED = (Pending, Running, Paused, Retry), (Success, Failure)
STEPS = 2
EVERY_PAIR = [(state, word) for state in JobState for word in Word]


@pytest.fixture
def job_stage(stage: IndexStage) -> JobStage:
    return JobStage(stage)


# -- how a job gets into each state, its first run being the present one ------------------------------------------------


def bring(job_stage: JobStage, state: JobState, *, done: int) -> Ref:
    """Return a job in this state, of whose steps so many are done, with an output."""
    ref = job_stage.submit(steps=STEPS, attempts=3)
    assert job_stage.start(ref) == 1
    for step in range(done):
        assert job_stage.finish_step(ref, step) is True
    assert job_stage.add_output(ref) is True
    _LEAD[state](job_stage, ref)
    assert job_stage.state(ref) is state
    assert job_stage.job(ref).progress.run == 1
    return ref


def _wait_again(job_stage: JobStage, ref: Ref) -> None:
    job_stage.control(ref, Word.PAUSE)
    job_stage.control(ref, Word.RESUME)


_LEAD: dict[JobState, Callable[[JobStage, Ref], Any]] = {
    Pending: _wait_again,
    Running: lambda _stage, _ref: None,
    Paused: lambda stage, ref: stage.control(ref, Word.PAUSE),
    Retry: lambda stage, ref: stage.fail(ref, delay_ms=1_000),
    Success: lambda stage, ref: stage.end(ref),
    Failure: lambda stage, ref: stage.fail(ref),
}


# -- what is to be expected ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    answer: Any  # of the index; NotFound for a refusal of that kind
    event: str = ""  # class of the only event that is logged; "" for none
    after: JobState | None = None  # None: as before


def expect(state: JobState, word: Word) -> Expected:
    """Issue 3 and Orthanc 1.12.7 in one place: pause and cancel of what has ended answer 200 there and do nothing,
    resume of what is not paused and resubmit of what has not failed answer 400, DELETE of what has not ended 404."""
    if word in CLIENT:
        return CLIENT[word](state)
    return RUN[word](state)


def _pause(state: JobState) -> Expected:
    return Expected(True, "JobPaused", Paused) if state in (Pending, Running, Retry) else Expected(True)


def _resume(state: JobState) -> Expected:
    return Expected(True, "JobResumed", Pending) if state is Paused else Expected(False)


def _cancel(state: JobState) -> Expected:
    return Expected(True, "JobCancelled", Failure) if state in UNFINISHED else Expected(True)


def _resubmit(state: JobState) -> Expected:
    return Expected(True, "JobResubmitted", Pending) if state is Failure else Expected(False)


def _forget(state: JobState) -> Expected:
    return Expected(True, "JobForgotten") if state in COMPLETED else Expected(False)


def _drop_output(state: JobState) -> Expected:
    return Expected(None, "JobOutputDropped") if state in COMPLETED else Expected(NotFound)


def _start(state: JobState) -> Expected:
    """Only what waits is started: it gets the number of its second run, others get none."""
    return Expected(2, "JobStarted", Running) if state in (Pending, Retry) else Expected(None)


def _finish_step(state: JobState) -> Expected:
    """What is done is done, whoever paused the job meanwhile; but the run goes on only if it still runs."""
    return Expected(state is Running, "JobStepFinished" if state in UNFINISHED else "")


def _run_ends(event: str, after: JobState | None) -> Callable[[JobState], Expected]:
    """How a run ends matters only while the job runs."""
    return lambda state: Expected(True, event, after) if state is Running else Expected(False)


CLIENT = {
    Word.PAUSE: _pause,
    Word.RESUME: _resume,
    Word.CANCEL: _cancel,
    Word.RESUBMIT: _resubmit,
    Word.FORGET: _forget,
    Word.DROP_OUTPUT: _drop_output,
}
RUN = {
    Word.START: _start,
    Word.FINISH_STEP: _finish_step,
    Word.ADD_OUTPUT: _run_ends("JobOutputAdded", None),
    Word.SUCCEED: _run_ends("JobSucceeded", Success),
    Word.FAIL: _run_ends("JobFailed", Failure),
    Word.RETRY: _run_ends("JobRetryScheduled", Retry),
    Word.INTERRUPT: _run_ends("JobInterrupted", Pending),
}


def say(job_stage: JobStage, ref: Ref, word: Word, *, run: int = 1) -> Any:
    """Give a job a command; returns the answer, or the class of the error."""
    try:
        return _SAY[word](job_stage, ref, run)
    except NotFound:
        return NotFound


def _wish(word: Word) -> Callable[[JobStage, Ref, int], Any]:
    return lambda stage, ref, _: stage.control(ref, word)


_SAY: dict[Word, Callable[[JobStage, Ref, int], Any]] = {
    Word.START: lambda stage, ref, _: stage.start(ref),
    Word.FINISH_STEP: lambda stage, ref, run: stage.finish_step(ref, 1, run=run),
    Word.ADD_OUTPUT: lambda stage, ref, run: stage.add_output(ref, "report", run=run, place=2),
    Word.SUCCEED: lambda stage, ref, run: stage.end(ref, run=run),
    Word.FAIL: lambda stage, ref, run: stage.fail(ref, run=run),
    Word.RETRY: lambda stage, ref, run: stage.fail(ref, run=run, delay_ms=2_000),
    Word.INTERRUPT: lambda stage, ref, run: stage.interrupt(ref, run=run),
    Word.DROP_OUTPUT: lambda stage, ref, _: stage.drop_output(ref),
    **{word: _wish(word) for word in (Word.PAUSE, Word.RESUME, Word.CANCEL, Word.RESUBMIT, Word.FORGET)},
}


def steps_done_before(state: JobState, word: Word) -> int:
    return STEPS if word is Word.SUCCEED or state is Success else 1


# -- every pair ---------------------------------------------------------------------------------------------------------


def test_the_table_knows_every_pair() -> None:
    assert set(TRANSITIONS) == set(EVERY_PAIR)


def test_every_event_of_a_job_says_in_which_state_it_leaves_it() -> None:
    """Those that are not listed leave the state alone, or end the job's life."""
    family = {event for event in vars(jobs).values() if isinstance(event, type) and issubclass(event, jobs.JobEvent)}
    stateless = {jobs.JobStepFinished, jobs.JobOutputAdded, jobs.JobOutputDropped, jobs.JobForgotten}
    assert set(STATE_AFTER) == family - stateless - {jobs.JobEvent}
    caused = {entry for entry in TRANSITIONS.values() if isinstance(entry, type)}
    assert caused == family - {jobs.JobEvent, jobs.JobSubmitted}


@pytest.mark.parametrize(("state", "word"), EVERY_PAIR, ids=lambda value: value.name)
def test_a_command_does_what_is_expected(job_stage: JobStage, state: JobState, word: Word) -> None:
    expected = expect(state, word)
    ref = bring(job_stage, state, done=steps_done_before(state, word))
    head, before = job_stage.head, job_stage.job(ref)
    answer = say(job_stage, ref, word)
    assert answer == expected.answer
    logged = [type(event).__name__ for event in job_stage.events(head)]
    assert logged == ([expected.event] if expected.event else [])
    job = job_stage.find(ref)
    if expected.event == "JobForgotten":
        assert job is None
    elif not expected.event:
        assert job == before
    else:
        assert job is not None
        assert job.progress.state is (expected.after or state)
        assert job.progress.last == job_stage.head


@pytest.mark.parametrize(("state", "word"), EVERY_PAIR, ids=lambda value: value.name)
def test_the_table_says_so_too(state: JobState, word: Word) -> None:
    """IGNORE is an answer without an event; REFUSE is a no, to a client or to a worker."""
    expected, entry = expect(state, word), TRANSITIONS[state, word]
    if isinstance(entry, type):
        assert entry.__name__ == expected.event
        return
    assert expected.event == ""
    if word in (Word.PAUSE, Word.CANCEL):
        assert (entry, expected.answer) == (Verdict.IGNORE, True)
    elif word in CLIENT:
        assert entry is Verdict.REFUSE
        assert expected.answer in (False, NotFound)
    else:
        assert not expected.answer


@pytest.mark.parametrize("state", JobState, ids=lambda value: value.name)
@pytest.mark.parametrize("word", [word for word in RUN if word is not Word.START], ids=lambda value: value.name)
@pytest.mark.parametrize("run", [0, 2], ids=["earlier run", "unknown run"])
def test_the_word_of_another_run_changes_nothing(job_stage: JobStage, state: JobState, word: Word, run: int) -> None:
    ref = bring(job_stage, state, done=steps_done_before(state, word))
    head, before = job_stage.head, job_stage.job(ref)
    assert say(job_stage, ref, word, run=run) is False
    assert job_stage.head == head
    assert job_stage.job(ref) == before


@pytest.mark.parametrize("word", [word for word in RUN if word is not Word.START], ids=lambda value: value.name)
def test_whatever_is_said_about_a_forgotten_job_is_lost(job_stage: JobStage, word: Word) -> None:
    ref = bring(job_stage, Success, done=STEPS)
    job_stage.control(ref, Word.FORGET)
    head = job_stage.head
    assert say(job_stage, ref, word) is False
    assert job_stage.start(ref) is None
    assert job_stage.head == head
