"""Who may read an archive: only the user that the server runs as, whatever the umask is.

New files are made that way. Each start corrects wider rights that an earlier release, a copy or an operator has left. A
folder that also holds other files, such as a home or /tmp, is not closed to others: the log gets a warning.
"""

import contextlib
import logging
import os
import stat
from pathlib import Path

from store.blobs.store import FOLDER_MODE
from store.blobs.writer import FILE_MODE
from store.boot import LOCK_NAME
from store.environment import FILE_NAME, RESERVE_NAME

logger = logging.getLogger(__name__)

QUERIES_NAME = "queries"
SCRUBBED_NAME = "scrubbed"  # where the scrubber is (actors.core.scrubber)
SCRATCH_PREFIX = "sinogram-replay-"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OURS = frozenset({FILE_NAME, f"{FILE_NAME}-lock", RESERVE_NAME, LOCK_NAME, QUERIES_NAME, SCRUBBED_NAME, "blobs"})
_OUR_ENDINGS = (".sock", ".part")


def make_folder(path: Path) -> None:
    """Make sure of a folder; one that is made is private, those above it are as the umask says. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=FOLDER_MODE)
    if not path.is_dir():
        raise NotADirectoryError(20, "not a folder")


def mend(folder: Path) -> None:
    """Close to others what an index or storage folder holds of ours, and the folder itself if that is all it holds."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names are all that is wanted
    except OSError as exc:
        logger.warning("privacy.cannot-look folder=%s error=%s", folder, exc.strerror)
        return
    ours = [name for name in names if _is_ours(name)]
    for name in ours:
        _close(folder / name)
    status = folder.stat()
    if not status.st_mode & _OTHERS:
        return
    is_shared = bool(status.st_mode & stat.S_ISVTX) or len(ours) < len(names)
    if is_shared:
        logger.warning("privacy.shared-folder: others may list %s, which holds more than the archive", folder)
    else:
        _close(folder)


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(SCRATCH_PREFIX) or name.endswith(_OUR_ENDINGS)


def _close(path: Path) -> None:
    """Take all rights of others from a file or folder. Files of a closed folder need no look."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) or not mode & _OTHERS:
            return
        path.chmod(FOLDER_MODE if stat.S_ISDIR(mode) else FILE_MODE)
    except FileNotFoundError:
        return
    except OSError as exc:
        logger.warning("privacy.open-to-others path=%s error=%s", path, exc.strerror)
    else:
        logger.warning("privacy.mended: others could read %s; they no longer can", path)
