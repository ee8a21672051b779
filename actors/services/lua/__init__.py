"""Lua scripting, as Orthanc has it (Lua 5.3): what runs in an interpreter's process.

- `runtime`, `prelude.lua`: one interpreter with its guard rails
- `json_reader`, `json_writer`: JSON on its way to scripts and back
- `deliveries`, `delivering`: which event is told to which callback, and how one that fails is told again
- `functions`: RestApi…, Http… and GetOrthancConfiguration: arguments and results; what they do is given
- `chain`: the operations a callback asks for, and the plan of the job they become; pure
"""
