"""How many random examples a property is tried with: few in every run, `SINOGRAM_TEST_EXAMPLES` times as many at night."""

import os

FACTOR = int(os.environ.get("SINOGRAM_TEST_EXAMPLES", "1"))


def examples(count: int) -> int:
    return count * FACTOR
