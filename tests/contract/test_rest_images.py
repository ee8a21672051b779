"""Pictures of instances and frames: their values against plain models of the standard, their formats, and what is refused."""

import base64
import gzip
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from api.rest.image_requests import needs_codec
from tests.clock import Clock
from tests.contract.http_serving import connect, serving
from tests.contract.rest_stage import Answer, RestStage, error_of, rest_stage, shown
from tests.dicom_bytes import SECONDARY_CAPTURE, dataset, encode
from tests.fault.servers import wait_for
from tests.native_pixels import BIG, EXPLICIT, GE, LAYOUTS, Native, ramp
from tests.pixel_files import BASELINE, ENCODERS, JPEG_LS, LOSSLESS_SV1, RLE, color, gray, pixel_file
from tools.core_settings import CoreSettings
from tools.server.core import Core

PAM = {"Accept": "image/x-portable-arbitrarymap"}
EDGES = [0, 1, 2, 255, 256, 1000, 4095, 4096, 32767, 32768, 65535, 7, 8, 9, 10, 11]
WORDS = np.array(EDGES, "<u2").reshape(1, 4, 4, 1)
BYTES = np.array([0, 1, 2, 3, 100, 127, 128, 129, 200, 254, 255, 7, 8, 9, 10, 11], "u1").reshape(1, 4, 4, 1)


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    folder = tmp_path_factory.mktemp("images")
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"), clock=Clock())
    with rest_stage(core) as stage:
        yield stage
    core.stop()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(1, 10_000))


class Stored:
    """An instance that was just stored."""

    def __init__(self, rest: RestStage, file: bytes) -> None:
        self._rest = rest
        self.path = json.loads(rest.upload(file).body)["Path"]

    def ask(self, route: str, **headers: str) -> Answer:
        return self._rest.ask(f"{self.path}/{route}", headers=headers)

    def picture(self, route: str) -> Any:
        answer = self.ask(route)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png"), answer
        return import_module("imagecodecs").png_decode(answer.body)


@pytest.fixture
def store(rest: RestStage, numbers: Iterator[int]) -> Any:
    def store(made: Native, syntax: str = EXPLICIT, **attributes: Any) -> Stored:
        return Stored(rest, made.file(syntax, next(numbers), SOPClassUID=SECONDARY_CAPTURE, **attributes))

    return store


def window(values: Any, center: float, width: float) -> Any:
    """What a window makes of values: from black to white over its width, cut off (LINEAR_EXACT)."""
    return np.clip(np.trunc((values.astype(float) - (center - width / 2)) * 255 / width + 1e-9), 0, 255).astype("u1")


# --- values ---


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, GE])
def test_the_preview_of_gray_is_its_full_range(store: Any, syntax: str) -> None:
    for kind in ("u1", "i1", "<u2", "<i2", "<u4", "<i4"):
        samples = ramp(kind, 2)
        stored = store(Native(samples=samples, bits=samples.itemsize * 8), syntax)
        for frame in (0, 1):
            values = samples[frame, ..., 0].astype(float)
            wanted = (values - values.min()) * 255 / (values.max() - values.min())
            made = stored.picture(f"frames/{frame}/preview").astype(float)
            assert abs(made - wanted).max() <= 0.501
        assert np.array_equal(stored.picture("preview"), stored.picture("frames/0/preview"))


def test_floating_point_has_a_picture_without_its_infinities(store: Any) -> None:
    for what in ("float", "double"):
        native = LAYOUTS[what]
        samples = native.samples.copy()
        samples[0, 0, 0, 0], samples[0, 0, 1, 0] = np.nan, np.inf
        made = store(Native(samples=samples, bits=native.bits, vr=native.vr, element=native.element)).picture("preview")
        values = samples[0, ..., 0].astype(float)
        inside = np.isfinite(values)
        wanted = (values - values[inside].min()) * 255 / (values[inside].max() - values[inside].min())
        assert abs(made.astype(float) - wanted)[inside].max() <= 0.501
        assert made[0, 1] == 255


def test_a_frame_of_one_value_is_black(store: Any) -> None:
    assert not store(Native(samples=WORDS * 0 + 9, bits=16)).picture("preview").any()


@pytest.mark.parametrize("route", ["preview", "rendered"])
def test_single_bits_are_black_and_white(store: Any, route: str) -> None:
    native = LAYOUTS["1 bit, frames within bytes"]
    stored = store(native)
    for frame in range(len(native.samples)):
        assert np.array_equal(stored.picture(f"frames/{frame}/{route}"), native.samples[frame, ..., 0] * 255)


