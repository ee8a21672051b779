"""Patterns and switches of accepted transfer syntaxes, compared with Orthanc 1.12.7."""

import pytest
from pydicom.uid import AllTransferSyntaxes

from tools.configuration.transfer_syntaxes import TRANSFER_SYNTAX_SWITCHES, accepted

ROOT = "1.2.840.10008.1.2"
# pydicom does not list the retired ones and those of JPIP, which Orthanc accepts.
KNOWN = sorted({str(uid) for uid in AllTransferSyntaxes}.union(*TRANSFER_SYNTAX_SWITCHES.values()))


def test_the_default_pattern_accepts_every_standard_syntax() -> None:
    assert list(accepted(KNOWN, ["1.2.840.10008.1.*"], {})) == KNOWN


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("1.2.840.10008.1.?.1", {f"{ROOT}.1"}),
        ("*.5", {f"{ROOT}.5"}),
        ("1.2.840.10008.1.2.4.9[01]", set()),
        ("foo", set()),
    ],
)
def test_only_star_and_question_mark_are_special(pattern: str, expected: set[str]) -> None:
    assert set(accepted(KNOWN, [pattern], {})) == expected


@pytest.mark.parametrize("switch", TRANSFER_SYNTAX_SWITCHES)
def test_a_switch_takes_its_group_away_and_adds_it(switch: str) -> None:
    group = TRANSFER_SYNTAX_SWITCHES[switch]
    assert set(accepted(KNOWN, ["*"], {switch: False})) == set(KNOWN) - group
    assert set(accepted(KNOWN, [], {switch: True})) == group


def test_no_syntax_belongs_to_two_switches() -> None:
    groups = list(TRANSFER_SYNTAX_SWITCHES.values())
    assert len(frozenset().union(*groups)) == sum(map(len, groups))
