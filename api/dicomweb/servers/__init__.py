"""Other DICOMweb servers: their `descriptions`, `requests` that are answered with their answer, and `jobs` that send and retrieve."""
