"""STOW-RS: `instances` takes requests, `answer` says what became of each instance, `queue` has several stored at once.

What comes as metadata and bulk data is made a file by `metadata` and `bulk_parts`.
"""
