"""OutgoingCStoreInstanceFilter: whether a script lets an instance go to a destination."""

import logging
from collections.abc import Callable

from actors.services.remote.target import Target
from actors.services.scripts.script_filters import ReceivedFile, ScriptFilters
from store.dicom.elements import Buffer

log = logging.getLogger(__name__)

Admission = Callable[[Buffer, str], bool]
"""Tells of a file and its transfer syntax whether it is to be sent. Raises ScriptFailed, Busy, InvalidDicom."""


def admission(
    filters: ScriptFilters, target: Target, default_encoding: Callable[[], str], correlation: bytes = b""
) -> Admission:
    """Return the filter for a destination; where no script defines it, it costs a look at a byte per instance."""

    def admits(data: Buffer, transfer_syntax: str) -> bool:
        if not filters.filters_sending:
            return True
        file = ReceivedFile(data, transfer_syntax, default_encoding())
        if filters.admits_sending(file, target.host, target.called_aet, correlation):
            return True
        log.info("lua.not-sent aet=%s: OutgoingCStoreInstanceFilter keeps an instance back", target.called_aet)
        return False

    return admits
