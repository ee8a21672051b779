"""Where modules come from: never from the folder in which the server was started.

`python -m` looks in the current folder first, and so does an empty entry in PYTHONPATH, as `PYTHONPATH=$PYTHONPATH:/lib` leaves
behind. A folder `store/` of somebody's images there, or a script named `events.py`, would be taken for a part of this server
and run with its rights. Our own packages therefore come from beside this file, whatever the path says; everything else comes
from the path without the current folder. Imports nothing but what every interpreter has loaded by then.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

ROOT = os.path.abspath(__file__).removesuffix("/tools/server/module_path.py")  # noqa: PTH100  # pathlib may be shadowed
OUR_PACKAGES = frozenset({"actors", "api", "events", "store", "tools"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class _FromHere:
    """Finds our packages where this file lies."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [ROOT]) if name in OUR_PACKAGES else None


def pin_our_packages() -> None:
    """Import our packages from beside this file."""
    if _FromHere not in sys.meta_path:
        sys.meta_path.insert(0, _FromHere)


def leave_current_folder() -> None:
    """Look for no module in the current folder any more."""
    sys.path[:] = safe_path(sys.path)


def safe_path(path: list[str]) -> list[str]:
    """Return a module path without the current folder, unless that is where installed packages lie."""
    here = _current_folder()
    return [entry for entry in path if entry and (_is_installed(entry) or os.path.realpath(entry) != here)]


def _current_folder() -> str:
    try:
        return os.path.realpath(os.getcwd())  # noqa: PTH109
    except OSError:  # it was deleted
        return ""


def _is_installed(entry: str) -> bool:
    return os.path.basename(entry) in _INSTALLED or entry == os.path.dirname(os.__file__)  # noqa: PTH119, PTH120
