"""The query of WADO-URI, read (PS3.18 §9.1.2). What is wrong in it is refused with 400; names that nobody knows are not looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import falcon

from api.dicomweb.accept import Wanted, parse_accept, parse_types
from api.dicomweb.media_types import AS_STORED
from api.dicomweb.rendered.rendering import Rendering, number, quality, side, window_of
from api.errors import OutOfRange
from store.dicom.pixels.transformations import Crop, Window
from store.dicom.syntax import transfer_syntaxes

_REFUSED: Final = ("presentationUID", "presentationSeriesUID")
_MOST_DIGITS: Final = 9  # of a frame's number


@dataclass(frozen=True, slots=True, kw_only=True)
class UriRequest:
    """What one request asks for."""

    instance: str
    series: str | None
    study: str | None
    types: Sequence[Wanted]
    transfer_syntax: str  # of a file
    is_anonymized: bool
    frame: int  # from 0
    rendering: Rendering


def parse_uri_request(req: falcon.Request) -> UriRequest:
    """Raises OutOfRange."""
    if req.get_param("requestType") != "WADO":
        raise OutOfRange("requestType must be WADO")
    instance = req.get_param("objectUID")
    if not instance:
        raise OutOfRange("objectUID is missing: it names what is wanted, as studyUID and seriesUID say where it lies")
    for name in _REFUSED:
        if req.get_param(name) is not None:
            raise OutOfRange(f"Presentation states are not applied: ask without {name}")
    types = req.get_param("contentType")
    return UriRequest(
        instance=instance,
        series=req.get_param("seriesUID"),
        study=req.get_param("studyUID"),
        types=parse_types(types) if types else parse_accept(req),
        transfer_syntax=_transfer_syntax(req.get_param("transferSyntax")),
        is_anonymized=_is_anonymized(req.get_param("anonymize")),
        frame=_frame(req.get_param("frameNumber")) - 1,
        rendering=Rendering(
            kind="rendered",
            window=_window(req.get_param("windowCenter"), req.get_param("windowWidth")),
            quality=quality(req, "imageQuality"),
            width=_side(req, "columns"),
            height=_side(req, "rows"),
            crop=_region(req.get_param("region")),
        ),
    )


def _transfer_syntax(text: str | None) -> str:
    if text not in {None, AS_STORED} and text not in transfer_syntaxes():
        raise OutOfRange(f"transferSyntax must be the UID of a transfer syntax, found: {text:.70}")
    return text or AS_STORED


def _is_anonymized(text: str | None) -> bool:
    if text not in {None, "yes", "no"}:
        raise OutOfRange(f"anonymize must be yes, found: {text:.40}")
    return text == "yes"


def _frame(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
        raise OutOfRange(f"frameNumber must be a number from 1, found: {text:.40}")
    return int(text)


def _window(center: str | None, width: str | None) -> Window | None:
    if center is None and width is None:
        return None
    if center is None or width is None:
        raise OutOfRange("windowCenter and windowWidth come together")
    return window_of(number(center, "windowCenter"), number(width, "windowWidth"), "LINEAR")


def _side(req: falcon.Request, name: str) -> int:
    text = req.get_param(name)
    return 0 if text is None else side(text, name)


def _region(text: str | None) -> Crop | None:
    """A part by the fractions at its left, its top, its right and its bottom."""
    if text is None:
        return None
    values = text.split(",")
    numbers = [number(value, "region") for value in values] if len(values) == 4 else [0.0] * 4
    left, top, right, bottom = numbers
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise OutOfRange(f"region must be left,top,right,bottom in fractions from 0 to 1, found: {text:.60}")
    return Crop(left, top, right - left, bottom - top, is_fraction=True)
