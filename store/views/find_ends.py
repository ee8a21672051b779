"""The first of all values in an index that is in their order, read from that end: a page of the newest studies costs what it shows.

The keys of an index are in the order of their texts as they are kept. Orders compare normal forms: ASCII alone, in upper case, without
padding (`store.views.find_order`). So the texts that are read end at a plain one, which is its own normal form, and those are read, too,
that lie beyond it and can have a normal form before it: such with padding in front for a descending order; for an ascending one those
that part from it with a small letter or one beyond ASCII, and itself with padding.
"""

from collections.abc import Collection, Iterator
from itertools import takewhile
from typing import Final

from store.tables import LOOKUP_VALUE_BYTES
from store.views.find_index import Span
from store.views.snapshot import Snapshot

READ: Final = 20_000  # keys more than are wanted at most, in 10 ms; who finds no end among them reads the whole index
_REF_BYTES: Final = 8
_LAST: Final = b"\xff" * (_REF_BYTES + 1)


def first_keys(
    s: Snapshot, span: Span, wanted: int, members: Collection[bytes] | None, *, descends: bool
) -> list[bytes] | None:
    """Return keys of a span of one kind, among which are the first `wanted` of these members (None: all); None if that is not soon known."""
    left = READ + wanted
    plain = 0  # of those found; the normal forms of others may come behind the end
    found: list[bytes] = []
    end: bytes | None = None  # what all keys with a text like the last one that is wanted begin with
    for row_key in _from_end(s, span, descends=descends):
        left -= 1
        if not left:
            return None
        if end is not None and not row_key.startswith(end):
            break
        if members is None or row_key[-_REF_BYTES:] in members:
            found.append(row_key)
            if end is None and _is_plain(row_key[1 : -_REF_BYTES - 1]):
                plain += 1
                end = row_key[:-_REF_BYTES] if plain == wanted else None
    else:
        if end is None:
            return None
    assert end is not None
    for start, stop in _displaced(end, descends=descends):
        for row_key in _between(s, Span(span.table, max(start, span.start), min(stop, span.stop))):
            left -= 1
            if not left:
                return None
            if members is None or row_key[-_REF_BYTES:] in members:
                found.append(row_key)
    return list(dict.fromkeys(found))


def _is_plain(text: bytes) -> bool:
    """Tell whether a text is whole, its own normal form, and without control characters, so that nothing lies between it and its padded forms."""
    return (
        len(text) < LOOKUP_VALUE_BYTES
        and text == text.strip().upper()
        and text.decode("latin-1").isprintable()
        and text.isascii()
    )


def _displaced(end: bytes, *, descends: bool) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over the spans of keys beyond those that begin with `end` whose normal forms may be in front of it."""
    kind, text = end[:1], end[1:-1]
    if descends:
        yield kind + b"\t", min(kind + b"!", end)
        return
    beyond = end + _LAST
    yield kind + text + b"\t", kind + text + b"!"
    for size in range(len(text) + 1):
        prefix = kind + text[:size]
        yield max(prefix + b"a", beyond), prefix + _LAST


def _from_end(s: Snapshot, span: Span, *, descends: bool) -> Iterator[bytes]:
    if not descends:
        yield from _between(s, span)
        return
    with s.txn.cursor(db=s.tables[span.table]) as cursor:
        found = cursor.set_range(span.stop)
        if cursor.prev() if found else cursor.last():
            yield from takewhile(lambda row_key: row_key >= span.start, cursor.iterprev(keys=True, values=False))


def _between(s: Snapshot, span: Span) -> Iterator[bytes]:
    with s.txn.cursor(db=s.tables[span.table]) as cursor:
        if cursor.set_range(span.start):
            yield from takewhile(lambda row_key: row_key < span.stop, cursor.iternext(keys=True, values=False))
