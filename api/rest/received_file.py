"""A file in the body of a request that is handed on and not stored."""

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO, Final

import falcon

from api.rest.deps import Deps
from api.rest.serving.body import SMALL_BODY_BYTES, read_chunks
from store.dicom.elements import Buffer
from store.disk_errors import DiskErrors

_TEMPORARY: Final = DiskErrors("the temporary directory")


@contextmanager
def received(deps: Deps, req: falcon.Request) -> Iterator[tuple[Buffer, Callable[[], BinaryIO] | None]]:
    """Receive a body into a file without a name, and map it: it may be larger than the memory. Also what opens it again."""
    settings = deps.settings
    with _TEMPORARY:
        spool = TemporaryFile(dir=settings.temporary_directory, buffering=SMALL_BODY_BYTES)  # noqa: SIM115  # its own errors are told apart
    with spool as file:
        size = 0
        for chunk in read_chunks(req, settings):
            with _TEMPORARY:
                size += file.write(chunk)
        with _TEMPORARY:
            file.flush()
        if not size:
            yield b"", None
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped, lambda: os.fdopen(os.dup(file.fileno()), "rb")
