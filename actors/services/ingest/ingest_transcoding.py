"""`IngestTranscoding`: an instance becomes another transfer syntax before it is judged and stored, whatever way it comes.

As by Orthanc 1.12.7, filters see the result, and a file that cannot be had in the syntax is stored as it came, with a warning.
"""

import logging
from collections.abc import Iterator
from typing import Final

from actors.services.codecs.pool import CodecPool
from actors.services.ingest.incoming_blob import IncomingBlob
from actors.services.ingest.settings import IngestSettings
from actors.services.transcoding.targets import READABLE, Target, can_transcode
from actors.services.transcoding.transcode import Transcoded, transcode
from events.errors import InvalidDicom
from store.dicom.pixels.encodable import is_lossy
from store.dicom.summary import Summary

_PIECE_BYTES: Final = 1 << 20

logger = logging.getLogger(__name__)


class IngestTranscoder:
    """Transcodes what comes in. Thread-safe."""

    def __init__(self, codecs: CodecPool) -> None:
        self._codecs = codecs

    def wants(self, summary: Summary, settings: IngestSettings) -> bool:
        """Tell whether a file is to be made into another syntax."""
        here, there = summary.transfer_syntax, settings.transcodes_to
        if here == there or not can_transcode(here, there):
            return False
        if there not in READABLE and summary.pixel_data_offset is None:
            return False  # nothing in it can be compressed
        return settings.transcodes_uncompressed if here in READABLE else settings.transcodes_compressed

    def derives(self, settings: IngestSettings) -> bool:
        """Tell whether files become other instances."""
        return is_lossy(settings.transcodes_to, self._codecs.settings.lossy_quality)

    def run(self, blob: IncomingBlob, summary: Summary, settings: IngestSettings, remote_aet: str) -> bool:
        """Let the bytes of a file become those of another; returns whether they have. Raises StorageFull, StorageFailed, Busy."""
        target = Target(settings.transcodes_to, self._codecs.settings.lossy_quality)
        try:
            with blob.content() as data:
                made = transcode(data, target, self._codecs, blob.reopener())
        except InvalidDicom as exc:
            logger.warning("ingest.not-transcoded sop_instance=%s: %s", summary.sop_uid, exc)
            return False
        blob.replace(_pieces(made, remote_aet))
        return True


def _pieces(made: Transcoded, remote_aet: str) -> Iterator[bytes]:
    yield made.head(remote_aet)
    for start in range(0, len(made.dataset), _PIECE_BYTES):
        yield bytes(made.dataset[start : start + _PIECE_BYTES])
