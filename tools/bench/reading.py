"""`bench rest`, `bench changes`, `bench metadata`: how long small requests take, on the same archive in every server."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from events.errors import InvalidRequest
from tools.bench.http_load import Asked, Client, asking, gets
from tools.bench.ingest import in_turns
from tools.bench.results import Run, measured
from tools.bench.senders import Sender, run_senders
from tools.bench.targets import Target

PAGE: Final = 100  # changes a page, Orthanc's default
SAMPLED_INSTANCES: Final = 500
MANY_CLIENTS: Final = 5
METADATA: Final = 1024  # the first number that clients may set


def rest(targets: Sequence[Target], *, rounds: int, count: int) -> list[Run]:
    """Ask `count` times for each of a few common resources, from one client and from five."""
    paths = {target.name: _paths(target, count) for target in targets}
    runs = []
    for number in range(1, rounds + 1):
        for name in paths[targets[0].name]:
            for clients in (1, MANY_CLIENTS):
                for target in in_turns(targets, number):
                    asked = paths[target.name][name]
                    senders = gets(target.client, [asked[first::clients] for first in range(clients)])
                    runs.append(measured(f"{name} ×{clients}", target, number, partial(run_senders, senders)))
    return runs


def _paths(target: Target, count: int) -> dict[str, list[str]]:
    instances = _sampled(target, "instances")
    studies = _sampled(target, "studies")
    middle = int(target.get("/changes?last")["Last"]) // 2
    return {
        "/system": ["/system"] * count,
        "/statistics": ["/statistics"] * count,
        "/changes": [f"/changes?since={middle}&limit={PAGE}"] * count,
        "/instances/{id}": _each("/instances/{}", instances, count),
        "/instances/{id}/tags": _each("/instances/{}/tags", instances, count),
        "/instances/{id}/file": _each("/instances/{}/file", instances, count),
        "/studies/{id}": _each("/studies/{}", studies, count),
        "/instances?limit": [f"/instances?expand&since=0&limit={PAGE}"] * count,
    }


def metadata(targets: Sequence[Target], *, rounds: int, count: int) -> list[Run]:
    """Set a metadata of many instances, to a new value each time, and read them, from one client and from five."""
    instances = {target.name: _sampled(target, "instances") for target in targets}
    runs = []
    for number in range(1, rounds + 1):
        for clients in (1, MANY_CLIENTS):
            for name, ask in _OF_METADATA.items():
                for target in in_turns(targets, number):
                    paths = _each(f"/instances/{{}}/metadata/{METADATA}", instances[target.name], count)
                    asked = [ask(path, place) for place, path in enumerate(paths)]
                    senders = asking(target.client, [asked[first::clients] for first in range(clients)])
                    runs.append(measured(f"{name} ×{clients}", target, number, partial(run_senders, senders)))
    return runs


_OF_METADATA: Final[dict[str, Callable[[str, int], Asked]]] = {
    "PUT metadata": lambda path, place: ("PUT", path, b"value %d" % place),
    "GET metadata": lambda path, _: ("GET", path, b""),
}


def _sampled(target: Target, level: str) -> list[str]:
    """Return some identifiers, spread over the archive."""
    total = int(target.get("/statistics")[f"Count{level.capitalize()}"])
    if not total:
        raise InvalidRequest(f"{target.name} is empty: there is nothing to read")
    step = max(1, total // SAMPLED_INSTANCES)
    starts = range(0, total, step * PAGE)
    found = [each for start in starts for each in target.get(f"/{level}?since={start}&limit={PAGE}")]
    return found[:SAMPLED_INSTANCES]


def _each(form: str, identifiers: Sequence[str], count: int) -> list[str]:
    return [form.format(identifiers[number % len(identifiers)]) for number in range(count)]


def changes(targets: Sequence[Target], *, rounds: int, count: int) -> list[Run]:
    """Follow `/changes` page by page from the start, as a program does that catches up; and ask for the last page."""
    runs = []
    for number in range(1, rounds + 1):
        for name, prepare in (("catch up", _catch_up), ("page at the end", _last_page)):
            for target in in_turns(targets, number):
                senders = [Sender(partial(prepare, target, count))]
                runs.append(measured(name, target, number, partial(run_senders, senders)))
    return runs


def _catch_up(target: Target, count: int) -> Iterator[Callable[[], None]]:
    client = target.client()
    client.connect()
    return _pages(client, count)


def _pages(client: Client, count: int) -> Iterator[Callable[[], None]]:
    state = {"Last": 0, "Done": False}

    def page() -> None:
        answer = json.loads(client.get(f"/changes?since={state['Last']}&limit={PAGE}"))
        state.update(Last=answer["Last"], Done=answer["Done"])

    for _ in range(count):
        if not state["Done"]:
            yield page


def _last_page(target: Target, count: int) -> Iterator[Callable[[], None]]:
    client = target.client()
    last = int(json.loads(client.get("/changes?last"))["Last"])
    return (partial(_get, client, f"/changes?since={last - PAGE}&limit={PAGE}") for _ in range(count))


def _get(client: Client, path: str) -> None:
    client.get(path)
