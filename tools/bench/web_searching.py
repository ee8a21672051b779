"""`bench dicomweb`: how long searches of DICOMweb (QIDO-RS) take over many studies, the same studies in every server.

The studies are those of `bench find`. All servers are asked below `/dicom-web`, with the attributes that OHIF's list of studies asks for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from tools.bench.finding import FAMILIES, HEAVY, accession_number, day_of, patient_id
from tools.bench.http_load import Client
from tools.bench.ingest import in_turns
from tools.bench.results import Run, measured
from tools.bench.samples import make_uid
from tools.bench.senders import Outcome, Sender, run_senders
from tools.bench.targets import Target

_OF_LIST: Final = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"  # as OHIF asks


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    query: Callable[[int, int], str]  # that finds study `number` of a seed
    is_heavy: bool = False  # many answers, or a search through all texts: fewer of them


def _date(number: int) -> str:
    return f"{day_of(number):%Y%m%d}"


def _two_days(number: int, _: int) -> str:
    return f"studies?StudyDate={_date(number)}-{day_of(number) + timedelta(days=1):%Y%m%d}&{_OF_LIST}"


def _year(number: int, _: int) -> str:
    return f"studies?StudyDate={day_of(number).year}0101-{day_of(number).year}1231&{_OF_LIST}"


def _uid(number: int, seed: int) -> str:
    return make_uid(1, seed, number)


def _name(number: int) -> str:
    """Not percent-encoded: Orthanc's plugin 1.20 does not decode values."""
    return f"*{number % FAMILIES:03d}x^{number // FAMILIES % 10_000:04d}"


KINDS: Final = (
    _Kind("PatientID", lambda number, _: f"studies?PatientID={patient_id(number)}&{_OF_LIST}"),
    _Kind("AccessionNumber", lambda number, _: f"studies?AccessionNumber={accession_number(number)}&{_OF_LIST}"),
    _Kind("StudyInstanceUID", lambda *study: f"studies?StudyInstanceUID={_uid(*study)}&{_OF_LIST}"),
    _Kind("series of a study", lambda *study: f"studies/{_uid(*study)}/series"),
    _Kind("instances of a study", lambda *study: f"studies/{_uid(*study)}/instances"),
    _Kind("name prefix", lambda number, _: f"studies?PatientName=f{number % FAMILIES:03d}x*&{_OF_LIST}"),
    _Kind("two days, 101 of 400", _two_days),
    _Kind("first page", lambda *_: f"studies?{_OF_LIST}"),
    _Kind("first 101 of a year", _year, is_heavy=True),
    _Kind("first 101 of a modality", lambda *_: f"studies?ModalitiesInStudy=MR&{_OF_LIST}"),
    _Kind("page in the middle", lambda number, _: f"studies?limit=101&offset={number // 2}", is_heavy=True),
    _Kind("wildcard in a name", lambda number, _: f"studies?PatientName={_name(number)}&{_OF_LIST}", is_heavy=True),
    _Kind("whole day", lambda number, _: f"studies?StudyDate={_date(number)}", is_heavy=True),
    _Kind(
        "end of an AccessionNumber",
        lambda number, _: f"studies?AccessionNumber=*{number:06d}&{_OF_LIST}",
        is_heavy=True,
    ),
)


def web_search(targets: Sequence[Target], *, seed: int, studies: int, rounds: int, count: int) -> list[Run]:
    """Ask `count` times for each kind, less often for the heavy ones."""
    runs = []
    for number in range(1, rounds + 1):
        for kind in KINDS:
            asked = min(count, HEAVY) if kind.is_heavy else count
            step = max(1, studies // asked)
            paths = [f"/dicom-web/{kind.query(each * step % studies, seed)}" for each in range(asked)]
            runs += [
                measured(kind.name, target, number, partial(_ask, target, paths))
                for target in in_turns(targets, number)
            ]
    return runs


def _ask(target: Target, paths: Sequence[str]) -> Outcome:
    return run_senders([Sender(partial(_prepare, target, paths))])


def _prepare(target: Target, paths: Sequence[str]) -> Iterator[Callable[[], None]]:
    client = target.client()
    client.connect()
    requests = [client.request("GET", path) for path in paths]
    return (partial(_exchange, client, request) for request in requests)


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request)
