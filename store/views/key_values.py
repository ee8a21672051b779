"""What scripts keep in the index."""

from collections.abc import Iterator

from store.tables import KEY_VALUES, key_value_key
from store.views.snapshot import Snapshot


def get_value(snapshot: Snapshot, store: bytes, name: bytes) -> bytes | None:
    """Return the value under a key of a store, None if there is none."""
    try:
        row_key = key_value_key(store, name)
    except ValueError:
        return None
    return snapshot.row(KEY_VALUES, row_key)


def list_keys(snapshot: Snapshot, store: bytes) -> Iterator[bytes]:
    """Iterate over the keys of a store, in the order of their bytes."""
    prefix = key_value_key(store, b"")
    for row_key in snapshot.keys(KEY_VALUES, prefix):
        yield row_key[len(prefix) :]
