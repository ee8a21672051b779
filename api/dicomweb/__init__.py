"""DICOMweb (PS3.18) below the root of the section `DicomWeb`: what it offers is answered by the same views, blobs and ingest as REST.

- `services`: the table of all services; `addresses`: from the UIDs of a URI to resources; `accept`: what a client wants to get
- `base_url`: the addresses that answers hold; `datasets`: answers that are lists of datasets
- `search`: QIDO-RS, with `search_request` (what is asked) and `search_attributes` (what is told); `capabilities`: OPTIONS and `/info`
- `store`: STOW-RS, with `store_metadata` and `bulk_parts` for what comes as metadata and bulk data, and `store_answer`; `deletion`
"""