def test_monochrome1_is_turned_over_in_pictures_and_not_in_values(store: Any) -> None:
    stored = store(Native(samples=BYTES, label="MONOCHROME1"))
    assert np.array_equal(stored.picture("preview"), 255 - BYTES[0, ..., 0])
    assert np.array_equal(stored.picture("image-uint8"), BYTES[0, ..., 0])


@pytest.mark.parametrize(
    ("attributes", "center", "width"),
    [
        ({}, 32768, 65536),
        ({"BitsStored": 16, "WindowCenter": "1000", "WindowWidth": "2000"}, 1000, 2000),
        ({"WindowCenter": "1000\\5", "WindowWidth": "2000\\7"}, 1000, 2000),
        ({"WindowCenter": "1000", "WindowWidth": "0"}, 1000, 1),
        ({"WindowCenter": "1000", "WindowWidth": "-5"}, 1000, 1),
        ({"WindowCenter": "20"}, 32768, 65536),
    ],
)
def test_rendered_is_the_window_of_the_instance(
    store: Any, attributes: dict[str, Any], center: int, width: int
) -> None:
    made = store(Native(samples=WORDS, bits=16), **attributes).picture("rendered")
    assert np.array_equal(made, window(WORDS[0, ..., 0], center, width))


def test_rendered_is_the_window_of_the_request(store: Any) -> None:
    stored = store(Native(samples=WORDS, bits=16), WindowCenter="1000", WindowWidth="2000")
    for query, center, width in (
        ("window-center=300&window-width=500", 300, 500),
        ("window-center=300", 300, 2000),
        ("window-width=500", 1000, 500),
        ("window-center=1e3&window-width=2.5e2", 1000, 250),
    ):
        assert np.array_equal(stored.picture(f"rendered?{query}"), window(WORDS[0, ..., 0], center, width)), query


def test_windows_are_about_rescaled_values(store: Any) -> None:
    stored = store(
        Native(samples=BYTES), RescaleSlope="-1", RescaleIntercept="255", WindowCenter="100", WindowWidth="50"
    )
    assert np.array_equal(stored.picture("rendered"), window(255 - BYTES[0, ..., 0].astype(int), 100, 50))


def test_bits_beyond_those_that_are_stored_are_no_part_of_a_sample(store: Any) -> None:
    inside = WORDS & 0x0FFF
    for high, shift in ((11, 0), (15, 4), (13, 2)):
        words = (inside << shift) | (0xA005 & ~(0x0FFF << shift) & 0xFFFF)
        stored = store(Native(samples=words.astype("<u2"), bits=16), BitsStored=12, HighBit=high)
        assert np.array_equal(stored.picture("image-uint16"), inside[0, ..., 0])
    signed = store(Native(samples=inside, bits=16), BitsStored=12, HighBit=11, PixelRepresentation=1)
    wanted = np.where(inside >= 0x800, inside.astype(int) - 0x1000, inside)[0, ..., 0]
    assert np.array_equal(signed.picture("image-int16").view("i2"), wanted)


@pytest.mark.parametrize(
    ("route", "low", "high", "kind"),
    [
        ("image-uint8", 0, 255, "u1"),
        ("image-uint16", 0, 65_535, "u2"),
        ("image-int16", -32_768, 32_767, "i2"),
    ],
)
def test_values_are_cut_off_at_the_limits_of_their_type(store: Any, route: str, low: int, high: int, kind: str) -> None:
    for code in ("u1", "i1", "<u2", "<i2", "<u4", "<i4"):
        samples = ramp(code)
        made = store(Native(samples=samples, bits=samples.itemsize * 8)).picture(route)
        assert np.array_equal(made.view(kind), np.clip(samples[0, ..., 0].astype("i8"), low, high))


def by_plane(samples: Any, label: str) -> Any:
    return [Native(samples=samples, bits=samples.itemsize * 8, label=label, planar=planar) for planar in (0, 1)]


def test_colours_are_the_same_by_pixel_and_by_plane(store: Any) -> None:
    samples = ramp("u1", 2, 5, 6, 3)
    for native in by_plane(samples, "RGB"):
        for route in ("preview", "rendered"):
            assert np.array_equal(store(native).picture(f"frames/1/{route}"), samples[1])
    deep = ramp("<u2", 1, 5, 6, 3)
    for native in by_plane(deep, "RGB"):
        assert np.array_equal(store(native).picture("preview"), deep[0] >> 8)
    twelve = store(Native(samples=deep >> 4, bits=16, label="RGB", planar=0), BitsStored=12, HighBit=11)
    assert np.array_equal(twelve.picture("preview"), deep[0] >> 8)


