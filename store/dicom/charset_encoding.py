"""Text into the bytes of a character set, the way back from `store.dicom.charsets`; what a set lacks is left out, as by Orthanc.

An encoding is one of `store.dicom.charsets.ENCODINGS`, or several defined terms joined by backslashes, whose text is written
with the escape sequences of `store.dicom.code_extensions`.
"""

from typing import Final

from store.dicom.code_extension_encoding import encode_extended
from store.dicom.code_extensions import ONE_VALUE_VRS

# Orthanc's name of an encoding -> the defined term that declares it (PS3.3 §C.12.1.1.2), and Python's codec
_SETS: Final = {
    "Ascii": ("ISO_IR 6", "ascii"),
    "Utf8": ("ISO_IR 192", "utf-8"),
    "Latin1": ("ISO_IR 100", "latin-1"),
    "Latin2": ("ISO_IR 101", "iso8859-2"),
    "Latin3": ("ISO_IR 109", "iso8859-3"),
    "Latin4": ("ISO_IR 110", "iso8859-4"),
    "Latin5": ("ISO_IR 148", "iso8859-9"),
    "Latin9": ("ISO_IR 203", "iso8859-15"),
    "Cyrillic": ("ISO_IR 144", "iso8859-5"),
    "Windows1251": ("ISO_IR 144", "iso8859-5"),  # the standard has no term for it
    "Arabic": ("ISO_IR 127", "iso8859-6"),
    "Greek": ("ISO_IR 126", "iso8859-7"),
    "Hebrew": ("ISO_IR 138", "iso8859-8"),
    "Thai": ("ISO_IR 166", "tis-620"),
    "Japanese": ("ISO_IR 13", "shift_jis"),
    "Chinese": ("GB18030", "gb18030"),
    "JapaneseKanji": ("ISO 2022 IR 87", "iso2022_jp"),
    "Korean": ("ISO 2022 IR 149", "euc_kr"),
    "SimplifiedChinese": ("ISO 2022 IR 58", "gb2312"),
}


def defined_term(encoding: str) -> str:
    """What SpecificCharacterSet says of an encoding."""
    return encoding if "\\" in encoding else _SETS[encoding][0]


def encode_text(text: str, encoding: str, vr: str = "LO") -> bytes:
    """Encode text of a VR in Orthanc's encoding of that name; characters that it lacks are left out."""
    if "\\" in encoding:
        return encode_extended(text, encoding, vr)[0]
    if text.isascii():
        return text.encode()
    if encoding == "Japanese" and vr not in ONE_VALUE_VRS:
        text = text.replace("¥", "")  # it has the code of the backslash, which separates values
    return text.encode(_SETS[encoding][1], "ignore")


def can_encode(text: str, encoding: str, vr: str = "LO") -> bool:
    """Whether nothing of `text` would be left out."""
    if "\\" in encoding:
        return encode_extended(text, encoding, vr)[1]
    if text.isascii():
        return True
    if encoding == "Japanese" and vr not in ONE_VALUE_VRS and "¥" in text:
        return False
    try:
        text.encode(_SETS[encoding][1])
    except UnicodeEncodeError:
        return False
    return True
