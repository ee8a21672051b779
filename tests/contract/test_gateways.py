"""Gateways are interchangeable, leave nothing behind, and need little memory however large an instance is."""

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from pynetdicom import AE, build_context

from tests.conformance_statement import read_statement
from tests.exposition import parse_exposition
from tests.fault.checks import check_archive, files_of
from tests.fault.instances import Instance
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import (
    POLL_S,
    TWO_OF_EACH,
    ServerUnderTest,
    anonymous_bytes_of,
    descriptors_of,
    kill,
    server_in,
    threads_of,
    wait_for,
)
from tools.replay import open_for_reading

UPLOADS, ASSOCIATIONS = 200, 50
CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = (
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
)
FILES_KEPT_READY = 64  # empty files that a gateway may hold open; see actors/services/ingest/folders.py
HTTP_THREADS = 2
POOL_THREADS = 2 * HTTP_THREADS  # that two gateways may not have needed the first time
MOST_GROWTH_BYTES = 100_000_000
MOST_GROWTH_OF_ATTACHMENTS = 50_000_000
ANSWER_S = 600  # 2 GB that are read, compressed and written
# 140 MB take seconds; SINOGRAM_TEST_LARGE_BYTES=2000000000 is the size that the promise names.
LARGE_BYTES = int(os.environ.get("SINOGRAM_TEST_LARGE_BYTES", "140000000")) & ~1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path_factory.mktemp("server"), HttpThreadsCount=HTTP_THREADS, **TWO_OF_EACH) as running:
        running.start()
        yield running
        check_archive(running)
        assert running.stop() == 0


def test_a_setting_made_on_one_gateway_holds_on_all(server: ServerUnderTest) -> None:
    for encoding in ("Utf8", "Greek", "Latin1"):
        assert server.request("PUT", "/tools/default-encoding", encoding.encode()).status == 200
        seen = {server.request("GET", "/tools/default-encoding").body for _ in range(20)}
        assert seen == {encoding.encode()}


def test_an_association_gets_what_the_conformance_statement_says_of_the_moment(server: ServerUnderTest) -> None:
    """A statement is asked of a gateway, an association goes to any of them."""
    classes = ("1.2.840.10008.1.1", CT, "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.31", "1.2.3.4.5")
    for patterns in (["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2"], ["1.2.840.10008.1.*"]):
        assert server.request("PUT", "/tools/accepted-transfer-syntaxes", json.dumps(patterns).encode()).status == 200
        answer = server.request("GET", "/tools/dicom-conformance")
        assert answer.status == 200
        sections = read_statement(answer.body.decode())
        rows = [[uid for _, uid in rows] for heading, rows in sections.items() if heading.endswith("as SCP")]
        stated = {
            (name, syntax) for uids in rows for name in classes if name in uids for syntax in SYNTAXES if syntax in uids
        }
        assert (CT, SYNTAXES[0]) in stated
        assert ((CT, SYNTAXES[1]) in stated) == (len(patterns) == 1)
        assert _negotiated(server, classes) == (
            stated,
            int(dict(sections["Limits"])["P-DATA PDU received as SCP, bytes"]),
        )


def _negotiated(server: ServerUnderTest, classes: tuple[str, ...]) -> tuple[set[tuple[str, str]], int]:
    """The pairs of SOP class and transfer syntax, and the length of PDUs, that an association of pynetdicom's gets."""
    entity = AE(ae_title="STATED")
    entity.requested_contexts = [build_context(name, syntax) for name in classes for syntax in SYNTAXES]
    association = entity.associate("127.0.0.1", server.dicom_port)
    try:
        assert association.is_established
        got = {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in association.accepted_contexts}
        return got, association.acceptor.maximum_length or 0
    finally:
        association.release()


def test_what_one_gateway_stored_every_gateway_serves(server: ServerUnderTest) -> None:
    instance = Instance(1, "GATEWAYS", 1, 1, 200)
    with StoreScu(server.dicom_port) as association:
        assert association.store(instance) == 0
    answers = Counter(server.request("GET", f"/instances/{instance.id}/file").status for _ in range(20))
    assert answers == {200: 20}


