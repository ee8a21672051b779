"""`…/instances/{instance}/frames/{list}` and `…/frames`: frames as bytes, or as images of a type (PS3.18 §10.4, §8.7.3.3).

A frame leaves as it lies in its file where the client takes that; else it is decoded or encoded by a codec process. Nothing said is bytes,
not compressed, in parts, as by Orthanc's plugin. Unlike there, one frame can be had without parts, and a range of its bytes.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import falcon

from actors.services.images.frames import Bytes, ImageFrames, RememberedPixels
from actors.services.transcoding.targets import can_transcode
from actors.wire.multipart import PartHeaders
from api.dicomweb import byte_ranges
from api.dicomweb.accept import Wanted, accepted_text, parse_types
from api.dicomweb.addresses import find_addressed
from api.dicomweb.base_url import base_url, resource_url
from api.dicomweb.handlers import Handlers
from api.dicomweb.media_types import AS_STORED, IMAGES, OCTETS, SYNTAXES, VIDEOS, media_type_of, with_syntax
from api.dicomweb.parts import Part, send_parts, whole_or_cut
from api.errors import NotAcceptable, OutOfRange
from api.rest import dicom_files
from api.rest.deps import Deps
from api.rest.serving.client_gone import still_wanted
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.encodable import ENCODABLE
from store.dicom.syntax import read_syntax
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from store.records import Instance

MOST_FRAMES: Final = 10_000  # in one request
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}\Z")
_NATIVE: Final = (EXPLICIT_LE, IMPLICIT_LE)  # pixels are the same bytes in both


class Form(NamedTuple):
    """How frames leave."""

    media_type: str
    transfer_syntax: str
    is_multipart: bool

    @property
    def name(self) -> str:
        return with_syntax(self.media_type, self.transfer_syntax)


class Frames:
    """See the module's text."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._remembered = RememberedPixels()

    def on_get(  # the names of an address
        self, req: falcon.Request, resp: falcon.Response, study: str, series: str, instance: str, frames: str = ""
    ) -> None:
        deps = self._deps
        numbers = parse_frames(frames) if frames else None
        with deps.views.snapshot() as s:
            (record,) = find_addressed(s, study, series, instance)[:1]
        assert isinstance(record, Instance)
        form = _choose_form(accepted_text(req), record.transfer_syntax, None if numbers is None else len(numbers))
        image = dicom_files.of_current(
            deps, record, lambda current: ImageFrames(deps.blobs, current, self._remembered, has_streams=True)
        )
        wanted = range(image.count) if numbers is None else [number - 1 for number in numbers]
        image.refuse_others(wanted, counted_from=1)
        source = _Source(req, deps, image, form)
        if not form.is_multipart:
            resp.content_type = form.name
            byte_ranges.send(req, resp, source.make(wanted[0]))
            return
        first = source.make(wanted[0])  # what fails at once has its status
        address = resource_url(base_url(req, deps.settings), study, series, instance) + "/frames"
        send_parts(resp, form.media_type, source.parts(first, wanted, address), len(first) * len(wanted))


class _Source:
    """Makes frames of one image in one form."""

    def __init__(self, req: falcon.Request, deps: Deps, image: ImageFrames, form: Form) -> None:
        self._codecs = deps.codecs
        self._check = still_wanted(req, deps.stopping.check)
        self._image = image
        self._form = form

    def parts(self, first: Bytes, frames: Sequence[int], address: str) -> Generator[Part]:
        for place, frame in enumerate(frames):
            made = self.make(frame) if place else first
            headers = {"Content-Location": f"{address}/{frame + 1}", "Content-Type": self._form.name}
            yield PartHeaders(headers | {"Content-Length": str(len(made))}), whole_or_cut(made)

    def make(self, frame: int) -> Bytes:
        """Return a frame. Raises NotAcceptable where it cannot be had in this form."""
        image, syntax = self._image, self._form.transfer_syntax
        try:
            if syntax == image.transfer_syntax:
                return image.as_stored(frame)
            if syntax == EXPLICIT_LE:
                return image.decode(self._codecs, frame, self._check)
            return image.encode(self._codecs, frame, syntax, self._codecs.settings.lossy_quality, self._check)
        except UndecodablePixels as exc:
            raise NotAcceptable(f"Frame {frame + 1} cannot be had in {syntax}: {exc}") from exc


def parse_frames(text: str) -> list[int]:
    """Return the numbers of a list, from 1. Raises OutOfRange."""
    numbers = text.split(",", MOST_FRAMES)
    if len(numbers) > MOST_FRAMES:
        raise OutOfRange(f"One request asks for {MOST_FRAMES} frames at most")
    for number in numbers:
        if not _NUMBER.match(number):
            raise OutOfRange(f"A list of frames is of numbers from 1, such as 1,2,3; found: {number:.40}")
    return [int(number) for number in numbers]


@lru_cache(maxsize=256)  # a viewer asks for each of its frames with the same
def _choose_form(accepted: str, stored: str, count: int | None) -> Form:
    return choose_form(parse_types(accepted), stored, count)


def choose_form(accepted: Sequence[Wanted], stored: str, count: int | None) -> Form:
    """Return the form that the client likes best of those that there are; `count` frames are wanted (None: all). Raises NotAcceptable."""
    for wanted in accepted:
        for media_type, syntax in _offers(wanted, stored, count):
            if wanted.is_multipart or wanted.type.endswith("*"):
                return Form(media_type, syntax, is_multipart=True)
            if count == 1:
                return Form(media_type, syntax, is_multipart=False)
    raise NotAcceptable(
        f"These frames are stored in {stored} and can be had as {OCTETS}; transfer-syntax=* in multipart/related, and one of them alone; "
        "the header Accept asks for nothing that can be made of them"
    )


def _offers(wanted: Wanted, stored: str, count: int | None) -> Iterator[tuple[str, str]]:
    """The media types and transfer syntaxes in which frames can be had for one type that a client takes."""
    told, own = wanted.transfer_syntax, media_type_of(stored)
    lying = (own, stored if own != OCTETS else EXPLICIT_LE)
    is_native = (syntax := read_syntax(stored)) is None or not syntax.encapsulated
    if own in VIDEOS and count not in {1, None}:
        return  # a stream is not cut into frames
    if wanted.takes(OCTETS):
        if told == AS_STORED:
            yield lying
        elif told in {None, *_NATIVE} and (is_native or can_transcode(stored, EXPLICIT_LE)):
            yield OCTETS, EXPLICIT_LE
        elif told == stored and not is_native:  # as before 2016: the type of bytes whatever they are
            yield OCTETS, stored
        elif told is None and wanted.type.endswith("*"):
            yield lying
        if not wanted.type.endswith("*"):
            return
    if wanted.takes(own) and told in {None, AS_STORED, stored} and (told or own in VIDEOS or wanted.type.endswith("*")):
        yield lying
    for kind, syntaxes in SYNTAXES.items():
        if wanted.takes(kind) and told in {None, AS_STORED, *syntaxes}:
            target = told if told in syntaxes else syntaxes[0]
            if target == stored or (kind in IMAGES and target in ENCODABLE and can_transcode(stored, target)):
                yield kind, target
    if wanted.takes(own) and own != OCTETS and told is None:
        yield lying  # the default of its type cannot be made of it


def handlers(deps: Deps) -> Handlers:
    frames = Frames(deps)
    one = "studies/{study}/series/{series}/instances/{instance}/frames"
    return {one: {"GET": frames.on_get}, f"{one}/{{frames}}": {"GET": frames.on_get}}
