"""The dataset of a file as it may be sent to a peer: as it is stored, if nothing is odd about it, else put right."""

from store.dicom.elements import Buffer, read_elements
from store.dicom.encoding import rewrite_dataset
from store.dicom.inflating import deflate
from store.dicom.part10 import open_part10
from store.dicom.regular import are_regular, is_regular


def sendable_dataset(file: Buffer) -> memoryview:
    """Return a file's dataset in its own transfer syntax; nearly always a view of the file. Raises: InvalidDicom; StorageFull.

    Receivers abort at an odd length, and take the last of elements that occur twice where we take the first.
    """
    opened = open_part10(file)
    stored = memoryview(file)[opened.meta_end :]
    data, start, syntax = opened.data, opened.start, opened.syntax
    if syntax.little and is_regular(data, start, syntax) and not (opened.inflated and len(stored) & 1):
        return stored
    elements = read_elements(data, start, syntax)
    if not syntax.little and elements and elements[-1].end == len(data) and are_regular(elements):
        return stored
    dataset = rewrite_dataset(opened, elements)
    return memoryview(deflate(dataset, 0, len(dataset))) if opened.inflated else dataset
