"""The owners of state: the index, the only writer, and the actors beside it in the core's process."""
