"""The outside world: REST (`rest`), the DICOM network (`dicom`), and the table of errors. Asks actors, reads views."""
