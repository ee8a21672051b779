"""libjpeg-turbo without its tolerance, for all JPEG of DICOM: 8 and 12 bits with loss, 2 to 16 bits without.

The library goes on after damage: it warns, and fills missing parts with gray. Bindings for Python, those of
imagecodecs too, drop the warnings. Here each warning ends the decoding. So we call the copy of the library that
imagecodecs has brought along. Only those members of its main structure are touched that have had the same place since
1991; its whole size and version are asked for first, by a call that is meant to fail.

An error of libjpeg's must not return to it (C programs jump out). It ends this process, after its last words.
"""

import ctypes
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from store.dicom.pixels.agreement import Plan
from store.dicom.pixels.codestream import Codestream, Coding
from store.dicom.pixels.description import UndecodablePixels

_WRONG_VERSION: Final = 13  # JERR_BAD_LIB_VERSION and JERR_BAD_STRUCT_SIZE; the first parameter is what is right
_WRONG_SIZE: Final = 22
_TEXT_BYTES: Final = 200  # JMSG_LENGTH_MAX
_WARNING: Final = -1
# What is said of a header and changes no pixel; seen in images that DCMTK decodes to the same samples.
_HARMLESS: Final = ("Invalid SOS parameters", "Unknown Adobe color transform", "Warning: unknown JFIF revision")

_GRAY, _RGB, _YCC, _UNKNOWN = 1, 2, 3, 0  # J_COLOR_SPACE
_JPEG_COLOUR: Final = 60  # offsets in jpeg_decompress_struct, on machines of 64 bits
_OUT_COLOUR: Final = 64
_OUT_COMPONENTS: Final = 148
_SCANLINE: Final = 168

_Handler: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Emitter: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
_Formatter: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class _ErrorManager(ctypes.Structure):
    _fields_ = (
        ("error_exit", _Handler),
        ("emit_message", _Emitter),
        ("output_message", _Handler),
        ("format_message", _Formatter),
        ("reset", ctypes.c_void_p),
        ("code", ctypes.c_int),
        ("parameters", ctypes.c_int * 20),
        ("rest", ctypes.c_byte * 256),
    )


class StrictJpeg:
    """The library, ready to decode; one frame at a time."""

    def __init__(self, end: Callable[[str], None]) -> None:
        """`end` says why a frame cannot be had and ends the process."""
        self._library: Any = ctypes.CDLL(import_module("imagecodecs._jpeg8").__file__)
        self._end = end
        self._errors = _ErrorManager()
        self._library.jpeg_std_error(ctypes.byref(self._errors))
        self._right: dict[int, int] = {}
        self._warnings: list[str] = []
        # Kept, for the library has only their addresses.
        self._handlers = (_Handler(self._on_probe), _Handler(self._on_error), _Emitter(self._on_message))
        self._errors.error_exit, _, self._errors.emit_message = self._handlers
        self._state = ctypes.create_string_buffer(4096)
        self._create(0, 1)
        self._errors.error_exit = self._handlers[1]

    def decode(self, frame: bytes, found: Codestream, plan: Plan, into: memoryview) -> None:
        """Decode a frame into samples of 8 or 16 bits, as many as `found` says. Raises UndecodablePixels."""
        self._warnings.clear()
        self._create(self._right[_WRONG_VERSION], self._right[_WRONG_SIZE])
        try:
            self._library.jpeg_mem_src(self._state, frame, ctypes.c_ulong(len(frame)))
            self._library.jpeg_read_header(self._state, 1)
            self._set_colours(found, plan)
            self._library.jpeg_start_decompress(self._state)
            self._read(found, into)
            self._library.jpeg_finish_decompress(self._state)
        finally:
            self._library.jpeg_destroy_decompress(self._state)
        self._refuse_warnings()

    def _create(self, version: int, size: int) -> None:
        ctypes.memset(self._state, 0, len(self._state))
        ctypes.c_void_p.from_buffer(self._state).value = ctypes.addressof(self._errors)
        self._library.jpeg_CreateDecompress(self._state, version, ctypes.c_size_t(size))

    def _set_colours(self, found: Codestream, plan: Plan) -> None:
        """Say what the components are: what the library guesses from markers may be something else."""
        if found.samples == 1:
            source = target = _GRAY
        elif plan.converts:
            source, target = _YCC, _RGB
        else:
            source = target = _UNKNOWN if found.coding is Coding.PREDICTED else _RGB
        ctypes.c_int.from_buffer(self._state, _JPEG_COLOUR).value = source
        ctypes.c_int.from_buffer(self._state, _OUT_COLOUR).value = target

    def _read(self, found: Codestream, into: memoryview) -> None:
        if ctypes.c_int.from_buffer(self._state, _OUT_COMPONENTS).value != found.samples:
            raise UndecodablePixels("A frame of JPEG does not have as many components as it says")
        depth = 1 if found.bits <= 8 else 2
        stride = found.columns * found.samples * depth
        start = ctypes.addressof(ctypes.c_char.from_buffer(into))
        rows = (ctypes.c_void_p * found.rows)(*range(start, start + found.rows * stride, stride))
        read = self._reader(found.bits)
        done = 0
        while done < found.rows:
            done += read(self._state, ctypes.byref(rows, done * ctypes.sizeof(ctypes.c_void_p)), found.rows - done)
            self._refuse_warnings()

    def _reader(self, bits: int) -> Any:
        if bits <= 8:
            return self._library.jpeg_read_scanlines
        return self._library.jpeg12_read_scanlines if bits <= 12 else self._library.jpeg16_read_scanlines

    def _refuse_warnings(self) -> None:
        if self._warnings:
            raise UndecodablePixels(f"A frame of JPEG is damaged: {self._warnings[0]}")

    def _on_probe(self, _: int) -> None:
        self._right[self._errors.code] = self._errors.parameters[0]

    def _on_error(self, state: int) -> None:
        self._end(f"A frame of JPEG cannot be decoded: {self._text(state)}")

    def _on_message(self, state: int, level: int) -> None:
        if level == _WARNING and not (text := self._text(state)).startswith(_HARMLESS):
            self._warnings.append(text)

    def _text(self, state: int) -> str:
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        self._errors.format_message(state, text)
        return text.value.decode("ascii", "replace")
