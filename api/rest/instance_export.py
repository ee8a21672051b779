"""`POST /instances/{id}/export`: the file of an instance, written where the body says. Source: observed on Orthanc 1.12.7.

Whoever may ask for it can write any file that the server's user can, so it is off unless RestApiWriteToFileSystemEnabled says otherwise. The
file is written beside its place and moved there when it is whole.
"""

import contextlib
import os
import shutil
import tempfile
from io import RawIOBase
from pathlib import Path

import falcon

from api.rest import dicom_files
from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of
from api.rest.resources import find_below
from api.rest.serving.body import read_text
from api.rest.serving.replies import send_json
from events.errors import Forbidden, StorageFailed
from events.identifiers import Level
from store.disk_errors import translated
from store.records import Instance


class Export:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        if not self._deps.settings.write_to_file_system_enabled:
            raise Forbidden
        with self._deps.views.snapshot() as s:
            instance = find_below(s, Level.INSTANCE, identifier)
        assert isinstance(instance, Instance)
        target = read_text(req)
        if not target or "\0" in target:
            raise StorageFailed("the body names no file")
        with dicom_files.of_current(self._deps, instance, self._deps.blobs.open_instance) as source:
            _write(source, Path(target))
        send_json(req, resp, {})


def _write(source: RawIOBase, target: Path) -> None:
    """Copy a file into its place. Raises StorageFull, StorageFailed."""
    try:
        if target.is_dir():
            raise StorageFailed("the place of the file is a folder")
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(source, file)
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as exc:
        raise translated(exc, "the place of the file") from exc


def _umask() -> int:
    """Return the process's mask, which can only be read by setting it; from /proc it needs no setting."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def routes(deps: Deps) -> Routes:
    return {f"{one_of(Level.INSTANCE)}/export": Export(deps)}
