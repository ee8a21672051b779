"""The program of a child process: `python -I launcher.py PARENT MODULE NAME` calls the `main` of one of our modules.

Run by its path in Python's isolated mode (`tools.server.children.launch`), so that neither the current folder nor PYTHONPATH decide what is imported;
the parent's own module path comes in the environment. Before anything else the kernel is told to kill this process together with
its parent.

Trap: the kernel means the *thread* that started this process, not the parent's process. So launch children from a thread that
lives at least as long as they do.

A process is started and ended with little work. The collector rests while modules are loaded: what they make stays (0.08 of 0.66 s of a gateway).
In the end nothing is torn down that the kernel takes back anyhow (0.15 s): threads are joined, exit functions run, output is flushed as ever.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> int:
    gc.disable()
    parent, module = int(sys.argv[1]), sys.argv[2]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        return 1
    root = os.path.abspath(__file__).removesuffix("/tools/server/launcher.py")  # noqa: PTH100  # as in tools.server.module_path
    sys.path[:] = [root, *os.environ.pop("SINOGRAM_MODULE_PATH").split(os.pathsep)]
    from tools.server.module_path import pin_our_packages

    pin_our_packages()
    del sys.path[0]
    return int(importlib.import_module(module).main())


class _End:
    """Ends the process after everything else that was to be done at its end."""

    status = 1  # unless `main` says otherwise

    def __init__(self) -> None:
        atexit.register(self._exit)  # the first to be registered is the last to be called

    def _exit(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed, or without a reader
                stream.flush()
        os._exit(self.status)


if __name__ == "__main__":
    end = _End()
    end.status = main()
