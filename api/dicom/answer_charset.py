"""The bytes of answers to C-FIND: in `DefaultEncoding`, or where that lacks a character in another set that has it."""

from collections.abc import Iterable, Iterator

from store.dicom.charset_encoding import can_encode, defined_term
from store.dicom.dictionary import dictionary_vr
from store.dicom.identifier import encode_dataset
from store.dicom.matching import Dataset
from store.dicom.tags import SPECIFIC_CHARACTER_SET


def encode_answer(values: Dataset, transfer_syntax: str, default: str, others: Iterable[str]) -> bytes:
    """Return the bytes of an answer, which says in what set it is: the default, or the first of `others` that fits."""
    encoding = default
    if any(other != default for other in others):
        texts = list(_texts(values))
        if not _fits(texts, default):
            encoding = next((other for other in others if _fits(texts, other)), default)
    values[SPECIFIC_CHARACTER_SET] = defined_term(encoding)
    return encode_dataset(values, transfer_syntax, encoding)


def _texts(values: Dataset) -> Iterator[tuple[str, str]]:
    """Texts with the VRs that they are written in."""
    for tag, value in values.items():
        if isinstance(value, str):
            yield value, dictionary_vr(tag)
        elif value is not None:
            for item in value:
                yield from _texts(item)


def _fits(texts: Iterable[tuple[str, str]], encoding: str) -> bool:
    return all(can_encode(text, encoding, vr) for text, vr in texts)