def test_ybr_becomes_rgb(store: Any) -> None:
    samples = ramp("u1", 1, 5, 6, 3)
    y, blue, red = (samples[0, ..., at].astype(float) for at in range(3))
    exact = np.stack(
        (y + 1.402 * (red - 128), y - 0.344136 * (blue - 128) - 0.714136 * (red - 128), y + 1.772 * (blue - 128)), -1
    )
    for native in by_plane(samples, "YBR_FULL"):
        assert abs(store(native).picture("preview") - np.clip(exact, 0, 255)).max() <= 0.51
    shared = LAYOUTS["YBR_FULL_422"]
    plain = store(Native(samples=shared.samples, label="YBR_FULL", planar=0)).picture("frames/1/preview")
    assert np.array_equal(store(shared).picture("frames/1/preview"), plain)


def test_the_partial_range_of_ybr_reaches_from_16_to_235(store: Any) -> None:
    samples = np.zeros((1, 1, 4, 3), "u1")
    samples[0, 0, :, 0], samples[..., 1:] = (16, 16, 235, 235), 128
    made = store(Native(samples=samples, label="YBR_PARTIAL_422", planar=0)).picture("preview")
    assert made[0].tolist() == [[0, 0, 0], [0, 0, 0], [255, 255, 255], [255, 255, 255]]


# --- tables ---


def palette(bits: int, count: int = 256, first: int = 0, *, packed: bool = False) -> tuple[dict[str, Any], Any]:
    """The attributes of a palette, and its colours of 8 bits."""
    entries = [(np.arange(count) * step + at) % (1 << bits) for at, step in enumerate((257, 5, 911))]
    named = dict(zip(("Red", "Green", "Blue"), entries, strict=True))
    attributes: dict[str, Any] = {}
    for name, table in named.items():
        attributes[f"{name}PaletteColorLookupTableDescriptor"] = [count & 0xFFFF, first, bits]
        attributes[f"{name}PaletteColorLookupTableData"] = table.astype("u1" if packed else "<u2").tobytes()
    return attributes, np.stack([table >> (bits - 8) for table in entries], -1).astype("u1")


@pytest.mark.parametrize(
    ("bits", "count", "first", "packed"),
    [(16, 256, 0, False), (8, 256, 0, False), (8, 256, 0, True), (16, 50, 100, False), (12, 256, 0, False)],
)
def test_palettes_are_looked_up(store: Any, bits: int, count: int, first: int, packed: bool) -> None:
    attributes, colours = palette(bits, count, first, packed=packed)
    stored = store(Native(samples=BYTES, label="PALETTE COLOR"), **attributes)
    places = np.clip(BYTES[0, ..., 0].astype(int) - first, 0, count - 1)
    for route in ("preview", "rendered"):
        assert np.array_equal(stored.picture(route), colours[places])


def test_a_descriptor_of_zero_entries_means_65536(store: Any) -> None:
    attributes, colours = palette(16, 65_536)
    stored = store(Native(samples=WORDS, bits=16, label="PALETTE COLOR"), **attributes)
    assert np.array_equal(stored.picture("preview"), colours[WORDS[0, ..., 0]])


def test_segmented_palettes_are_put_together(store: Any) -> None:
    segments = [0, 2, 10, 20, 1, 4, 60, 0, 1, 7]  # 10, 20; a line of four steps to 60; 7
    repeated = [*segments, 2, 1, 0, 0]  # and the first segment again
    data = struct.pack(f"<{len(repeated)}H", *repeated)
    attributes: dict[str, Any] = {
        f"{name}PaletteColorLookupTableDescriptor": [9, 0, 16] for name in ("Red", "Green", "Blue")
    }
    attributes |= {f"Segmented{name}PaletteColorLookupTableData": data for name in ("Red", "Green", "Blue")}
    samples = np.arange(10, dtype="u1").reshape(1, 2, 5, 1)
    array = shown_array(store(Native(samples=samples, label="PALETTE COLOR"), **attributes), "numpy")
    wanted = [10, 20, 30, 40, 50, 60, 7, 10, 20, 20]
    assert array.shape == (1, 2, 5, 3)
    assert array[0, ..., 0].reshape(-1).tolist() == [value >> 8 for value in wanted]


