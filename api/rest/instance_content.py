"""Routes below `/instances/{id}`: the file, its tags, its header, the raw value of any element."""

import re
from collections.abc import Callable
from functools import partial
from io import RawIOBase
from typing import Final

import falcon

from actors.services.transcoding.targets import CannotTranscode, Target, clamp_quality
from actors.services.transcoding.transcode import transcode
from api.errors import NotTranscoded, OutOfRange, UnknownRoute
from api.rest import arguments, dicom_files
from api.rest.arguments import TagForm, parse_tag
from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of
from api.rest.resources import find_instance
from api.rest.serving import orthanc_json
from api.rest.serving.body import CHUNK_BYTES
from api.rest.serving.client_gone import still_wanted
from api.rest.serving.file_pieces import send_file
from api.rest.serving.replies import BINARY, send_json
from events.errors import NotFound
from events.identifiers import Level
from store.blobs.store import MAPPED_BYTES
from store.dicom.change.edit import Changed
from store.dicom.dicom_json import Json
from store.dicom.limits import large_datasets
from store.dicom.native_model import render_native_model
from store.dicom.syntax import transfer_syntaxes
from store.dicom.uids import ENCAPSULATED_PDF
from store.dicom.xml_text import escape_as_orthanc
from store.records import Instance

DICOM = "application/dicom"
# How a dataset is written for an Accept that is one of these, alone and to the letter: so Orthanc.
DATASET_AS: Final[dict[str, Callable[[Json], bytes]]] = {
    "application/dicom+json": lambda shown: orthanc_json.encode(shown, orthanc_json.ERROR_INDENT) + b"\n",
    "application/dicom+xml": lambda shown: render_native_model(shown, escape_as_orthanc),
}
_ENCAPSULATED_DOCUMENT = "0042-0011"
_FILENAME = re.compile(r"(?:^|&)filename=([^&]*)")


class OfInstance:
    """What resources of one instance share."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def _find(self, identifier: str) -> Instance:
        with self._deps.views.snapshot() as s:
            return find_instance(s, identifier)


class File(OfInstance):
    """`GET /instances/{id}/file`: the very bytes that were received, or their dataset as DICOM JSON or as XML."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        instance = self._find(identifier)
        accepted = req.env.get("HTTP_ACCEPT", "")
        if accepted in DATASET_AS:
            with large_datasets.scope():
                resp.data = DATASET_AS[accepted](dicom_files.read_dicom_json(self._deps, instance))
            resp.content_type = accepted
            return
        target = read_target(req, self._deps)
        whole, size_bytes = dicom_files.of_current(
            self._deps, instance, partial(self._content, target, still_wanted(req, self._deps.stopping.check))
        )
        name = file_name(req.query_string, f"{identifier}.dcm")
        if name:
            resp.set_header("Content-Disposition", f'filename="{name}"')
        resp.content_type = DICOM
        if isinstance(whole, bytes):
            resp.data = whole
        elif isinstance(whole, Changed):
            resp.content_length, resp.stream = size_bytes, whole.pieces(CHUNK_BYTES)
        else:
            send_file(resp, whole, size_bytes)

    def _content(
        self, target: Target | None, check: Callable[[], None], instance: Instance
    ) -> tuple[bytes | Changed | RawIOBase, int]:
        if target is None or target.transfer_syntax == instance.transfer_syntax:
            return self._open(instance)
        blobs, codecs = self._deps.blobs, self._deps.codecs
        content = blobs.read_instance(instance)
        try:
            made = transcode(memoryview(content), target, codecs, blobs.reopener(instance, content), check)
        except CannotTranscode as exc:
            raise NotTranscoded(str(exc)) from exc
        file = Changed((made.head(), made.dataset), made.sop_instance, made.transfer_syntax)
        return (b"".join(file.parts) if file.size_bytes <= MAPPED_BYTES else file), file.size_bytes

    def _open(self, instance: Instance) -> tuple[bytes | RawIOBase, int]:
        """Return the content of a small file, else the file, and the size of the content."""
        blobs = self._deps.blobs
        is_small = instance.size_bytes <= MAPPED_BYTES
        return blobs.read_small(instance) if is_small else blobs.open_instance(instance), instance.size_bytes


