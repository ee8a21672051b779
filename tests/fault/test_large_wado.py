"""WADO-RS of many gigabytes: the process that gives them holds some megabytes, whether they are many instances, a large one, a frame or bulk data of it."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.fault.servers import ServerUnderTest, server_in
from tests.fault.test_large_stow import LARGE_BYTES, MIB, MOST_BYTES, PART_BYTES, many, one, send, watched

pytestmark = pytest.mark.nightly

DEADLINE_S = 3600.0
FILES = 'multipart/related; type="application/dicom"'


@contextmanager
def got(server: ServerUnderTest, path: str, accept: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept})
        with connection.getresponse() as answer:
            assert answer.status in {200, 204}, answer.read(1000)
            yield answer


def size_of(server: ServerUnderTest, path: str, accept: str) -> int:
    """Read an answer, and keep nothing of it; returns how many bytes it has."""
    size = 0
    with got(server, path, accept) as answer:
        while piece := answer.read(MIB):
            size += len(piece)
    return size


def instances(server: ServerUnderTest) -> dict[str, list[str]]:
    """The addresses of the instances of each study."""
    found: dict[str, list[str]] = {}
    for place in count(0, 1000):
        with got(server, f"/instances?limit=1000&offset={place}", "application/dicom+json") as answer:
            listed = json.loads(answer.read() or b"[]")
        for each in listed:
            study, series, instance = (each[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            found.setdefault(f"/studies/{study}", []).append(f"/studies/{study}/series/{series}/instances/{instance}")
        if len(listed) < 1000:
            return found
    raise AssertionError


def test_an_answer_of_any_size_takes_little_memory(tmp_path: Path) -> None:
    with server_in(tmp_path, MaximumRequestBodySizeMB=0, TemporaryDirectory=str(tmp_path)) as server:
        server.start()
        (gateway,) = server.gateways()
        for make in (many, one):
            assert send(server, "application/dicom", make(LARGE_BYTES))[0] == 200
        stored = instances(server)
        addresses = [address for those in stored.values() for address in those]
        assert len(addresses) == LARGE_BYTES // PART_BYTES + 1
        last = addresses[-1]  # the large one
        size_of(server, addresses[0], FILES)  # what is needed once is there
        size_of(server, f"{addresses[0]}/metadata", "application/dicom+json")
        large = min(LARGE_BYTES, 4000 * MIB)  # as long as an element can be
        with watched(gateway) as grown:
            for accept in (f"{FILES}; transfer-syntax=*", FILES):
                assert sum(size_of(server, study, accept) for study in stored) > LARGE_BYTES + large - PART_BYTES
            assert size_of(server, last, "application/dicom; transfer-syntax=*") >= large - MIB
            assert size_of(server, f"{last}/bulk/7fe00010", "application/octet-stream") >= large - MIB
            for study in stored:
                assert size_of(server, f"{study}/metadata", "application/dicom+json") > 100
        print(f"{LARGE_BYTES >> 20} MiB: {grown() >> 20} MiB of memory")
        assert grown() < MOST_BYTES
