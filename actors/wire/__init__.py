"""How processes and machines talk: the bridge between our processes, the DICOM upper layer, HTTP as a client, TLS."""
