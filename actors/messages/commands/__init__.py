"""What the index can be asked to do: plain values, by the families of the events that they cause.

`command` is the base of all, with what each declares of itself; `plain` passes them between processes. Each family's
decisions have its name, too: `actors.core.index.decisions`.
"""
