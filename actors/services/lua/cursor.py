"""How far the callbacks have come in the log.

The cursor is the position of the main interpreter's delivery: all events up to it have had their callbacks, or the failed
attempt is recorded as an event of its own. Files of deleted instances stay until it has passed their deletion
(`actors.core.file_removal`), so there is one only while somebody moves it.
"""

from typing import Final

from actors.messages.index_client import IndexClient
from events.identifiers import Seq
from store.log import read_end
from store.tables import CURSORS, U64
from store.views.snapshot import Snapshot
from store.views.views import Views

CONSUMER: Final = "lua"


def read_cursor(snapshot: Snapshot) -> Seq | None:
    """Return up to which event callbacks were called; None where no scripts were configured when the server started."""
    row = snapshot.row(CURSORS, CONSUMER.encode())
    return None if row is None else Seq(U64.unpack(row)[0])


def take_up_cursor(index: IndexClient, views: Views, *, lua_is_on: bool) -> None:
    """At a start of the core, make sure that a cursor exists if there are callbacks to call, and no cursor otherwise.

    A new one stands at the end of the log: scripts are not told of events from before they were configured.
    Raises StorageFull, Busy.
    """
    with views.snapshot() as snapshot:
        cursor = read_cursor(snapshot)
        end, _ = read_end(snapshot.txn, snapshot.tables)
    if lua_is_on and cursor is None:
        index.save_cursor(CONSUMER, end)
    elif not lua_is_on and cursor is not None:
        index.drop_cursor(CONSUMER)
