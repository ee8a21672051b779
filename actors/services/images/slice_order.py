"""The order of the instances of a series: along the normal of their slices, or by their numbers.

Observed on Orthanc 1.12.7. A volume is two instances or more with positions and orientations, of which all are parallel and no two lie in the
same place; it goes along the normal of the oldest one. Anything else is a sequence: by Instance Number, where all have one, else by Image Index.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from events.errors import SinogramError
from store.dicom.tags import IMAGE_INDEX, INSTANCE_NUMBER, NUMBER_OF_FRAMES
from store.records import Instance

_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_PARALLEL: Final = 1e-3  # by so much the cosine of an angle may differ from 1
_APART: Final = 1e-6  # millimetres

Vector = tuple[float, ...]


class NoOrder(SinogramError):
    """Nothing tells in which order the instances of a series lie."""


@dataclass(frozen=True, slots=True)
class OrderedSlices:
    """The instances of a series in order."""

    is_volume: bool
    instances: Sequence[Instance]


def order_slices(instances: Sequence[Instance]) -> OrderedSlices:
    """Order the instances of a series, which come from the oldest to the newest. Raises NoOrder."""
    volume = _as_volume(instances)
    if volume is not None:
        return OrderedSlices(is_volume=True, instances=volume)
    for tag in (INSTANCE_NUMBER, IMAGE_INDEX):
        numbers = [_whole(instance.tags, tag) for instance in instances]
        if numbers and None not in numbers:
            ordered = sorted(zip(numbers, range(len(numbers)), strict=True))
            return OrderedSlices(is_volume=False, instances=[instances[place] for _, place in ordered])
    raise NoOrder(
        "Unable to order the slices of the series: its instances lack positions, and some have no Instance Number"
    )


def count_frames(instance: Instance) -> int:
    """Return how many frames an instance says that it has; one, if it says nothing."""
    return _whole(instance.tags, NUMBER_OF_FRAMES) or 1


def _as_volume(instances: Sequence[Instance]) -> list[Instance] | None:
    if len(instances) < 2:
        return None
    normals = [_normal(_vector(instance.tags, _ORIENTATION, 6)) for instance in instances]
    positions = [_vector(instance.tags, _POSITION, 3) for instance in instances]
    first = normals[0]
    if first is None:
        return None
    places: list[tuple[float, int]] = []
    for number, (normal, position) in enumerate(zip(normals, positions, strict=True)):
        if normal is None or position is None or abs(_dot(normal, first)) < 1 - _PARALLEL:
            return None
        places.append((_dot(position, first), number))
    places.sort()
    if any(there - here < _APART for (here, _), (there, _) in pairwise(places)):
        return None
    return [instances[number] for _, number in places]


def _normal(orientation: Vector | None) -> Vector | None:
    """The unit vector at a right angle to rows and columns (PS3.3 §C.7.6.2.1.1); None where they span no plane."""
    if orientation is None:
        return None
    a, b, c, d, e, f = orientation
    crossed = (b * f - c * e, c * d - a * f, a * e - b * d)
    length = math.hypot(*crossed)
    return tuple(part / length for part in crossed) if length > 1e-6 else None


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _vector(tags: Mapping[int, str], tag: int, size: int) -> Vector | None:
    try:
        numbers = tuple(map(float, tags.get(tag, "").split("\\")))
    except ValueError:
        return None
    return numbers if len(numbers) == size and all(map(math.isfinite, numbers)) else None


def _whole(tags: Mapping[int, str], tag: int) -> int | None:
    text = tags.get(tag, "").strip().removeprefix("+")
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 12 else None
