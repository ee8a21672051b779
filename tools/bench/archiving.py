"""`bench archive`: a study as a ZIP archive and as a medium, and what instances come in meanwhile.

archive, media        the whole study by one client, in instances a second; RssAnon is the highest that was seen meanwhile
first byte            the same request by a client that leaves once it has the first byte
ingest                instances stored by several clients, and the same while another client fetches archives all the time
"""

import http.client
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from events.errors import PeerFailed
from tools.bench.http_load import RECEIVE_BYTES, TIMEOUT_S, uploads
from tools.bench.ingest import in_turns, store_new
from tools.bench.results import Run, measured
from tools.bench.samples import SERIES_PER_STUDY, Samples
from tools.bench.senders import Sender, in_background, run_senders
from tools.bench.targets import Target

INGEST_CLIENTS: Final = 4
FIRST_BYTES: Final = 20  # requests a round
SAMPLED_S: Final = 0.05  # between two looks at the memory of a server


def archive(targets: Sequence[Target], *, seed: int, rounds: int, instances: int, ingested: int) -> list[Run]:
    """Store the same study in every server, then ask for it. Raises PeerFailed."""
    files = Samples(seed * 10, "phantom", series_length=-(-instances // SERIES_PER_STUDY)).take(instances)
    studies = {target.name: _store(target, files) for target in targets}
    runs = []
    for number in range(1, rounds + 1):
        for word in ("archive", "media"):
            for target in in_turns(targets, number):
                sender = Sender(partial(_prepare, target, studies[target.name], word, 1))
                runs.append(_by_instance(_watched(target, word, number, [sender]), instances))
        for target in in_turns(targets, number):
            leaving = Sender(partial(_prepare, target, studies[target.name], "archive", FIRST_BYTES, leaves=True))
            runs.append(measured("first byte", target, number, partial(run_senders, [leaving])))
        for target in in_turns(targets, number):
            runs += _ingest(target, studies[target.name], number, _of_round(seed, number, ingested))
    return runs


def _by_instance(run: Run, instances: int) -> Run:
    """A run as it is for one instance of the study."""
    processor_ms = None if run.processor_ms is None else round(run.processor_ms / instances, 3)
    rate = round(run.rate * instances, 2)
    return replace(run, count=run.count * instances, rate=rate, processor_ms=processor_ms)


def _store(target: Target, files: Sequence[bytes]) -> str:
    """Return the path of the only study that has come."""
    new = store_new(target, files, "studies", clients=INGEST_CLIENTS)
    if len(new) != 1:
        raise PeerFailed(f"{target.name}: {len(new)} studies have come, where one was sent")
    return f"/studies/{new.pop()}"


def _of_round(seed: int, number: int, count: int) -> tuple[list[bytes], list[bytes]]:
    both = Samples((seed * 10 + number) % 10**10, "mr").take(2 * count)
    return both[:count], both[count:]


def _ingest(target: Target, study: str, number: int, files: tuple[list[bytes], list[bytes]]) -> list[Run]:
    alone, beside = (partial(run_senders, uploads(target.client, each, INGEST_CLIENTS)) for each in files)
    runs = [measured(f"ingest ×{INGEST_CLIENTS}", target, number, alone)]
    with in_background(partial(_fetch_all_the_time, target, study)):
        runs.append(measured(f"ingest ×{INGEST_CLIENTS} beside", target, number, beside))
    return runs


def _fetch_all_the_time(target: Target, study: str, stopped: Callable[[], bool]) -> int:
    count = 0
    while not stopped():
        for _ in pieces(target, f"{study}/archive"):
            if stopped():
                break
        count += 1
    return count


def _watched(target: Target, scenario: str, number: int, senders: Sequence[Sender]) -> Run:
    """Measure with the highest memory that was seen meanwhile."""
    seen: list[int] = []
    with _sampling(target, seen):
        run = measured(scenario, target, number, partial(run_senders, senders))
    return replace(run, rss_anon_mb=round(max(seen) / 1e6, 1) if seen else None)


@contextmanager
def _sampling(target: Target, seen: list[int]) -> Iterator[None]:
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLED_S):
            memory = target.rss_anon_bytes()
            if memory is not None:
                seen.append(memory)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _prepare(
    target: Target, study: str, word: str, count: int, *, leaves: bool = False
) -> Iterator[Callable[[], None]]:
    return iter([partial(_fetch, target, f"{study}/{word}", leaves=leaves)] * count)


def _fetch(target: Target, path: str, *, leaves: bool) -> None:
    for _ in pieces(target, path):
        if leaves:
            return


def pieces(target: Target, path: str) -> Generator[bytes]:
    """Iterate over an answer as it comes. Raises PeerFailed, OSError."""
    parts = urlsplit(target.url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)) as connection:
        connection.request("GET", parts.path.rstrip("/") + path)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise PeerFailed(f"status {answer.status} of {path}")
        while piece := answer.read1(RECEIVE_BYTES):
            yield piece
