"""Orthanc's JSON of a dataset: `/instances/{id}/tags`, `simplified-tags`, `module` and `header`, in their three forms:

- full: `{"0010,0010": {"Name": "PatientName", "Type": "String", "Value": "A^B"}}`; `Type` is `String`, `Sequence`,
  `TooLong` (more than 256 bytes of UTF-8) or `Null` (no text: binary, empty numbers, unknown VR); private elements also
  have their `PrivateCreator`
- short: `{"0010,0010": "A^B"}`
- simplify: `{"PatientName": "A^B"}`, where of two tags with one name the last wins

Keys are in alphabetical order, as Orthanc prints them. Elements behind Pixel Data are left out at the top level, unless the whole
is asked for. All observed on Orthanc 1.12.7.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal

from store.dicom.charsets import Charset, charset_of
from store.dicom.dictionary import UNKNOWN_NAME, format_tag, known_in, tag_name
from store.dicom.elements import Buffer, Element, Item, in_order, read_elements
from store.dicom.limits import large_datasets
from store.dicom.part10 import Part10, open_part10
from store.dicom.private_blocks import HEAD_BYTES, Creators, creator_of, find_creators, typed
from store.dicom.syntax import Syntax
from store.dicom.tags import PIXEL_DATA, PIXEL_REPRESENTATION, SPECIFIC_CHARACTER_SET
from store.dicom.values import NUMBER_VRS, TEXT_VRS, count_numbers, text, unknown_text

Form = Literal["full", "short", "simplify"]
Json = dict[str, Any]  # as given to a JSON encoder

MAX_TEXT_BYTES: Final = 256  # of UTF-8; longer text is `TooLong` unless its tag is named in `ignore_length`
_META_SYNTAX: Final = Syntax()
# Of long values in one dataset, all together; what is beyond is too long whatever `ignore_length` says. Numbers may become ten
# times as much text.
MAX_SHOWN_BYTES: Final = 1 << 24
_BINARY_VRS: Final = frozenset(("OB", "OW"))
_AMBIGUOUS: Final = frozenset(("US or SS", "US or OW", "US or SS or OW", "OB or OW"))
# Elements that have the sign of pixel values. Orthanc leaves all others of VR "US or SS" without text in implicit VR.
_PIXEL_VALUES: Final = frozenset(
    (
        *(0x00280106, 0x00280107, 0x00280108, 0x00280109, 0x00280120, 0x00280121),  # smallest, largest, padding …
        *(0x00283002, 0x00409211, 0x00409216, 0x00603004, 0x00603006),  # LUT descriptor, real world mapping, histogram
    )
)


def render_tags(
    data: Buffer,
    form: Form = "full",
    *,
    default_encoding: str = "Latin1",
    ignore_length: AbstractSet[int] = frozenset(),
    whole: bool = False,
) -> Json:
    """The dataset of a DICOM file as JSON, up to Pixel Data unless `whole`.

    `ignore_length` names tags whose text is shown however long it is.

    Raises: InvalidDicom; Busy, if it is a large one and others do not finish.
    """
    file = open_part10(data)
    with large_datasets.scope():
        elements = read_elements(file.data, file.start, file.syntax)
        charset = dataset_charset(file, in_order(elements), default_encoding)
        return _Renderer(file.data, form, charset, ignore_length).dataset(
            elements, _in_dataset if whole else _in_tags, little=file.syntax.little, explicit=file.syntax.explicit
        )


def render_header(data: Buffer, form: Form = "full") -> Json:
    """The File Meta Information (group 0002) of a DICOM file as JSON; empty if the file has none.

    Binary and unknown elements are left out, and nothing is too long. Raises: InvalidDicom.
    """
    file = open_part10(data)
    elements = read_elements(data, file.meta_start, _META_SYNTAX, file.meta_end)
    return _Renderer(data, form, Charset("Ascii"), None).dataset(elements, _in_header, little=True, explicit=True)


def render_sequence(data: Buffer, element: Element, charset: Charset) -> str:
    """The items of a sequence as compact JSON in full form, as an index can keep it: see `reform_sequence`."""
    items = _Renderer(data, "full", charset, frozenset()).sequence(element)
    return json.dumps(items, ensure_ascii=False, separators=(",", ":"))


def dataset_elements(file: Part10) -> tuple[Element, ...]:
    """The elements of a file's dataset in order of their tags; of one that occurs twice the first."""
    return in_order(read_elements(file.data, file.start, file.syntax))


def dataset_charset(file: Part10, elements: Iterable[Element], default_encoding: str) -> Charset:
    """The character set of a file."""
    return charset_of(declared_charset(file.data, elements, little=file.syntax.little) or "", default_encoding)


def item_charset(data: Buffer, item: Item, around: Charset) -> Charset:
    """The character set of a sequence item: its own, else that of the dataset around it (PS3.3 §C.12.1.1.2)."""
    declared = declared_charset(data, item.elements, little=item.little)
    return charset_of(declared, around.encoding) if declared else around


def declared_charset(data: Buffer, elements: Iterable[Element], *, little: bool) -> str | None:
    """The value of SpecificCharacterSet among these elements; None if it is absent."""
    for element in elements:
        if element.tag == SPECIFIC_CHARACTER_SET:
            raw = bytes(data[element.value : element.value + min(element.length, HEAD_BYTES)])
            return text(raw, SPECIFIC_CHARACTER_SET, element.vr, Charset("Ascii"), little) or ""
    return None


