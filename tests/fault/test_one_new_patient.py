"""A patient nobody has seen comes in on eight connections at once, again and again: one patient, one study, no retries."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest

from tests.fault.checks import check_archive, check_bytes
from tests.fault.instances import Instance, orthanc_id
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import TWO_OF_EACH, ServerUnderTest, server_in

T = TypeVar("T")

CONNECTIONS = 8
ROUNDS = 10
EACH = 3  # instances a connection
SMALL, SPILLED = 200, 2_000_000  # parsed in memory; written to disk as it comes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path_factory.mktemp("server"), **TWO_OF_EACH) as running:
        running.start()
        yield running
        check_archive(running)
        assert running.stop() == 0


def at_once(work: list[Callable[[], T]]) -> list[T]:
    """Run everything at the same moment, each on a thread of its own."""
    barrier = threading.Barrier(len(work))

    def run(one: Callable[[], T]) -> T:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


def _patient(name: str, number: int, count: int, size: int) -> list[Instance]:
    """New instances of one patient, one study and one series; `number` is unique among the patients."""
    return [Instance(number * 1000 + place, f"{name}{number}", number, number, size) for place in range(count)]


def _check_one_patient(server: ServerUnderTest, instances: list[Instance]) -> None:
    first = instances[0]
    chain = (first.patient, first.study_uid, first.series_uid)
    patient, study, series = (orthanc_id(*chain[:length]) for length in (1, 2, 3))
    assert server.get(f"/patients/{patient}")["Studies"] == [study]
    assert server.get(f"/studies/{study}")["Series"] == [series]
    stored = server.get(f"/series/{series}")["Instances"]
    assert sorted(stored) == sorted({instance.id for instance in instances})
    found = Counter(change["ChangeType"] for change in _changes(server) if change["ID"] in {patient, study, series})
    assert {kind: found[kind] for kind in ("NewPatient", "NewStudy", "NewSeries")} == {
        "NewPatient": 1,
        "NewStudy": 1,
        "NewSeries": 1,
    }
    check_bytes(server, set(instances))


def _changes(server: ServerUnderTest) -> Iterator[dict[str, object]]:
    since, done = 0, False
    while not done:
        page = server.get(f"/changes?since={since}&limit=1000")
        since, done = page["Last"], page["Done"]
        yield from page["Changes"]


@pytest.mark.parametrize("size", [SMALL, SPILLED], ids=["small", "spilled"])
def test_distinct_instances_on_eight_associations(server: ServerUnderTest, size: int) -> None:
    for number in range(ROUNDS if size == SMALL else 2):
        instances = _patient("DICOM", 100 + number + size % 7, EACH * CONNECTIONS, size)
        associations = [StoreScu(server.dicom_port) for _ in range(CONNECTIONS)]

        shares = (instances[place::CONNECTIONS] for place in range(CONNECTIONS))
        statuses = at_once([partial(_send, *each) for each in zip(associations, shares, strict=True)])
        assert statuses == [[0] * EACH] * CONNECTIONS
        _check_one_patient(server, instances)


@pytest.mark.parametrize("size", [SMALL, SPILLED], ids=["small", "spilled"])
def test_the_same_instance_on_eight_associations(server: ServerUnderTest, size: int) -> None:
    for number in range(ROUNDS if size == SMALL else 2):
        (instance,) = _patient("SAME", 200 + number + size % 7, 1, size)
        associations = [StoreScu(server.dicom_port) for _ in range(CONNECTIONS)]

        assert at_once([partial(_send, each, [instance]) for each in associations]) == [[0]] * CONNECTIONS
        _check_one_patient(server, [instance])


def test_distinct_instances_on_eight_rest_connections(server: ServerUnderTest) -> None:
    for number in range(ROUNDS):
        instances = _patient("REST", 300 + number, EACH * CONNECTIONS, SMALL)
        answers = at_once([partial(_post, server, instances[place::CONNECTIONS]) for place in range(CONNECTIONS)])
        assert answers == [[(200, "Success")] * EACH] * CONNECTIONS
        _check_one_patient(server, instances)


def test_the_same_instance_on_eight_rest_connections(server: ServerUnderTest) -> None:
    for number in range(ROUNDS):
        instances = _patient("RESTSAME", 400 + number, 1, SMALL)
        answers = at_once([partial(_post, server, instances)] * CONNECTIONS)
        words = Counter(word for ((status, word),) in answers if status == 200)
        assert words == {"Success": 1, "AlreadyStored": CONNECTIONS - 1}
        _check_one_patient(server, instances)


def test_associations_and_rest_together(server: ServerUnderTest) -> None:
    for number in range(ROUNDS):
        instances = _patient("BOTH", 500 + number, CONNECTIONS, SMALL)
        by_dicom = [partial(_send_one, server, one) for one in instances[::2]]
        by_rest = [partial(_post_one, server, one) for one in instances[1::2]]
        assert sorted(at_once([*by_dicom, *by_rest])) == [0] * (CONNECTIONS // 2) + [200] * (CONNECTIONS // 2)
        _check_one_patient(server, instances)


def _send(association: StoreScu, instances: list[Instance]) -> list[int]:
    with association:
        return [association.store(instance) for instance in instances]


def _send_one(server: ServerUnderTest, instance: Instance) -> int:
    (status,) = _send(StoreScu(server.dicom_port), [instance])
    return status


def _post(server: ServerUnderTest, instances: list[Instance]) -> list[tuple[int, str]]:
    with RestSender(server) as sender:
        return [sender.store(instance) for instance in instances]


def _post_one(server: ServerUnderTest, instance: Instance) -> int:
    ((status, _),) = _post(server, [instance])
    return status
