"""ZIP archives of stored instances, made while they leave: nothing of any size is ever in memory as a whole.

`selection` says which resources are asked for and yields their instances in Orthanc's order, `names` how members are called, `content` reads a
member's bytes, `packing` reads and compresses ahead of the writer, `zip_stream` writes the format, `archive` puts them together. `dicomdir`
makes the directory of media.
"""
