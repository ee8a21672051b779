"""The package `sinogram`: the one thing that an installation puts beside the packages of others.

Our folders have common names: lying in `site-packages` they would be overwritten by a distribution called `events`, and be in the
way of others. So they lie in this package, and `main` has them found there under their own names, before anybody's. In a
checkout they lie where this file is, two folders up.
"""

import os
import sys


def main() -> int:
    """Run the command `sinogram`."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # before anything else is imported
    root = here.removesuffix("/tools/installed")
    sys.path.insert(0, root)
    from tools.server.module_path import leave_current_folder  # `tools` has our packages found beside it from then on

    sys.path.remove(root)
    leave_current_folder()
    from tools.cli import main as run

    return run()
