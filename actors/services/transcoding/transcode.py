"""A DICOM file in another transfer syntax.

Between uncompressed syntaxes only headers and byte order change (`store.dicom.encoding`). All else is decoded frame by frame in a process of its own
(`actors.services.codecs`), and encoded there if it is to be compressed; the values of all other elements are left as they are. As with DCMTK, and so
Orthanc, JPEG's YBR becomes RGB, while lossless syntaxes keep the samples they hold. The instance stays the same, unless pixels lose something by
being encoded (`derivation`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from actors.services.codecs.native import readable
from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.compression import Compression
from actors.services.transcoding.decompression import Decompression
from actors.services.transcoding.source import Source
from actors.services.transcoding.targets import READABLE, CannotTranscode, Target, can_transcode
from events.numbered_warnings import UNDECODABLE, warn
from store.dicom.elements import Buffer, read_elements
from store.dicom.encoding import encode_dataset
from store.dicom.inflating import deflate
from store.dicom.part10 import Part10, file_meta
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.encodable import UnfitPixels
from store.dicom.syntax import Syntax
from store.dicom.tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A file in the transfer syntax that was asked for."""

    sop_class: str
    sop_instance: str  # another one than before, where pixels have lost something
    transfer_syntax: str
    dataset: memoryview
    pixels_at: int | None = None  # where in the dataset the element of Pixel Data begins, if that is known

    def head(self, remote_aet: str = "") -> bytes:
        """What stands before the dataset in a file."""
        return file_meta(self.sop_class, self.sop_instance, self.transfer_syntax, remote_aet=remote_aet)


def transcode(
    file: Buffer,
    target: Target,
    codecs: CodecPool,
    opened: Callable[[], BinaryIO] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Transcoded:
    """Return a DICOM file in another transfer syntax.

    `opened` opens the file that the buffer shows, for a buffer that is too large to be copied; `check` is called before each
    frame, and what it raises ends the work.
    Raises CannotTranscode for a syntax that is not supported, or cannot hold these pixels, or pixels that cannot be decoded; InvalidDicom for a file
    that is none; StorageFull and StorageFailed if TemporaryDirectory has no room for what is made; Busy; OSError of `opened`.
    """
    source = Source.of(file)
    told = source.part10.transfer_syntax
    if not can_transcode(told, target.transfer_syntax):
        raise CannotTranscode(
            f"Cannot transcode from {told or 'an unknown transfer syntax'} to {target.transfer_syntax}"
        )
    uid, pixels_at = source.text(SOP_INSTANCE_UID), None
    try:
        if target.transfer_syntax in READABLE:
            dataset = _uncompressed(source, target.transfer_syntax, codecs, opened, check)
        else:
            work = Compression(source, target)
            dataset, uid, pixels_at = _run(work, source, codecs, opened, check), work.sop_instance, work.pixels_at
    except UnfitPixels as exc:
        raise CannotTranscode(f"Cannot transcode from {told} to {target.transfer_syntax}: {exc}") from exc
    except UndecodablePixels as exc:
        warn(log, codecs.settings.warnings, UNDECODABLE, "pixels of SOP instance %s cannot be decoded: %s", uid, exc)
        raise CannotTranscode(f"Cannot decode the pixels of an instance in {told}: {exc}") from exc
    return Transcoded(source.text(SOP_CLASS_UID), uid, target.transfer_syntax, dataset, pixels_at)


def _run(
    work: Compression | Decompression,
    source: Source,
    codecs: CodecPool,
    opened: Callable[[], BinaryIO] | None,
    check: Callable[[], None],
) -> memoryview:
    # What was inflated lies elsewhere than in the file.
    stored = None if opened is None or source.part10.inflated else opened()
    try:
        with readable(source.part10.data, stored) as file:
            return work.run(codecs, file, check)
    finally:
        if stored is not None:
            stored.close()


def _uncompressed(
    source: Source,
    transfer_syntax: str,
    codecs: CodecPool,
    opened: Callable[[], BinaryIO] | None,
    check: Callable[[], None],
) -> memoryview:
    explicit = transfer_syntax != IMPLICIT_LE
    little = transfer_syntax != EXPLICIT_BE
    if not source.part10.syntax.encapsulated:
        dataset = encode_dataset(source.part10, source.elements, explicit=explicit, little=little)
    elif not source.has_pixel_data:
        dataset = encode_dataset(
            source.part10, source.elements, explicit=explicit, little=little, changes=source.without_fragments()
        )
    else:
        dataset = _run(Decompression(source, explicit=explicit), source, codecs, opened, check)
        if not little:
            native = Part10(dataset, 0, 0, 0, EXPLICIT_LE, Syntax())
            dataset = encode_dataset(native, read_elements(dataset, 0, native.syntax), explicit=True, little=False)
    return memoryview(deflate(dataset, 0, len(dataset))) if transfer_syntax == DEFLATED_LE else dataset
