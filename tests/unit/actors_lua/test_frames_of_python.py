"""No error of Lua unwinds frames of Python: running out of memory there, or of anything else, is an error like others.

One that does leaves a process hanging for good, or aborts it; so the scripts run in a process of their own.
"""

import subprocess
import sys

import pytest

from tests.lua_hog import ERRORS, LIMITS, MEMORY

TIMEOUT_S = 240  # of 9 s of work


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """How each script ended, of those that did."""
    command = [sys.executable, "-m", "tests.lua_hog"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            printed, complaints = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, complaints = process.communicate()
    print(complaints)
    return dict(line.split(" ", 1) for line in printed.splitlines())


@pytest.mark.parametrize("name", MEMORY)
def test_running_out_of_memory_is_an_error(name: str, told: dict[str, str]) -> None:
    assert told.get(name) == "memory True"


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_passed_within_a_function_of_ours_is_an_error(name: str, told: dict[str, str]) -> None:
    assert told.get(name) == "instructions True"


@pytest.mark.parametrize("name", ERRORS)
def test_what_a_script_has_put_in_lupas_way_is_not_called_unprotected(name: str, told: dict[str, str]) -> None:
    assert told.get(name) == "error True"
