"""A running server: the supervisor, what each of its processes is made of, and how they start and end.

The composition root: here, and nowhere else, everything is put together.
"""