def test_a_segmented_palette_costs_no_more_than_its_entries(store: Any) -> None:
    """30,000 segments without entries, repeated 16,000 times, were minutes of the server's own time."""
    data = struct.pack("<131072H", *[0, 0] * 30_000, *[2, 65535, 0, 0] * 17_768)
    attributes: dict[str, Any] = {
        f"{name}PaletteColorLookupTableDescriptor": [0, 0, 16] for name in ("Red", "Green", "Blue")
    }
    attributes |= {f"Segmented{name}PaletteColorLookupTableData": data for name in ("Red", "Green", "Blue")}
    started = time.process_time()
    answer = store(Native(samples=BYTES, label="PALETTE COLOR"), **attributes).ask("preview")
    assert error_of(answer) == (415, 23, "A segment of a lookup table has no entries")
    assert time.process_time() - started < 10


@pytest.mark.parametrize("change", ["RedPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData"])
def test_without_its_palette_an_image_has_no_colours(store: Any, change: str) -> None:
    attributes, _ = palette(16)
    answer = store(Native(samples=BYTES, label="PALETTE COLOR"), **attributes | {change: None}).ask("preview")
    assert error_of(answer) == (415, 23, "The instance lacks the palette of its colours")


def _lut(count: int, first: int, bits: int, entries: Any) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [count, first, bits]
    item["LUTDescriptor"].VR = "US" if first >= 0 else "SS"
    item.LUTData = entries.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return Sequence([item])


def test_the_modality_lut_comes_before_the_window(store: Any) -> None:
    table = np.arange(200)[::-1] * 10
    stored = store(
        Native(samples=BYTES), ModalityLUTSequence=_lut(200, 5, 16, table), WindowCenter="1000", WindowWidth="2000"
    )
    values = table[np.clip(BYTES[0, ..., 0].astype(int) - 5, 0, 199)]
    assert np.array_equal(stored.picture("rendered"), window(values, 1000, 2000))
    assert np.array_equal(shown_array(stored, "numpy")[0, ..., 0], values)


def test_the_voi_lut_is_used_where_there_is_no_window(store: Any) -> None:
    table = (np.arange(256) ** 2) % 4096
    stored = store(Native(samples=BYTES), VOILUTSequence=_lut(256, 0, 12, table))
    assert np.array_equal(stored.picture("rendered"), table[BYTES[0, ..., 0]] * 255 // 4095)
    windowed = store(
        Native(samples=BYTES), VOILUTSequence=_lut(256, 0, 12, table), WindowCenter="100", WindowWidth="50"
    )
    assert np.array_equal(windowed.picture("rendered"), window(BYTES[0, ..., 0], 100, 50))


def test_sigmoid_is_a_curve(store: Any) -> None:
    stored = store(Native(samples=BYTES), WindowCenter="100", WindowWidth="50", VOILUTFunction="SIGMOID")
    wanted = 255 / (1 + np.exp(-4 * (BYTES[0, ..., 0].astype(float) - 100) / 50))
    assert np.array_equal(stored.picture("rendered"), wanted.astype("u1"))


def test_frames_have_windows_and_slopes_of_their_own(store: Any) -> None:
    def group(center: str, slope: str | None) -> Dataset:
        voi, values, made = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, "50"
        made.FrameVOILUTSequence = Sequence([voi])
        if slope is not None:
            values.RescaleSlope, values.RescaleIntercept = slope, "1"
            made.PixelValueTransformationSequence = Sequence([values])
        return made

    samples = np.concatenate([BYTES, BYTES, BYTES])
    stored = store(
        Native(samples=samples),
        PerFrameFunctionalGroupsSequence=Sequence([group("100", None), group("200", "2"), Dataset()]),
        SharedFunctionalGroupsSequence=Sequence([group("30", "3")]),
        WindowCenter="1",
        WindowWidth="1",
    )
    values = BYTES[0, ..., 0].astype(int)
    for frame, center, slope in ((0, 100, 3), (1, 200, 2), (2, 30, 3)):
        made = stored.picture(f"frames/{frame}/rendered")
        assert np.array_equal(made, window(values * slope + 1, center, 50)), frame
        assert np.array_equal(shown_array(stored, "numpy")[frame, ..., 0], values * slope + 1), frame


@pytest.mark.parametrize("rows", [5, 2100])  # what is larger than 4 MB lies in a file without a name while it is read
def test_an_image_that_is_kept_compressed_is_shown_as_before(store: Any, rest: RestStage, rows: int) -> None:
    samples = ramp("<u2", 2, rows, 512 if rows > 5 else 6)
    stored = store(Native(samples=samples, bits=16))
    routes = ("preview", "frames/1/image-uint16", "frames/1/raw", "numpy?rescale=0", "frames/1/numpy")
    before = [stored.ask(route).body for route in routes]
    assert rest.ask(f"{stored.path}/attachments/dicom/compress", "POST").status == 200
    assert rest.ask(f"{stored.path}/attachments/dicom/is-compressed").body == b"1"
    assert [stored.ask(route).body for route in routes] == before
    assert np.array_equal(np.load(BytesIO(before[3])), samples)


# --- size ---


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ("width=8", (4, 8)),
        ("height=9", (9, 18)),
        ("width=6&height=20", (3, 6)),
        ("width=30&height=2", (2, 4)),
        ("width=5", (3, 5)),
        ("width=0", (5, 10)),
        ("width=1", (1, 1)),
        ("width=10", (5, 10)),
    ],
)
def test_a_picture_fits_into_what_is_asked_for(store: Any, query: str, shape: tuple[int, int]) -> None:
    native = Native(samples=ramp("u1", 1, 5, 10))
    assert store(native).picture(f"rendered?{query}").shape == shape
    assert store(native).picture(f"preview?{query}").shape == (5, 10)


