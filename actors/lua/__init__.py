"""Lua scripting, as Orthanc has it (Lua 5.3).

- `runtime`, `prelude.lua`: one interpreter with its guard rails; `limits`, `errors`, `heartbeat`: what it is given and how it ends
- `values`, `json_reader`, `json_writer`: Python's values and JSON on their way to scripts and back
- `filters`, `events`: which callback is given what, and what a filter's results mean; pure
- `functions`: RestApi…, Http… and GetOrthancConfiguration: arguments and results; what they do is given
- `chain`: the operations a callback asks for, and the plan of the job they become; pure
"""
