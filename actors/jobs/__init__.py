"""The job engine.

- `state`: the transition table, data that every decision looks up
- `retry`: whether an error is worth another try, and when; pure
- `queue`: which job runs next, whether a suspect must run alone, who crashed; pure
- `scheduler`: the actor that hands jobs to workers, and its proxies
- `operation`: what an operation has to be; `runner`: how a worker carries one out
"""