def test_another_size_has_the_nearest_pixels(store: Any) -> None:
    samples = ramp("u1", 1, 8, 8)
    stored = store(Native(samples=samples), WindowCenter="127.5", WindowWidth="255")
    picture = samples[0, ..., 0]
    doubled = picture.repeat(2, 0).repeat(2, 1)
    for query in ("width=16", "width=16&smooth=1", "height=16&smooth=0"):
        assert np.array_equal(stored.picture(f"rendered?{query}"), doubled)
    assert np.array_equal(stored.picture("rendered?width=4"), picture[1::2, 1::2])


def test_what_shrinks_can_be_smoothed(store: Any) -> None:
    samples = np.zeros((1, 9, 9, 1), "u1")
    samples[0, 4, 4, 0] = 255
    stored = store(Native(samples=samples), WindowCenter="127.5", WindowWidth="255")
    kernel = np.outer((1, 4, 6, 4, 1), (1, 4, 6, 4, 1))
    smoothed = np.zeros((9, 9), int)
    smoothed[2:7, 2:7] = kernel * 255 // 256
    assert np.array_equal(stored.picture("rendered?width=3&smooth=1"), smoothed[1::3, 1::3])
    assert stored.picture("rendered?width=3")[1, 1] == 255


# --- formats ---


def test_the_format_is_the_one_that_is_liked_best(store: Any) -> None:
    stored = store(Native(samples=BYTES))
    for accept, wanted in (
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/jpeg, image/png", "image/jpeg"),
        ("image/jpeg;q=0.5, image/png;q=0.9", "image/png"),
        ("text/html, image/webp, */*;q=0.1", "image/png"),
        ("application/json, image/x-portable-arbitrarymap", "image/x-portable-arbitrarymap"),
    ):
        assert stored.ask("preview", Accept=accept).headers["Content-Type"] == wanted, accept
    for accept in ("image/gif", "text/html", "nonsense", "image/png;q=0"):
        answer = stored.ask("preview", Accept=accept)
        assert (answer.status, b"image/png, image/jpeg" in answer.body) == (404, True), accept
    assert stored.ask("image-uint16", Accept="image/jpeg").status == 404


def test_pam_has_the_values_in_big_endian(store: Any) -> None:
    head = b"P7\nWIDTH 4\nHEIGHT 4\nDEPTH 1\nMAXVAL 65535\nTUPLTYPE GRAYSCALE\nENDHDR\n"
    stored = store(Native(samples=WORDS, bits=16))
    assert stored.ask("image-uint16", **PAM).body == head + WORDS.astype(">u2").tobytes()
    samples = ramp("u1", 1, 2, 3, 3)
    head = b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    assert store(Native(samples=samples, label="RGB", planar=0)).ask("preview", **PAM).body == head + samples.tobytes()


