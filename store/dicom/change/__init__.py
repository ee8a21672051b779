"""Datasets changed: modified as a client asks, or anonymised by a profile of the standard; pure.

- `tag_path`: names of elements, in items too; `errors`: what may be wrong with a request
- `modification`: what is to change, as a job keeps it; `request`: read from a client's JSON
- `basic_profile`: PS3.15 table E.1-1 by edition; `rules`: what a modification does with each tag
- `conformance`: what objects need all the same, though the profile takes it out
- `drawn`: new UIDs and identifiers; `values`: a JSON value in the bytes of an element
- `edit`: a file's dataset written again, in which only what changes is made anew; `items`: the same within sequences
"""