def test_two_hundred_uploads_and_fifty_associations_leave_nothing_behind(server: ServerUnderTest) -> None:
    _load(server, 1000)  # thread pools and caches fill up
    before = _holdings(server)
    _load(server, 2000)

    def is_nothing_left() -> bool:
        descriptors, threads = _holdings(server)
        return descriptors <= before[0] and threads <= before[1] + POOL_THREADS

    wait_for(is_nothing_left, f"{before} descriptors and threads again", 15)
    with open_for_reading(server.index) as environment:
        readers = environment._env.readers().splitlines()[1:]
    reading = [line for line in readers if not line.endswith("-")]
    assert not reading, "a snapshot was never left"
    assert len(readers) < 100
    ready = sum(path.stat().st_size == 0 for path in files_of(server))
    assert ready <= 2 * FILES_KEPT_READY


def _load(server: ServerUnderTest, first: int) -> None:
    """Make uploads and associations, each on a connection of its own; some are refused, some are broken off."""
    numbers = iter(range(first, first + UPLOADS + ASSOCIATIONS))
    for place in range(UPLOADS):
        instance = Instance(next(numbers), "GATEWAYS", 1, 1, 2_000_000 if place % 20 == 0 else 200)
        with RestSender(server) as sender:
            assert sender.store(instance) == (200, "Success")
        if place % 10 == 0:
            assert server.request("POST", "/instances", instance.file()[:-1]).status == 400
    for place in range(ASSOCIATIONS):
        instance = Instance(next(numbers), "GATEWAYS", 1, 1, 2_000_000 if place % 10 == 0 else 200)
        if place % 5 == 4:
            with contextlib.suppress(ConnectionAbortedError), StoreScu(server.dicom_port) as association:
                association.begin(instance)
                raise ConnectionAbortedError
        else:
            with StoreScu(server.dicom_port) as association:
                assert association.store(instance) == 0


def _holdings(server: ServerUnderTest) -> tuple[int, int]:
    """Descriptors, but for files kept ready, and threads of all processes."""
    blobs, pids = server.storage / "blobs", server.pids()
    return sum(descriptors_of(pid, but_below=blobs) for pid in pids), sum(map(threads_of, pids))


@pytest.mark.parametrize("way", ["C-STORE", "REST", "REST, chunked"])
def test_a_large_instance_needs_little_memory(server: ServerUnderTest, way: str) -> None:
    instance = Instance(10_000, "LARGE", 2, 2, LARGE_BYTES)
    with _watched(server) as most_growth:
        if way == "C-STORE":
            with StoreScu(server.dicom_port) as association:
                assert association.store_pieces(instance, instance.black_dataset()) == 0
        else:
            _post(server, instance, is_chunked=way != "REST")
    try:
        print(f"{way}, {LARGE_BYTES:,} bytes: {most_growth}")
        assert sum(most_growth.values()) < MOST_GROWTH_BYTES, most_growth
        size = int(server.get(f"/instances/{instance.id}")["FileSize"])
        assert LARGE_BYTES < size < LARGE_BYTES + 2000
        with _watched(server) as most_growth:
            assert _download(server, f"/instances/{instance.id}/file") == size
            if way == "REST":
                _read_compressed(server, f"/instances/{instance.id}", size)
        assert sum(most_growth.values()) < MOST_GROWTH_BYTES, most_growth
    finally:
        server.request("DELETE", f"/instances/{instance.id}")


