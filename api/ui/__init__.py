"""The page for people: what `source/` is written in and what `built/` holds, which `make ui` makes of it; how it is served, and its sessions."""