def test_jpeg_has_the_quality_that_is_asked_for(store: Any) -> None:
    samples = ramp("u1", 1, 64, 64)
    stored = store(Native(samples=samples))
    best, worst = (stored.ask(f"preview?quality={quality}", Accept="image/jpeg").body for quality in (100, 1))
    assert len(worst) < len(best) / 2
    decoded = import_module("imagecodecs").jpeg8_decode(best)
    assert abs(decoded.astype(int) - samples[0, ..., 0]).max() <= 2
    for quality in ("0", "101", "x", "", "-4", "50.5"):
        answer = stored.ask(f"preview?quality={quality}", Accept="image/jpeg")
        assert (answer.status, b"quality must be" in answer.body) == (415, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("width=-1", 404),
        ("width=x", 404),
        ("height=2.5", 404),
        ("width=99999999999999999999", 404),
        ("width=65536", 415),
        ("window-center=x", 404),
        ("window-width=nan", 404),
        ("window-center=1,5", 404),
        ("window-width=inf", 404),
        ("smooth=x", 415),
        ("returnUnsupportedImage=x&quality=0", 400),
    ],
)
def test_wrong_arguments_are_refused_by_their_names(store: Any, query: str, status: int) -> None:
    answer = store(Native(samples=BYTES)).ask(f"rendered?{query}")
    assert (answer.status, query.split("=", maxsplit=1)[0].encode() in answer.body) == (status, True)


# --- what has no picture ---


