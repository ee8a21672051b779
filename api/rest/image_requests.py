"""What a request for an image asks for: its format by `Accept`, its size, its window, its quality.

Source: observed on Orthanc 1.12.7. It answers 415 for a quality that is none and 404 for a size, a window or a format that is none, without a
word; the statuses here are the same, and the answer says what is wrong.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import falcon

from api.errors import NoPicture, UnknownRoute
from api.rest import arguments
from store.dicom.pixels.transformations import Rendition

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
PAM: Final = "image/x-portable-arbitrarymap"
MOST_PIXELS: Final = 65_535  # of a side

_FORMATS: Final = {
    "image-uint16": (PNG, PAM),
    "image-int16": (PNG, PAM),
}
_OF_PIXELS = re.compile(r"/(?:preview|rendered|thumbnail|image-u?int(?:8|16)|matlab|numpy|create-dicom)(?:/|\Z)")
# Of DICOMweb: what is retrieved may have to be decoded, unless it is wanted as it lies here. Identifiers of REST have letters or hyphens.
_RETRIEVED = re.compile(r"/studies/[0-9.]+(?:/series/[0-9.]+(?:/instances/[0-9.]+(?:/frames(?:/[0-9,]*)?)?)?)?\Z")
_AS_STORED: Final = "transfer-syntax=*"
_WADO_URI: Final = "requestType=WADO"
_WADO_FILE = re.compile(r"(?:\A|&)contentType=application(?:/|%2[Ff])dicom(?:&|\Z)")
_WHOLE = re.compile(r"[0-9]{1,10}\Z")
_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A picture, and the window that it is to have instead of the instance's own."""

    rendition: Rendition
    window: tuple[float | None, float | None]


def parse_image_request(req: falcon.Request, kind: str) -> ImageRequest:
    """Raises NoPicture, UnknownRoute."""
    is_rendered = kind == "rendered"
    rendition = Rendition(
        kind=kind,
        media_type=_media_type(req.env.get("HTTP_ACCEPT", ""), _FORMATS.get(kind, (PNG, JPEG, PAM))),
        quality=_quality(req),
        width=_pixels(req, "width") if is_rendered else 0,
        height=_pixels(req, "height") if is_rendered else 0,
        smooth=is_rendered and _smooth(req),
    )
    center, width = (_number(req, name) if is_rendered else None for name in ("window-center", "window-width"))
    return ImageRequest(rendition, (center, width))


def _media_type(accept: str, formats: tuple[str, ...]) -> str:
    """Return the format that is liked best; of equal ones the first. Raises UnknownRoute."""
    liked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.lower().split(",")):
        name, *parameters = (each.strip() for each in part.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        found = formats[0] if name in {"*/*", "image/*"} else name
        if found in formats and re.fullmatch(r"[01](\.[0-9]*)?", quality) and float(quality) > 0:
            liked.append((-float(quality), place, found))
    if liked:
        return min(liked)[2]
    if accept.strip():
        raise UnknownRoute(f"This image can be had as {', '.join(formats)}; the header Accept asks for none of them")
    return formats[0]


def _quality(req: falcon.Request) -> int:
    text = req.get_param("quality")
    if text is None:
        return _QUALITY
    if not _WHOLE.match(text) or not 1 <= int(text) <= 100:
        raise NoPicture(f"quality must be a number from 1 to 100, found: {text[:40]}")
    return int(text)


def _pixels(req: falcon.Request, name: str) -> int:
    text = req.get_param(name)
    if text is None:
        return 0
    if not _WHOLE.match(text):
        raise UnknownRoute(f"{name} must be a number of pixels, found: {text[:40]}")
    if int(text) > MOST_PIXELS:
        raise NoPicture(f"{name} must be at most {MOST_PIXELS}, found: {text}")
    return int(text)


def _number(req: falcon.Request, name: str) -> float | None:
    text = req.get_param(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UnknownRoute(f"{name} must be a number, found: {text[:40]}")
    return value


def _smooth(req: falcon.Request) -> bool:
    text = req.get_param("smooth")
    if text not in {None, "0", "1", "true", "false"}:
        raise NoPicture(f"smooth must be 0 or 1, found: {text[:40]!r}")
    return text in {"1", "true"}


def needs_codec(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request's answer is made by a codec process, of which there are few, so that it may wait for others."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if "transcode=" in query or _OF_PIXELS.search(path) or (_WADO_URI in query and not _is_file(query)):
        return True
    is_retrieval = environ.get("REQUEST_METHOD") == "GET" and _RETRIEVED.search(path) is not None
    return is_retrieval and _AS_STORED not in environ.get("HTTP_ACCEPT", "").replace('"', "")


def _is_file(query: str) -> bool:
    """Tell whether WADO-URI is asked for a file as it lies here."""
    return _WADO_FILE.search(query) is not None and "transferSyntax=" not in query and "anonymize=" not in query


def wants_placeholder(req: falcon.Request) -> bool:
    """Tell whether a picture is to say that there is none, instead of 415. Raises OutOfRange."""
    return arguments.boolean(req, "returnUnsupportedImage")