def test_a_large_attachment_needs_little_memory(server: ServerUnderTest) -> None:
    instance = Instance(10_001, "LARGE", 2, 3, 200)
    with RestSender(server) as sender:
        assert sender.store(instance) == (200, "Success")
    path = f"/instances/{instance.id}/attachments/1024"
    piece, count = bytes(1 << 20), LARGE_BYTES >> 20
    size = count << 20
    try:
        with _watched(server) as growth:
            for length in (size, None):
                _send(server, "PUT", path, (piece for _ in range(count)), length)
            assert server.request("GET", f"{path}/size").body == str(size).encode()
            assert _download(server, f"{path}/data", Range=f"bytes=1-{size - 2}") == size - 2
            for change in ("compress", "verify-md5"):
                _send(server, "POST", f"{path}/{change}", iter(()), 0)
            assert _download(server, f"{path}/data") == size
            _send(server, "POST", f"{path}/uncompress", iter(()), 0)
        assert server.request("GET", f"{path}/is-compressed").body == b"0"
        assert sum(growth.values()) < MOST_GROWTH_OF_ATTACHMENTS, growth
    finally:
        server.request("DELETE", f"/instances/{instance.id}")


def _read_compressed(server: ServerUnderTest, path: str, size: int) -> None:
    assert server.request("POST", f"{path}/attachments/dicom/compress").status == 200
    assert server.get(f"{path}/statistics")["DicomDiskSizeMB"] < 10
    assert _download(server, f"{path}/file") == size
    assert _download(server, f"{path}/attachments/dicom/data", Range=f"bytes=1-{size - 2}") == size - 2
    assert server.get(f"{path}/simplified-tags")["PatientID"] == "LARGE"
    assert _download(server, f"{path}/content/PatientID") == 6


def _post(server: ServerUnderTest, instance: Instance, *, is_chunked: bool) -> None:
    def pieces() -> Iterator[bytes]:
        yield instance.meta()
        yield from instance.black_dataset()

    size = len(instance.meta() + instance.head()) + LARGE_BYTES
    _send(server, "POST", "/instances", pieces(), None if is_chunked else size)


def _send(server: ServerUnderTest, method: str, path: str, pieces: Iterator[bytes], size: int | None) -> None:
    """Send a body in pieces; in chunks if no size is given."""
    headers = {} if size is None else {"Content-Length": str(size)}
    with contextlib.closing(server.connect_http()) as connection:
        connection.timeout = ANSWER_S
        connection.request(method, path, body=pieces, headers=headers, encode_chunked=size is None)
        with connection.getresponse() as response:
            assert response.status == 200, response.read()


def _download(server: ServerUnderTest, path: str, **headers: str) -> int:
    """Read an answer to its end and return how many bytes came."""
    count = 0
    with contextlib.closing(server.connect_http()) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            while part := response.read(1 << 20):
                count += len(part)
    return count


@contextlib.contextmanager
def _watched(server: ServerUnderTest) -> "Iterator[dict[str, int]]":
    """Fill in by how many bytes the anonymous memory of each process grew at most, once the block is left."""
    pids = server.named()
    before = {name: anonymous_bytes_of(pid) for name, pid in pids.items()}
    growth = dict.fromkeys(pids, 0)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            for name, pid in pids.items():
                growth[name] = max(growth[name], anonymous_bytes_of(pid) - before[name])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        done.set()
        watcher.join()


def test_what_gateways_have_counted_outlives_them(server: ServerUnderTest) -> None:
    """Last of this file: it kills them."""
    before = _metrics(server)
    with StoreScu(server.dicom_port) as association:
        assert association.store(Instance(1, "COUNTED", 1, 1, 200)) == 0
        assert _metrics(server)["sinogram_associations"] == 1
    stores = 'sinogram_dicom_requests_total{operation="Store"}'
    assert _metrics(server)[stores] == before[stores] + 1
    received = 'sinogram_instances_received_total{result="Success"}'
    starts = 'sinogram_process_starts_total{role="gateway"}'
    for pid in server.gateways():
        kill(pid)
    after = wait_for(lambda: _found(_metrics(server), starts, before[starts] + 2), "two gateways more", 30)
    assert after[received] == before[received] + 1
    assert after["sinogram_associations"] == 0
    assert after["orthanc_rest_api_active_requests"] == 1


def _metrics(server: ServerUnderTest) -> dict[str, float]:
    return parse_exposition(server.request("GET", "/tools/metrics-prometheus").body.decode()).values


def _found(shown: dict[str, float], name: str, value: float) -> dict[str, float] | None:
    return shown if shown[name] >= value else None