def file_name(query: str, default: str) -> str:
    """Return the name for Content-Disposition: as it stands in the query, not decoded; empty for none (as Orthanc)."""
    match = _FILENAME.search(query)
    if match is None:
        return "" if "filename" in query.split("&") else default
    return match[1].replace('"', "%22").replace("%2B", "+")


def read_target(req: falcon.Request, deps: Deps) -> Target | None:
    """Return what the file is to be transcoded to, if it is. Raises OutOfRange."""
    quality = deps.codecs.settings.lossy_quality
    if (text := req.get_param("lossy-quality")) is not None:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise OutOfRange(f'Expected a Unsigned Int for GET argument "lossy-quality", found: {text}')
        quality = clamp_quality(int(text))
    syntax = req.get_param("transcode")
    if syntax is None:
        return None
    if syntax not in transfer_syntaxes():
        raise OutOfRange(f"Unknown transfer syntax: {syntax}")
    return Target(syntax, quality)


class TagsOf(OfInstance):
    """`/instances/{id}/tags` and `/instances/{id}/simplified-tags`."""

    def __init__(self, deps: Deps, form: TagForm) -> None:
        super().__init__(deps)
        self._form = form

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        instance = self._find(identifier)
        # The name promises the form: arguments do not change that of simplified-tags.
        form = arguments.tag_form(req, self._form) if self._form == "full" else self._form
        whole = arguments.boolean(req, "whole")
        with large_datasets.scope():  # until it is text, what is shown costs more than what is read
            lengths = parse_ignore_length(req)
            shown = dicom_files.read_tags(self._deps, instance, form, ignore_length=lengths, whole=whole)
            send_json(req, resp, shown)


def parse_ignore_length(req: falcon.Request) -> list[int]:
    """Return the tags whose values are wanted however long they are (split at commas). Raises UnknownTag."""
    text = req.get_param("ignore-length")
    return [] if text is None else [parse_tag(part) for part in text.split(",")]


class Header(OfInstance):
    """`/instances/{id}/header`: the file meta information."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        instance = self._find(identifier)
        send_json(req, resp, dicom_files.read_header(self._deps, instance, arguments.tag_form(req, "full")))


class Content(OfInstance):
    """`/instances/{id}/content/…`: lists of elements and items, or the raw value of an element."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, path: str = "") -> None:
        instance = self._find(identifier)
        steps = [step for step in path.split("/") if step]
        found = dicom_files.read_content(self._deps, instance, steps)
        if isinstance(found, list):
            send_json(req, resp, found)
            return
        resp.content_type = BINARY
        resp.data = found

    def on_other(self, _req: falcon.Request, _resp: falcon.Response, **_names: str) -> None:
        """Refuse as Orthanc does below a free path: as an unknown URI, not as a wrong method."""
        raise UnknownRoute

    on_post = on_put = on_delete = on_other


class Pdf(OfInstance):
    """`/instances/{id}/pdf`: the document that an instance encapsulates, without its padding."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        instance = self._find(identifier)
        if instance.sop_class != ENCAPSULATED_PDF:
            raise NotFound
        document = dicom_files.read_content(self._deps, instance, [_ENCAPSULATED_DOCUMENT])
        if not isinstance(document, bytes) or not document:
            raise NotFound
        resp.content_type = "application/pdf"
        resp.data = document.rstrip(b"\0")


def routes(deps: Deps) -> Routes:
    one = one_of(Level.INSTANCE)
    return {
        f"{one}/file": File(deps),
        f"{one}/tags": TagsOf(deps, "full"),
        f"{one}/simplified-tags": TagsOf(deps, "simplify"),
        f"{one}/header": Header(deps),
        f"{one}/pdf": Pdf(deps),
        f"{one}/content": Content(deps),
        f"{one}/content/{{path:path}}": Content(deps),
    }
