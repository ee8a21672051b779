"""Mutated input of every kind. A fixed short run is part of the suite; SINOGRAM_FUZZ_INPUTS makes it long (`make nightly`)."""
