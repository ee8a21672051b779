"""The worker's half of the job engine.

- `operation`: what an operation has to be; `operations`: those there are; `outputs`: the files they make; `runner`: how a worker
  carries one out
"""
