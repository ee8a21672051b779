"""The index actor: the only writer. `LocalIndex` starts it, `IndexClient` is its typed proxy."""
