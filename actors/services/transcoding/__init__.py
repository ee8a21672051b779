"""DICOM files in another transfer syntax: their datasets (`dataset`), and which syntaxes a modification may name (`target_syntax`)."""
