"""Small pictures for lists: of the middle of what is asked for, made once, and not sent again to who has them."""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from actors.services.images.image import NoSuchFrame
from api.rest import thumbnails
from tests.clock import Clock
from tests.contract.rest_stage import Answer, RestStage, error_of, rest_stage
from tests.contract.test_rest_archives import file_of
from tests.dicom_bytes import MR, RAW_DATA, dataset, encode, uid
from tests.native_pixels import EXPLICIT, Native, ramp
from tools.core_settings import CoreSettings
from tools.server.core import Core


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    folder = tmp_path_factory.mktemp("thumbnails")
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"), clock=Clock())
    with rest_stage(core) as stage:
        yield stage
    core.stop()


def _slice(study: int, number: int, **more: Any) -> bytes:
    """One whose brightness is its number times 20."""
    samples = ramp("u1", 1, 40, 20) * 0 + number * 20
    named = {"StudyInstanceUID": uid(7, study), "SeriesInstanceUID": uid(7, study, 1)}
    named |= {"SOPClassUID": MR, "InstanceNumber": str(number), "WindowCenter": "128", "WindowWidth": "256", **more}
    return Native(samples=samples).file(EXPLICIT, study * 1000 + number, **named)


def _upload(rest: RestStage, data: bytes) -> dict[str, str]:
    made: dict[str, str] = json.loads(rest.upload(data).body)
    return made


def _uploaded(rest: RestStage, study: int, *numbers: int) -> str:
    """Store slices, in this order; returns the identifier of their series."""
    return [_upload(rest, _slice(study, number))["ParentSeries"] for number in numbers][-1]


def _pixels(answer: Answer) -> Any:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg"), answer
    return import_module("imagecodecs").jpeg_decode(answer.body)


def test_it_is_small_and_of_the_middle(rest: RestStage) -> None:
    made = [_upload(rest, _slice(1, number)) for number in range(1, 6)]
    series, study = made[0]["ParentSeries"], made[0]["ParentStudy"]
    for path in (f"/series/{series}", f"/studies/{study}", f"/instances/{made[2]['ID']}"):
        picture = _pixels(rest.ask(f"{path}/thumbnail?size=32"))
        assert picture.shape == (32, 16)
        assert abs(float(picture.mean()) - 60) < 2  # the third of five, in its window
    assert _pixels(rest.ask(f"/series/{series}/thumbnail")).shape == (128, 64)


def test_without_a_window_it_shows_the_full_range(rest: RestStage) -> None:
    dim = Native(samples=ramp("<u2", 1, 40, 40), bits=16)
    named = {"StudyInstanceUID": uid(7, 6), "SeriesInstanceUID": uid(7, 6, 1), "SOPClassUID": MR}
    made = _upload(rest, dim.file(EXPLICIT, 6001, **named))
    picture = _pixels(rest.ask(f"/instances/{made['ID']}/thumbnail?size=40"))
    assert picture.min() < 10
    assert picture.max() > 245


