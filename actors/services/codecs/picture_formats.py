"""Pictures as PNG, JPEG, GIF and PAM.

A PNG is put together here: what takes time in it is one stream of zlib, which ISA-L makes in a tenth of libpng's processor time (512 × 512
of 8 bits: 0.28 ms where libpng takes 2.7 at its first level and 5.7 at its sixth), of the same size within a tenth.
"""

from importlib import import_module
from typing import Any, Final

from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.png import write_png

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
GIF: Final = "image/gif"
PAM: Final = "image/x-portable-arbitrarymap"
MOST_JPEG_PIXELS: Final = 65_500  # of a side; libjpeg's limit
MOST_GIF_PIXELS: Final = 65_535  # likewise; the format's

_SUB, _UP = 1, 2  # filters of PNG: the difference to the pixel on the left, or above
_LEVEL: Final = 1


def encode(picture: Any, media_type: str, quality: int) -> bytes:
    """Encode an array of `rows, columns[, 3]` of 8 or 16 bits. Raises UndecodablePixels."""
    if media_type == JPEG:
        return _encode_jpeg(picture, quality)
    if media_type == GIF:
        return _encode_gif(picture)
    return _encode_png(picture) if media_type == PNG else _encode_pam(picture)


def _encode_jpeg(picture: Any, quality: int) -> bytes:
    if picture.itemsize != 1:
        raise UndecodablePixels("A JPEG has 8 bits a sample: ask for image/png")
    if max(picture.shape[:2]) > MOST_JPEG_PIXELS:
        raise UndecodablePixels(f"A JPEG has at most {MOST_JPEG_PIXELS} rows and columns: ask for image/png")
    options = {} if picture.ndim == 2 else {"subsampling": "420"}
    made: bytes = import_module("imagecodecs").jpeg8_encode(picture, level=quality, **options)
    return made


def _encode_gif(picture: Any) -> bytes:
    """Grays as they are; of colours the upper bits: three of red, three of green, two of blue."""
    numpy: Any = import_module("numpy")
    if max(picture.shape[:2]) > MOST_GIF_PIXELS:
        raise UndecodablePixels(f"A GIF has at most {MOST_GIF_PIXELS} rows and columns: ask for image/png")
    places = numpy.arange(256)
    if picture.ndim == 2:
        colours = numpy.stack((places, places, places), axis=-1)
    else:
        red, green, blue = (picture[..., at] for at in range(3))
        picture = red & 0xE0 | green >> 3 & 0x1C | blue >> 6
        colours = numpy.stack(((places >> 5) * 255 / 7, (places >> 2 & 7) * 255 / 7, (places & 3) * 85), axis=-1)
    table = numpy.rint(colours).astype("u1")
    made: bytes = import_module("imagecodecs").gif_encode(picture, colormap=table)
    return made


def _encode_pam(picture: Any) -> bytes:
    rows, columns = picture.shape[:2]
    depth, kind = (1, "GRAYSCALE") if picture.ndim == 2 else (3, "RGB")
    most = (1 << 8 * picture.itemsize) - 1
    head = f"P7\nWIDTH {columns}\nHEIGHT {rows}\nDEPTH {depth}\nMAXVAL {most}\nTUPLTYPE {kind}\nENDHDR\n"
    return head.encode() + bytes(picture.astype(f">u{picture.itemsize}").tobytes())


def _encode_png(picture: Any) -> bytes:
    compressor: Any = import_module("isal.isal_zlib")
    rows, columns = picture.shape[:2]
    bits = 8 * picture.itemsize
    colour = 0 if picture.ndim == 2 else 2
    body = compressor.compress(_filtered(picture), _LEVEL)
    return write_png(columns, rows, bits, colour, body, compressor.crc32)


def _filtered(picture: Any) -> Any:
    """The rows as bytes, each behind its filter: gray differs least from the pixel above, colours from the one on the left."""
    numpy: Any = import_module("numpy")
    rows, columns = picture.shape[:2]
    data = numpy.ascontiguousarray(picture.astype(f">u{picture.itemsize}", copy=False)).view("u1").reshape(rows, -1)
    made = numpy.empty((rows, data.shape[1] + 1), "u1")
    if picture.ndim == 2:
        made[:, 0] = _UP
        made[0, 1:] = data[0]
        numpy.subtract(data[1:], data[:-1], out=made[1:, 1:])
    else:
        step = data.shape[1] // columns
        made[:, 0] = _SUB
        made[:, 1 : 1 + step] = data[:, :step]
        numpy.subtract(data[:, step:], data[:, :-step], out=made[:, 1 + step :])
    return made
