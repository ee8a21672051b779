"""What may be wrong with a request to change datasets. Orthanc answers each otherwise: see `api.errors`."""

from events.errors import InvalidDicom, InvalidRequest


class UnknownName(InvalidRequest):
    """A name is no DICOM tag."""


class BadPath(InvalidRequest):
    """The way to an element of an item has no index where it needs one, or one that is no number."""


class BadValue(InvalidRequest):
    """A value is not of the JSON type that its tag takes."""


class UnknownEdition(InvalidRequest):
    """There is no profile of that edition of the standard."""


class UnfitValue(InvalidDicom):
    """A text is no value of its tag's representation."""
