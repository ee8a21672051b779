"""Every error has its row; the statuses and codes are those Orthanc 1.12.7 was seen to give."""

import inspect

import pytest

import api.errors
import events.errors
from actors.services.scripts import filter_values
from actors.services.scripts.errors import ScriptFailed
from actors.wire.errors import RemoteFailed
from api.errors import answer_for

SEEN = {
    "InvalidRequest": (400, 8, "Bad request"),
    "InvalidJson": (400, 28, "Cannot parse a JSON document"),
    "InvalidDicom": (400, 15, "Bad file format"),
    "MissingTag": (404, 21, "Inexistent tag"),
    "OutOfRange": (400, 3, "Parameter out of range"),
    "BadType": (400, 5, "Bad type for a parameter"),
    "UnknownTag": (500, 27, "Unknown DICOM tag"),
    "BadField": (400, 15, "Bad file format"),
    "RefusedQuery": (400, 8, "Bad request"),
    "InexistentItem": (404, 7, "Accessing an inexistent item"),
    "NotFound": (404, 17, "Unknown resource"),
    "UnknownRoute": (404, 17, "Unknown resource"),
    "Unauthorized": (401, 29, "Bad credentials were provided to an HTTP request"),
    "StorageFull": (507, 19, "The file storage is full"),
}
OF_SCRIPTS = [
    (ScriptFailed("boom"), 2031, "Cannot execute a Lua command"),
    (filter_values.WrongOutput("why"), 2033, "The Lua function does not give the expected number of outputs"),
    (filter_values.NotPredicate(), 2034, "The Lua function is not a predicate (only true/false outputs allowed)"),
    (filter_values.NoStatus(), 2035, "The Lua function does not return a string"),
    (filter_values.UnknownTag("why"), 27, "Unknown DICOM tag"),
]


@pytest.mark.parametrize("name", SEEN)
def test_the_table_says_what_orthanc_says(name: str) -> None:
    error = getattr(api.errors, name, None) or getattr(events.errors, name)
    answer = answer_for(error())
    assert (answer.status, answer.code, answer.message) == SEEN[name]


@pytest.mark.parametrize(("error", "code", "message"), OF_SCRIPTS)
def test_what_scripts_do_wrong_has_orthancs_codes(error: Exception, code: int, message: str) -> None:
    answer = answer_for(error)
    assert (answer.status, answer.code, answer.message) == (500, code, message)
    assert answer.with_details is (code not in {2034, 2035})


def test_a_missing_resource_has_no_body_and_an_unknown_route_has_one() -> None:
    assert not answer_for(events.errors.NotFound()).with_body
    assert answer_for(api.errors.UnknownRoute()).with_body


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (9, "Error in the network protocol"),
        (2015, "DicomUserConnection: No acceptable presentation context for modality"),
        (2016, "DicomUserConnection: The C-FIND command is not supported by the remote SCP"),
    ],
)
def test_a_remote_that_fails_is_answered_with_its_own_code(code: int, message: str) -> None:
    answer = answer_for(RemoteFailed("why", code=code))
    assert (answer.status, answer.code, answer.message) == (500, code, message)


def test_what_nobody_expected_is_an_internal_error() -> None:
    assert answer_for(ZeroDivisionError()).code == -1


def test_every_error_a_request_can_meet_has_an_answer_of_its_own() -> None:
    # The third and fourth end the start; then one that has the answer of the error that its job met, and one for which Orthanc says no more.
    ours = {"SinogramError", "CorruptLog", "BadConfiguration", "BadMedium", "JobHasFailed", "CannotTranscode"}
    classes = {
        each
        for module in (events.errors, api.errors)
        for name, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, events.errors.SinogramError) and name not in ours
    }
    assert {each for each in classes if answer_for(each()).code == -1} == set()


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        (9, 500, "Error in the network protocol"),
        (17, 404, "Unknown resource"),
        (37, 500, "This job was canceled"),
        (2015, 500, "DicomUserConnection: No acceptable presentation context for modality"),
        (12345, 500, "Internal error"),
    ],
)
def test_a_job_that_failed_is_answered_with_its_error_and_a_body(code: int, status: int, message: str) -> None:
    answer = answer_for(api.errors.JobHasFailed(code, "why"))
    assert (answer.status, answer.message, answer.with_body) == (status, message, True)
