"""Rendered resources, thumbnails and WADO-URI beside Orthanc's DICOMweb plugin, pixel by pixel; what differs is told in docs/compatibility.md."""

from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from typing import Any, Final

import pydicom
import pytest
from pydicom import config as pydicom_config

from tests.dicom_bytes import Sample
from tests.image_files import field_images, made_images
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request
from tests.peer.image_differences import Case, explain
from tests.peer.servers import Oracle
from tests.peer.worklist_stage import find_plugin

pytestmark = pytest.mark.peer

CHOSEN: Final = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm", "ExplVR_BigEnd.dcm", "SC_rgb_rle_2frame.dcm", "emri_small_RLE.dcm")  # fmt: skip
PNG: Final = {"Accept": "image/png"}


class Web:
    """Both servers, with the same objects."""

    def __init__(self, pair: Pair) -> None:
        self._servers = (pair.ours, pair.theirs)

    def upload(self, data: bytes) -> tuple[str, str, str] | None:
        """Store a file; returns the UIDs of study, series and instance, None if either does not take it."""
        answers = [server.ask(Request("/instances", "POST", data)) for server in self._servers]
        if {answer.status for answer in answers} != {200}:
            return None
        with pydicom_config.disable_value_validation():
            made = pydicom.dcmread(BytesIO(data), force=True, stop_before_pixels=True)
            return made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID

    def ask(self, path: str, **headers: str) -> tuple[Answer, Answer]:
        ours, theirs = (server.ask(Request(path, headers=headers)) for server in self._servers)
        return ours, theirs


@pytest.fixture(scope="module")
def web(oracle: Oracle, modern: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    plugin = find_plugin(oracle, "libOrthancDicomWeb.so")
    if plugin is None:
        pytest.skip("This Orthanc has no DICOMweb plugin")
    with start_pair(oracle, tmp_path_factory.mktemp("rendered"), f'"Plugins": ["{plugin}"],') as pair:
        yield Web(pair)


def address(uids: tuple[str, str, str], level: int = 3) -> str:
    words = ("studies", "series", "instances")
    return "/dicom-web" + "".join(f"/{word}/{each}" for word, each in zip(words[:level], uids, strict=False))


def picture(answer: Answer) -> Any:
    return import_module("imagecodecs").png_decode(answer.body).astype("i4")


def differs(ours: Answer, theirs: Answer, tolerance: int = 0) -> str:
    """How a picture differs from Orthanc's; empty if it does not. More pictures can be had here: their values are judged by plain models."""
    if theirs.status != 200:
        return "" if ours.status in {200, 406} else f"{ours.status} instead of {theirs.status}: {ours.body[:300]!r}"
    if ours.status != 200:
        return f"{ours.status} instead of a picture: {ours.body[:300]!r}"
    if ours.headers["content-type"] != theirs.headers["content-type"]:
        return f"{ours.headers['content-type']} instead of {theirs.headers['content-type']}"
    mine, other = picture(ours), picture(theirs)
    if mine.shape != other.shape:
        return f"{mine.shape} instead of {other.shape}"
    apart = int(abs(mine - other).max())
    return "" if apart <= tolerance else f"other pixels, by {apart}"


def unexplained(web: Web, sample: Sample) -> Iterator[str]:
    """Upload a file, and iterate over the differences that may not be: pictures are those of REST, as far as they differ, too."""
    uids = web.upload(sample.data)
    if uids is None:
        return
    one = address(uids)
    with pydicom_config.disable_value_validation():
        made = pydicom.dcmread(BytesIO(sample.data), force=True)
        is_rescaled = made.get("RescaleSlope", 1) != 1  # the last bit of a full range may be another
    wado = f"/wado?requestType=WADO&objectUID={uids[2]}&contentType=image/png"
    paths = {f"{one}/rendered": "preview", wado: "rendered"}  # other resources: `test_every_level_is_shown_alike`
    for path, route in paths.items():
        ours, theirs = web.ask(path, **PNG)
        difference = differs(ours, theirs, tolerance=is_rescaled and route == "preview")
        with pydicom_config.disable_value_validation():
            if difference and explain(Case(made, route, ours, theirs)) is None:
                yield f"{sample.name}: {path.partition(uids[2])[2]}: {difference}"


def test_chosen_pictures_are_the_plugins(web: Web) -> None:
    samples = [sample for sample in field_images() if sample.name in CHOSEN]
    samples += [sample for sample in made_images() if sample.name.endswith(", explicit")]
    found = [difference for sample in samples for difference in unexplained(web, sample)]
    assert not found, "\n".join(found)


@pytest.mark.nightly
def test_all_pictures_are_the_plugins(web: Web) -> None:
    samples = (*made_images(), *field_images())
    assert len(samples) >= 150
    found = [difference for sample in samples for difference in unexplained(web, sample)]
    assert not found, "\n".join(found)


@pytest.fixture(scope="module")
def head(web: Web) -> tuple[str, str, str]:
    uids = web.upload(next(sample.data for sample in field_images() if sample.name == "MR_small.dcm"))
    assert uids is not None
    return uids


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_level_is_shown_alike(web: Web, head: tuple[str, str, str], level: int) -> None:
    for resource in ("rendered", "thumbnail"):
        assert not differs(*web.ask(f"{address(head, level)}/{resource}", **PNG))
        ours, theirs = web.ask(f"{address(head, level)}/{resource}")
        assert ours.headers["content-type"] == theirs.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    "query",
    [
        *("viewport=32,32", "viewport=128,128", "viewport=32,32,0,0,32,32", "viewport=100,100,10,20,30,30", "viewport=32,32,-8,-8,16,16"),
        *("viewport=32,32,8,8,-16,16", "viewport=32,32,8,8,16,-16", "viewport=32,32,,,16,16", "viewport=32,32,,,,"),
        *("window=600,1600,linear", "window=600,1600,sigmoid", "window=1e2,3.5e2,linear", "window=40,1,linear"),
        *("viewport=32,32&window=600,1600,linear", "quality=10", "quality=100"),
    ],
)  # fmt: skip
def test_parameters_show_the_same(web: Web, head: tuple[str, str, str], query: str) -> None:
    # The last bit of a rounded window may be another: both are the nearest integer of the standard's formula, but for ties.
    assert not differs(*web.ask(f"{address(head)}/rendered?{query}", **PNG), tolerance="window" in query)
    assert not differs(*web.ask(f"{address(head)}/frames/1/rendered?{query}", **PNG), tolerance="window" in query)


