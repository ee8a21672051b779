"""Arrays of frames, instances and series, which leave frame by frame; the order of the slices; pictures of a series and a study."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from actors.services.images import image, stacks
from events.identifiers import parse_resource_id
from store.dicom.pixels.description import UndecodablePixels
from tests.clock import Clock
from tests.contract.rest_stage import RestStage, error_of, pieces, rest_stage, shown
from tests.contract.rest_stage import ids as ids_of
from tests.dicom_bytes import MR, uid
from tests.native_pixels import BIG, DEFLATED, EXPLICIT, LAYOUTS, Native, ramp
from tests.peer.servers import wait_for
from tests.pixel_files import ENCODERS, J2K_LOSSLESS, JPEG_LS, LOSSLESS_SV1, RLE, gray, pixel_file
from tools.core_settings import CoreSettings
from tools.server.core import Core

AXIAL = [1, 0, 0, 0, 1, 0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    folder = tmp_path_factory.mktemp("stacks")
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"), clock=Clock())
    with rest_stage(core) as stage:
        yield stage
    core.stop()


@pytest.fixture
def rest(shared: RestStage) -> Iterator[RestStage]:
    yield shared
    for patient in ids_of(shared, "patients"):
        shared.ask(f"/patients/{patient}", "DELETE")


def load(rest: RestStage, path: str) -> Any:
    answer = rest.ask(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/octet-stream"), answer
    return np.load(BytesIO(answer.body))


def upload(rest: RestStage, *files: bytes) -> tuple[list[str], str]:
    """Store the files of a series; returns the identifiers of the instances, and the path of the series."""
    made = [json.loads(rest.upload(file).body) for file in files]
    return [each["ID"] for each in made], f"/series/{made[0]['ParentSeries']}"


def located(
    position: Sequence[float] | None, instance: int, orientation: Sequence[float] | None = None, **more: Any
) -> bytes:
    """A slice, at a position; the numbers of instances run against their order."""
    attributes: dict[str, Any] = {"SOPClassUID": MR, "InstanceNumber": str(50 - instance), **more}
    if position is not None:
        attributes |= {"ImagePositionPatient": [*position], "ImageOrientationPatient": [*(orientation or AXIAL)]}
    return Native(samples=ramp("<u2", 1, 3, 4) + instance, bits=16).file(EXPLICIT, instance, **attributes)


# --- arrays ---


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, DEFLATED])
def test_an_array_has_the_values_of_all_frames(rest: RestStage, syntax: str) -> None:
    for number, (what, native) in enumerate(LAYOUTS.items()):
        if native.label in {"YBR_FULL", "YBR_FULL_422", "PALETTE COLOR"}:
            continue
        path = f"/instances/{upload(rest, native.file(syntax, number + 1))[0][0]}"
        wanted = native.samples * 255 if native.bits == 1 else native.samples
        array = load(rest, f"{path}/numpy?rescale=0")
        assert np.array_equal(array, wanted), what
        assert array.dtype == wanted.dtype, what
        assert np.array_equal(load(rest, f"{path}/frames/{len(wanted) - 1}/numpy?rescale=0"), wanted[-1]), what


def test_gray_values_are_rescaled_to_floating_point(rest: RestStage) -> None:
    for number, kind in enumerate(("u1", "<i2", "<u4"), start=1):
        samples = ramp(kind)
        native = Native(samples=samples, bits=samples.itemsize * 8)
        file = native.file(EXPLICIT, number, RescaleSlope="2.5", RescaleIntercept="-7")
        array = load(rest, f"/instances/{upload(rest, file)[0][0]}/numpy")
        assert array.dtype == np.dtype("<f4")
        assert np.allclose(array, samples * 2.5 - 7, rtol=1e-6)


def test_the_header_of_an_array_is_orthancs(rest: RestStage) -> None:
    path = f"/instances/{upload(rest, LAYOUTS['16 bits'].file(EXPLICIT))[0][0]}"
    whole, one = (rest.ask(f"{path}/{route}").body[:128] for route in ("numpy", "frames/0/numpy?rescale=0"))
    text = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5,6,1), }"
    assert whole == text.ljust(127) + b"\n"
    text = b"\x93NUMPY\x01\x00v\x00{'descr': '<u2', 'fortran_order': False, 'shape': (5,6,1), }"
    assert one == text.ljust(127) + b"\n"


def test_an_array_can_be_compressed(rest: RestStage) -> None:
    ids, series = upload(rest, LAYOUTS["16 bits"].file(EXPLICIT))
    for path in (f"/instances/{ids[0]}/numpy", f"/instances/{ids[0]}/frames/1/numpy", f"{series}/numpy"):
        plain, zipped = rest.ask(path).body, rest.ask(f"{path}?compress").body
        with zipfile.ZipFile(BytesIO(zipped)) as archive:
            assert archive.testzip() is None
            assert archive.read("arr_0") == plain
        assert np.array_equal(np.load(BytesIO(zipped))["arr_0"], np.load(BytesIO(plain)))


@pytest.mark.parametrize("syntax", [RLE, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS])
def test_the_array_of_a_series_is_in_the_order_of_its_slices(rest: RestStage, syntax: str) -> None:
    order = [3, 1, 4, 0, 2]
    slices = [gray(16, seed=seed) for seed in range(5)]
    files = [
        pixel_file(
            syntax,
            slices[place],
            [ENCODERS[syntax](slices[place])],
            instance=number,
            ImagePositionPatient=[0, 0, float(place)],
            ImageOrientationPatient=AXIAL,
            RescaleIntercept=str(place),
            RescaleSlope="1",
        )
        for number, place in enumerate(order, start=1)
    ]
    _, series = upload(rest, *files)
    array = load(rest, f"{series}/numpy?rescale=0")
    assert np.array_equal(array[..., 0], np.stack(slices))
    assert np.array_equal(load(rest, f"{series}/numpy")[..., 0], np.stack(slices) + np.arange(5.0)[:, None, None])


def test_an_array_leaves_some_frames_at_a_time(rest: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make_some = stacks.Stack._make_some

    def counted(self: stacks.Stack, group: Sequence[Any]) -> bytes:
        made.extend(group)
        return make_some(self, group)

    monkeypatch.setattr(stacks.Stack, "_make_some", counted)
    monkeypatch.setattr(stacks, "MOST_TOGETHER", 2)
    samples = ramp("<u2", 50, 3, 4)
    ids, _ = upload(rest, Native(samples=samples, bits=16).file(EXPLICIT))
    answer = pieces(rest.app, f"/instances/{ids[0]}/numpy?rescale=0", "GET", b"")
    got = [next(answer) for _ in range(6)]
    assert [len(piece) for piece in got] == [128, *[48] * 5]
    assert len(made) < 25
    rest_of_it = b"".join(answer)
    assert np.array_equal(np.load(BytesIO(b"".join(got) + rest_of_it)), samples)


def test_frames_are_made_ahead_only_where_all_arrays_have_room(
    rest: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = ramp("<u2", 50, 3, 4)
    ids, _ = upload(rest, Native(samples=samples, bits=16).file(EXPLICIT))
    room = stacks.Room(2 * 24)
    monkeypatch.setattr(stacks, "AHEAD", room)
    monkeypatch.setattr(stacks, "MOST_TOGETHER", 1)
    path = f"/instances/{ids[0]}/numpy?rescale=0"
    slow: list[Any] = [pieces(rest.app, path, "GET", b"") for _ in range(2)]
    for answer in slow:
        assert len(next(answer)) == 128
    assert room.free_bytes == 0, "two frames are made ahead, for one of them or for both"
    assert np.array_equal(load(rest, path), samples)
    slow[0].close()
    assert np.array_equal(np.load(BytesIO(b"".join([array_start(samples), *slow[1]]))), samples)
    assert room.free_bytes == 2 * 24


def test_a_slice_whose_file_is_replaced_after_it_was_described_is_read_from_the_new_one(
    rest: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, series = upload(rest, *(located([0, 0, float(-at)], at) for at in range(6)))
    wanted = rest.ask(f"{series}/numpy").body
    monkeypatch.setattr(stacks, "AHEAD", stacks.Room(0))
    monkeypatch.setattr(stacks, "MOST_TOGETHER", 2)
    answer = pieces(rest.app, f"{series}/numpy", "GET", b"")
    got = [next(answer), next(answer)]
    last = parse_resource_id(ids[0])
    assert last is not None
    with rest.deps.views.snapshot() as s:
        old = s.get_instance(last)
    assert old is not None
    assert rest.ask(f"/instances/{ids[0]}/attachments/dicom/compress", "POST").status == 200
    path = rest.deps.blobs.path(old.blob)
    wait_for(lambda: not path.exists() or None, "the old file to go", 60)
    assert b"".join([*got, *answer]) == wanted


def array_start(samples: Any) -> bytes:
    """The 128 bytes before the numbers of an array."""
    frames, rows, columns, depth = samples.shape
    text = f"{{'descr': '<u2', 'fortran_order': False, 'shape': ({frames}, {rows},{columns},{depth}), }}"
    return b"\x93NUMPY\1\0" + (118).to_bytes(2, "little") + text.ljust(117).encode() + b"\n"


def test_a_client_that_leaves_ends_the_work(rest: RestStage) -> None:
    samples = ramp("<u2", 50, 3, 4)
    ids, _ = upload(rest, Native(samples=samples, bits=16).file(EXPLICIT))
    for query in ("", "?compress"):
        answer: Any = pieces(rest.app, f"/instances/{ids[0]}/numpy{query}", "GET", b"")
        next(answer)
        answer.close()
    assert rest.ask(f"/instances/{ids[0]}/preview").status == 200


def test_frames_that_fit_into_no_array_are_refused_before_any_leaves(rest: RestStage) -> None:
    for number, (other, code) in enumerate(
        (
            (Native(samples=ramp("<u2", 1, 3, 5), bits=16), 24),
            (Native(samples=ramp("u1", 1, 3, 4)), 23),
            (Native(samples=ramp("u1", 1, 3, 4, 3), label="RGB", planar=0), 23),
        ),
        start=1,
    ):
        here = {"SeriesInstanceUID": uid(8, number)}
        first = Native(samples=ramp("<u2", 1, 3, 4), bits=16).file(EXPLICIT, 2 * number, **here)
        _, series = upload(rest, first, other.file(EXPLICIT, 2 * number + 1, **here))
        assert error_of(rest.ask(f"{series}/numpy"))[:2] == (500, code)


def test_a_series_with_an_image_that_cannot_be_decoded_has_no_array(
    rest: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = gray(16)
    frame = ENCODERS[JPEG_LS](samples)
    good, broken = (pixel_file(JPEG_LS, samples, [each], instance=at) for at, each in ((1, frame), (2, frame[:-40])))
    ids, series = upload(rest, broken)
    assert error_of(rest.ask(f"{series}/numpy"))[:2] == (415, 23)
    upload(rest, good)
    assert error_of(rest.ask(f"{series}/numpy"))[:2] == (415, 23)
    monkeypatch.setattr(stacks, "MOST_TOGETHER", 1)
    answer = pieces(rest.app, f"{series}/numpy", "GET", b"")
    with pytest.raises(UndecodablePixels):  # the connection breaks: there are too few bytes
        b"".join(answer)
    assert error_of(rest.ask(f"/instances/{ids[0]}/matlab"))[:2] == (415, 23)


# --- order ---


def order(rest: RestStage, *files: bytes) -> tuple[str, list[int]]:
    """Whether a series is a volume, and the places of the files in it."""
    ids, series = upload(rest, *files)
    told = shown(rest.ask(f"{series}/ordered-slices"))
    places = [ids.index(name) for name, _, _ in told["SlicesShort"]]
    names = [ids[place] for place in places]
    assert told["Dicom"] == [f"/instances/{name}/file" for name in names]
    assert told["Slices"] == [f"/instances/{name}/frames/0" for name in names]
    assert told["SlicesShort"] == [[name, 0, 1] for name in names]
    return told["Type"], places


def test_slices_lie_along_their_normal(rest: RestStage) -> None:
    sagittal, turned = [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, -1, 0]
    here: list[Any] = [{"SeriesInstanceUID": uid(8, number)} for number in range(4)]
    heights = (2.5, -10.0, -3.0)
    assert order(rest, *(located([0, 0, z], at, **here[0]) for at, z in enumerate(heights, 1))) == ("Volume", [1, 2, 0])
    files = [located([x, 5, 5], at + 4, sagittal, **here[1]) for at, x in enumerate(heights)]
    assert order(rest, *files) == ("Volume", [0, 2, 1])
    files = [located([0, 0, z], at + 8, turned if at == 0 else AXIAL, **here[2]) for at, z in enumerate(heights)]
    assert order(rest, *files) == ("Volume", [0, 2, 1])


@pytest.mark.parametrize(
    "files",
    [
        [located(None, at) for at in range(3)],
        [located([0, 0, z], at) for at, z in enumerate((1, 2, 2))],  # two in one place
        [located([0, 0, 1] if at else None, at) for at in range(3)],
        [located([0, 0, z], at, AXIAL if z else [0, 1, 0, 0, 0, 1]) for at, z in enumerate((1, 0, 2))],  # not parallel
        [located([0, 0, z], at, [1, 0, 0, 1, 0, 0]) for at, z in enumerate((1, 0, 2))],  # no plane
    ],
)
def test_what_is_no_volume_goes_by_its_numbers(rest: RestStage, files: list[bytes]) -> None:
    assert order(rest, *files) == ("Sequence", [2, 1, 0])


def test_image_index_takes_the_place_of_numbers_that_are_missing(rest: RestStage) -> None:
    files = [located(None, at, InstanceNumber=None, ImageIndex=index) for at, index in enumerate((3, 1, 2))]
    assert order(rest, *files) == ("Sequence", [1, 2, 0])


def test_what_has_neither_positions_nor_numbers_has_no_order(rest: RestStage) -> None:
    _, series = upload(rest, *(located(None, at, InstanceNumber=None) for at in range(2)))
    for route in ("ordered-slices", "numpy"):
        assert error_of(rest.ask(f"{series}/{route}"))[:2] == (500, 2040)
    assert rest.ask(f"{series}/preview").status == 200  # a picture of one of them is wanted anyhow


def test_frames_of_multi_frame_instances_are_counted(rest: RestStage) -> None:
    many = [Native(samples=ramp("u1", count)).file(EXPLICIT, count, InstanceNumber=str(9 - count)) for count in (2, 3)]
    ids, series = upload(rest, *many)
    told = shown(rest.ask(f"{series}/ordered-slices"))
    assert told["SlicesShort"] == [[ids[1], 0, 3], [ids[0], 0, 2]]
    assert told["Slices"][2:4] == [f"/instances/{ids[1]}/frames/2", f"/instances/{ids[0]}/frames/0"]
    assert load(rest, f"{series}/numpy").shape == (5, 5, 6, 1)


def test_a_series_that_says_it_has_very_many_frames_is_not_listed(rest: RestStage) -> None:
    many = [
        Native(samples=ramp("u1")).file(EXPLICIT, at, InstanceNumber=str(at), NumberOfFrames="600000") for at in (1, 2)
    ]
    _, series = upload(rest, *many)
    said = "There are 1200000 frames, by what is said of them; up to 1000000 are listed"
    assert error_of(rest.ask(f"{series}/ordered-slices")) == (415, 23, said)


@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED])
def test_an_image_of_many_frames_is_read_once(rest: RestStage, monkeypatch: pytest.MonkeyPatch, syntax: str) -> None:
    samples = ramp("<u2", 40, 3, 4)
    ids, _ = upload(rest, Native(samples=samples, bits=16).file(syntax))
    read, read_image = [], image.read_image

    def counted(*given: Any) -> Any:
        read.append(given)
        return read_image(*given)

    monkeypatch.setattr(stacks, "read_image", counted)
    assert np.array_equal(load(rest, f"/instances/{ids[0]}/numpy?rescale=0"), samples)
    assert len(read) == 2, "once to describe it, once for its frames"


def test_what_is_known_of_an_image_counts_as_long_as_its_file_is_as_it_was(
    rest: RestStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    describe = image.describe_image

    def counted(*given: Any) -> Any:
        read.append(given)
        return describe(*given)

    monkeypatch.setattr(image, "describe_image", counted)
    ids, series = upload(rest, *(located([0, 0, float(-at)], at) for at in range(4)))
    array = rest.ask(f"{series}/numpy").body
    picture = rest.ask(f"/instances/{ids[0]}/preview").body
    assert (rest.ask(f"{series}/numpy").body, rest.ask(f"/instances/{ids[0]}/preview").body) == (array, picture)
    assert len(read) == 4, "each once"
    assert error_of(rest.ask(f"/instances/{ids[0]}/frames/1/preview"))[:2] == (415, 23)
    assert rest.ask(f"/instances/{ids[0]}/attachments/dicom/compress", "POST").status == 200
    assert rest.ask(f"{series}/numpy").body == array
    assert len(read) > 4, "another file, compressed, is read"
    found = parse_resource_id(ids[1])
    assert found is not None
    with rest.deps.views.snapshot() as s:
        damaged = s.get_instance(found)
    assert damaged is not None
    path = rest.deps.blobs.path(damaged.blob)
    content = path.read_bytes()
    path.write_bytes(content[:-9] + b"x" + content[-8:])  # within the pixels
    for request in (f"/instances/{ids[1]}/preview", f"{series}/numpy"):
        answer = rest.ask(request)
        assert (answer.status, error_of(answer)[1]) == (500, 20), request


# --- pictures of what is above ---


def test_a_series_and_a_study_show_the_frame_in_their_middle(rest: RestStage) -> None:
    decode = import_module("imagecodecs").png_decode
    ids, series = upload(rest, *(located([0, 0, float(-at)], at) for at in range(5)))
    upload(rest, located([0, 0, 0], 7, SeriesInstanceUID=uid(8, 8)))  # a smaller series of the study
    study = shown(rest.ask(f"{series}/study"))["ID"]
    middle = decode(rest.ask(f"/instances/{ids[2]}/rendered?width=3").body)
    for path in (series, f"/studies/{study}"):
        assert np.array_equal(decode(rest.ask(f"{path}/rendered?width=3").body), middle)
        assert rest.ask(f"{path}/preview", headers={"Accept": "image/jpeg"}).headers["Content-Type"] == "image/jpeg"
        assert rest.ask(f"{path}/preview?quality=0").status == 415
    ids, series = upload(rest, Native(samples=ramp("u1", 7)).file(EXPLICIT, 9, SeriesInstanceUID=uid(8, 9)))
    assert rest.ask(f"{series}/preview").body == rest.ask(f"/instances/{ids[0]}/frames/3/preview").body
    for level in ("series", "studies"):
        assert rest.ask(f"/{level}/nope/preview").status == 404
