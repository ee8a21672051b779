"""Files of the modality worklist."""
