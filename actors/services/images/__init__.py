"""Pictures and arrays of stored instances: what a process that serves clients does before and after a codec's process.

`image` finds the pixels of an instance's file, `known` keeps what was found, `pictures` makes one picture or text of a frame, `stacks` the arrays of many frames, one after
the other, `slice_order` says in which order the instances of a series lie.
"""
