"""Damage that a process finds in the files of instances, on its way to the log."""

import logging
from collections.abc import Callable

from actors.messages.index_client import IndexClient
from events.errors import SinogramError
from events.identifiers import format_blob_id
from store.blobs.damage import Damage

logger = logging.getLogger(__name__)


def reporter(index: IndexClient) -> Callable[[Damage], bool]:
    """Return what reports to the index; it answers whether the file is still wanted, and never raises.

    Where the index cannot say, as on a full disk, the file counts as wanted, and its reader gets the error.
    """

    def report(damage: Damage) -> bool:
        try:
            is_wanted = index.report_damage(damage)
        except SinogramError as exc:
            logger.error("files.not-recorded blob=%s kind=%s error=%s", format_blob_id(damage.blob), damage.kind, exc)
            return True
        if is_wanted:
            logger.error("files.damaged blob=%s kind=%s", format_blob_id(damage.blob), damage.kind)
        return is_wanted

    return report
