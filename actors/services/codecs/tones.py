"""From samples to 8 bits of gray: the full range of a frame, or a window; and pictures of another size.

The formulas are those that Orthanc 1.12.7 was seen to use, to the last bit of what it can decode: the full range is rounded, a window is
what the standard calls LINEAR_EXACT, cut off, whatever VOI LUT Function says. SIGMOID (PS3.3 §C.11.2.1.3), tables (§C.11.1, §C.11.2)
and windows of a frame are the standard's.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

from actors.services.codecs.samples import Samples, look_up
from store.dicom.pixels.transformations import Lut, Rendition, Transformations, Window

_WHITE: Final = 255
_BLOCK_SAMPLES: Final = 1 << 18
_KERNEL: Final = (1, 4, 6, 4, 1)  # a Gaussian of 5 × 5 samples, in 256ths

Tone = Callable[[Any], Any]  # float64 -> what becomes 8 bits, not yet cut off at black and white


def stretch(samples: Samples) -> Any:
    """The full range of the frame as 8 bits of gray."""
    numpy: Any = import_module("numpy")
    low, high = _range(samples.values)
    if high <= low:
        return numpy.zeros(samples.values.shape, "u1")
    slope = float(numpy.float32(_WHITE / (high - low)))
    return _apply(samples, lambda x: numpy.floor(_line(x, slope, -low * slope) + numpy.float32(0.5)))


def expose(samples: Samples, transformed: Transformations) -> Any:
    """The window of the frame as 8 bits of gray; without one all values that its bits have, of more than 16 bits those that occur."""
    window, voi = transformed.window, transformed.voi
    if window is None and voi is not None:
        table = voi
        return _apply(samples, lambda x: _through_voi(rescale(x, transformed), table))
    if window is None:
        if samples.bits > 16:
            return stretch(samples)
        window = Window(float(1 << samples.bits - 1), float(1 << samples.bits))
    if window.is_standard:
        asked = window
        return _apply(samples, lambda x: _through_standard(rescale(x, transformed), asked) + 0.5)
    chosen = window._replace(width=max(window.width, 1.0))
    return _apply(samples, lambda x: _through_window(x, transformed, chosen))


def rescale(values: Any, transformed: Transformations) -> Any:
    """Stored values as float64 to what they mean: Modality LUT, or slope and intercept."""
    if transformed.modality is not None:
        return look_up(values, transformed.modality).astype("f8")
    return values * transformed.slope + transformed.intercept


def _through_window(values: Any, transformed: Transformations, window: Window) -> Any:
    if window.function == "SIGMOID":
        return _through_standard(rescale(values, transformed), window)
    unit = _WHITE / window.width
    black = window.center - window.width / 2
    if transformed.modality is not None:
        return _line(rescale(values, transformed), unit, -black * unit)
    return _line(values, transformed.slope * unit, (transformed.intercept - black) * unit)


def _through_standard(values: Any, window: Window) -> Any:
    """PS3.3 §C.11.2.1.2 and §C.11.2.1.3, from black as 0 to white as 255."""
    numpy: Any = import_module("numpy")
    if window.function == "SIGMOID":
        with numpy.errstate(over="ignore"):
            return _WHITE / (1 + numpy.exp(-4 * (values - window.center) / window.width))
    center, width = window.center, window.width
    if window.function == "LINEAR":
        center, width = center - 0.5, width - 1
    if not width:
        return numpy.where(values > center, float(_WHITE), 0.0)
    return ((values - center) / width + 0.5) * _WHITE


def _line(values: Any, slope: float, offset: float) -> Any:
    """A straight line, in 32 bits where these hold the values: as in Orthanc, whose last bit decides which way is cut off."""
    numpy: Any = import_module("numpy")
    if numpy.abs(values).max() >= 1 << 24:
        return values * slope + offset
    return values.astype("f4") * numpy.float32(slope) + numpy.float32(offset)


def _through_voi(values: Any, lut: Lut) -> Any:
    return look_up(values, lut) * (_WHITE / ((1 << lut.bits) - 1))


def _range(values: Any) -> tuple[float, float]:
    numpy: Any = import_module("numpy")
    if values.dtype.kind == "f":
        finite = values[numpy.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return float(values.min()), float(values.max())


def _apply(samples: Samples, tone: Tone) -> Any:
    """Apply a tone to each sample; of integers up to 16 bits to each value that occurs, at most, once."""
    numpy: Any = import_module("numpy")
    values = samples.values
    made = numpy.empty(values.shape, "u1")
    if not samples.is_integer or values.itemsize > 2:
        for rows in _blocks(values):
            exact = numpy.nan_to_num(values[rows].astype("f8"), posinf=1e300, neginf=-1e300)
            made[rows] = _cut_off(tone(exact))
        return made
    low, high = (int(limit) for limit in _range(values))
    table = _cut_off(tone(numpy.arange(low, high + 1, dtype="f8")))
    unsigned = f"u{values.itemsize}"
    least = numpy.array(low).astype(unsigned)
    for rows in _blocks(values):
        table.take(values[rows].view(unsigned) - least, out=made[rows], mode="clip")  # modulo their width
    return made


def _blocks(values: Any) -> Iterator[slice]:
    """Some rows at a time: what is computed on the way takes several times as much memory as the samples."""
    rows, columns = values.shape
    height = max(1, _BLOCK_SAMPLES // columns)
    return (slice(at, at + height) for at in range(0, rows, height))


def _cut_off(tones: Any) -> Any:
    numpy: Any = import_module("numpy")
    return numpy.clip(tones, 0, _WHITE).astype("u1")


def fit(picture: Any, wanted: Rendition) -> Any:
    """A picture of 8 bits in another size, its proportions kept: each pixel is the nearest one, of what was smoothed if it shrinks."""
    rows, columns = picture.shape[:2]
    height, width = wanted.fitted(rows, columns)
    if (height, width) == (rows, columns):
        return picture
    down, across = _nearest(rows, height), _nearest(columns, width)
    if wanted.smooth and (height < rows or width < columns):
        return _smoothed(picture, down, across)
    return picture[down[:, None], across[None, :]]


def _nearest(size: int, wanted: int) -> Any:
    """Which of so many pixels lies below the middle of each of those that are wanted, counted in 32 bits as Orthanc does."""
    numpy: Any = import_module("numpy")
    places = (numpy.arange(wanted, dtype="f4") + numpy.float32(0.5)) * (numpy.float32(size) / numpy.float32(wanted))
    return numpy.minimum(places.astype("i8"), size - 1)


def _smoothed(picture: Any, down: Any, across: Any) -> Any:
    """Some rows and columns of the picture under a Gaussian filter; at its edges the last pixels are repeated."""
    numpy: Any = import_module("numpy")
    edges = ((2, 2), (2, 2), *((0, 0) for _ in picture.shape[2:]))
    padded = numpy.pad(picture, edges, "edge").astype("u2")  # 255 × 256 is still less than 65536
    lines: Any = sum(weight * padded[down + at] for at, weight in enumerate(_KERNEL))
    total: Any = sum(weight * lines[:, across + at] for at, weight in enumerate(_KERNEL))
    return (total >> 8).astype("u1")
