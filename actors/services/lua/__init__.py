"""Lua scripting, as Orthanc has it (Lua 5.3): what runs in an interpreter's process.

- `runtime`, `prelude.lua`: one interpreter with its guard rails
- `json_reader`, `json_writer`: JSON on its way to scripts and back
- `caused_calls`, `deliverer`: which event calls which callback, and how a failed call is repeated
- `actor`, `background`: the thread that runs it, and what it does beside requests
- `functions`: RestApi…, Http… and GetOrthancConfiguration: arguments and results; what they do is given
- `chain`: the operations a callback asks for, and the plan of the job they become; pure
"""
