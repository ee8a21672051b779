"""`requested-tags` that are computed: the same as C-FIND tells, where the two had come apart."""

from json import loads

import pytest

from events.identifiers import Level
from store.views.find import Finder
from store.views.query import Query
from store.views.resource_tags import COMPUTED
from tests.contract.rest_stage import rest_stage
from tests.data_factory import dataset, encode
from tests.dicom_bytes import CT, MR
from tools.server.core import Core

COLLECTIONS = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series"}


@pytest.fixture
def told(archive: Core) -> dict[Level, dict[str, str]]:
    """What REST says of one patient's resources; the file that names no SOP class is of the first series."""
    files = [
        dataset(instance=1, SOPClassUID=MR),
        dataset(instance=2, SOPClassUID=None),
        dataset(instance=1, series=2, SOPClassUID=CT, Modality="CT"),
        dataset(instance=1, series=3, SOPClassUID=CT, Modality=None),
    ]
    wanted = ";".join(f"{tag:08x}" for tag in sorted(COMPUTED))
    with rest_stage(archive) as rest:
        for each in files:
            assert rest.upload(encode(each)).status == 200
        answers = {
            level: loads(rest.ask(f"/{name}?expand&short&requested-tags={wanted}").body)
            for level, name in COLLECTIONS.items()
        }
    return {level: max((each["RequestedTags"] for each in listed), key=str) for level, listed in answers.items()}


def test_a_file_without_a_sop_class_adds_none_to_its_study(told: dict[Level, dict[str, str]]) -> None:
    assert told[Level.STUDY]["0008,0062"] == f"{CT}\\{MR}"
    assert told[Level.STUDY]["0008,0061"] == "CT\\MR"


@pytest.mark.parametrize("level", COLLECTIONS)
def test_rest_and_c_find_tell_the_same(told: dict[Level, dict[str, str]], archive: Core, level: Level) -> None:
    finder = Finder(archive.views, archive.blobs)
    query = Query(level=level, keys={}, wanted=tuple(COMPUTED))
    found = [answer for batch in finder.find(query) for answer in batch]
    shown = {f"{tag >> 16:04x},{tag & 0xFFFF:04x}": value for tag, value in max(found, key=str).items()}
    assert shown == told[level]
    assert shown
