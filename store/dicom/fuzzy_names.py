"""Names of persons that are alike (PS3.4 §C.2.2.2.1.1): by the beginnings of their words, or by how these sound in English.

Name and key are cut into words at everything that is no letter and no digit, so at carets, equals signs, blanks, hyphens and apostrophes.
Case and accents do not count (NFKD without marks; `ß` is `ss`, `ø` is `o` …). A name matches if each word of the key

- is the beginning of a word of the name, in any component and any component group, in any order; or
- has letters from A to Z only, and the same Soundex code as a word of the name (`Mueller`, `Müller` and `Miller` are M460).

In a word of the key `*` and `?` are wildcards as ever, and then its sound does not count.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from store.dicom.matching import Value, Wildcard

_LETTERS: Final = str.maketrans({"ß": "ss", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "Đ": "D", "đ": "d", "Ł": "L", "ł": "l", "Þ": "TH", "þ": "th", "ı": "i"})  # fmt: skip
_WORD: Final = re.compile(r"[^\W_]+")
_KEY_WORD: Final = re.compile(r"[^\W_]*(?:[*?]+[^\W_]*)+|[^\W_]+")
_SOUND: Final = str.maketrans("BFPVCGJKQSXZDTLMNR", "111122222222334556")
_MOST_WORDS: Final = 50_000  # whose sound is kept; names repeat


def fold_name(text: str) -> str:
    """Return a name in upper case without accents."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_LETTERS))
        text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return text.upper()


@lru_cache(_MOST_WORDS)
def soundex(word: str) -> str:
    """Return the American Soundex code of a word of letters from A to Z, such as `R163`; nothing for other words."""
    if not (word.isascii() and word.isalpha()):
        return ""
    told, last = [], word[0].translate(_SOUND)
    for code in word[1:].replace("H", "").replace("W", "").translate(_SOUND):
        if code.isdigit() and code != last:
            told.append(code)
        last = code
    return (word[0] + "".join(told) + "000")[:4]


@dataclass(frozen=True)
class SoundsLike:
    """A key for names, as it came."""

    text: str

    @cached_property
    def _words(self) -> tuple[tuple[str, str, Wildcard | None], ...]:
        """Of each word: itself, its sound, its pattern if it has one."""
        return tuple(
            (word, "" if is_pattern else soundex(word), Wildcard(word + "*") if is_pattern else None)
            for word in _words_of_key(fold_name(self.text))
            for is_pattern in ("*" in word or "?" in word,)
        )

    @cached_property
    def _begins(self) -> tuple[re.Pattern[str], ...]:
        """A quick look at plain text: each word of the key begins with the letter of a word of the name, if with a letter at all."""
        letters = {word[0] for word, _, _ in self._words if word[0] not in "*?"}
        return tuple(re.compile(rf"(?<![A-Z0-9]){re.escape(letter)}", re.IGNORECASE) for letter in sorted(letters))

    def matches(self, value: Value) -> bool:
        if not isinstance(value, str):
            return False
        if value.isascii() and not all(each.search(value) for each in self._begins):
            return False
        words = _WORD.findall(fold_name(value))
        return all(any(_is_like(word, *key) for word in words) for key in self._words)


def _is_like(word: str, key: str, sound: str, pattern: Wildcard | None) -> bool:
    if pattern is not None:
        return pattern.matches(word)
    return word.startswith(key) or (bool(sound) and word[0] == key[0] and soundex(word) == sound)


def _words_of_key(text: str) -> Iterator[str]:
    return (word for word in _KEY_WORD.findall(text) if word.strip("*"))
