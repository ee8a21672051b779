"""How a picture is wanted: the query parameters of rendered resources and of thumbnails (PS3.18 §8.3.5).

What is wrong is refused with 400. Annotations and colour profiles are not made: a picture without them leaves with a warning (§8.3.5.1.1).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import falcon

from actors.services.images.pictures import MOST_ENLARGED_PIXELS
from api.errors import OutOfRange
from store.dicom.pixels.transformations import Crop, Rendition, Window

QUALITY: Final = 90  # as `quality` of REST
MOST_SIDE_PIXELS: Final = 65_535

_FUNCTIONS: Final = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_ANNOTATIONS: Final = frozenset({"patient", "technique"})
_PROFILES: Final = frozenset({"no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"})
_WHOLE = re.compile(r"[0-9]{1,10}\Z")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")
_MOST_CHARACTERS: Final = 64  # of a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """A picture, whatever its format."""

    kind: str = "preview"  # or "rendered", in the window that the instance says
    window: Window | None = None
    quality: int = QUALITY
    width: int = 0  # to fit into, 0 for any
    height: int = 0
    crop: Crop | None = None
    is_mirrored: bool = False
    is_upside_down: bool = False

    def rendition(self, media_type: str) -> Rendition:
        return Rendition(
            kind=self.kind if self.window is None else "rendered",
            media_type=media_type,
            quality=self.quality,
            width=self.width,
            height=self.height,
            crop=self.crop,
            is_mirrored=self.is_mirrored,
            is_upside_down=self.is_upside_down,
        )


def parse_rendering(req: falcon.Request) -> Rendering:
    """Read what a request for a rendered resource asks for. Raises OutOfRange."""
    width, height, crop, is_mirrored, is_upside_down = _viewport(_text(req, "viewport"))
    return Rendering(
        window=_window(_text(req, "window")),
        quality=quality(req, "quality"),
        width=width,
        height=height,
        crop=crop,
        is_mirrored=is_mirrored,
        is_upside_down=is_upside_down,
    )


def parse_thumbnail(req: falcon.Request) -> Rendering:
    """Read the same of a thumbnail: no part of a picture, no window (PS3.18 §10.4.1.2). Raises OutOfRange."""
    made = parse_rendering(req)
    if made.window is not None or made.crop is not None:
        raise OutOfRange("A thumbnail has a size, viewport=width,height: a part or a window is had of …/rendered")
    return made


def parse_warnings(req: falcon.Request) -> list[str]:
    """Return what of a request is left undone. Raises OutOfRange for values that nobody knows."""
    annotations, profile = _text(req, "annotation"), _text(req, "iccprofile")
    if annotations is not None and not _ANNOTATIONS.issuperset(annotations.split(",")):
        raise OutOfRange(f"annotation must be patient, technique or both, found: {annotations:.40}")
    if profile is not None and profile not in _PROFILES:
        raise OutOfRange(f"iccprofile must be one of {', '.join(sorted(_PROFILES))}, found: {profile:.40}")
    undone = [f"The following annotation values are not supported: {annotations}"] if annotations else []
    return undone + (["The iccprofile parameter is not supported"] if profile not in {None, "no"} else [])


def quality(req: falcon.Request, name: str) -> int:
    """Return the quality of a JPEG. Raises OutOfRange."""
    text = _text(req, name)
    if text is None:
        return QUALITY
    if not _WHOLE.match(text) or not 1 <= int(text) <= 100:
        raise OutOfRange(f"{name} must be a number from 1 to 100, found: {text:.40}")
    return int(text)


def number(text: str, name: str) -> float:
    """Return a decimal number. Raises OutOfRange."""
    if len(text) > _MOST_CHARACTERS or not _DECIMAL.match(text) or not math.isfinite(float(text)):
        raise OutOfRange(f"{name} must be numbers, found: {text:.40}")
    return float(text)


def side(text: str, name: str) -> int:
    """Return a number of rows or columns. Raises OutOfRange."""
    if not _WHOLE.match(text) or not 1 <= int(text) <= MOST_SIDE_PIXELS:
        raise OutOfRange(f"{name} must be of 1 to {MOST_SIDE_PIXELS} pixels, found: {text:.40}")
    return int(text)


def window_of(center: float, width: float, function: str) -> Window:
    """Return a window as PS3.3 §C.11.2 has it. Raises OutOfRange for a width that the function forbids."""
    if width < 1 if function == "LINEAR" else width <= 0:
        least = "at least 1" if function == "LINEAR" else "greater than 0"
        raise OutOfRange(f"The width of this window must be {least}, found: {width:g}")
    return Window(center, width, function, is_standard=True)


def _text(req: falcon.Request, name: str) -> str | None:
    text: str | None = req.get_param(name)
    return text


def _window(text: str | None) -> Window | None:
    if text is None:
        return None
    values = text.split(",")
    if len(values) != 3 or values[2] not in _FUNCTIONS:
        raise OutOfRange(f"window must be center,width,function, the last {', '.join(_FUNCTIONS)}; found: {text:.60}")
    center, width = (number(value, "The first two of window") for value in values[:2])
    return window_of(center, width, _FUNCTIONS[values[2]])


def _viewport(text: str | None) -> tuple[int, int, Crop | None, bool, bool]:
    """The size, the part and whether it is turned over: `vw,vh[,sx,sy,sw,sh]`, of which what is not said is the whole."""
    if text is None:
        return 0, 0, None, False, False
    values = text.split(",")
    if not 2 <= len(values) <= 6:
        raise OutOfRange(f"viewport must be width,height or width,height,x,y,width,height; found: {text:.60}")
    width, height = (side(value, "The size in viewport") for value in values[:2])
    if width * height > MOST_ENLARGED_PIXELS:
        raise OutOfRange(f"viewport may have {MOST_ENLARGED_PIXELS} pixels, and {width} × {height} are more")
    told = [number(value, "The part in viewport") if value else None for value in values[2:]]
    return width, height, *_part(told)


def _part(told: Sequence[float | None]) -> tuple[Crop | None, bool, bool]:
    left, top, width, height = [*told, None, None, None, None][:4]
    if 0 in {width, height}:
        raise OutOfRange("The part in viewport has no pixels")
    crop = Crop(abs(left or 0), abs(top or 0), width and abs(width), height and abs(height))
    return crop if crop != Crop() else None, (width or 1) < 0, (height or 1) < 0
