"""The names Orthanc has for character sets (`DefaultEncoding`)."""

from api.errors import OutOfRange

ENCODINGS = (
    "Ascii", "Utf8", "Latin1", "Latin2", "Latin3", "Latin4", "Latin5", "Cyrillic", "Windows1251", "Arabic", "Greek",
    "Hebrew", "Thai", "Japanese", "Chinese", "JapaneseKanji", "Korean", "SimplifiedChinese",
)  # fmt: skip
_BY_LOWER = {name.lower(): name for name in ENCODINGS}


def canonical_encoding(text: str) -> str:
    """Return Orthanc's spelling of an encoding given in any case. Raises OutOfRange."""
    name = _BY_LOWER.get(text.lower())
    if name is None:
        raise OutOfRange
    return name
