"""Encodes one frame: a codestream leaves only if its own headers say what the dataset will say of it."""

from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from actors.services.codecs.charls import Charls
from actors.services.codecs.predicted import MOST_SAMPLES, Unsuited, encode_predicted
from store.dicom.pixels.agreement import agree
from store.dicom.pixels.decodable import JPEG_2000, JPEG_LS, read_codestream
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.pixels.encodable import (
    DCT,
    HIGH_THROUGHPUT,
    LOSSLESS,
    LS_NEAR,
    PREDICTED,
    XL_LOSSLESS,
    Encoding,
    UnfitPixels,
    most_codestream_bytes,
    plan_encoding,
)
from store.dicom.uids import RLE_LOSSLESS

NEAR: Final = 2  # a sample decoded from JPEG-LS with loss differs by that at most: DCMTK's choice, and so Orthanc's
_PREDICTORS: Final = {True: 6, False: 1}  # selection values of process 14, and of its first-order prediction; as DCMTK
_UNKNOWN: Final = 0  # JCS_UNKNOWN
_EFFORT: Final = 3  # of libjxl, 1 to 9: a quarter of the time that its own choice of 7 takes, and files as small
_WIDTHS: Final = {8: "u1", 16: "<u2", 32: "<u4"}
_FIRST_DEPTH: Final = 42  # where in JPEG 2000 the bits of the first component stand; three bytes a component
_SIGNED: Final = 0x80