def test_what_cannot_be_decoded_is_told_or_shown_as_such(rest: RestStage, store: Any) -> None:
    samples = gray(8, 64, 64)
    frame = ENCODERS[JPEG_LS](samples)
    broken = Stored(rest, pixel_file(JPEG_LS, samples, [frame[: len(frame) // 2] + b"\xff\xd9"], instance=9001))
    plain = Stored(rest, encode(dataset(9, instance=9002)))
    short = Stored(rest, LAYOUTS["8 bits"].file(EXPLICIT, instance=9003, Rows=100))
    gone = store(LAYOUTS["8 bits"])
    for stored, route in (
        *((each, route) for each in (broken, plain, short) for route in ("preview", "rendered", "image-uint8")),
        (gone, "frames/1/preview"),
        (store(LAYOUTS["RGB"]), "image-uint8"),
        (store(LAYOUTS["RGB"], PhotometricInterpretation="HSV"), "preview"),
    ):
        status, code, details = error_of(stored.ask(route))
        assert (status, code) == (415, 23)
        assert details
        instead = stored.ask(f"{route}?returnUnsupportedImage")
        assert (instead.status, instead.headers["Content-Type"]) == (200, "image/png")
        assert import_module("imagecodecs").png_decode(instead.body).shape == (83, 150)
        assert stored.ask(f"{route}?returnUnsupportedImage=0").status == 415


def test_unknown_instances_and_frames_are_not_found(rest: RestStage, store: Any) -> None:
    for route in ("preview", "rendered", "frames", "frames/0/preview", "frames/0/raw", "matlab", "numpy", "pdf"):
        assert rest.ask(f"/instances/nope/{route}").status == 404
    stored = store(LAYOUTS["8 bits"])
    for frame in ("x", "-1", "1.0", "+0", "4294967296", "99999999999999999999"):
        assert stored.ask(f"frames/{frame}/preview").status == 404
    assert stored.ask("frames/0/nonsense").status == 404
    for route in ("frames/1/raw", "frames/1/raw.gz", "frames/1/numpy", "frames/1/matlab"):
        assert error_of(stored.ask(route))[:2] == (400, 3)


# --- frames ---


def test_frames_are_listed_with_what_can_be_made_of_them(store: Any) -> None:
    stored = store(LAYOUTS["8 bits, frames within words"])
    assert shown(stored.ask("frames")) == [0, 1, 2]
    wanted = ["image-int16", "image-uint16", "image-uint8", "matlab", "numpy", "preview", "raw", "raw.gz", "rendered"]
    assert shown(stored.ask("frames/0")) == wanted
    many = store(LAYOUTS["8 bits"], NumberOfFrames="999999999999")
    assert error_of(many.ask("frames"))[0] == 415


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, GE])
@pytest.mark.parametrize("what", LAYOUTS)
def test_a_raw_frame_is_its_bytes_in_little_endian(store: Any, what: str, syntax: str) -> None:
    native = LAYOUTS[what]
    stored = store(native, syntax)
    bits = np.unpackbits(np.frombuffer(native.stream(), "u1"), bitorder="little")
    size = native.samples[0].size if native.bits == 1 else len(native.stream()) * 8 // len(native.samples)
    for frame in range(len(native.samples)):
        answer = stored.ask(f"frames/{frame}/raw")
        wanted = np.packbits(bits[frame * size : (frame + 1) * size], bitorder="little").tobytes()
        assert (answer.headers["Content-Type"], answer.body) == ("application/octet-stream", wanted)
    zipped = stored.ask("frames/0/raw.gz")
    assert zipped.headers["Content-Type"] == "application/gzip"
    assert gzip.decompress(zipped.body) == stored.ask("frames/0/raw").body


@pytest.mark.parametrize(
    ("syntax", "kind"),
    [(BASELINE, "image/jpeg"), (LOSSLESS_SV1, "application/octet-stream"), (RLE, "application/octet-stream")],
)
def test_a_raw_frame_is_its_codestream(rest: RestStage, numbers: Iterator[int], syntax: str, kind: str) -> None:
    samples = [gray(8, seed=seed) for seed in range(2)]
    frames = [ENCODERS[syntax](each) for each in samples]
    parts = [[frame[:20], frame[20:]] for frame in frames] if syntax != RLE else frames
    stored = Stored(rest, pixel_file(syntax, samples[0], parts, instance=next(numbers)))
    for frame in range(2):
        answer = stored.ask(f"frames/{frame}/raw")
        assert answer.headers["Content-Type"] == kind
        assert answer.body.rstrip(b"\0") == frames[frame].rstrip(b"\0")


def test_compressed_colours_have_a_picture(rest: RestStage, numbers: Iterator[int]) -> None:
    samples = color()
    for syntax, label in ((BASELINE, "YBR_FULL_422"), (LOSSLESS_SV1, "RGB"), (RLE, "RGB")):
        file = pixel_file(
            syntax, samples, [ENCODERS[syntax](samples)], instance=next(numbers), PhotometricInterpretation=label
        )
        made = Stored(rest, file).picture("preview")
        assert abs(made.astype(int) - samples).max() <= (12 if syntax == BASELINE else 0)


def test_matlab_is_an_expression(store: Any) -> None:
    samples = ramp("<i2", 1, 2, 3)
    rows = " ; ".join(" ".join(map(str, row)) for row in samples[0, ..., 0])
    assert store(Native(samples=samples, bits=16)).ask("matlab").body.decode() == f"double([ {rows} ])"
    samples = ramp("u1", 1, 2, 3, 3)
    text = store(Native(samples=samples, label="RGB", planar=0)).ask("frames/0/matlab").body.decode()
    members = " ".join(map(str, samples.reshape(-1)))
    assert text == f"double(permute(reshape([ {members} ], [ 3 3 2 ]), [ 3 2 1 ]))"


def shown_array(stored: Stored, route: str) -> Any:
    answer = stored.ask(route)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/octet-stream"), answer
    return np.load(BytesIO(answer.body))


def test_a_pdf_is_taken_out_of_its_instance(rest: RestStage) -> None:
    attributes: dict[str, Any] = {
        "EncapsulatedDocument": b"%PDF-1.4 a\0",
        "MIMETypeOfEncapsulatedDocument": "application/pdf",
    }
    pdf = "1.2.840.10008.5.1.4.1.1.104.1"
    answer = Stored(rest, encode(dataset(9, instance=9010, SOPClassUID=pdf, **attributes))).ask("pdf")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/pdf", b"%PDF-1.4 a")
    others: list[dict[str, Any]] = [{"SOPClassUID": SECONDARY_CAPTURE, **attributes}, {"SOPClassUID": pdf}]
    for number, other in enumerate(others):
        answer = Stored(rest, encode(dataset(9, instance=9011 + number, **other))).ask("pdf")
        assert (answer.status, answer.body) == (404, b"")


# --- limits ---


@pytest.mark.parametrize("route", ["preview", "frames/5/rendered", "numpy", "frames/0/numpy", "matlab", "frames/7/raw"])
def test_an_image_of_very_many_frames_is_refused(store: Any, route: str) -> None:
    native = Native(samples=np.zeros((1_000_001, 1, 1, 1), "u1"), bits=1)
    answer = store(native).ask(route)
    assert error_of(answer) == (415, 23, "1000001 frames are announced; up to 1000000 can be had")


def test_an_image_is_enlarged_to_a_screen_and_not_to_a_wall(store: Any) -> None:
    stored = store(Native(samples=BYTES))
    assert stored.picture("rendered?width=1000&height=1000").shape == (1000, 1000)
    answer = stored.ask("rendered?width=65535&height=65535")
    assert error_of(answer) == (
        415,
        23,
        "A picture may be enlarged to 33554432 pixels, and 65535 × 65535 are more",
    )
    wide = store(Native(samples=np.zeros((1, 1, 60_000, 1), "u1")))
    assert wide.picture("rendered?width=60000").shape == (1, 60_000)


def test_a_png_that_unpacks_to_very_much_does_not_become_an_instance(rest: RestStage) -> None:
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    content = "data:image/png;base64," + base64.b64encode(png).decode()
    answer = rest.ask("/tools/create-dicom", "POST", json.dumps({"Tags": {}, "Content": content}).encode())
    said = "The image has 65535 × 65535 pixels; up to 256 MB of them can become an instance"
    assert error_of(answer) == (400, 15, said)


def test_who_has_left_is_not_waited_for(rest: RestStage, store: Any) -> None:
    path, codecs = store(Native(samples=BYTES)).path, rest.deps.codecs
    asked = [(f"GET {path}/{route}", "") for route in ("preview", "numpy", f"file?transcode={JPEG_LS}")]
    asked.append((f"POST {path}/modify", f'{{"Transcode": "{JPEG_LS}"}}'))
    with ExitStack() as leases, serving(rest.app, threads=4, silence_s=30, is_alone=False) as address:
        for _ in range(codecs.settings.processes):
            leases.enter_context(codecs.lease())
        with ExitStack() as clients:
            for request, body in asked:
                head = f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
                client = clients.enter_context(connect(address, (head + body).encode()))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wait_for(lambda: len(codecs._turns._waiting) == len(asked), "the requests to wait for a codec")
        wait_for(lambda: not codecs._turns._waiting, "the requests to end")


def test_requests_for_pixels_are_told_apart() -> None:
    apart = ("preview", "frames/3/preview", "rendered", "image-uint8", "image-int16", "matlab", "numpy", "preview/")
    for path in (*apart, "/preview", "preview/x/.."):
        assert needs_codec({"PATH_INFO": f"/instances/1/{path}", "QUERY_STRING": ""})
    for path in ("/instances/1/file", "/studies/1/archive"):
        assert needs_codec({"PATH_INFO": path, "QUERY_STRING": "a&transcode=1.2"})
        assert not needs_codec({"PATH_INFO": path, "QUERY_STRING": ""})
    assert needs_codec({"PATH_INFO": "/tools/create-dicom", "QUERY_STRING": ""})
    for path in ("file", "tags", "frames", "frames/1/raw", "content/preview-1"):
        assert not needs_codec({"PATH_INFO": f"/instances/1/{path}", "QUERY_STRING": ""})


def test_what_dicomweb_may_have_to_decode_is_told_apart_too() -> None:
    def is_apart(path: str, accept: str = "*/*", query: str = "", method: str = "GET") -> bool:
        return needs_codec({"PATH_INFO": path, "QUERY_STRING": query, "HTTP_ACCEPT": accept, "REQUEST_METHOD": method})

    one = "/dicom-web/studies/1.2/series/3.4/instances/5.6"
    for path in (
        "/dicom-web/studies/1.2",
        "/dicom-web/studies/1.2/series/3.4",
        one,
        f"{one}/frames",
        f"{one}/frames/1,2",
    ):
        assert is_apart(path)
        assert is_apart(path, 'multipart/related; type="image/jpeg"')
        assert not is_apart(path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
        assert not is_apart(path, 'multipart/related; type="application/dicom"; transfer-syntax="*"')
        assert not is_apart(path, method="POST")
        assert not is_apart(f"{path}/metadata")
        assert is_apart(f"{path}/rendered", "image/jpeg; transfer-syntax=*")
        assert is_apart(f"{path}/thumbnail")
    wado = "requestType=WADO&studyUID=1.2"
    assert is_apart("/wado", query=wado)
    for file in ("contentType=application/dicom", "contentType=application%2Fdicom"):
        assert not is_apart("/wado", query=f"{wado}&{file}")
        assert not is_apart("/wado", query=f"{file}&{wado}")
        assert is_apart("/wado", query=f"{wado}&{file}&transferSyntax=1.2")
        assert is_apart("/wado", query=f"{wado}&{file}&anonymize=yes")
        assert is_apart("/wado", query=f"{wado}&{file}%2Bxml")
        assert is_apart("/instances/1/preview", query=f"{wado}&{file}")
        assert is_apart(one, query=f"{wado}&{file}")
    assert not is_apart("/dicom-web/studies")
    assert not is_apart("/studies/66c8e41e-ac3a9029-0b85e42a-8195ee0a-92c2e62e")
