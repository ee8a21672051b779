"""`bench flat`: what a start, requests and queries, ingest and deletion take over archives of different size, side by side.

The archives are those of `bench fill`; they are served here, stored into and deleted from. Beside the time that a client waits
stands the processor time of all processes of the server for one exchange: it is steady where a busy machine makes the other
jump.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from events.identifiers import Level
from tools.bench.find_load import Keys, finds
from tools.bench.http_load import Client, gets
from tools.bench.ingest import in_turns
from tools.bench.results import Run, measured, run_of
from tools.bench.samples import Samples
from tools.bench.senders import Outcome, Sender, run_senders
from tools.bench.targets import OWN_COMMAND, Target, start

PAGE: Final = 100
SAMPLES: Final = 40  # places of an archive that are asked about, spread over it
UPLOADS: Final = 200
DELETED: Final = 5  # studies a round
_LEVEL, _PATIENT, _STUDY, _SERIES, _INSTANCE, _NAME, _DATE, _ACCESSION, _MODALITY = (
    0x00080052, 0x00100020, 0x0020000D, 0x0020000E, 0x00080018, 0x00100010, 0x00080020, 0x00080050, 0x00080060,
)  # fmt: skip

Exchanges = Callable[[Target], list[Sender]]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    exchanges: Exchanges


def flat(archives: Sequence[Path], folder: Path, *, rounds: int, count: int, seed: int) -> list[Run]:
    """Measure every archive, `count` exchanges of a kind and round; the servers run together and take turns."""
    runs: list[Run] = []
    with ExitStack() as stack:
        targets = [stack.enter_context(_served(archive, folder, runs)) for archive in archives]
        kinds = {target.name: _kinds(target, count) for target in targets}
        samples = Samples(seed, "small")
        for number in range(1, rounds + 1):
            turns = in_turns(targets, number)
            for place in range(len(kinds[targets[0].name])):
                runs += [_measure(kinds[target.name][place], target, number) for target in turns]
            files = samples.take(UPLOADS)
            for kind in (_Kind("POST /instances", partial(_uploads, files)), _Kind("DELETE /studies/{id}", _deletions)):
                runs += [_measure(kind, target, number) for target in turns]
    return runs


@contextmanager
def _served(archive: Path, folder: Path, runs: list[Run]) -> Iterator[Target]:
    """Serve an archive, and note what the start took until the server answered."""
    own = {"StorageDirectory": str(archive.resolve()), "IndexDirectory": str(archive.resolve())}
    began = time.monotonic()
    with start(archive.name, OWN_COMMAND, folder / archive.name, own) as target:
        outcome = Outcome(1, time.monotonic() - began, [time.monotonic() - began])
        run = run_of("start", target.name, 1, outcome, target.rss_anon_bytes())
        runs.append(replace(run, processor_ms=round((target.processor_s() or 0) * 1000, 1)))
        yield target


def _measure(kind: _Kind, target: Target, number: int) -> Run:
    return measured(kind.name, target, number, partial(run_senders, kind.exchanges(target)))


def _kinds(target: Target, count: int) -> list[_Kind]:
    last = int(target.get("/changes?last")["Last"])
    kinds = [_gets("GET /statistics", ["/statistics"], count)]
    for name, since in (("first", 0), ("middle", last // 2), ("last", last - PAGE)):
        kinds.append(_gets(f"GET /changes, {name}", [f"/changes?since={since}&limit={PAGE}"], count))
    for level, limit in (("instances", PAGE), ("studies", PAGE)):
        total = int(target.get("/statistics")[f"Count{level.capitalize()}"])
        for name, since in (("first", 0), ("middle", total // 2), ("last", max(0, total - limit))):
            kinds.append(_gets(f"GET /{level}, {name} page", [f"/{level}?since={since}&limit={limit}"], count))
    return kinds + _lookups(target, count)


def _gets(name: str, paths: Sequence[str], count: int) -> _Kind:
    asked = [paths[number % len(paths)] for number in range(count)]
    return _Kind(name, lambda target: gets(target.client, [asked]))


def _lookups(target: Target, count: int) -> list[_Kind]:
    instances = _sampled(target, "instances")
    series = [target.get(f"/instances/{each['ID']}/series") for each in instances]
    studies = [target.get(f"/series/{each['ID']}/study") for each in series]
    uids = [each["MainDicomTags"]["SOPInstanceUID"] for each in instances]
    found: list[tuple[str, Level, list[Keys]]] = [
        ("C-FIND PATIENT by PatientID", Level.PATIENT, [{_PATIENT: _patient(each), _NAME: ""} for each in studies]),
        (
            "C-FIND STUDY by AccessionNumber",
            Level.STUDY,
            [{_ACCESSION: _of(each, "AccessionNumber")} for each in studies],
        ),
        (
            "C-FIND STUDY by name and date",
            Level.STUDY,
            [{_DATE: _of(each, "StudyDate"), _NAME: _name(each)[:5] + "*", _STUDY: ""} for each in studies],
        ),
        (
            "C-FIND SERIES of a study",
            Level.SERIES,
            [{_STUDY: _of(each, "StudyInstanceUID"), _SERIES: "", _MODALITY: ""} for each in studies],
        ),
        (
            "C-FIND IMAGE of a series",
            Level.INSTANCE,
            [
                {
                    _STUDY: _of(study, "StudyInstanceUID"),
                    _SERIES: each["MainDicomTags"]["SeriesInstanceUID"],
                    _INSTANCE: "",
                }
                for each, study in zip(series, studies, strict=True)
            ],
        ),
    ]
    kinds = [
        _gets("GET /instances/{id}", [f"/instances/{each['ID']}" for each in instances], count),
        _Kind("POST /tools/lookup", partial(_posts, "/tools/lookup", [uid.encode() for uid in uids], count)),
    ]
    return kinds + [_Kind(name, partial(_finds, level, keys, count)) for name, level, keys in found]


def _sampled(target: Target, level: str) -> list[dict[str, Any]]:
    """Return some resources, spread over the archive."""
    total = int(target.get("/statistics")[f"Count{level.capitalize()}"])
    places = (total * number // SAMPLES for number in range(SAMPLES))
    return [target.get(f"/{level}?expand&since={place}&limit=1")[0] for place in places]


def _of(study: dict[str, Any], keyword: str) -> str:
    return str(study["MainDicomTags"][keyword])


def _patient(study: dict[str, Any]) -> str:
    return str(study["PatientMainDicomTags"]["PatientID"])


def _name(study: dict[str, Any]) -> str:
    return str(study["PatientMainDicomTags"]["PatientName"])


def _finds(level: Level, keys: Sequence[Keys], count: int, target: Target) -> list[Sender]:
    assert target.dicom is not None
    name = "IMAGE" if level == Level.INSTANCE else level.name
    return finds(*target.dicom, target.aet, [{_LEVEL: name, **keys[each % len(keys)]} for each in range(count)])


def _posts(path: str, bodies: Sequence[bytes], count: int, target: Target) -> list[Sender]:
    return _requests(target, "POST", [(path, bodies[number % len(bodies)]) for number in range(count)])


def _uploads(files: Sequence[bytes], target: Target) -> list[Sender]:
    return _requests(target, "POST", [("/instances", file) for file in files])


def _deletions(target: Target) -> list[Sender]:
    total = int(target.get("/statistics")["CountStudies"])
    studies = [target.get(f"/studies?since={total * number // 7}&limit=1")[0] for number in range(1, DELETED + 1)]
    return _requests(target, "DELETE", [(f"/studies/{study}", b"") for study in studies])


def _requests(target: Target, method: str, asked: Sequence[tuple[str, bytes]]) -> list[Sender]:
    return [Sender(partial(_prepare, target.client, method, asked))]


def _prepare(
    make_client: Callable[[], Client], method: str, asked: Sequence[tuple[str, bytes]]
) -> Iterator[Callable[[], None]]:
    client = make_client()
    client.connect()
    return iter([partial(_exchange, client, client.request(method, path, body)) for path, body in asked])


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request)
