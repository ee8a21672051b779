"""`bench scu`: how fast servers send, the same study from every server to the same destinations.

- `store`: `POST /modalities/{name}/store` of the study, waited for
- `move`: DCMTK's `movescu` asks for the study, in the mode that the server is configured for
- `job`: single instances sent one after the other, each a job that is waited for
- `jobs`: single instances in jobs in the background, all submitted at once, until the last has ended

A destination is DCMTK's `storescp`, which keeps nothing, or a server that forgets the study again after each run.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from events.errors import PeerFailed
from tools.bench.http_load import Client
from tools.bench.ingest import in_turns
from tools.bench.results import Run, run_of
from tools.bench.senders import Outcome, Sender, run_senders
from tools.bench.targets import Target

STORESCP: Final = "storescp"
SMALL_JOBS: Final = 50
MOVER: Final = "SINOBENCH"
POLL_S: Final = 0.01
_ENDED: Final = {"Success", "Failure"}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where instances go."""

    name: str
    aet: str
    host: str
    port: int
    forget: Callable[[], None]  # what it was sent


def send(
    targets: Sequence[Target], destinations: Sequence[Target], files: Sequence[bytes], *, rounds: int
) -> list[Run]:
    """Store the study in every server, then have it sent in turns. Raises PeerFailed."""
    for target in targets:
        _fill(target, files)
    runs = []
    with storescp() as sink:
        sinks = ([sink] if sink else []) + [_server(each) for each in destinations]
        for target in targets:
            _introduce(target, sinks)
        for number in range(1, rounds + 1):
            for each in sinks:
                for name, measure in _SCENARIOS.items():
                    for target in in_turns(targets, number):
                        each.forget()
                        outcome = measure(target, each, len(files))
                        scenario = f"{name} to {each.name}"
                        runs.append(run_of(scenario, target.name, number, outcome, target.rss_anon_bytes()))
    return runs


# -- before -----------------------------------------------------------------------------------------------------------


def _fill(target: Target, files: Sequence[bytes]) -> None:
    client = target.client()
    for file in files:
        client.exchange(client.request("POST", "/instances", file))


def _introduce(target: Target, sinks: Sequence[Destination]) -> None:
    client = target.client()
    known = {each.name: [each.aet, each.host, each.port] for each in sinks} | {"mover": [MOVER, "127.0.0.1", 104]}
    for name, modality in known.items():
        client.exchange(client.request("PUT", f"/modalities/{name}", json.dumps(modality).encode()))


@contextmanager
def storescp() -> Iterator[Destination | None]:
    """A `storescp` that keeps nothing, for as long as the block lasts; None where there is no DCMTK."""
    command = shutil.which(STORESCP)
    if command is None:
        print("storescp is not installed: it is left out", file=sys.stderr)
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [command, "--ignore", "--fork", "-aet", "STORESCP", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_port(port)
        yield Destination(STORESCP, "STORESCP", "127.0.0.1", port, lambda: None)
    finally:
        process.terminate()
        process.wait()


def _wait_for_port(port: int) -> None:
    for _ in range(500):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(POLL_S)
    raise PeerFailed("storescp does not listen")


def _server(target: Target) -> Destination:
    if target.dicom is None:
        raise PeerFailed(f"{target.name}: a destination needs dicom=HOST:PORT")
    return Destination(target.name, target.aet, *target.dicom, partial(_forget, target))


def _forget(target: Target) -> None:
    client = target.client()
    for patient in json.loads(client.get("/patients")):
        client.exchange(client.request("DELETE", f"/patients/{patient}"))


# -- scenarios --------------------------------------------------------------------------------------------------------


def _post(client: Client, path: str, body: Any) -> Any:
    return json.loads(client.exchange(client.request("POST", path, json.dumps(body).encode())))


def _store(target: Target, sink: Destination, instances: int) -> Outcome:
    client = target.client()
    patients = json.loads(client.get("/patients"))
    started = time.monotonic()
    content = _post(client, f"/modalities/{sink.name}/store", {"Resources": patients, "Synchronous": True})
    seconds = time.monotonic() - started
    failures = [] if content["InstancesCount"] == instances else [f"{content['InstancesCount']} were sent"]
    return Outcome(count=instances, seconds=seconds, failures=failures)


def _move(target: Target, sink: Destination, instances: int) -> Outcome:
    assert target.dicom is not None
    client = target.client()
    (study,) = json.loads(client.get("/studies?expand"))
    uid = study["MainDicomTags"]["StudyInstanceUID"]
    host, port = target.dicom
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"]
    command = ["movescu", "-S", "-aet", MOVER, "-aec", target.aet, "-aem", sink.aet, *keys, host, str(port)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    return Outcome(count=instances, seconds=seconds, failures=[done.stderr[-300:]] if done.returncode else [])


def _job(target: Target, sink: Destination, _: int) -> Outcome:
    return run_senders([Sender(partial(_prepare_jobs, target, sink))])


def _prepare_jobs(target: Target, sink: Destination) -> Iterator[Callable[[], None]]:
    client = target.client()
    chosen = json.loads(client.get(f"/instances?since=0&limit={SMALL_JOBS}"))
    bodies = [json.dumps({"Resources": [each], "Synchronous": True}).encode() for each in chosen]
    requests = [client.request("POST", f"/modalities/{sink.name}/store", body) for body in bodies]
    return (partial(_exchange, client, request) for request in requests)


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request)


def _jobs(target: Target, sink: Destination, _: int) -> Outcome:
    client = target.client()
    chosen = json.loads(client.get(f"/instances?since=0&limit={SMALL_JOBS}"))
    path = f"/modalities/{sink.name}/store"
    started = time.monotonic()
    for each in chosen:
        _post(client, path, {"Resources": [each], "Asynchronous": True})
    while any(job["State"] not in _ENDED for job in json.loads(client.get("/jobs?expand"))):
        time.sleep(POLL_S)
    return Outcome(count=len(chosen), seconds=time.monotonic() - started)


_SCENARIOS: Final[dict[str, Callable[[Target, Destination, int], Outcome]]] = {
    "store": _store,
    "move": _move,
    "job": _job,
    "jobs": _jobs,
}
