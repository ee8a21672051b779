"""Long answers leave piece by piece and are never in memory as a whole; an archive without a single file gives them.

Pieces are made small here, so that 1,000 resources are what 100,000 are to a server.
"""

import gc
import json
import logging
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from unittest.mock import patch

import pytest

import api.rest.changes
import api.rest.exports
import api.rest.find
import api.rest.resources
from api.rest.exports import log_exports
from events.identifiers import Level
from store.views import find_members, id_order, ordered_matches, selection
from tests.contract.rest_stage import RestStage, error_of, pieces, rest_stage, shown
from tools.bench.filling import Shape, fill
from tools.core_settings import CoreSettings
from tools.server.core import Core

COUNT: Final = 1000
PIECE: Final = 50
PIECES: Final = (
    (api.rest.changes, "PIECE_CHANGES"), (api.rest.exports, "PIECE_EXPORTS"), (api.rest.find, "CHUNK_RECORDS"),
    (api.rest.find, "PIECE_IDS"), (api.rest.resources, "CHUNK_RECORDS"), (find_members, "BATCH_ROWS"), (id_order, "PIECE_IDS"),
    (ordered_matches, "BATCH_ROWS"), (ordered_matches, "PIECE_IDS"), (selection, "PIECE_IDS"),
)  # fmt: skip
DATE: Final = {"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}
TIME: Final = {"Type": "DicomTag", "Key": "StudyTime", "Direction": "ASC"}
COMPUTED: Final = ["ModalitiesInStudy", "NumberOfStudyRelatedInstances", "PatientName"]
CONTENTS: Final = ["MainDicomTags", "Metadata", "Children", "Parent", "Labels", "Status", "IsStable", "Attachments"]
FINDS: Final = (
    {"Level": "Study", "Query": {}, "Expand": True},
    {"Level": "Study", "Query": {"PatientName": "F*"}, "Expand": True},
    {"Level": "Study", "Query": {"StudyTime": "101112"}, "Expand": True},
    {"Level": "Study", "Query": {}, "Expand": True, "OrderBy": [DATE]},
    {"Level": "Study", "Query": {}, "Expand": True, "OrderBy": [TIME, DATE]},
    {"Level": "Study", "Query": {}, "Expand": True, "RequestedTags": COMPUTED},
    {"Level": "Series", "Query": {"StudyDate": "20000101-20001231"}, "Expand": True},
    {"Level": "Series", "Query": {}, "ResponseContent": CONTENTS},
    {"Level": "Instance", "Query": {"Modality": "MR\\CT\\US\\CR\\DX\\MG\\NM\\PT\\XA\\OT"}, "Expand": True},
    {"Level": "Patient", "Query": {}, "Expand": True},
)
LISTS: Final = ("/patients?expand", "/studies?expand", "/series?expand", "/instances?expand&since=0&limit=10000",
                f"/changes?limit={10 * COUNT}", f"/exports?limit={2 * COUNT}")  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, Shape(patients=COUNT, studies=COUNT, series=COUNT, instances=COUNT))
    # The scrubber would find that every file is missing, and take memory meanwhile.
    core = Core(CoreSettings(index_directory=folder, storage_directory=folder, scrub_bytes_per_s=0))
    try:
        with rest_stage(core, log_exported_resources=True) as made:
            with core.views.snapshot() as s:
                ids = s.list_ids(Level.INSTANCE)
            log_exports(made.deps, "pacs", [(Level.INSTANCE, each) for each in ids], bytes(8))
            yield made
    finally:
        core.stop()


@contextmanager
def small_pieces() -> Iterator[None]:
    with ExitStack() as stack:
        for module, name in PIECES:
            stack.enter_context(patch.object(module, name, PIECE))
        yield


REQUESTS: Final = [*((path, "GET", b"") for path in LISTS), *(("/tools/find", "POST", json.dumps(each).encode()) for each in (*FINDS[1:5], FINDS[8]))]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "method", "body"), REQUESTS, ids=[f"{path} {body.decode()}" for path, _, body in REQUESTS]
)
def test_a_long_answer_is_never_in_memory_as_a_whole(stage: RestStage, path: str, method: str, body: bytes) -> None:
    with small_pieces():
        next(pieces(stage.app, path, method, body))  # what is kept for later requests is made now
        gc.collect()
        gc.freeze()  # what other modules have left, else circles are looked for the less often the more there is of it
        logging.disable()  # pytest keeps each line, and a thread writes one for each file that is missing
        try:
            # A thread that a test of another module has left may take memory meanwhile, and not each time.
            assert any(_is_larger_than_its_memory(stage, path, method, body) for _ in range(3))
        finally:
            logging.disable(logging.NOTSET)
            gc.unfreeze()


def _is_larger_than_its_memory(stage: RestStage, path: str, method: str, body: bytes) -> bool:
    """Whether the text of an answer alone, without what it is made from, is more than what was taken while it was made."""
    tracemalloc.start()
    try:
        size = sum(map(len, pieces(stage.app, path, method, body)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 350_000
    return peak < size


QUERIES: Final = (
    "limit=100000", "limit=51", "limit=60&since=30", "limit=100000&to=9000", "limit=101&to=9000", "limit=200&to=150&since=20",
    "limit=120&type=NewStudy", "limit=5000&type=NewInstance;StableSeries", "limit=70&to=5000&type=NewPatient", "limit=100&to=60",
    "limit=100000&since=99999", "limit=100000&to=1", "limit=100000&last",
)  # fmt: skip


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
def test_a_page_in_pieces_is_that_of_one_snapshot(stage: RestStage, accept: str) -> None:
    paths = [f"/changes?{each}" for each in QUERIES]
    paths += [
        f"/exports?{each}"
        for each in ("limit=100000", "limit=60", "limit=51&since=9000", f"limit={COUNT}", "limit=1999")
    ]
    whole = [stage.ask(path, headers={"Accept": accept}).body for path in paths]
    with small_pieces():
        assert [stage.ask(path, headers={"Accept": accept}).body for path in paths] == whole


def test_no_file_is_read_where_the_index_has_the_answer(stage: RestStage) -> None:
    """No instance here has its file: whoever reads one gets an error."""
    instance = shown(stage.ask("/instances?since=0&limit=1"))[0]
    assert error_of(stage.ask(f"/instances/{instance}/tags"))[:2] == (500, 20)
    unknown = {"Level": "Study", "Query": {}, "Expand": True, "Limit": 1, "RequestedTags": ["Rows"]}
    assert error_of(stage.ask("/tools/find", "POST", json.dumps(unknown).encode()))[:2] == (500, 20)
    for body in FINDS:
        found = stage.ask("/tools/find", "POST", json.dumps(body | {"Limit": 10}).encode())
        assert (found.status, len(shown(found))) == (200, 10)
    for path in (
        *LISTS[:3],
        "/instances?expand&since=0&limit=9",
        "/statistics",
        f"/instances/{instance}",
        f"/instances/{instance}/metadata?expand",
    ):
        assert stage.ask(path).status == 200
