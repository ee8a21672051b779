"""The file of a stored instance with a modification applied, in another transfer syntax if that is asked for.

What does not change is a view of the stored file, which stays open as long as the parts are held.
"""

from collections.abc import Callable
from typing import BinaryIO

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import Target
from actors.services.transcoding.transcode import transcode
from events.errors import NotFound
from store.blobs.store import BlobStore
from store.dicom.change.edit import Changed, Editor
from store.dicom.part10 import Part10, open_part10
from store.dicom.syntax import Syntax, read_syntax
from store.dicom.uids import DEFLATED_LE, EXPLICIT_LE
from store.records import Instance


def modify_file(
    record: Instance,
    blobs: BlobStore,
    codecs: CodecPool,
    editor: Editor,
    target: Target | None = None,
    check: Callable[[], None] = lambda: None,
) -> Changed:
    """Return the file of an instance, changed; without a target in its own transfer syntax.

    `check` is called before each frame that is decoded. Raises NotFound, DamagedFile, InvalidDicom, CannotTranscode, StorageFull, Busy.
    """
    try:
        content = blobs.read_instance(record)
        data = memoryview(content)
        file = open_part10(data)
        if target is not None and target.transfer_syntax != file.transfer_syntax:
            file = _transcoded(data, blobs.reopener(record, content), codecs, target, check)
    except FileNotFoundError as exc:
        raise NotFound("The file of an instance is missing") from exc
    return editor.edit(file)


def _transcoded(
    data: memoryview,
    opened: Callable[[], BinaryIO] | None,
    codecs: CodecPool,
    target: Target,
    check: Callable[[], None],
) -> Part10:
    # The dataset of a deflated file is in explicit VR, and deflated when it has been changed.
    told = target.transfer_syntax
    written = target._replace(transfer_syntax=EXPLICIT_LE) if told == DEFLATED_LE else target
    dataset = transcode(data, written, codecs, opened, check).dataset
    return Part10(dataset, 0, 0, 0, told, read_syntax(told) or Syntax())
