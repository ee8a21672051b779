"""The transactions of storage commitment that this server has asked for."""

from store.projections.commitments import Transaction, transaction_key, unpack_transaction
from store.tables import COMMITMENT_IDS, COMMITMENTS
from store.views.snapshot import Snapshot


def get_transaction(snapshot: Snapshot, uid: str) -> Transaction | None:
    """Return a transaction by its UID, None if it is unknown."""
    place = snapshot.row(COMMITMENT_IDS, transaction_key(uid))
    row = None if place is None else snapshot.row(COMMITMENTS, place)
    return None if row is None else unpack_transaction(row)
