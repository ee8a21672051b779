"""Memory that a codec's process and its user share: it grows with the frames, and cannot shrink under a reader."""

import fcntl
import mmap
import os
from typing import Final

_PAGES: Final = 1 << 20  # grown by, bytes


class SharedMemory:
    """A file without a name, of which each side has a map."""

    def __init__(self, fd: int | None = None) -> None:
        """Make one, or share the one behind a descriptor."""
        if fd is None:
            fd = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            # A broken codec could else cut the file short, and the process that reads its map would die of SIGBUS.
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.fd = fd
        self._map: mmap.mmap | None = None

    def view(self, size_bytes: int, start: int = 0) -> memoryview:
        """Return bytes from a place on; to be released before the next call. Raises OSError, ValueError where there are fewer."""
        end = start + size_bytes
        if self._map is None or len(self._map) < end:
            if self._map is not None:
                self._map.close()
                self._map = None
            self._map = mmap.mmap(self.fd, os.fstat(self.fd).st_size)
        return memoryview(self._map)[start:end]

    def grow(self, size_bytes: int) -> None:
        """Have room for so many bytes. Raises OSError."""
        if os.fstat(self.fd).st_size < size_bytes:
            os.ftruncate(self.fd, -(-size_bytes // _PAGES) * _PAGES)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
        os.close(self.fd)
