"""Pure DICOM: bytes in, values out; no project state, no input or output.

- `uids`, `tags`: what is called by name; `sop_classes`, `syntax`: what there is; `standard_tables`: pydicom's and pynetdicom's
  tables; `dictionary`: names and VRs of tags
- `part10`, `elements`, `scan`, `inflating`, `mapped`: the structure of a file, proved to its last byte; `limits`: of what is read
- `charsets`, `code_extensions`, `iso2022jp`, `values`: text as Orthanc has it; `charset_encoding`, `code_extension_encoding`: written
- `indexed_tags`, `summary`: what the archive indexes of a file, and under which identifiers
- `padding`, `received`: a dataset from the network, freed of what its sender has put around it, and whose it is
- `regular`, `encoding`: whether a dataset may be sent as it is, and a dataset written again
- `change`: a file with a modification or an anonymisation applied, and the profiles of PS3.15
- `identifier`, `matching`, `level_words`: queries and their answers
- `rendering`, `dicom_json`, `content`: Orthanc's JSON, DICOM's JSON and single values of a dataset
- `pixels`: frames and codestreams described, never decoded
"""
