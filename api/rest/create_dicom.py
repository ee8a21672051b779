"""`POST /tools/create-dicom`: an instance made of tags, an image, a document, a model. Source: observed on Orthanc 1.12.7."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import falcon

from actors.services.codecs.native import decode_frames, readable
from api.errors import (
    AlreadyHasParent,
    NoDataUri,
    NoParent,
    NotImplementedYet,
    OutOfRange,
    ParentIsInstance,
    PixelsAreContent,
)
from api.rest import dicom_files, fields, runtime
from api.rest.bulk_tags import MODULES
from api.rest.deps import Deps, Routes
from api.rest.render_resources import path_of
from api.rest.serving.auth import correlation_of, origin_of
from api.rest.serving.replies import send_json
from api.rest.upload import render_stored
from events.errors import InvalidDicom, InvalidRequest
from events.identifiers import Level, format_resource_id, parse_resource_id
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.modification import OWN_UIDS, NewValue
from store.dicom.change.new_dataset import Picture, dated, describe_image, new_file
from store.dicom.change.request import read_value
from store.dicom.change.tag_path import parse_name
from store.dicom.change.values import without_data_uris
from store.dicom.charset_encoding import defined_term
from store.dicom.charsets import charset_of, knows_charset
from store.dicom.dictionary import dictionary_vr, tag_name
from store.dicom.identifier import pick
from store.dicom.pixels.codestream import Codestream, Colour
from store.dicom.pixels.decodable import read_codestream
from store.dicom.pixels.description import Frame, PixelDescription
from store.dicom.pixels.jpeg import read_jpeg
from store.dicom.pixels.png import PNG_IMAGE, read_png
from store.dicom.tags import (
    INSTANCE_NUMBER,
    PATIENT_ID,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
)
from store.dicom.uids import JPEG_FAMILY, STORAGE
from store.records import Instance, Resource

_DATA_URI: Final = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)
_JPEG_BASELINE: Final = JPEG_FAMILY + "50"
_JPEG: Final = "image/jpeg"
MOST_DECODED_BYTES: Final = 256 << 20  # of an image's pixels, which are in memory thrice until they are stored
# MIME type -> SOP class, Modality and Conversion Type (PS3.3 §A.45, A.85)
_DOCUMENTS: Final = {
    "application/pdf": ("104.1", "OT", "WSD"),
    "model/stl": ("104.3", "M3D", ""),
    "model/obj": ("104.4", "M3D", ""),
    "model/mtl": ("104.5", "M3D", ""),
}


@dataclass(frozen=True, slots=True)
class _Request:
    """What all instances of a request share."""

    values: dict[int, NewValue]  # what is inherited, and what the client says
    encoding: str
    encapsulates: bool


class CreateDicom:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = fields.read_json(req)
        if not isinstance(body, dict):
            raise InvalidRequest
        tags = body.get("Tags", body)  # without it the whole body is tags, as of old
        request = self._read(body if "Tags" in body else {}, tags)
        content = body.get("Content") if "Tags" in body else None
        if isinstance(content, list) and content:
            send_json(req, resp, self._create_series(req, request, content))
        else:
            send_json(req, resp, self._store(req, request, request.values, None if content == [] else content))

    def _read(self, body: Mapping[str, Any], tags: object) -> _Request:
        force, interprets = _flag(body, "Force", default=False), _flag(body, "InterpretBinaryTags", default=True)
        creator = body.get("PrivateCreator", self._deps.settings.default_private_creator)
        if not isinstance(tags, dict) or not isinstance(creator, str):
            raise InvalidRequest
        said = _read_tags(tags, interprets=interprets)
        level, inherited, encoding = self._inherit(body["Parent"]) if "Parent" in body else (None, {}, "")
        for tag in sorted(said):
            if not force and (tag in inherited or tag in OWN_UIDS):
                raise AlreadyHasParent(tag_name(tag))
        declared = str(said.pop(SPECIFIC_CHARACTER_SET, ""))
        encoding = charset_of(declared, "Latin1").written if knows_charset(declared) else encoding
        encoding = encoding or runtime.default_encoding(self._deps)
        drawn = Drawn(new_secret())
        values: dict[int, NewValue] = {
            **(dated(self._deps.now(), level) if body else {}),
            **({SPECIFIC_CHARACTER_SET: defined_term(encoding)} if body else {}),
            PATIENT_ID: str(uuid4()),
            STUDY_INSTANCE_UID: drawn.uid(b"study").decode(),
            SERIES_INSTANCE_UID: drawn.uid(b"series").decode(),
            **inherited,
            **said,
        }
        blocks = {tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in said if tag & 0x10000 and tag & 0xFFFF >= 0x1000}
        reserved: dict[int, NewValue] = dict.fromkeys(blocks - said.keys(), creator) if creator else {}
        return _Request(values | reserved, encoding, _flag(body, "Encapsulate", default=False, lenient=True))

    def _inherit(self, name: object) -> tuple[Level, dict[int, NewValue], str]:
        """Return a parent's level, the values that its modules hold, and its encoding. Raises NoParent, ParentIsInstance."""
        deps = self._deps
        identifier = parse_resource_id(name) if isinstance(name, str) else None
        with deps.views.snapshot() as s:
            place = None if identifier is None else s.find(identifier)
            if place is None:
                raise NoParent
            record = s.get_ref(*place)
            if not isinstance(record, Resource):
                raise ParentIsInstance
            example = next(s.descendants(record, Level.INSTANCE))
        assert isinstance(example, Instance)
        modules = (MODULES[level] for level in Level if level <= record.level)
        wanted = [tag for module in modules for tag in module if dictionary_vr(tag) != "SQ"]
        default = runtime.default_encoding(deps)
        with dicom_files.opened(deps, example) as data:
            values = pick(data, (SPECIFIC_CHARACTER_SET, *wanted), default)
        declared = values.pop(SPECIFIC_CHARACTER_SET, None)
        encoding = charset_of(declared if isinstance(declared, str) else "", default).written
        return record.level, {tag: value for tag, value in values.items() if isinstance(value, str)}, encoding

    def _create_series(self, req: falcon.Request, request: _Request, content: list[Any]) -> dict[str, str]:
        stored: dict[str, str] = {}
        for number, each in enumerate(content, 1):
            own: dict[int, NewValue] = {
                INSTANCE_NUMBER: str(number),
                0x00200105: "1",  # Number of Temporal Positions
                0x00201002: str(len(content)),  # Images in Acquisition
                0x00541330: str(number),  # Image Index
            }
            if isinstance(each, dict):
                own = {**_read_tags(each.get("Tags", {}), interprets=True), **own}
                each = each.get("Content")  # noqa: PLW2901 # either form is the content
            stored = self._store(req, request, request.values | own, each)
        identifier = parse_resource_id(stored["ParentSeries"])
        assert identifier is not None
        return {
            "ID": format_resource_id(identifier),
            "Path": path_of(Level.SERIES, identifier),
            "Status": stored["Status"],
        }

    def _store(
        self, req: falcon.Request, request: _Request, values: Mapping[int, NewValue], content: object
    ) -> dict[str, str]:
        uid = Drawn(new_secret()).uid(b"instance").decode()
        values = {SOP_INSTANCE_UID: uid, **values}
        parts = self._build(request, values, content)
        upload = self._deps.ingest.open(origin_of(req), correlation_of(req))
        try:
            for part in parts:
                upload.write(part)
            return render_stored(upload.store())
        finally:
            upload.discard()

    def _build(self, request: _Request, values: Mapping[int, NewValue], content: object) -> tuple[bytes, ...]:
        if content is None:
            return new_file(values, request.encoding)
        media_type, data = _parse_uri(content)
        if media_type in {PNG_IMAGE, _JPEG}:
            return new_file(values, request.encoding, self._picture(media_type, data, request))
        if request.encapsulates:
            raise NotImplementedYet(f"Cannot encapsulate pixel data from MIME type: {media_type}")
        if media_type == "application/octet-stream":
            return new_file(values, request.encoding, Picture(described={}, pixels=data))
        return _build_document(media_type, data, values, request.encoding)

    def _picture(self, media_type: str, data: bytes, request: _Request) -> Picture:
        if request.encapsulates:
            if media_type != _JPEG:
                raise NotImplementedYet(f"Cannot encapsulate pixel data from MIME type: {media_type}")
            found = read_jpeg(data, is_lossless=False)
            if found.bits != 8:
                raise NotImplementedYet("Only JPEG of 8 bits can be encapsulated")
            told = _photometric(found)
            return Picture(described=describe_image(found, told), pixels=data, transfer_syntax=_JPEG_BASELINE)
        syntax = PNG_IMAGE if media_type == PNG_IMAGE else _JPEG_BASELINE
        found = read_png(data) if syntax == PNG_IMAGE else read_jpeg(data, is_lossless=False)
        return self._decoded(data, syntax, found)

    def _decoded(self, data: bytes, syntax: str, found: Codestream) -> Picture:
        """Decode an image in a codec's process. Raises InvalidDicom, Busy."""
        described = PixelDescription(
            frames=1,
            rows=found.rows,
            columns=found.columns,
            samples=found.samples,
            bits_allocated=found.bits,
            bits_stored=found.bits,
            high_bit=found.bits - 1,
            signed=False,
            photometric_interpretation="RGB" if syntax == PNG_IMAGE and found.samples == 3 else _photometric(found),
        )
        read_codestream(data, syntax, described)
        if described.frame_bytes > MOST_DECODED_BYTES:
            raise InvalidDicom(
                f"The image has {found.columns} × {found.rows} pixels; up to {MOST_DECODED_BYTES >> 20} MB of them can become an instance"
            )
        pixels = bytearray(described.frame_bytes)
        colours: list[str] = []

        def place(photometric_interpretation: str) -> memoryview:
            colours.append(photometric_interpretation)
            return memoryview(pixels)

        with readable(data, None) as file:
            decode_frames(self._deps.codecs, file, syntax, described, [Frame(((0, len(data)),))], place)
        return Picture(described=describe_image(found, colours[0]), pixels=bytes(pixels))


