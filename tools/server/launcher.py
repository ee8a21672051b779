"""The program of a child process: `python -I launcher.py PARENT MODULE NAME` calls the `main` of one of our modules.

Run by its path in Python's isolated mode (`tools.server.children.launch`), so that neither the current folder nor PYTHONPATH decide what is imported;
the parent's own module path comes in the environment. Before anything else the kernel is told to kill this process together with
its parent.

Trap: the kernel means the *thread* that started this process, not the parent's process. Whoever launches must do so from a thread that
lives as long as the children shall.
"""

import ctypes
import importlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> int:
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


if __name__ == "__main__":
    sys.exit(main())
