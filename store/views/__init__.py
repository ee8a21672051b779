"""Read queries on the read models, answered in the caller's process from short snapshots."""
