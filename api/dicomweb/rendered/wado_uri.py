"""WADO-URI: one object by the parameters of a query (PS3.18 §9), at `WadoRoot`.

`contentType`, else the header Accept, says what is wanted: a picture (JPEG is the default, of the first frame or of `frameNumber`), the
document or the video that an instance is, or its file. Pictures show the window that the instance names, as by Orthanc's plugin; a file
leaves as it is stored unless `transferSyntax` is told. `anonymize=yes` makes what `/instances/{id}/anonymize` makes: PS3.15's Basic
Application Level Confidentiality Profile, with new UIDs each time. Presentation states are refused: a picture without them would be another.
"""

from collections.abc import Callable, Iterator
from typing import Final

import falcon

from actors.services.modification.modified_file import modify_file
from actors.services.transcoding.targets import CannotTranscode, Target
from api.dicomweb.addresses import find_object
from api.dicomweb.base_url import base_url
from api.dicomweb.media_types import AS_STORED, DICOM
from api.dicomweb.rendered import documents, pictures
from api.dicomweb.rendered.pictures import FORMATS, NotAnImage
from api.dicomweb.rendered.rendering import parse_warnings
from api.dicomweb.rendered.wado_uri_request import UriRequest, parse_uri_request
from api.dicomweb.retrieve.files import can_be_had, send_file
from api.errors import NotAcceptable
from api.rest import dicom_files, modification, runtime
from api.rest.deps import Deps
from api.rest.serving.client_gone import still_wanted
from events.errors import NotFound
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.records import Instance

_BURNED_IN_ANNOTATION: Final = "0028-0301"


def handler(deps: Deps) -> Callable[[falcon.Request, falcon.Response], None]:
    """Return who answers requests of WADO-URI."""

    def on_get(req: falcon.Request, resp: falcon.Response) -> None:
        request = parse_uri_request(req)
        warnings = parse_warnings(req)
        with deps.views.snapshot() as s:
            instance = find_object(s, request.instance, request.series, request.study)
        for text in warnings:
            resp.append_header("Warning", f'299 {base_url(req, deps.settings)} "{text}"')
        _send(deps, req, resp, instance, request)

    return on_get


def _send(deps: Deps, req: falcon.Request, resp: falcon.Response, instance: Instance, request: UriRequest) -> None:
    """Answer in the best type that can be had. Raises NotAcceptable."""
    if request.is_anonymized:
        _refuse_burned_in(deps, instance)
    shown = documents.types_of(instance) or FORMATS
    reason: NotAcceptable | None = None
    for kind in _wanted(request, (*shown, DICOM)):
        if kind == DICOM:
            _send_file(deps, req, resp, instance, request)
        elif kind not in FORMATS:
            _send_document(deps, resp, instance, request, kind)
        elif reason is None:  # else it has no pixels in any format
            try:
                pictures.send(deps, req, resp, instance, request.frame, request.rendering, kind)
            except NotAnImage as exc:
                reason = exc
                continue
        else:
            continue
        return
    raise reason or NotAcceptable(f"This object can be had as {', '.join((*shown, DICOM))}")


def _wanted(request: UriRequest, offered: tuple[str, ...]) -> Iterator[str]:
    """Yield the types that are taken, the best first."""
    for wanted in request.types:
        if not wanted.is_multipart:
            yield from filter(wanted.takes, offered)


def _send_document(deps: Deps, resp: falcon.Response, instance: Instance, request: UriRequest, kind: str) -> None:
    if request.is_anonymized:
        raise NotAcceptable(f"A document is not de-identified: {kind} cannot be had with anonymize=yes")
    documents.send(resp, documents.read_document(deps, instance, kind), kind)


def _send_file(deps: Deps, req: falcon.Request, resp: falcon.Response, instance: Instance, request: UriRequest) -> None:
    syntax = request.transfer_syntax
    if not can_be_had(instance.transfer_syntax, syntax):
        raise NotAcceptable(f"A file of {instance.transfer_syntax} cannot be had in {syntax}")
    if not request.is_anonymized:
        send_file(deps, req, resp, instance, syntax)
        return
    change = modification.read_anonymization(deps, req, {})
    editor = Editor(change, Drawn(new_secret()), runtime.default_encoding(deps))
    target = None if syntax == AS_STORED else Target(syntax, deps.codecs.settings.lossy_quality)
    check = still_wanted(req, deps.stopping.check)
    try:
        changed = dicom_files.of_current(
            deps, instance, lambda current: modify_file(current, deps.blobs, deps.codecs, editor, target, check)
        )
    except CannotTranscode as exc:
        raise NotAcceptable(str(exc)) from exc
    modification.send_file(resp, changed)


def _refuse_burned_in(deps: Deps, instance: Instance) -> None:
    """Raise NotAcceptable where names may stand in the pixels, which nobody takes out here (PS3.15 §E.3.1)."""
    try:
        said = dicom_files.read_content(deps, instance, [_BURNED_IN_ANNOTATION])
    except NotFound:
        return
    if isinstance(said, bytes) and said.strip(b"\0 ").upper() == b"YES":
        raise NotAcceptable("The pixels have burned-in annotations, which anonymize=yes does not remove")
