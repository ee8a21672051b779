"""The SOP class and instance at the head of a dataset, read while it streams past.

Orthanc refuses a C-STORE whose dataset names another instance than its command, before anything is stored.
"""

import struct
import zlib

from store.dicom.syntax import Syntax, read_syntax

HEAD_LIMIT_BYTES = 1 << 16  # the two elements come within the first few hundred bytes
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UNDEFINED = 0xFFFFFFFF


class DatasetHead:
    """Takes a dataset in parts until both elements were found, or cannot be found in the part that is looked at."""

    def __init__(self, transfer_syntax: str) -> None:
        syntax = read_syntax(transfer_syntax) or Syntax()
        order = "<" if syntax.little else ">"
        self._tag = struct.Struct(order + "HH")
        self._short = struct.Struct(order + "H")
        self._long = struct.Struct(order + "I")
        self._is_explicit = syntax.explicit
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if syntax.deflated else None
        self._data = b""
        self._position = 0
        self._is_done = False
        self._found: dict[int, str] = {}

    def feed(self, part: memoryview) -> None:
        """Look at the next bytes; costs nothing once the head has been read."""
        if self._is_done:
            return
        room = HEAD_LIMIT_BYTES - len(self._data)
        try:
            self._data += bytes(part[:room]) if self._inflate is None else self._inflate.decompress(part, room)
        except zlib.error:
            self._is_done = True  # whoever parses the whole will say so
            return
        self._is_done = self._walk() or len(self._data) >= HEAD_LIMIT_BYTES

    def agrees(self, sop_class: str, sop_instance: str) -> bool:
        """Whether what was found is what the command named; what was not found is judged by whoever parses the whole."""
        return (
            self._found.get(_SOP_CLASS_UID, sop_class) == sop_class
            and self._found.get(_SOP_INSTANCE_UID, sop_instance) == sop_instance
        )

    def _walk(self) -> bool:
        """Go on through the elements; True when past the last one wanted, False when more bytes are needed."""
        data = self._data
        while len(data) >= self._position + 12:
            group, element = self._tag.unpack_from(data, self._position)
            tag = group << 16 | element
            if tag > _SOP_INSTANCE_UID:
                return True
            start, length = self._measure(self._position + 4)
            if length == _UNDEFINED:
                return True  # a sequence before the identifiers, of a length only a full parse tells
            if len(data) < start + length:
                return False
            if tag in {_SOP_CLASS_UID, _SOP_INSTANCE_UID}:
                self._found[tag] = data[start : start + length].decode("latin-1").strip("\0 ")
            self._position = start + length
        return False

    def _measure(self, position: int) -> tuple[int, int]:
        """Where the value starts and how long it is, from where the VR or the length stands (PS3.5 §7.1)."""
        if not self._is_explicit:
            return position + 4, self._long.unpack_from(self._data, position)[0]
        if self._data[position : position + 2] in _LONG_VRS:
            return position + 8, self._long.unpack_from(self._data, position + 4)[0]
        return position + 4, self._short.unpack_from(self._data, position + 2)[0]
