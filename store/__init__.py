"""Storage: the LMDB environment, the log's bytes, projections, views, blobs, and pure DICOM.

- `environment`, `tables`, `batch`, `log`, `boot`: the log and how it is opened and written
- `projections`: read models computed from events; `views`: queries on them; `records`: the values these return
- `blobs`: the files; `dicom`: parsing and rendering, without any state
"""
