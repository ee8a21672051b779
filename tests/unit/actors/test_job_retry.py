"""Which errors are worth another try, how often, and after how long."""

from dataclasses import replace

import pytest

from actors.messages.job_retries import DEFAULT, LONGEST_DELAY_S, REMOTE, Again, Strategy, decide
from actors.messages.job_types import strategy_of
from actors.wire.errors import Trouble


@pytest.mark.parametrize(
    ("tries", "delay_ms"), [(0, 2_000), (1, 8_000), (2, 32_000), (3, 128_000), (4, 300_000), (5, 300_000)]
)
def test_each_delay_exceeds_the_one_before_up_to_five_minutes(tries: int, delay_ms: int) -> None:
    assert decide(REMOTE, Trouble.UNREACHABLE, tries=tries, attempts=100) == Again(delay_ms)


def test_the_attempts_of_the_job_count_not_those_of_its_type() -> None:
    """The first run is an attempt too."""
    assert decide(REMOTE, Trouble.TIMEOUT, tries=0, attempts=1) is None
    assert decide(REMOTE, Trouble.TIMEOUT, tries=0, attempts=2) == Again(2_000)
    assert decide(REMOTE, Trouble.TIMEOUT, tries=1, attempts=2) is None
    assert decide(REMOTE, Trouble.TIMEOUT, tries=REMOTE.attempts - 2, attempts=REMOTE.attempts) is not None
    assert decide(REMOTE, Trouble.TIMEOUT, tries=REMOTE.attempts - 1, attempts=REMOTE.attempts) is None


@pytest.mark.parametrize("trouble", Trouble)
def test_only_what_may_pass_by_itself_is_tried_again(trouble: Trouble) -> None:
    again = decide(REMOTE, trouble, tries=0, attempts=REMOTE.attempts)
    assert (again is None) == (trouble is Trouble.FINAL)


@pytest.mark.parametrize("trouble", Trouble)
def test_a_type_says_itself_what_is_worth_it(trouble: Trouble) -> None:
    strategy = replace(REMOTE, worth_it=frozenset({Trouble.BUSY}))
    again = decide(strategy, trouble, tries=0, attempts=4)
    assert (again is not None) == (trouble is Trouble.BUSY)


def test_jobs_that_talk_to_remotes_are_patient_and_others_are_not() -> None:
    for remote in ("DicomModalityStore", "DicomMoveScu", "DicomGetScu", "SequenceOfOperations"):
        assert strategy_of(remote) is REMOTE
    for local in ("Archive", "ResourceModification", "of a later release"):
        assert strategy_of(local) is DEFAULT
    assert DEFAULT.attempts == 1


def test_no_number_of_tries_is_too_high() -> None:
    """The row of a job counts up to 65,535."""
    strategy = Strategy(attempts=100_000, first_delay_s=0.001)
    assert decide(strategy, Trouble.BUSY, tries=0xFFFF, attempts=100_000) == Again(int(LONGEST_DELAY_S * 1000))
