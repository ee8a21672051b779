"""The transfer syntaxes that `Transcode` may name: the uncompressed ones, and that which an instance has."""

from typing import Final

from actors.services.transcoding.dataset import CannotTranscode
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

TARGETS: Final = (EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE)


class CannotCompress(CannotTranscode):
    """Pixels can be decoded here, and not be encoded."""


def cannot_compress(transfer_syntax: str) -> CannotCompress:
    """Return the error of a transfer syntax that cannot be made, which says what can."""
    kind = "big endian is retired" if transfer_syntax == EXPLICIT_BE else "this server does not compress pixels"
    return CannotCompress(
        f"Cannot transcode to transfer syntax: {transfer_syntax} ({kind}; {', '.join(TARGETS)} can be had)"
    )
