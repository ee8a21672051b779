"""The two forms of a modality, compared with what Orthanc 1.12.7 answers to GET /modalities?expand."""

from typing import Any

import pytest

from actors.services.remote.modality import Modality, Operation
from tools.configuration.modalities import read_modalities


def read_one(entry: Any) -> Modality:
    modalities, problems, _ = read_modalities({"m": entry})
    assert problems == []
    return modalities[0]


def problem_of(entry: Any, name: str = "m") -> str:
    modalities, problems, _ = read_modalities({name: entry})
    assert modalities == ()
    return problems[0]


@pytest.mark.parametrize(
    "entry", [["A", "h", 104], ["A", "h", "104"], ["A", "h", "+104"], {"AET": "A", "Host": "h", "Port": 104}]
)
def test_both_forms_allow_everything_by_default(entry: Any) -> None:
    assert read_one(entry) == Modality(name="m", aet="A", host="h", port=104)


def test_the_long_form_sets_every_field() -> None:
    flags = "Echo Store Find FindWorklist Get Move NAction EventReport Transcoding".split()  # noqa: SIM905 — one line
    entry = {"AET": "A", "Host": "h", "Port": 1, "Manufacturer": "GE", "UseDicomTls": True, "LocalAet": "L"}
    entry |= {f"Allow{flag}": False for flag in flags} | {"Timeout": 5, "RetrieveMethod": "C-GET"}
    assert read_one(entry) == Modality(
        name="m",
        aet="A",
        host="h",
        port=1,
        manufacturer="GE",
        allowed=frozenset(),
        allow_transcoding=False,
        use_tls=True,
        local_aet="L",
        timeout_s=5,
        retrieve_method="C-GET",
    )


def test_allow_storage_commitment_overrides_its_two_halves() -> None:
    fields = {"AET": "A", "Host": "h", "Port": 1, "AllowStorageCommitment": False, "AllowNAction": True}
    modality = read_one(fields)
    assert modality.allowed == set(Operation) - {Operation.N_ACTION, Operation.N_EVENT_REPORT}


@pytest.mark.parametrize(
    ("old", "new"), [("MedInria", "Generic"), ("SyngoVia", "GenericNoWildcardInDates"), ("EFilm2", "Generic")]
)
def test_an_obsolete_manufacturer_is_replaced_with_a_warning(old: str, new: str) -> None:
    modalities, _, warnings = read_modalities({"m": ["A", "h", 1, old]})
    assert modalities[0].manufacturer == new
    assert f"{old} is obsolete; write {new}" in warnings[0]


def test_an_unknown_field_is_ignored_with_a_warning() -> None:
    modalities, _, warnings = read_modalities({"m": {"AET": "A", "Host": "h", "Port": 1, "Foo": 2}})
    assert len(modalities) == 1
    assert "Foo" in warnings[0]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (["A", "h"], "must be [AET, host, port, manufacturer] or an object"),
        (["A", "h", 1, "GE", 5], "must be [AET, host, port, manufacturer] or an object"),
        ("A", "must be [AET, host, port, manufacturer] or an object"),
        (["A", "h", 0], "Port must be a TCP port"),
        (["A", "h", "x"], "Port must be a TCP port"),
        (["A", "h", 65535], "Port must be a TCP port, 1 to 65534"),  # so Orthanc 1.12.7
        (["A", "h", True], "Port must be a TCP port"),
        (["A", 3, 4], "Host must be a string"),
        (["A", "h", 1, "Foo"], "Manufacturer must be one of"),
        ({"Host": "h", "Port": 1}, "lacks AET"),
        ({"Host": "h"}, "lacks AET, Port"),
        (
            {"AET": "A", "Host": "h", "Port": 1, "AllowStorageCommitment": 1},
            "AllowStorageCommitment must be true or false",
        ),
        ({"AET": "A", "Host": "h", "Port": 1, "AllowEcho": "no"}, "AllowEcho must be true or false"),
        ({"AET": "A", "Host": "h", "Port": 1, "Timeout": -1}, "Timeout must be a whole number"),
        ({"AET": "A", "Host": "h", "Port": 1, "RetrieveMethod": "X"}, "RetrieveMethod must be one of"),
        ({"AET": "A", "Host": "h", "Port": 1, "Manufacturer": []}, "Manufacturer must be a string"),
    ],
)
def test_a_bad_entry_is_told_why(entry: Any, reason: str) -> None:
    assert reason in problem_of(entry)


def test_a_name_that_could_not_stand_in_a_path_is_refused() -> None:
    assert "letters, digits, dashes and underscores" in problem_of(["A", "h", 1], name="a b/c")


def test_one_bad_entry_does_not_hide_another() -> None:
    _, problems, _ = read_modalities({"a": [], "good": ["A", "h", 1], "b": {}})
    assert len(problems) == 2
