"""JPEG-LS by CharLS with any number of bits a sample: bindings for Python code the bits that are allocated.

The copy of the library that imagecodecs has brought along is called by its C interface, whose functions answer 0 or the number of an error.
"""

import ctypes
from importlib import import_module
from typing import Any, Final

from store.dicom.pixels.description import PixelDescription

_BY_SAMPLE: Final = 2  # components one beside the other, as they lie in native pixels


class _FrameInfo(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("bits", ctypes.c_int32),
        ("components", ctypes.c_int32),
    )


class CharlsError(Exception):
    """The library has refused to encode a frame."""


class Charls:
    """The encoder."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(import_module("imagecodecs._jpegls").__file__)
        self._library.charls_jpegls_encoder_create.restype = ctypes.c_void_p

    def encode(self, samples: Any, described: PixelDescription, bits: int, near: int, most_bytes: int) -> memoryview:
        """Encode samples without a sign, an array of the width that is needed. Raises CharlsError."""
        call = self._library
        encoder = ctypes.c_void_p(call.charls_jpegls_encoder_create())
        target = ctypes.create_string_buffer(most_bytes)
        info = _FrameInfo(described.columns, described.rows, bits, described.samples)
        written = ctypes.c_size_t()
        try:
            _check(call.charls_jpegls_encoder_set_frame_info(encoder, ctypes.byref(info)))
            _check(call.charls_jpegls_encoder_set_near_lossless(encoder, near))
            if described.samples > 1:
                _check(call.charls_jpegls_encoder_set_interleave_mode(encoder, _BY_SAMPLE))
            _check(call.charls_jpegls_encoder_set_destination_buffer(encoder, target, ctypes.c_size_t(most_bytes)))
            source = samples.ctypes.data_as(ctypes.c_void_p)
            _check(call.charls_jpegls_encoder_encode_from_buffer(encoder, source, ctypes.c_size_t(samples.nbytes), 0))
            _check(call.charls_jpegls_encoder_get_bytes_written(encoder, ctypes.byref(written)))
        finally:
            call.charls_jpegls_encoder_destroy(encoder)
        return memoryview(target)[: written.value]


def _check(result: int) -> None:
    if result:
        raise CharlsError(f"CharLS answers with error {result}")
