"""Pictures of stored frames in the formats that DICOMweb knows, made as those of REST (`api.rest.images`), and what browsers keep of them."""

from typing import Final

import falcon

from actors.services.images.image import TooManyPixels
from actors.services.images.pictures import GIF, make_picture
from api.dicomweb.rendered.rendering import Rendering
from api.errors import NoPicture, NotAcceptable, OutOfRange
from api.rest.deps import Deps
from api.rest.etags import has_made, tag_of_made
from api.rest.image_requests import JPEG, PNG
from api.rest.images import of_pixels
from api.rest.serving.client_gone import still_wanted
from store.dicom.pixels.description import NoPixels
from store.records import Instance

FORMATS: Final = (JPEG, PNG, GIF)  # the default first (PS3.18 table 8.7.4-1)


class NotAnImage(NotAcceptable):
    """An instance has no pixels."""


def make(
    deps: Deps, req: falcon.Request, instance: Instance, frame: int, rendering: Rendering, media_type: str
) -> bytes:
    """Return a picture of a frame. Raises NotAnImage, NotAcceptable, OutOfRange, NoSuchFrame, NoSuchPart, Busy, ClientGone."""
    rendition = rendering.rendition(media_type)
    check = still_wanted(req, deps.stopping.check)

    def of(current: Instance) -> bytes:
        return make_picture(deps.codecs, deps.blobs, current, frame, rendition, rendering.window or (None, None), check)

    try:
        return of_pixels(deps, instance, of)
    except NoPicture as exc:
        if isinstance(exc.__cause__, TooManyPixels):
            raise OutOfRange(str(exc)) from exc
        kind = NotAnImage if isinstance(exc.__cause__, NoPixels) else NotAcceptable
        raise kind(str(exc)) from exc


def send(
    deps: Deps,
    req: falcon.Request,
    resp: falcon.Response,
    instance: Instance,
    frame: int,
    rendering: Rendering,
    media_type: str,
) -> None:
    """Answer with a picture, or 304 to a client that has it: then nothing is rendered. Raises as `make`.

    A file of an instance that takes the place of another is another blob; a picture may be another with each release.
    """
    tag = tag_of_made(deps.settings.sinogram_version, instance.blob, frame, rendering, media_type)
    if has_made(req, tag):
        resp.status = falcon.HTTP_304
    else:
        resp.data = make(deps, req, instance, frame, rendering, media_type)
        resp.content_type = media_type
    resp.set_header("ETag", f'"{tag}"')
    resp.append_header("Vary", "Accept")
    resp.set_header("Cache-Control", "private, no-cache")  # a browser may keep it, and asks each time
