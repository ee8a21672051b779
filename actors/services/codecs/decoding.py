"""Decodes one frame: the result agrees with the dataset and the codestream, or it is an error."""

from importlib import import_module
from typing import Any, Final

from actors.services.codecs.libjpeg import StrictJpeg
from actors.services.codecs.uncompressed import order_samples
from store.dicom.pixels.agreement import Plan, agree
from store.dicom.pixels.codestream import Codestream, Coding
from store.dicom.pixels.decodable import read_codestream
from store.dicom.pixels.description import PixelDescription, UndecodablePixels

_PADDING_BYTES: Final = 3  # behind a segment of RLE, at most
_WIDTHS: Final = {8: "u1", 16: "<u2", 32: "<u4"}


class Decoder:
    """The libraries, loaded when they are needed first."""

    def __init__(self, jpeg: StrictJpeg) -> None:
        self._numpy: Any = import_module("numpy")
        self._jpeg = jpeg

    def decode(
        self, frame: bytes, syntax: str, described: PixelDescription, into: memoryview, skipped_bits: int = 0
    ) -> str:
        """Decode a frame to pixels, color by pixel in little endian, of the bits that the dataset allocates.

        What is not compressed is put in that order. `skipped_bits` at the beginning are those of another frame.
        Returns the photometric interpretation. Raises UndecodablePixels, MemoryError, and whatever a library does.
        """
        if described.native is not None:
            return order_samples(frame, skipped_bits, described, into)
        found = read_codestream(frame, syntax, described)
        plan = agree(described, found)
        pixels = self._numpy.frombuffer(into, _WIDTHS[described.bits_allocated])
        if found.coding is Coding.RUNS:
            # Whole bytes of pixels come back as they were, with the overlays that old images keep above their samples.
            self._decode_runs(frame, found, described, into)
        else:
            samples = self._samples(frame[: found.size_bytes], found, plan, described, into)
            if samples is not None:
                self._fill(pixels, samples, described, plan)
            self._refuse_excess(pixels, described, found)
        return plan.photometric_interpretation

    def _samples(
        self, frame: bytes, found: Codestream, plan: Plan, described: PixelDescription, into: memoryview
    ) -> Any:
        """The samples as an array in the order of pixels, None if they are in their place already."""
        if found.coding in {Coding.DCT, Coding.PREDICTED}:
            is_in_place = (found.bits > 8) == (described.bits_allocated > 8)
            depth = 1 if found.bits <= 8 else 2
            target = into if is_in_place else memoryview(bytearray(found.rows * found.columns * found.samples * depth))
            self._jpeg.decode(frame, found, plan, target)
            if is_in_place and plan.sign_bit is None:
                return None
            return self._numpy.frombuffer(target, "u1" if depth == 1 else "<u2")
        if found.coding is Coding.PNG:
            decoded = import_module("imagecodecs").png_decode(frame)
            return self._flat(decoded[..., : found.samples] if decoded.ndim == 3 else decoded, found)
        if found.coding is Coding.JPEG_LS:
            samples = import_module("imagecodecs").jpegls_decode(frame)
        elif found.coding is Coding.MODULAR:
            samples = import_module("imagecodecs").jpegxl_decode(frame, numthreads=1)
        else:
            samples = import_module("imagecodecs").jpeg2k_decode(frame, planar=False, numthreads=1)
        return self._flat(samples, found)

    def _flat(self, samples: Any, found: Codestream) -> Any:
        """The samples of an array one behind the other. Raises UndecodablePixels unless they are all there."""
        shape = (found.rows, found.columns) if found.samples == 1 else (found.rows, found.columns, found.samples)
        if samples.shape != shape or samples.itemsize * 8 < found.bits or (samples.dtype.kind == "i") != found.signed:
            raise UndecodablePixels(f"A frame was decoded to {samples.shape} of {samples.dtype}, not to what it says")
        return samples.reshape(-1)

    def _fill(self, pixels: Any, samples: Any, described: PixelDescription, plan: Plan) -> None:
        if samples.size != pixels.size:
            raise UndecodablePixels("A frame does not have as many samples as the dataset announces")
        if samples.dtype.kind == "i" and not described.signed and samples.min() < 0:
            raise UndecodablePixels("A frame has negative samples where the dataset announces none")
        if plan.sign_bit is None:
            pixels[:] = samples.astype(f"i{pixels.itemsize}") if samples.dtype.kind == "i" else samples
            return
        sign = 1 << (plan.sign_bit - 1)
        signed = pixels.view(f"<i{pixels.itemsize}")
        signed[:] = samples
        signed ^= sign
        signed -= sign

    def _refuse_excess(self, pixels: Any, described: PixelDescription, found: Codestream) -> None:
        """Refuse samples that have more bits than the dataset announces: nobody knows which of the two is wrong."""
        stored = described.high_bit + 1
        if stored == described.bits_allocated or (found.bits <= stored and not described.signed):
            return
        # Two's complement may be extended by its sign or by nothing: both are the same sample.
        excess = pixels >> stored
        if described.signed:
            signs = pixels.view(f"<i{pixels.itemsize}") >> (stored - 1)
            excess[signs == -1] = 0
        if excess.any():
            raise UndecodablePixels(
                f"A frame has samples of more than the {described.bits_stored} bits that are announced"
            )

    def _decode_runs(self, frame: bytes, found: Codestream, described: PixelDescription, into: memoryview) -> None:
        """Put the byte planes in their place: of each sample the most significant byte comes first (PS3.5 §G.2)."""
        count = found.rows * found.columns
        width = described.bits_allocated // 8
        planes = self._numpy.frombuffer(into, "u1").reshape(count, described.samples, width)
        for place, (start, length) in enumerate(found.segments):
            sample, byte = divmod(place, width)
            planes[:, sample, width - 1 - byte] = self._unpack(frame[start : start + length], count)

    def _unpack(self, segment: bytes, count: int) -> Any:
        """Decode a segment to exactly `count` bytes; a few zeros may pad it. Raises UndecodablePixels."""
        unpack = import_module("imagecodecs").packbits_decode
        for padding in range(_PADDING_BYTES + 1):
            if segment[len(segment) - padding :].strip(b"\0"):
                break
            try:
                plane = unpack(segment[: len(segment) - padding], out=count + 1)
            except Exception:  # noqa: BLE001, S112  # the library's own, different for each way to be wrong
                continue
            if len(plane) == count:
                return self._numpy.frombuffer(plane, "u1")
        raise UndecodablePixels("A segment of RLE is damaged: it does not have as many bytes as the frame has pixels")