class Encoder:
    """The libraries, loaded when they are needed first."""

    def __init__(self) -> None:
        self._numpy: Any = import_module("numpy")
        self._charls: Charls | None = None

    def encode(
        self, frame: memoryview, native: PixelDescription, transfer_syntax: str, quality: int
    ) -> tuple[bytes, str]:
        """Encode decoded pixels, color by pixel; returns the codestream and its photometric interpretation.

        Raises UnfitPixels, MemoryError.
        """
        encoding = plan_encoding(native, transfer_syntax, quality)
        shape = (native.rows, native.columns) + ((native.samples,) if native.samples > 1 else ())
        pixels = self._numpy.frombuffer(frame, _WIDTHS[native.bits_allocated]).reshape(shape)
        if transfer_syntax == RLE_LOSSLESS:
            codestream = self._encode_runs(pixels, native)
        else:
            samples = self._samples(pixels, native, encoding)
            try:
                codestream = bytes(self._encode_samples(samples, native, encoding))
            except MemoryError:
                raise
            except Exception as exc:  # libraries of several kinds, each with errors of its own
                raise UnfitPixels(f"its codec refuses them: {type(exc).__name__}") from exc
        self._prove(codestream, encoding)
        return codestream, encoding.described.photometric_interpretation

    def _samples(self, pixels: Any, native: PixelDescription, encoding: Encoding) -> Any:
        """The samples in the width and with the sign that they are encoded with. Raises UnfitPixels for bits above the stored ones."""
        signed = pixels.view(f"<i{pixels.itemsize}") if native.signed else pixels
        half = 1 << (native.bits_stored - 1)
        least, most = (-half, half - 1) if native.signed else (0, 2 * half - 1)
        if native.bits_stored < native.bits_allocated and (signed.min() < least or signed.max() > most):
            raise UnfitPixels(
                f"samples have more than the {native.bits_stored} bits that are stored; an overlay may be in them"
            )
        has_sign = native.signed and encoding.transfer_syntax in JPEG_2000  # else it is a bit like any other
        width = ("i" if has_sign else "u") + ("1" if encoding.bits <= 8 else "2")
        return self._numpy.ascontiguousarray(signed if has_sign else pixels, f"<{width}")

    def _encode_samples(self, samples: Any, native: PixelDescription, encoding: Encoding) -> Any:
        syntax = encoding.transfer_syntax
        if syntax in JPEG_LS:
            self._charls = self._charls or Charls()
            near = NEAR if syntax == LS_NEAR else 0
            return self._charls.encode(samples, native, encoding.bits, near, most_codestream_bytes(native))
        if syntax in DCT or syntax in PREDICTED:
            return self._encode_jpeg(samples, native, encoding)
        if syntax in HIGH_THROUGHPUT:
            return self._encode_high_throughput(samples, native, encoding)
        library: Any = import_module("imagecodecs")
        if syntax == XL_LOSSLESS:
            return library.jpegxl_encode(
                samples, lossless=True, effort=_EFFORT, bitspersample=encoding.bits, numthreads=1
            )
        level = _signal_to_noise_db(encoding.quality) if encoding.is_lossy else 0
        is_rgb = native.photometric_interpretation == "RGB"
        return library.jpeg2k_encode(
            samples,
            level,
            codecformat="j2k",
            bitspersample=encoding.bits,
            reversible=not encoding.is_lossy,
            mct=is_rgb,
            numthreads=1,
        )

    def _encode_jpeg(self, samples: Any, native: PixelDescription, encoding: Encoding) -> Any:
        library: Any = import_module("imagecodecs")
        bits = encoding.bits
        if encoding.transfer_syntax in PREDICTED:
            predictor = _PREDICTORS[encoding.transfer_syntax == LOSSLESS]
            if predictor == 1 and samples.ndim == 2 and samples.size <= MOST_SAMPLES:
                with suppress(Unsuited):
                    return encode_predicted(samples, bits)
            # Without a marker that says what the components are: the dataset does.
            colours = {"colorspace": _UNKNOWN, "outcolorspace": _UNKNOWN} if native.samples > 1 else {}
            return library.jpeg8_encode(samples, lossless=True, predictor=predictor, bitspersample=bits, **colours)
        if native.samples == 1:
            return library.jpeg8_encode(samples, encoding.quality, bitspersample=bits)
        source = "RGB" if native.photometric_interpretation == "RGB" else "YCBCR"
        return library.jpeg8_encode(
            samples, encoding.quality, colorspace=source, outcolorspace="YCBCR", subsampling="422"
        )

    def _encode_high_throughput(self, samples: Any, native: PixelDescription, encoding: Encoding) -> Any:
        """Encode samples of any number of bits, though OpenJPH takes 8 or 16: the header is told the true number afterwards.

        Without loss, samples are coded as what they are around their middle, with a sign; a decoder adds the middle again where the
        header says that there is no sign (ITU-T T.800 §G.1). With loss all is a share of the whole range (§E.1), so they are widened to it.
        """
        library: Any = import_module("imagecodecs")
        bits, container = encoding.bits, 8 * samples.itemsize
        if bits < container and encoding.is_lossy:
            samples = samples << (container - bits)
        elif bits < container and not native.signed:
            samples = samples.astype(f"<i{samples.itemsize}") - (1 << (bits - 1))
        is_rgb = native.photometric_interpretation == "RGB"
        step = _quantization_step(encoding.quality) if encoding.is_lossy else None
        made = library.htj2k_encode(samples, step, rgb=is_rgb, reversible=not encoding.is_lossy, tlm=True)
        codestream = bytearray(made)
        for place in range(native.samples):
            codestream[_FIRST_DEPTH + 3 * place] = bits - 1 | (_SIGNED if native.signed else 0)
        return codestream

    def _encode_runs(self, pixels: Any, native: PixelDescription) -> bytes:
        """Encode each byte of the samples by itself, the most significant one first, and each row by itself (PS3.5 §G)."""
        pack = import_module("imagecodecs").packbits_encode
        width = native.bits_allocated // 8
        planes = pixels.view("u1").reshape(native.rows, native.columns, native.samples, width)
        if native.samples * width > 15:
            raise UnfitPixels("a frame of RLE has 15 segments at most")
        segments = []
        for sample in range(native.samples):
            for byte in reversed(range(width)):
                segment = bytes(pack(planes[:, :, sample, byte].copy(), axis=-1))
                segments.append(segment + bytes(len(segment) & 1))
        offsets, position = [], 64
        for segment in segments:
            offsets.append(position)
            position += len(segment)
        header = self._numpy.zeros(16, "<u4")
        header[0] = len(segments)
        header[1 : 1 + len(offsets)] = offsets
        return b"".join((header.tobytes(), *segments))

    def _prove(self, codestream: bytes, encoding: Encoding) -> None:
        """Raise UndecodablePixels unless the codestream is what the dataset will say."""
        found = read_codestream(codestream, encoding.transfer_syntax, encoding.described)
        if found.size_bytes != len(codestream):
            raise UndecodablePixels("A codec has written something behind the end of a frame")
        agree(encoding.described, found)


def _signal_to_noise_db(quality: int) -> float:
    """What JPEG 2000 aims at, against a whole range of samples: 56 dB at the usual quality of 90, 20 at the least."""
    return 20 + 0.4 * quality


def _quantization_step(quality: int) -> float:
    """The step that gives this ratio if errors are spread evenly over it: their mean square is a twelfth of its square."""
    return float(10 ** (-(_signal_to_noise_db(quality) - 10 * 1.0792) / 20))
