"""`bench query`: how long `/modalities/{name}/query` takes, every server asking the same one over many studies.

The asked server is the first one given: its own time is in every figure, the same for all who ask.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from events.errors import InvalidRequest
from tools.bench.find_load import Keys
from tools.bench.finding import HEAVY, KINDS, SHOWN
from tools.bench.http_load import Client
from tools.bench.ingest import in_turns
from tools.bench.results import Run, run_of
from tools.bench.senders import Sender, run_senders
from tools.bench.targets import Target

ASKED: Final = "benchmark"


def query(targets: Sequence[Target], *, studies: int, rounds: int, count: int) -> list[Run]:
    """Ask `count` queries of each kind, fewer of the heavy ones. Raises InvalidRequest, PeerFailed."""
    asked = targets[0]
    if asked.dicom is None:
        raise InvalidRequest(f"{asked.name}: a server that is asked needs dicom=HOST:PORT")
    for target in targets:
        client = target.client()
        modality = json.dumps([asked.aet, *asked.dicom]).encode()
        client.exchange(client.request("PUT", f"/modalities/{ASKED}", modality))
    runs = []
    for number in range(1, rounds + 1):
        for kind in KINDS:
            queries = min(count, HEAVY) if kind.is_heavy else count
            step = max(1, studies // queries)
            bodies = [_body(kind.keys(each * step % studies)) for each in range(queries)]
            for target in in_turns(targets, number):
                outcome = run_senders([Sender(partial(_prepare, target, bodies))])
                runs.append(run_of(f"query {kind.name}", target.name, number, outcome, target.rss_anon_bytes()))
    return runs


def _body(keys: Keys) -> bytes:
    named = {f"{tag >> 16:04x},{tag & 0xFFFF:04x}": value for tag, value in {**SHOWN, **keys}.items()}
    return json.dumps({"Level": "Study", "Query": named}).encode()


def _prepare(target: Target, bodies: Sequence[bytes]) -> Iterator[Callable[[], None]]:
    client = target.client()
    client.connect()
    requests = [client.request("POST", f"/modalities/{ASKED}/query", body) for body in bodies]
    return (partial(_exchange, client, request) for request in requests)


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request)