@pytest.mark.parametrize(
    "path",
    [
        *(f"/rendered?{query}" for query in (
            "viewport=32", "viewport=", "viewport=-1,4", "viewport=a,b", "viewport=1.5,2", "viewport=32,32,0,0,32,32,1", "window=", "window=40,400",
            "window=40,400,nonsense", "window=x,400,linear", "window=40,400,LINEAR", "window=40,400,linear,1", "quality=", "quality=0", "quality=101",
            "quality=x", "quality=50.5",
        )),
        *("/frames/0/rendered", "/frames/2/rendered", "/frames/x/rendered"),
    ],
)  # fmt: skip
def test_wrong_requests_are_refused_alike(web: Web, head: tuple[str, str, str], path: str) -> None:
    ours, theirs = web.ask(address(head) + path)
    assert ours.status == theirs.status == 400


def test_what_is_not_there_is_not_found(web: Web, head: tuple[str, str, str]) -> None:
    study, series, _ = head
    for uids in (("1.2", "1.3", "1.4"), (study, "1.3", "1.4"), (study, series, "1.4"), ("1.2", *head[1:])):
        for path in ("/rendered", "/frames/1/rendered", "/thumbnail"):
            ours, theirs = web.ask(address(uids) + path)
            assert ours.status == theirs.status == 404
        ours, theirs = web.ask(
            f"/wado?requestType=WADO&studyUID={uids[0]}&seriesUID={uids[1]}&objectUID={uids[2]}", **PNG
        )
        assert ours.status == theirs.status == 404


def test_wado_uri_gives_the_same_file_and_takes_the_same_methods(web: Web, head: tuple[str, str, str]) -> None:
    path = f"/wado?requestType=WADO&objectUID={head[2]}"
    ours, theirs = web.ask(f"{path}&contentType=application/dicom")
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    for more in (f"&studyUID={head[0]}", f"&seriesUID={head[1]}", "&contentType=image/png"):
        assert not differs(*web.ask(f"{path}&contentType=image/png{more}"))
    ours, theirs = web.ask(path)  # it calls a JPEG a PNG
    jpeg: Any = import_module("imagecodecs").jpeg8_decode
    assert (jpeg(ours.body) == jpeg(theirs.body)).all()
