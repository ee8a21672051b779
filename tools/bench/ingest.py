"""`bench ingest`: how many instances a second a server stores, by DICOM and by REST, in several ways of sending.

Every server gets the same files in the same order, a scenario at a time, and the servers take turns: what the machine
does at the same time affects all of them. After each run `/statistics` must have grown by exactly what was sent.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from events.errors import InvalidRequest
from tools.bench.cstore_load import cstores
from tools.bench.dcmtk_load import find_storescu, run_storescu, write_folders
from tools.bench.http_load import stream_of_uploads, uploads
from tools.bench.results import Run, measured, run_of
from tools.bench.samples import Samples
from tools.bench.senders import Outcome, in_background, run_senders
from tools.bench.stow_load import FILES_A_REQUEST, stow
from tools.bench.targets import Target
from tools.import_files import find_files, kind_of

T = TypeVar("T")

PRELOAD_CLIENTS: Final = 4
EXPAND_PATH: Final = "/instances?expand"
RENDERERS: Final = 8
RENDERED: Final = 50  # instances, one after the other


class Supply(Protocol):
    """Where files come from."""

    def take(self, count: int) -> list[bytes]:
        """Return files that were not given out before."""


class Folder:
    """The DICOM files below a folder, each given out once."""

    def __init__(self, folder: Path) -> None:
        self._paths = [path for path in find_files([folder]) if kind_of(path) == "dicom"]
        self._given = 0

    def __len__(self) -> int:
        return len(self._paths)

    def take(self, count: int) -> list[bytes]:
        paths = self._paths[self._given : self._given + count]
        if len(paths) < count:
            raise InvalidRequest(f"the folder has {len(self._paths)} DICOM files; more rounds or scenarios need more")
        self._given += count
        return [path.read_bytes() for path in paths]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A way of sending."""

    name: str
    says: str
    send: Callable[[Target, Sequence[bytes], Path], Outcome]
    is_dicom: bool = False
    needs_storescu: bool = False
    is_extra: bool = False  # runs where it is named: not every server has what it needs


def _storescu(target: Target, files: Sequence[bytes], folder: Path, *, parts: int, no_delay: bool) -> Outcome:
    assert target.dicom
    folders = write_folders(files, folder, parts)
    try:
        return run_storescu(*target.dicom, target.aet, folders, no_delay=no_delay)
    finally:
        shutil.rmtree(folder)


def _cstore(target: Target, files: Sequence[bytes], _: Path, *, associations: int) -> Outcome:
    assert target.dicom
    return run_senders(cstores(*target.dicom, target.aet, files, associations))


def _rest(target: Target, files: Sequence[bytes], _: Path, *, clients: int) -> Outcome:
    return run_senders(uploads(target.client, files, clients))


def _stow(target: Target, files: Sequence[bytes], _: Path, *, clients: int) -> Outcome:
    return stow(target.client, files, clients)


def _rest_beside_expand(target: Target, files: Sequence[bytes], folder: Path) -> Outcome:
    with in_background(partial(_expand, target)) as expanded:
        outcome = _rest(target, files, folder, clients=1)
    failures = outcome.failures if expanded[0] else [*outcome.failures, f"{EXPAND_PATH} was never answered"]
    return replace(outcome, failures=failures)


def _expand(target: Target, stopped: Callable[[], bool]) -> int:
    client, answered = target.client(), 0
    while not stopped():
        client.get(EXPAND_PATH)
        answered += 1
    return answered


def _cstore_beside_renderers(target: Target, files: Sequence[bytes], folder: Path) -> Outcome:
    with ExitStack() as renderers:
        stored = newest_instances(target, RENDERED)
        rendered = [renderers.enter_context(in_background(partial(_render, target, stored))) for _ in range(RENDERERS)]
        outcome = _cstore(target, files, folder, associations=4)
    failures = (
        outcome.failures if all(each[0] for each in rendered) else [*outcome.failures, "a renderer got no answer"]
    )
    return replace(outcome, failures=failures)


def newest_instances(target: Target, count: int) -> list[str]:
    """Return the identifiers of some of the instances that were stored last. Raises InvalidRequest where there are none."""
    last = int(target.get("/changes?last")["Last"])
    changes = target.get(f"/changes?since={max(0, last - 4 * count)}&limit={4 * count}")["Changes"]
    found = [change["ID"] for change in changes if change["ChangeType"] == "NewInstance"]
    if not found:
        raise InvalidRequest(f"{target.name} has no instances that came last: let another scenario go before")
    return found[-count:]


def _render(target: Target, instances: Sequence[str], stopped: Callable[[], bool]) -> int:
    client, answered = target.client(), 0
    while not stopped():
        client.get(f"/instances/{instances[answered % len(instances)]}/preview")
        answered += 1
    return answered


