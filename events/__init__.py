"""Facts: event types, their bytes, identifiers and errors. The lowest layer; imports nothing of the project."""
