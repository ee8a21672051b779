"""The commands to the index: plain values, by the families of the events that they cause.

`command` is the base of all, with the flags that each declares; `plain` passes them between processes. Each family's
decisions have its name, too: `actors.core.index.decisions`.
"""
