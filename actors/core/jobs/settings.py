"""Orthanc's options of the job engine."""

import os
from dataclasses import dataclass

from events.options import Boolean, JobThreads, Option, Whole, filled_by


def _or_as_many_as_processors(count: int) -> int:
    return count or os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    concurrent_jobs: int = filled_by(Option("ConcurrentJobs", Whole(), 2, convert=_or_as_many_as_processors))
    history_size: int = filled_by(Option("JobsHistorySize", Whole(), 10))  # completed jobs that are kept
    # Instances that a job changes at once: each waits for the disk, so more than there are processors.
    modification_threads: int = filled_by(
        Option("JobsEngineThreadsCount", JobThreads("ResourceModification", 8), {"ResourceModification": 8})
    )
    save_jobs: bool = filled_by(Option("SaveJobs", Boolean(), default=True))  # False forgets all jobs at the next start