def _photometric(found: Codestream) -> str:
    if found.samples == 1:
        return "MONOCHROME2"
    return "RGB" if found.colour is Colour.RGB else "YBR_FULL_422"


def _build_document(media_type: str, data: bytes, values: Mapping[int, NewValue], encoding: str) -> tuple[bytes, ...]:
    if media_type not in _DOCUMENTS:
        raise NotImplementedYet(f"Unsupported MIME type for the content of a new DICOM file: {media_type}")
    if media_type == "application/pdf" and not data.startswith(b"%PDF-"):
        raise InvalidDicom("Not a PDF file")
    number, modality, conversion = _DOCUMENTS[media_type]
    about: dict[int, NewValue] = {SOP_CLASS_UID: STORAGE + number, 0x00080060: modality, 0x00420012: media_type}
    if conversion:
        about[0x00080064] = conversion
    return new_file({**about, **values}, encoding, document=data)


def _read_tags(tags: object, *, interprets: bool) -> dict[int, NewValue]:
    if not isinstance(tags, dict):
        raise InvalidRequest
    said = {tag: read_value(tag, value) for tag, value in ((parse_name(n), v) for n, v in sorted(tags.items()))}
    if PIXEL_DATA in said:
        raise PixelsAreContent
    return said if interprets else {tag: without_data_uris(value) for tag, value in said.items()}


def _parse_uri(content: object) -> tuple[str, bytes]:
    """Return the type and the bytes of a data URI. Raises NoDataUri, InvalidDicom, OutOfRange."""
    if not isinstance(content, str):
        raise NoDataUri
    found = _DATA_URI.match(content)
    if found is None:
        raise InvalidDicom("The content is no data URI")
    try:
        data = base64.b64decode(found[2], validate=True)
    except binascii.Error as exc:
        raise InvalidDicom("The content is not in base64") from exc
    known = {PNG_IMAGE, _JPEG, "application/octet-stream", "text/plain", *_DOCUMENTS}
    if found[1] not in known:
        raise OutOfRange(f"Unsupported MIME type for the content of a new DICOM file: {found[1]}")
    return found[1], data


def _flag(body: Mapping[str, Any], name: str, *, default: bool, lenient: bool = False) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        if lenient:
            return default
        raise InvalidRequest(f"{name} must be true or false")
    return value


def routes(deps: Deps) -> Routes:
    return {} if deps.settings.read_only else {"/tools/create-dicom": CreateDicom(deps)}
