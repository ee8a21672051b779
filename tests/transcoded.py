"""A dataset in another transfer syntax, as most tests want it."""

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding import transcode as transcoding
from actors.services.transcoding.targets import Target
from store.dicom.elements import Buffer


def transcode(file: Buffer, transfer_syntax: str, codecs: CodecPool) -> memoryview:
    """Return the dataset of a file. Raises as what it calls."""
    return transcoding.transcode(file, Target(transfer_syntax), codecs).dataset
