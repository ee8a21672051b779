"""The rows of jobs: every value comes back, and the row that each step writes has one size whatever it holds."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import BlobId, Ref, Seq
from store.projections.job_rows import (
    PROGRESS_BYTES,
    Job,
    JobState,
    Output,
    Progress,
    pack_job,
    pack_output,
    unpack_job,
    unpack_output,
    unpack_progress,
)
from store.projections.jobs import job_id_of

U16, U32, U64 = 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
seqs = st.integers(0, U64).map(Seq)
progresses = st.builds(
    Progress,
    state=st.sampled_from(JobState),
    run=st.integers(0, U32),
    position=st.integers(0, U32),
    failed=st.integers(0, U32),
    tries=st.integers(0, U16),
    crashes=st.integers(0, U16),
    code=st.integers(-(2**15), 2**15 - 1),
    queued=seqs,
    last=seqs,
    outcome=seqs,
    completion=seqs,
    due_us=st.integers(0, U64),
    started_us=st.integers(0, U64),
    changed_us=st.integers(0, U64),
    runtime_us=st.integers(0, U64),
    completed_us=st.integers(0, U64),
)
jobs = st.builds(
    Job,
    ref=st.integers(1, U64).map(Ref),
    id=st.binary(min_size=16, max_size=16),
    type=st.text(max_size=20),
    priority=st.integers(-(2**63), 2**63 - 1),
    steps=st.integers(0, U32),
    step_timeout_s=st.integers(0, U32),
    attempts=st.integers(1, U32),
    created_us=st.integers(0, U64),
    aggregate=st.binary(min_size=8, max_size=8),
    progress=progresses,
)


@given(progresses)
def test_progress_comes_back_from_a_row_of_fixed_size(progress: Progress) -> None:
    row = progress.pack()
    assert len(row) == PROGRESS_BYTES
    assert unpack_progress(row) == progress
    assert isinstance(unpack_progress(row).state, JobState)


@given(jobs)
def test_a_job_comes_back_from_its_two_rows(job: Job) -> None:
    row = pack_job(job)
    assert unpack_job(job.ref, row, job.progress.pack()) == job
    assert job_id_of(row) == job.id


def test_counts_that_outgrow_their_place_stay_at_its_end() -> None:
    progress = replace(Progress(), tries=U16 + 1, crashes=10**9)
    assert unpack_progress(progress.pack()) == replace(Progress(), tries=U16, crashes=U16)


def test_a_row_is_smaller_than_what_it_replaces_a_hundred_times() -> None:
    """It is the price of a step besides its event; docs/jobs.md states it."""
    assert PROGRESS_BYTES == 91
    assert len(fields(Progress)) == 16


def test_orthancs_states_have_orthancs_names() -> None:
    assert [state.name for state in JobState] == ["Pending", "Running", "Success", "Failure", "Paused", "Retry"]
    assert [state.name for state in JobState if state.is_completed] == ["Success", "Failure"]


@pytest.mark.parametrize("media_type", ["application/zip", ""])
def test_an_output_comes_back(media_type: str) -> None:
    output = Output(blob=BlobId(b"\0" * 16), size_bytes=5 * 2**40, media_type=media_type, added=Seq(7))
    assert unpack_output(pack_output(output)) == output
