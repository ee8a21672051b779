"""Frames of JPEG Extended with samples of 12 bits, which pydicom gives to no decoder, though gdcm decodes them exactly.

Of one sample a pixel only: the rest of that transfer syntax is 8 bits deep and pydicom's to decode.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"

_GRAY: Final = ("MONOCHROME1", "MONOCHROME2")


def is_deep(dataset: Any, syntax: str) -> bool:
    """Tell whether a dataset of pydicom's is for `decode_deep`."""
    return (
        syntax == JPEG_EXTENDED
        and 8 < dataset.BitsStored <= 12
        and dataset.BitsAllocated == 16
        and dataset.PhotometricInterpretation in _GRAY
    )


def decode_deep(dataset: Any) -> Iterator[Any]:
    """Iterate over the frames as arrays (rows, columns) of 16-bit samples. Raises ValueError, or whatever a library does."""
    numpy = import_module("numpy")
    encaps = import_module("pydicom.encaps")
    count = int(dataset.get("NumberOfFrames") or 1)
    for frame in encaps.generate_frames(dataset.PixelData, number_of_frames=count):
        decoded = _decode_frame(frame, dataset)
        yield numpy.frombuffer(decoded, "<u2").reshape(dataset.Rows, dataset.Columns)


def _decode_frame(frame: bytes, dataset: Any) -> bytes:
    gdcm = import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    gray = gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gray))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(JPEG_EXTENDED)))
    bits = dataset.BitsStored
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, dataset.PixelRepresentation))
    decoded: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")  # gdcm's char* comes as text
    return decoded
