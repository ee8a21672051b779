"""`bench search`: how long `/tools/find` and `/tools/count-resources` take over many studies, the same studies in every server.

The studies are those of `bench find`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from tools.bench.finding import FAMILIES, HEAVY, accession_number, day_of, patient_id
from tools.bench.http_load import Client
from tools.bench.ingest import in_turns
from tools.bench.results import Run, measured
from tools.bench.senders import Outcome, Sender, run_senders
from tools.bench.targets import Target

Body = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    body: Callable[[int], Body]  # that finds study `number`
    path: str = "/tools/find"
    is_heavy: bool = False  # many answers, or a search through all texts: fewer of them


def _studies(**fields: object) -> Body:
    return {"Level": "Study", "Query": {}, **fields}


def _date(number: int) -> str:
    return f"{day_of(number):%Y%m%d}"


def _range(number: int) -> Body:
    two_days = f"{_date(number)}-{day_of(number) + timedelta(days=1):%Y%m%d}"
    return _studies(Query={"StudyDate": two_days, "PatientName": f"F{number % FAMILIES:03d}X*"}, Expand=True)


def _newest(number: int, kind: str = "DicomTag", key: str = "StudyDate", **query: str) -> Body:
    order = [{"Type": kind, "Key": key, "Direction": "DESC"}]
    return _studies(Query=query, OrderBy=order, Since=number % 100, Limit=100, Expand=True)


def _first_of_year(number: int) -> Body:
    return _studies(Query={"StudyDate": f"{day_of(number).year}0101-{day_of(number).year}1231"}, Limit=100, Expand=True)


def _first_page(_: int) -> Body:
    tags = ["NumberOfStudyRelatedInstances", "ModalitiesInStudy", "PatientName"]
    return _studies(Query={"PatientName": "F*"}, Limit=100, Expand=True, RequestedTags=tags)


KINDS: Final = (
    _Kind("PatientID", lambda number: _studies(Query={"PatientID": patient_id(number)})),
    _Kind("AccessionNumber, expanded", lambda number: _studies(Query={"AccessionNumber": accession_number(number)}, Expand=True)),
    _Kind("two days and a family, expanded", _range),
    _Kind("name prefix", lambda number: _studies(Query={"PatientName": f"f{number % FAMILIES:03d}x*"})),
    _Kind("series of a patient", lambda number: {"Level": "Series", "Query": {"PatientID": patient_id(number), "Modality": "MR"}, "Expand": True}),
    _Kind("wildcard", lambda number: _studies(Query={"PatientName": f"*{number % FAMILIES:03d}x^{number // FAMILIES % 10_000:04d}"}), is_heavy=True),
    _Kind("whole day, expanded", lambda number: _studies(Query={"StudyDate": _date(number)}, Expand=True), is_heavy=True),
    _Kind("first 100 of a year, expanded", _first_of_year, is_heavy=True),
    _Kind("newest 100, expanded", _newest, is_heavy=True),
    _Kind("newest 100 by last update, expanded", partial(_newest, kind="Metadata", key="LastUpdate"), is_heavy=True),
    _Kind("newest 100 of a modality, expanded", partial(_newest, ModalitiesInStudy="MR"), is_heavy=True),
    _Kind("first 100 of all, requested tags", _first_page, is_heavy=True),
    _Kind("count from a day on", lambda number: _studies(Query={"StudyDate": f"{_date(number)}-"}), "/tools/count-resources", is_heavy=True),
    _Kind("a tag without an index", lambda number: _studies(Query={"StudyID": f"{number}*"}), is_heavy=True),
    _Kind("all names", lambda _: _studies(Query={"PatientName": "F*"}), is_heavy=True),
)  # fmt: skip


def search(targets: Sequence[Target], *, studies: int, rounds: int, count: int) -> list[Run]:
    """Ask `count` times for each kind, less often for the heavy ones."""
    runs = []
    for number in range(1, rounds + 1):
        for kind in KINDS:
            asked = min(count, HEAVY) if kind.is_heavy else count
            step = max(1, studies // asked)
            bodies = [json.dumps(kind.body(each * step % studies)).encode() for each in range(asked)]
            runs += [
                measured(kind.name, target, number, partial(_ask, target, kind.path, bodies))
                for target in in_turns(targets, number)
            ]
    return runs


def _ask(target: Target, path: str, bodies: Sequence[bytes]) -> Outcome:
    return run_senders([Sender(partial(_prepare, target, path, bodies))])


def _prepare(target: Target, path: str, bodies: Sequence[bytes]) -> Iterator[Callable[[], None]]:
    client = target.client()
    client.connect()
    requests = [client.request("POST", path, body) for body in bodies]
    return (partial(_exchange, client, request) for request in requests)


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request)
