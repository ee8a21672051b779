"""Orthanc's options of the job engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    concurrent_jobs: int = 2  # ConcurrentJobs
    history_size: int = 10  # JobsHistorySize: completed jobs that are kept
    save_jobs: bool = True  # SaveJobs: False forgets all jobs at the next start
