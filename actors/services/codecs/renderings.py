"""What is made of a decoded frame besides its pixels: pictures, arrays, and text for Matlab."""

from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from actors.services.codecs.picture_formats import encode
from actors.services.codecs.samples import Samples
from actors.services.codecs.tones import expose, fit, rescale, stretch
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.transformations import Rendition, Transformations

_LIMITS: Final = {"image-uint8": ("u1", 0, 255), "image-uint16": ("<u2", 0, 65_535), "image-int16": ("<i2", -32_768, 32_767)}  # fmt: skip


def make_picture(samples: Samples, wanted: Rendition, transformed: Transformations) -> bytes:
    """Return a picture in its format. Raises UndecodablePixels."""
    if wanted.crop is not None:
        top, bottom, left, right = wanted.crop.within(*samples.values.shape[:2])
        samples = replace(samples, values=samples.values[top:bottom, left:right])
        wanted = replace(wanted, crop=None)
    if wanted.kind in _LIMITS:
        picture = _clamped(samples, wanted.kind)
    elif not samples.is_gray:
        picture = samples.values if samples.values.itemsize == 1 else _upper_bits(samples)
    elif wanted.kind == "preview":
        picture = stretch(samples)
    else:
        picture = expose(samples, transformed)
    picture = fit(picture, wanted)
    if samples.is_inverted and wanted.kind not in _LIMITS:
        picture = 255 - picture
    picture = picture[:: -1 if wanted.is_upside_down else 1, :: -1 if wanted.is_mirrored else 1]
    numpy: Any = import_module("numpy")
    return encode(numpy.ascontiguousarray(picture), wanted.media_type, wanted.quality)  # parts, and what is turned over


def _clamped(samples: Samples, kind: str) -> Any:
    """Stored values as they are, but for those beyond the limits; negative ones as two's complement."""
    if not samples.is_gray:
        raise UndecodablePixels(f"{kind} is for grayscale images, and this one has colours: ask for its preview")
    numpy: Any = import_module("numpy")
    code, low, high = _LIMITS[kind]
    values = samples.values if samples.is_integer else numpy.nan_to_num(numpy.rint(samples.values))
    clamped = numpy.clip(values.astype("i8" if values.dtype.kind == "f" or values.itemsize > 2 else "i4"), low, high)
    return clamped.astype(code).view(f"<u{numpy.dtype(code).itemsize}")


def _upper_bits(samples: Samples) -> Any:
    return (samples.values >> max(0, samples.bits - 8)).astype("u1")


def put_array(samples: Samples, transformed: Transformations, into: memoryview, *, rescales: bool) -> None:
    """Put the values in a place, in C order and little endian, of the type that `store.dicom.pixels.arrays` tells."""
    numpy: Any = import_module("numpy")
    values = samples.values
    is_rescaled = rescales and samples.is_gray
    code = values.dtype if not is_rescaled or values.dtype == "f8" else "<f4"
    made = numpy.frombuffer(into, code).reshape(values.shape)
    if is_rescaled and (transformed.modality is not None or values.itemsize > 2):
        made[:] = rescale(values.astype("f8"), transformed)
        return
    made[:] = values
    if is_rescaled and (transformed.slope, transformed.intercept) != (1.0, 0.0):
        made *= numpy.float32(transformed.slope)
        made += numpy.float32(transformed.intercept)


def make_matlab(samples: Samples) -> bytes:
    """Return the samples as an expression of Octave and Matlab."""
    values = samples.values
    if samples.is_gray:
        return f"double([ {' ; '.join(' '.join(map(str, row)) for row in values.tolist())} ])".encode()
    rows, columns = values.shape[:2]
    members = " ".join(map(str, values.reshape(-1).tolist()))
    return f"double(permute(reshape([ {members} ], [ 3 {columns} {rows} ]), [ 3 2 1 ]))".encode()
