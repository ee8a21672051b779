"""How a dataset wants its samples to be shown: tables, windows and slopes, of a frame where they are a frame's."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from store.dicom.elements import Buffer, Element
from store.dicom.pixels.lookup_tables import TableReader
from store.dicom.pixels.transformations import Lut, Transformations, Window

_RESCALE_INTERCEPT, _RESCALE_SLOPE = 0x00281052, 0x00281053
_WINDOW_CENTER, _WINDOW_WIDTH, _VOI_FUNCTION = 0x00281050, 0x00281051, 0x00281056
_MODALITY_LUTS, _VOI_LUTS = 0x00283000, 0x00283010
_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
_PER_FRAME, _SHARED = 0x52009230, 0x52009229
_FRAME_VOI, _PIXEL_VALUES = 0x00289132, 0x00289145
_PALETTES: Final = tuple((0x00281101 + at, 0x00281201 + at, 0x00281221 + at) for at in range(3))
TRANSFORMATION_TAGS: Final = frozenset(
    {
        *(_RESCALE_INTERCEPT, _RESCALE_SLOPE, _WINDOW_CENTER, _WINDOW_WIDTH, _VOI_FUNCTION, _MODALITY_LUTS, _VOI_LUTS),
        *(_PER_FRAME, _SHARED, *(tag for places in _PALETTES for tag in places)),
    }
)
_FUNCTIONS: Final = {"LINEAR_EXACT", "SIGMOID"}
_MOST_BYTES: Final = 256  # of a value that is a number or a word

_ByTag: TypeAlias = Mapping[int, Element]


class TransformationReader:
    """Reads how the frames of one dataset are to be shown; tables, which all of them share, once."""

    def __init__(
        self, data: Buffer, elements: Sequence[Element], *, little: bool, signed: bool, is_palette: bool
    ) -> None:
        self._data = data
        self._elements = _by_tag(element for element in elements if element.tag in TRANSFORMATION_TAGS)
        shared = _item(self._elements, _SHARED, 0)
        self._shared = {macro: _item(shared, macro, 0) for macro in (_FRAME_VOI, _PIXEL_VALUES)}
        self._signed = signed
        self._is_palette = is_palette
        self._tables = TableReader(data, little=little)
        self._known: dict[tuple[int, bool], Lut | None] = {}

    def of_frame(self, frame: int) -> Transformations:
        """Raises UndecodablePixels."""
        values = self._places(frame, _PIXEL_VALUES)
        slope = self._number(values, _RESCALE_SLOPE)
        intercept = self._number(values, _RESCALE_INTERCEPT)
        modality = self._table(_MODALITY_LUTS, signed=self._signed) if slope is None and intercept is None else None
        window = self._window(self._places(frame, _FRAME_VOI))
        has_negatives = (self._signed and modality is None) or (intercept or 0) < 0
        return Transformations(
            slope=1.0 if slope is None else slope,
            intercept=intercept or 0.0,
            modality=modality,
            window=window,
            voi=self._table(_VOI_LUTS, signed=has_negatives) if window is None else None,
            palette=self._palette() if self._is_palette else None,
        )

    def _places(self, frame: int, macro: int) -> list[_ByTag]:
        """Return where to look for attributes, in order: in the frame's own groups, the shared ones, the dataset."""
        own = _item(_item(self._elements, _PER_FRAME, frame), macro, 0)
        return [*filter(None, (own, self._shared[macro])), self._elements]

    def _number(self, places: Iterable[_ByTag], tag: int) -> float | None:
        """Return the first of an element's numbers, None where there is none that is finite."""
        text = next(filter(None, (self._text(elements, tag) for elements in places)), "")
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def _text(self, elements: _ByTag, tag: int) -> str:
        element = elements.get(tag)
        if element is None or element.length > _MOST_BYTES:
            return ""
        raw = bytes(self._data[element.value : element.value + element.length])
        return raw.decode("ascii", "replace").split("\\", 1)[0].strip("\0 ")

    def _window(self, places: Iterable[_ByTag]) -> Window | None:
        for elements in places:
            center, width = (self._number([elements], tag) for tag in (_WINDOW_CENTER, _WINDOW_WIDTH))
            if center is not None and width is not None:
                function = self._text(elements, _VOI_FUNCTION).upper()
                return Window(center, width, function if function in _FUNCTIONS else "LINEAR")
        return None

    def _table(self, sequence: int, *, signed: bool) -> Lut | None:
        key = (sequence, signed)
        if key not in self._known:
            item = _item(self._elements, sequence, 0)
            descriptor, values = item.get(_DESCRIPTOR), item.get(_LUT_DATA)
            is_there = descriptor is not None and values is not None
            self._known[key] = self._tables.read(descriptor, values, signed=signed) if is_there else None  # type: ignore[arg-type] # both are there
        return self._known[key]

    def _palette(self) -> tuple[Lut, Lut, Lut] | None:
        red, green, blue = (self._colour(*places) for places in _PALETTES)
        return None if red is None or green is None or blue is None else (red, green, blue)

    def _colour(self, describing: int, plain: int, segmented: int) -> Lut | None:
        key = (describing, self._signed)
        if key not in self._known:
            descriptor, values, pieces = map(self._elements.get, (describing, plain, segmented))
            holder = values or pieces
            self._known[key] = (
                None
                if descriptor is None or holder is None
                else self._tables.read(descriptor, holder, signed=self._signed, segmented=values is None)
            )
        return self._known[key]


def _by_tag(elements: Iterable[Element]) -> _ByTag:
    """Of those that occur twice the first."""
    found: dict[int, Element] = {}
    for element in elements:
        found.setdefault(element.tag, element)
    return found


def _item(elements: _ByTag, sequence: int, place: int) -> _ByTag:
    holder = elements.get(sequence)
    items = () if holder is None else holder.items or ()
    return _by_tag(items[place].elements) if place < len(items) else {}
