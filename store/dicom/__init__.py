"""Pure DICOM: bytes in, values out; no project state, no input or output.

- `syntax`, `part10`, `elements`: the structure of a file, proved to its last byte
- `dictionary`, `charsets`, `values`: names, encodings and text as Orthanc has them
- `main_tags`, `summary`: what the archive indexes of a file, and under which identifiers
- `padding`, `received`: a dataset from the network, freed of what its sender has put around it, and whose it is
- `encoding`, `offset_tables`, `regular`, `sendable`: a dataset written again, and whether it has to be before it is sent
- `rendering`: Orthanc's JSON of a whole dataset
- `file_meta`: the header of a file made from a received dataset
"""
