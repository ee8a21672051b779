"""Lua scripting, as Orthanc has it (Lua 5.3).

- `runtime`, `prelude.lua`: one interpreter with its guard rails; `limits`, `errors`, `heartbeat`: what it is given and how it ends
- `values`, `json_reader`, `json_writer`: Python's values and JSON on their way to scripts and back
"""
