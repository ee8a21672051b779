"""Files of the archive: one per stored instance."""