def test_who_has_it_is_told_so_until_it_is_another(rest: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    series = _uploaded(rest, 2, 3, 4)
    path = f"/series/{series}/thumbnail"
    first = rest.ask(path)
    assert first.headers["Cache-Control"] == "private, no-cache"
    tag = first.headers["Etag"]
    assert rest.ask(f"{path}?size=64").headers["Etag"] != tag
    with monkeypatch.context() as patch:
        patch.setattr(thumbnails, "make_picture", None)  # nothing is drawn again
        again = rest.ask(path, headers={"If-None-Match": tag})
        assert (again.status, again.body, again.headers["Etag"]) == (304, b"", tag)
        assert rest.ask(path).body == first.body
    for number in (1, 2, 5, 6, 7, 8):
        _upload(rest, _slice(2, number))
    later = rest.ask(path, headers={"If-None-Match": tag})
    assert abs(float(_pixels(later).mean()) - 100) < 2  # the fifth of eight


def test_what_cannot_be_seen_has_none_and_a_study_shows_another_series(rest: RestStage) -> None:
    for number in (1, 2):
        report = encode(dataset(7, 3, 2, number, StudyInstanceUID=uid(7, 3), SOPClassUID=RAW_DATA))
        stored = _upload(rest, report)
    study = stored["ParentStudy"]
    for path in (f"/instances/{stored['ID']}", f"/series/{stored['ParentSeries']}", f"/studies/{study}"):
        answer = rest.ask(f"{path}/thumbnail")
        assert (answer.status, answer.body) == (204, b"")
    _upload(rest, _slice(3, 6, PatientID="PAT7"))
    assert abs(float(_pixels(rest.ask(f"/studies/{study}/thumbnail")).mean()) - 120) < 2


def _cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _alter(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(("study", "harm"), [(20, Path.unlink), (21, _cut_off), (22, _alter)])
def test_of_a_file_that_has_gone_or_is_damaged_nothing_can_be_seen_until_it_is_mended(
    rest: RestStage, study: int, harm: Callable[[Path], None]
) -> None:
    made = [_upload(rest, _slice(study, number)) for number in (2, 3)]
    other = {"SeriesInstanceUID": uid(7, study, 2)}
    _upload(rest, _slice(study, 6, **other))
    paths = [f"/series/{made[1]['ParentSeries']}", f"/instances/{made[1]['ID']}"]
    file = file_of(rest, made[1]["ID"])
    whole = file.read_bytes()
    harm(file)
    for path in paths:
        answer = rest.ask(f"{path}/thumbnail")
        assert (answer.status, answer.body) == (204, b""), path
        assert "Etag" not in answer.headers
    of_study = f"/studies/{made[1]['ParentStudy']}/thumbnail"
    assert abs(float(_pixels(rest.ask(of_study)).mean()) - 120) < 2  # of the other series
    file.write_bytes(whole)
    for path in (*paths, of_study[:-10]):
        assert abs(float(_pixels(rest.ask(f"{path}/thumbnail")).mean()) - 60) < 2, path


def test_of_what_is_overwritten_or_deleted_meanwhile_nothing_can_be_seen(
    rest: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/instances/{_upload(rest, _slice(24, 3))['ID']}/thumbnail"
    for error in (NoSuchFrame("It has one frame"), FileNotFoundError()):
        with monkeypatch.context() as patch:
            patch.setattr(thumbnails, "make_picture", Mock(side_effect=error))
            assert rest.ask(path).status == 204
    assert _pixels(rest.ask(path)).shape == (128, 64)


def test_of_a_long_series_the_middle_is_what_came_in_between(rest: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_MOST_ORDERED", 2)
    series = _uploaded(rest, 4, 9, 2, 5)
    assert abs(float(_pixels(rest.ask(f"/series/{series}/thumbnail")).mean()) - 40) < 2


@pytest.mark.parametrize("size", ["0", "513", "-1", "big", "²", ""])
def test_a_wrong_size_is_refused(rest: RestStage, size: str) -> None:
    series = _upload(rest, _slice(5, 1))["ParentSeries"]
    answer = rest.ask(f"/series/{series}/thumbnail?size={size}")
    assert answer.status == 400
    assert "from 1 to 512" in error_of(answer)[2]


def test_of_what_has_gone_nothing_can_be_seen(rest: RestStage) -> None:
    for level in ("studies", "series", "instances"):
        assert rest.ask(f"/{level}/nope/thumbnail").status == 204
    assert rest.ask("/patients/nope/thumbnail").status == 404  # there is no such route


def test_those_made_last_are_kept() -> None:
    kept = thumbnails.Kept(most_bytes=4096)
    for tag in ("a", "b", "c"):
        kept.keep(tag, tag.encode() * 1500)
        kept.get("a")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (b"a" * 1500, None, b"c" * 1500)
    for number in range(10):
        kept.keep(str(number), b"")  # those without a picture take no bytes, and are not kept without end
    assert (kept.get("5"), kept.get("9")) == (None, b"")