def _scenarios(*scenarios: Scenario) -> dict[str, Scenario]:
    return {scenario.name: scenario for scenario in scenarios}


SCENARIOS: Final = _scenarios(
    Scenario(
        "storescu",
        "DCMTK's storescu as it comes, one association",
        partial(_storescu, parts=1, no_delay=False),
        is_dicom=True,
        needs_storescu=True,
    ),
    Scenario(
        "storescu-nodelay",
        "the same with TCP_NODELAY=1 in its environment",
        partial(_storescu, parts=1, no_delay=True),
        is_dicom=True,
        needs_storescu=True,
    ),
    Scenario(
        "storescu-4",
        "four storescu at once",
        partial(_storescu, parts=4, no_delay=False),
        is_dicom=True,
        needs_storescu=True,
    ),
    Scenario(
        "no-delay", "a sender without any delay, one association", partial(_cstore, associations=1), is_dicom=True
    ),
    Scenario("no-delay-4", "four of them at once", partial(_cstore, associations=4), is_dicom=True),
    Scenario("rest-1", "POST /instances, one client", partial(_rest, clients=1)),
    Scenario("rest-5", "POST /instances, five clients", partial(_rest, clients=5)),
    Scenario(
        "stow-1", f"STOW-RS, {FILES_A_REQUEST} files a request, one client", partial(_stow, clients=1), is_extra=True
    ),
    Scenario("stow-4", "four of them at once", partial(_stow, clients=4), is_extra=True),
    Scenario("rest-1-expand", f"one client, while another loops over GET {EXPAND_PATH}", _rest_beside_expand),
    Scenario(
        "no-delay-4-render",
        f"four senders without any delay, while {RENDERERS} clients ask for previews of what came last",
        _cstore_beside_renderers,
        is_dicom=True,
    ),
)


def ingest(
    targets: Sequence[Target],
    supply: Supply,
    *,
    scenarios: Sequence[Scenario],
    rounds: int,
    count: int,
    folder: Path,
) -> list[Run]:
    """Send `count` files in every scenario and round to every server."""
    runs = []
    for number in range(1, rounds + 1):
        for scenario in scenarios:
            if scenario.needs_storescu and find_storescu() is None:
                _note(f"{scenario.name}: left out, DCMTK's storescu is not installed")
                continue
            files = supply.take(count)
            for target in in_turns(targets, number):
                if scenario.is_dicom and target.dicom is None:
                    _note(f"{scenario.name}: left out for {target.name}, whose DICOM port was not given")
                    continue
                _note(f"round {number}: {scenario.name}, {target.name}")
                runs.append(_run(scenario, target, number, files, folder / "sending"))
    return runs


def in_turns(targets: Sequence[T], round_number: int) -> Sequence[T]:
    """Return the servers in the order of this round: each is first as often as the others."""
    first = (round_number - 1) % len(targets)
    return [*targets[first:], *targets[:first]]


def _run(scenario: Scenario, target: Target, number: int, files: Sequence[bytes], folder: Path) -> Run:
    before = target.count_instances()
    run = measured(scenario.name, target, number, partial(scenario.send, target, files, folder))
    grown = target.count_instances() - before
    if grown == len(files) == run.count:
        return run
    text = f"{len(files)} sent, {run.count} acknowledged, {grown} new in /statistics (were some stored before?)"
    return replace(run, failures=[*run.failures, text])


def preload(targets: Sequence[Target], samples: Samples, count: int) -> list[Run]:
    """Fill every server with `count` instances, by REST, from several clients."""
    numbers = samples.reserve(count)
    runs = []
    for target in targets:
        _note(f"filling {target.name} with {count} instances")
        before = target.count_instances()
        shares = [numbers[first::PRELOAD_CLIENTS] for first in range(PRELOAD_CLIENTS)]
        outcome = run_senders([stream_of_uploads(target.client, partial(samples.stream, each)) for each in shares])
        grown = target.count_instances() - before
        if grown != count:
            outcome = replace(outcome, failures=[*outcome.failures, f"{count} sent, {grown} new in /statistics"])
        runs.append(run_of(f"fill-{samples.size}", target.name, 1, outcome, target.rss_anon_bytes()))
    return runs


def store_new(target: Target, files: Sequence[bytes], resources: str, *, clients: int) -> list[str]:
    """Store files; returns the identifiers of what has come of `resources`, such as `studies`."""
    known = set(target.get(f"/{resources}"))
    run_senders(uploads(target.client, files, clients))
    return sorted(set(target.get(f"/{resources}")) - known)


def _note(text: str) -> None:
    print(text, file=sys.stderr)
