"""A DICOM file that is not of the archive, sent to a destination on an association of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from actors.services.codecs.pool import CodecPool
from actors.services.remote.outgoing import Admission
from actors.services.remote.requestor import open_association
from actors.services.remote.store_scu import Kind, check, make_dataset, not_negotiated, plan_contexts, store
from actors.services.remote.target import Target
from actors.services.transcoding.targets import Target as Wanted
from actors.services.transcoding.transcode import transcode
from actors.wire.errors import NO_PRESENTATION_CONTEXT, RemoteFailed
from actors.wire.interruption import Interruption
from events.errors import Forbidden, InvalidDicom
from store.dicom.elements import Buffer
from store.dicom.encoding import sendable_dataset
from store.dicom.summary import summarize


@dataclass(frozen=True, slots=True)
class SentFile:
    """What has been sent."""

    sop_class: str
    sop_instance: str


def send_file(
    target: Target,
    data: Buffer,
    fallbacks: tuple[str, ...],
    interruption: Interruption,
    codecs: CodecPool,
    opened: Callable[[], BinaryIO] | None = None,
    admits: Admission = lambda _data, _transfer_syntax: True,
) -> SentFile:
    """Send a file; `fallbacks` are the transfer syntaxes it may be transcoded to, `admits` is asked before.

    `opened` opens the file that `data` shows, unless it is small.

    Raises InvalidDicom, Forbidden (it is not admitted), RemoteFailed, Interrupted, and what `admits` raises.
    """
    try:
        summary = summarize(data)
    except InvalidDicom as exc:
        raise InvalidDicom(f"Cannot parse an invalid DICOM file (size: {len(data)} bytes)") from exc
    kind = Kind(summary.sop_class, summary.transfer_syntax)
    if not all(kind):
        raise InvalidDicom("The file has no SOP class, or no known transfer syntax")
    if not admits(data, summary.transfer_syntax):
        raise Forbidden("OutgoingCStoreInstanceFilter keeps the file back")
    proposals, _ = plan_contexts([kind], fallbacks)
    try:
        association = open_association(target, proposals, interruption)
    except RemoteFailed as exc:
        if exc.code == NO_PRESENTATION_CONTEXT:
            raise not_negotiated(target, kind) from exc
        raise
    with association, memoryview(data) as view:

        def make(transfer_syntax: str) -> tuple[str, memoryview]:
            if transfer_syntax == kind.transfer_syntax:
                return summary.sop_uid, sendable_dataset(view)
            wanted = Wanted(transfer_syntax, codecs.settings.lossy_quality)
            made = transcode(view, wanted, codecs, opened, interruption.check)
            return made.sop_instance, made.dataset

        context, uid, dataset = make_dataset(association, kind, fallbacks, make)
        with dataset:
            check(association, store(association, context, uid, dataset))
    return SentFile(summary.sop_class, summary.sop_uid)
