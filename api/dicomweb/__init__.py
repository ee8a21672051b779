"""DICOMweb (PS3.18) below the root of the section `DicomWeb`: what it offers is answered by the same views, blobs and ingest as REST.

- `services`: the table of all services, each of which is a module in one of the rooms; `capabilities`: OPTIONS and `/info`; `deletion`
- `search/`: QIDO-RS · `retrieve/`: WADO-RS · `rendered/`: pictures and documents by WADO-RS and WADO-URI · `store/`: STOW-RS ·
  `servers/`: others that this server is a client of
- what the rooms share: `addresses` (from the UIDs of a URI to resources), `accept` (what a client wants to get), `base_url` (the addresses that
  answers hold), `media_types`, `datasets` (answers that are lists of them), `parts` (answers in parts), `byte_ranges`, `handlers`
"""
