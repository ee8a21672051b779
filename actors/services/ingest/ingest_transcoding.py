"""`IngestTranscoding`: an instance becomes another transfer syntax before it is judged and stored, whatever way it comes.

As by Orthanc 1.12.7, filters see the result, and a file that cannot be had in the syntax is stored as it came, with a warning.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
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

    def run(
        self,
        blob: IncomingBlob,
        summary: Summary,
        settings: IngestSettings,
        remote_aet: str,
        summarize: Callable[[], Summary],
    ) -> Summary:
        """Let the bytes of a file become those of another, if they can; returns what it is then.

        `summarize` parses what it has become, where that is another instance. Raises StorageFull, StorageFailed, Busy, and what that raises.
        """
        target = Target(settings.transcodes_to, self._codecs.settings.lossy_quality)
        try:
            with blob.content() as data:
                made = transcode(data, target, self._codecs, blob.reopener())
        except InvalidDicom as exc:
            logger.warning("ingest.not-transcoded sop_instance=%s: %s", summary.sop_uid, exc)
            return summary
        head = made.head(remote_aet)
        blob.replace(_pieces(head, made))
        if made.sop_instance != summary.sop_uid or made.pixels_at is None:
            return summarize()
        offset = len(head) + made.pixels_at
        return replace(summary, transfer_syntax=made.transfer_syntax, pixel_data_offset=offset, pixel_data_vr="")


def _pieces(head: bytes, made: Transcoded) -> Iterator[bytes]:
    yield head
    for start in range(0, len(made.dataset), _PIECE_BYTES):
        yield bytes(made.dataset[start : start + _PIECE_BYTES])
