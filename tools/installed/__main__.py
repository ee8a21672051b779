"""`python -m sinogram`."""

import sys

from sinogram import main  # type: ignore[import-not-found, unused-ignore]  # the name under which this folder is installed

if __name__ == "__main__":
    sys.exit(main())
