"""The one path in: bytes become a durable blob, a DICOM file is judged and indexed."""
