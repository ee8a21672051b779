"""What a modification does with each element by its tag alone: at the top level of a dataset, and within items.

What a client names without a path holds in the whole dataset when it is anonymised; a modification looks into items only for paths, and for private
elements that are to leave. A client's word goes before the profile's, and to keep goes before to replace and to remove.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from store.dicom.change.basic_profile import profile
from store.dicom.change.conformance import EMPTY, NEVER_EMPTY, VALUE, required_in, required_in_items
from store.dicom.change.modification import Modification
from store.dicom.dictionary import dictionary_vr
from store.dicom.tags import PATIENT_ID, PATIENT_NAME
from store.dicom.values import TEXT_VRS


class Act(IntEnum):
    KEEP = 0  # with all that is in it
    REMOVE = 1
    CLEAR = 2
    NEW_UID = 3
    NEW_PATIENT = 4
    LOOK_INTO = 5  # if it is a sequence; anything else stays
    SAY_NOTHING = 6  # a value that is not empty


_OF_TYPES: Final = {EMPTY: Act.CLEAR, VALUE: Act.SAY_NOTHING, NEVER_EMPTY: Act.REMOVE}
_WITHOUT_TYPES: Final = frozenset(("", "2008"))  # no profile, and one whose table knows no difference between them
_OF_LETTERS: Final = {"X": Act.REMOVE, "Z": Act.CLEAR, "U": Act.NEW_UID}
FOREIGN_GROUPS: Final = frozenset((0, 2))  # of messages and of the head of a file: they have no place in a dataset
# The table has data and comments of overlays; what is left of one without its data is no Overlay Plane Module (PS3.3 §C.9.2), and may say things, too.
_CURVES_AND_OVERLAYS: Final = frozenset((0x5000, 0x6000))
_WITHOUT_REPEATING: Final = "2008"  # the edition whose table has none of them


class Rules:
    """Those of one modification."""

    def __init__(self, change: Modification) -> None:
        self._edition = change.edition
        self._removes_private = change.removes_private
        plain = [path.tag for path in change.keep if not path.parents]
        removed = [path.tag for path in change.remove if not path.parents]
        table = profile(change.edition) if change.edition else {}
        by_profile = {tag: _OF_LETTERS[letter] for tag, letter in table.items()}
        if change.edition:
            by_profile |= {PATIENT_ID: Act.NEW_PATIENT, PATIENT_NAME: Act.CLEAR}
        kept = dict.fromkeys(plain, Act.KEEP)
        self._removed = frozenset(removed)
        self.root: Mapping[int, Act] = by_profile | dict.fromkeys(removed, Act.REMOVE) | kept
        nested = {tag: _within_items(tag, act) for tag, act in by_profile.items()}
        if change.edition:
            nested |= dict.fromkeys(removed, Act.REMOVE)
        self.nested: Mapping[int, Act] = nested | kept
        self.looks_into_items = bool(change.edition) or change.removes_private
        paths = (*change.replace, *change.remove, *change.keep)
        self.path_roots: frozenset[int] = frozenset(path.parents[0].tag for path in paths if path.parents)

    def needed_in(self, sop_class: str) -> Mapping[int, Act]:
        """Return what happens to attributes that the top level of an object needs, whatever `root` says of them."""
        if self._edition in _WITHOUT_TYPES:
            return {}
        kept = {tag: kind for tag, kind in required_in(sop_class).items() if self._leaves(self.root.get(tag), tag)}
        return {tag: _OF_TYPES[kind] for tag, kind in kept.items()}

    def in_item(self, sequence: int, tag: int) -> Act:
        """Return what happens to an element of an item."""
        act = self.nested.get(tag)
        if act is None:
            return self.of_other(tag)
        if self._edition not in _WITHOUT_TYPES and self._leaves(act, tag):
            kind = required_in_items(sequence).get(tag)
            return act if kind is None else _OF_TYPES[kind]
        return act

    def _leaves(self, act: Act | None, tag: int) -> bool:
        """Tell whether an element, or its value, leaves by the profile: what the client says holds for any object."""
        return act in {Act.REMOVE, Act.CLEAR} and tag not in self._removed

    def of_other(self, tag: int) -> Act:
        """Return what happens to an element that has no rule of its own."""
        if tag & 0x10000 and self._removes_private:
            return Act.REMOVE
        if self._edition and (not tag & 0xFFFF or tag >> 16 in FOREIGN_GROUPS):
            return Act.REMOVE
        if self._edition not in {"", _WITHOUT_REPEATING} and tag >> 16 & 0xFF00 in _CURVES_AND_OVERLAYS:
            return Act.REMOVE
        return Act.LOOK_INTO


def _within_items(tag: int, act: Act) -> Act:
    return Act.REMOVE if act is Act.CLEAR and dictionary_vr(tag) not in TEXT_VRS else act
