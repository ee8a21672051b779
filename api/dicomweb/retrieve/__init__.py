"""WADO-RS: `files`, `frames` and `bulk` (values of elements) of instances, and their `metadata`.

Of metadata, `members` says of which instances, `index_metadata` makes them without reading files, `deflated` is the form in which they are kept.
"""
