"""What each command does to a job in each state: one table, which code only looks up and docs/jobs.md is drawn from.

An entry is the event that the command causes (the state after it stands in `store.projections.jobs.STATE_AFTER`), or

- IGNORE: nothing happens, and it is no error. Examples are clients' `pause` and `cancel` of a job that has ended (as
  Orthanc answers), and a worker's reports about a run that is over.
- REFUSE: the caller is told that it cannot be done.

A worker may finish its step while the job is being paused, resumed or rescheduled: the step was done, so it counts.
Once the job has ended it no longer does.
"""

from enum import Enum
from types import MappingProxyType

from events.event import Event
from events.jobs import (
    JobCancelled,
    JobFailed,
    JobForgotten,
    JobInterrupted,
    JobOutputAdded,
    JobOutputDropped,
    JobPaused,
    JobResubmitted,
    JobResumed,
    JobRetryScheduled,
    JobStarted,
    JobStepFinished,
    JobSucceeded,
)
from store.projections.job_rows import JobState


class Word(Enum):
    """A command to a job."""

    START = "start"  # the scheduler gives it to a worker
    FINISH_STEP = "finish-step"  # the worker: a step is done
    ADD_OUTPUT = "add-output"  # the worker: a file is ready
    SUCCEED = "succeed"  # the worker: all is done
    FAIL = "fail"  # the scheduler: an error that is final
    RETRY = "retry"  # the scheduler: an error that may pass
    INTERRUPT = "interrupt"  # the scheduler: the worker is gone
    PAUSE = "pause"  # clients, from here on
    RESUME = "resume"
    CANCEL = "cancel"
    RESUBMIT = "resubmit"
    DROP_OUTPUT = "drop-output"
    FORGET = "forget"


class Verdict(Enum):
    """What a command can come to other than an event."""

    IGNORE = "ignore"
    REFUSE = "refuse"


IGNORE, REFUSE = Verdict.IGNORE, Verdict.REFUSE
Entry = type[Event] | Verdict

_STATES = (JobState.Pending, JobState.Running, JobState.Paused, JobState.Retry, JobState.Success, JobState.Failure)
_DONE = JobStepFinished
# fmt: off
_ROWS: dict[Word, tuple[Entry, ...]] = {
    #                  Pending       Running            Paused        Retry         Success           Failure
    Word.START:       (JobStarted,   IGNORE,            IGNORE,       JobStarted,   IGNORE,           IGNORE),
    Word.FINISH_STEP: (_DONE,        _DONE,             _DONE,        _DONE,        IGNORE,           IGNORE),
    Word.ADD_OUTPUT:  (REFUSE,       JobOutputAdded,    REFUSE,       REFUSE,       REFUSE,           REFUSE),
    Word.SUCCEED:     (IGNORE,       JobSucceeded,      IGNORE,       IGNORE,       IGNORE,           IGNORE),
    Word.FAIL:        (IGNORE,       JobFailed,         IGNORE,       IGNORE,       IGNORE,           IGNORE),
    Word.RETRY:       (IGNORE,       JobRetryScheduled, IGNORE,       IGNORE,       IGNORE,           IGNORE),
    Word.INTERRUPT:   (IGNORE,       JobInterrupted,    IGNORE,       IGNORE,       IGNORE,           IGNORE),
    Word.PAUSE:       (JobPaused,    JobPaused,         IGNORE,       JobPaused,    IGNORE,           IGNORE),
    Word.RESUME:      (REFUSE,       REFUSE,            JobResumed,   REFUSE,       REFUSE,           REFUSE),
    Word.CANCEL:      (JobCancelled, JobCancelled,      JobCancelled, JobCancelled, IGNORE,           IGNORE),
    Word.RESUBMIT:    (REFUSE,       REFUSE,            REFUSE,       REFUSE,       REFUSE,           JobResubmitted),
    Word.DROP_OUTPUT: (REFUSE,       REFUSE,            REFUSE,       REFUSE,       JobOutputDropped, JobOutputDropped),
    Word.FORGET:      (REFUSE,       REFUSE,            REFUSE,       REFUSE,       JobForgotten,     JobForgotten),
}
# fmt: on
TRANSITIONS: MappingProxyType[tuple[JobState, Word], Entry] = MappingProxyType(
    {(state, word): entry for word, row in _ROWS.items() for state, entry in zip(_STATES, row, strict=True)}
)
