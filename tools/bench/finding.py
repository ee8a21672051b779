"""`bench find`: how long queries take over many studies, the same studies in every server.

Each study is of one patient and has one instance of 1 kB. A day has `STUDIES_PER_DAY` studies; of the names, each family
name belongs to one patient in `FAMILIES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from tools.bench.find_load import Keys, finds
from tools.bench.ingest import in_turns
from tools.bench.results import Run, run_of
from tools.bench.samples import PATIENT, PLACEHOLDERS, Samples, make_uid
from tools.bench.senders import run_senders
from tools.bench.targets import Target

STUDIES_PER_DAY: Final = 200
FAMILIES: Final = 1000
HEAVY: Final = 20  # queries of a heavy kind at most
_FIRST_DAY: Final = date(2020, 1, 1)
_NAME: Final = "Bench^Mark"
_NAME_FORM: Final = "F{:03d}X^{:04d}"  # as long as _NAME

_LEVEL, _DATE, _TIME, _ACCESSION, _MODALITIES = 0x00080052, 0x00080020, 0x00080030, 0x00080050, 0x00080061
_DESCRIPTION, _NAME_TAG, _PATIENT, _BIRTH, _STUDY, _INSTANCES = (
    0x00081030, 0x00100010, 0x00100020, 0x00100030, 0x0020000D, 0x00201208,
)  # fmt: skip
# What a workstation's list shows.
SHOWN: Final = dict.fromkeys(
    (_DATE, _TIME, _ACCESSION, _MODALITIES, _DESCRIPTION, _NAME_TAG, _PATIENT, _BIRTH, _STUDY, _INSTANCES), ""
)


class StudySamples(Samples):
    """One instance a study and one study a patient, with names, dates and accession numbers of their own."""

    def _values(self, number: int) -> dict[str, str]:
        day = _FIRST_DAY + timedelta(days=number // STUDIES_PER_DAY)
        uids = {placeholder: make_uid(kind, self.seed, number) for kind, placeholder in PLACEHOLDERS.items()}
        return uids | {
            PATIENT: patient_id(number),
            "20240229": f"{day:%Y%m%d}",
            "A240229": accession_number(number),
            _NAME: _NAME_FORM.format(number % FAMILIES, number // FAMILIES % 10_000),
        }


def patient_id(number: int) -> str:
    return f"BENCH-PATIENT-{number:010d}"


def accession_number(number: int) -> str:
    return f"A{number:06d}"


def find(targets: Sequence[Target], *, studies: int, rounds: int, count: int) -> list[Run]:
    """Ask `count` queries of each kind, each of which has an answer, over so many studies, fewer of the heavy ones."""
    runs = []
    for number in range(1, rounds + 1):
        for kind in KINDS:
            asked = min(count, HEAVY) if kind.is_heavy else count
            step = max(1, studies // asked)
            queries = [_query(kind.keys(each * step % studies)) for each in range(asked)]
            for target in in_turns(targets, number):
                assert target.dicom is not None
                outcome = run_senders(finds(*target.dicom, target.aet, queries))
                runs.append(run_of(kind.name, target.name, number, outcome, target.rss_anon_bytes()))
    return runs


def _query(keys: Keys) -> Keys:
    return {**SHOWN, _LEVEL: "STUDY", **keys}


def day_of(number: int) -> date:
    return _FIRST_DAY + timedelta(days=number // STUDIES_PER_DAY)


def _range(number: int) -> Keys:
    """Two days, of one family."""
    return {
        _DATE: f"{day_of(number):%Y%m%d}-{day_of(number) + timedelta(days=1):%Y%m%d}",
        _NAME_TAG: f"F{number % FAMILIES:03d}X*",
    }


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    keys: Callable[[int], Keys]  # that find study `number`
    is_heavy: bool = False  # a long list, or a search through all texts: fewer of them


KINDS: Final = (
    _Kind("patient", lambda number: {_PATIENT: patient_id(number)}),
    _Kind("accession", lambda number: {_ACCESSION: accession_number(number)}),
    _Kind("range", _range),
    _Kind("name prefix", lambda number: {_NAME_TAG: f"f{number % FAMILIES:03d}x*"}),
    _Kind(
        "wildcard",
        lambda number: {_NAME_TAG: f"*{number % FAMILIES:03d}x^{number // FAMILIES % 10_000:04d}"},
        is_heavy=True,
    ),
    _Kind("whole day", lambda number: {_DATE: f"{day_of(number):%Y%m%d}"}, is_heavy=True),
)
