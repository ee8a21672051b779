"""`/…/reconstruct` beside Orthanc: after each request both archives say the same of every resource, and so does `/changes`."""

import json
import random
from collections.abc import Iterator

import pytest

from tests.dicom_bytes import dataset, encode
from tests.peer.changes import ChangeLog
from tests.peer.comparison import Difference, assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

LEVELS = ("patients", "studies", "series", "instances")
EXTRA = {
    "Patient": ["PatientComments"],
    "Study": ["AdmittingDiagnosesDescription"],
    "Series": ["0009,1001"],
    "Instance": ["SliceThickness", "Rows"],
}


def files() -> Iterator[bytes]:
    """Instances of two patients that describe what they belong to each in its own way; they come in no order of any kind."""
    chosen = random.Random(5)
    for number in range(24):
        made = dataset(
            chosen.choice((1, 1, 2)),
            chosen.choice((1, 2, 3)),
            chosen.choice((1, 2)),
            chosen.randrange(10**9),
            PatientName=f"Name {number}",
            StudyDescription=f"study {number}" if number % 3 else None,
            SeriesDescription=f"series {number}" if number % 4 else None,
            AccessionNumber=f"ACC{number}",
            AdmittingDiagnosesDescription=f"diagnosis {number}",
            PatientComments=f"comment {number}" if number % 5 else None,
            SliceThickness=str(number),
            ImagesInAcquisition=str(number) if number % 2 else None,
        )
        made.private_block(0x0009, "SINOGRAM TEST", create=True).add_new(1, "LO", f"private {number}")
        yield encode(made)


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Archives of before the extra tags were configured."""
    folder = tmp_path_factory.mktemp("reconstruction")
    with start_pair(oracle, folder) as made:
        for data in files():
            for server in (made.ours, made.theirs):
                assert server.ask(Request("/instances", "POST", data)).status == 200
        made.wait_until_stable()
    with start_pair(oracle, folder, f'"ExtraMainDicomTags": {json.dumps(EXTRA)},') as made:
        yield made


def _shown(pair: Pair) -> list[Difference]:
    """What the archives say otherwise of some resource."""
    parts = "MainDicomTags;Metadata;Labels;Children;Parent;IsStable;Status"
    found = pair.differences([Request(f"/{level}?response-content={parts}") for level in LEVELS])
    return [each for each in found if not each.aspect.endswith(("/ReceptionDate", "/LastUpdate"))]


def _differences(pair: Pair, request: Request) -> list[Difference]:
    return [*pair.differences([request]), *_shown(pair)]


def test_before_anything_is_read_again_the_old_tags_are_shown(pair: Pair) -> None:
    assert_same(_shown(pair))


@pytest.mark.parametrize("level", LEVELS[::-1])
@pytest.mark.parametrize("body", ['{"LimitToThisLevelMainDicomTags": true}', "", "no JSON"])
def test_a_resource_is_read_again_alike(pair: Pair, level: str, body: str) -> None:
    ids = pair.ids(level)
    for resource in {ids[0], ids[len(ids) // 2], ids[-1]}:
        assert_same(_differences(pair, Request(f"/{level}/{resource}/reconstruct", "POST", body)))


def test_the_level_of_the_uri_is_of_no_account(pair: Pair) -> None:
    assert_same(_differences(pair, Request(f"/studies/{pair.ids('instances')[1]}/reconstruct", "POST")))


def test_everything_is_read_again_alike(pair: Pair) -> None:
    for body in ("", '{"LimitToThisLevelMainDicomTags": true}', '{"ReconstructFiles": false}'):
        assert_same(_differences(pair, Request("/tools/reconstruct", "POST", body)))


def test_wrong_requests_are_refused_alike(pair: Pair) -> None:
    study = pair.ids("studies")[0]
    paths = (f"/studies/{study}/reconstruct", "/tools/reconstruct")
    requests = [
        Request(path, "POST", body) for path in paths for body in ('{"ReconstructFiles": "x"}', "null", '{"a": 1}')
    ]
    requests += [Request(path, method) for path in paths for method in ("GET", "PUT", "DELETE")]
    requests += [
        Request(paths[0], "POST", f'{{"LimitToThisLevelMainDicomTags": {value}}}') for value in ("1", '"no"', "null")
    ]
    requests += [Request(f"/{level}/nope/reconstruct", "POST") for level in LEVELS]
    assert_same(pair.differences(requests))


def test_nothing_is_said_of_it_in_changes(pair: Pair) -> None:
    def changes(server: Server) -> list[str]:
        return sorted(row[0] for row in ChangeLog.of(server).rows())

    assert changes(pair.ours) == changes(pair.theirs)
    assert not any(name.startswith("Updated") for name in changes(pair.ours))