class _Renderer:
    """Renders datasets of one buffer in one form; `ignore_length` None ignores it everywhere."""

    def __init__(self, data: Buffer, form: Form, charset: Charset, ignore_length: AbstractSet[int] | None) -> None:
        self._data = data
        self._form = form
        self._charset = charset
        self._ignore_length = ignore_length
        self._room_bytes = MAX_SHOWN_BYTES
        self._depth = 0

    def dataset(
        self,
        elements: Iterable[Element],
        wanted: Callable[[Element], bool] | None = None,
        *,
        little: bool,
        explicit: bool,
    ) -> Json:
        creators = find_creators(self._data, elements)
        elements = in_order(filter(wanted, elements) if wanted else elements)
        elements = typed(self._data, elements, creators, self._depth, explicit=explicit, little=little)
        signedness = self._signedness(elements, little=little)
        rendered: Json = {}
        for read in elements:
            element = read
            if read.vr in _AMBIGUOUS:
                element = read._replace(vr=signedness if read.tag in _PIXEL_VALUES else "OW")
            key = self._name(element, creators) if self._form == "simplify" else format_tag(element.tag)
            rendered[key] = self._element(element, creators, little=little)
        return dict(sorted(rendered.items())) if self._form == "simplify" else rendered

    def sequence(self, element: Element) -> list[Json]:
        return [self._item(item) for item in element.items or ()]

    def _item(self, item: Item) -> Json:
        around = self._charset
        self._charset = item_charset(self._data, item, around)
        self._depth += 1
        try:
            return self.dataset(item.elements, little=item.little, explicit=item.explicit)
        finally:
            self._charset = around
            self._depth -= 1

    def _name(self, element: Element, creators: Creators) -> str:
        return known_in(element.tag, creator_of(element, creators)).name

    def _element(self, element: Element, creators: Creators, *, little: bool) -> object:
        if element.items is not None:
            return self._labelled("Sequence", self.sequence(element), element, creators)
        if self._is_surely_too_long(element):
            return self._labelled("TooLong", None, element, creators)
        shown = self._text(element, creator_of(element, creators), little=little)
        kind = "String" if shown is not None else "Null"
        if shown is not None and not self._fits(element, shown):
            kind, shown = "TooLong", None
        return self._labelled(kind, shown, element, creators)

    def _is_surely_too_long(self, element: Element) -> bool:
        """Whether a large value is not read because its text is too long to show."""
        if element.length <= MAX_TEXT_BYTES or element.fragments is not None:
            return False
        count = count_numbers(element.vr, element.length)
        if not count and element.vr not in TEXT_VRS:
            return False
        is_free = self._ignore_length is None or element.tag in self._ignore_length
        if count * 2 - 1 > MAX_TEXT_BYTES and not is_free:
            return True
        self._room_bytes -= element.length
        return self._room_bytes < 0

    def _labelled(self, kind: str, value: object, element: Element, creators: Creators) -> object:
        if self._form != "full":
            return value
        labelled: Json = {"Name": self._name(element, creators)}
        creator = creator_of(element, creators)
        if creator is not None and kind != "Sequence":
            labelled["PrivateCreator"] = creator
        return labelled | {"Type": kind, "Value": value}

    def _fits(self, element: Element, shown: str) -> bool:
        if self._ignore_length is None or element.tag in self._ignore_length or len(shown) * 4 <= MAX_TEXT_BYTES:
            return True
        return len(shown.encode()) <= MAX_TEXT_BYTES

    def _text(self, element: Element, creator: str | None = None, *, little: bool) -> str | None:
        if element.fragments is not None or element.vr in _BINARY_VRS or element.length > MAX_SHOWN_BYTES:
            return None
        raw = bytes(self._data[element.value : element.value + element.length])
        if element.vr == "UN":
            return unknown_text(raw, known_in(element.tag, creator).vr, self._charset)
        return text(raw, element.tag, element.vr, self._charset, little)

    def _signedness(self, elements: Iterable[Element], *, little: bool) -> str:
        """The VR of pixel values in implicit VR, as PixelRepresentation of the same dataset has it; "OW" if it is absent."""
        for element in elements:
            if element.tag == PIXEL_REPRESENTATION:
                shown = self._text(element, little=little)
                return "OW" if shown is None else "SS" if shown.split("\\")[0] == "1" else "US"
        return "OW"


def _in_tags(element: Element) -> bool:
    return element.tag <= PIXEL_DATA and element.tag >> 16 != 2


def _in_dataset(element: Element) -> bool:
    return element.tag >> 16 != 2


def _in_header(element: Element) -> bool:
    return tag_name(element.tag) != UNKNOWN_NAME and (element.vr == "SQ" or element.vr in TEXT_VRS | NUMBER_VRS)


def reform(dataset: Mapping[str, Any], form: Form) -> Json:
    """A dataset in full form, in another form."""
    if form == "full":
        return dict(dataset)
    reformed: Json = {}
    for tag, labelled in dataset.items():
        value = labelled["Value"]
        if labelled["Type"] == "Sequence":
            value = [reform(item, form) for item in value]
        reformed[labelled["Name"] if form == "simplify" else tag] = value
    return dict(sorted(reformed.items())) if form == "simplify" else reformed


def reform_sequence(rendered: str, form: Form) -> list[Json]:
    """The items of a sequence that `rendering.render_sequence` rendered, in any form."""
    return [reform(item, form) for item in json.loads(rendered)]
