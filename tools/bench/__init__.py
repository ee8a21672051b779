"""`sinogram bench`: the same files to several servers in one run, in turns, and what came of it."""
