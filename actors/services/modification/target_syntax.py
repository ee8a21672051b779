"""The transfer syntaxes that `Transcode` may name: the uncompressed ones, and that which an instance has."""

from typing import Final

from actors.services.remote.transcoding import CannotTranscode
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

TARGETS: Final = (EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE)


class CannotCompress(CannotTranscode):
    """Pixels can be decoded here, and not be encoded."""

    def __init__(self, transfer_syntax: str) -> None:
        kind = "big endian is retired" if transfer_syntax == EXPLICIT_BE else "this server does not compress pixels"
        super().__init__(
            f"Cannot transcode to transfer syntax: {transfer_syntax} ({kind}; {', '.join(TARGETS)} can be had)"
        )
