"""`/instances/{id}/modify` and `/instances/{id}/anonymize`: the file of an instance, changed. Source: observed on Orthanc 1.12.7."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import falcon

from actors.services.modification.modified_file import modify_file
from actors.services.transcoding.targets import Target, clamp_quality
from api.errors import BadField, OutOfRange
from api.rest import dicom_files, fields, runtime
from api.rest.deps import Deps, Routes
from api.rest.instance_content import DICOM
from api.rest.render_resources import one_of
from api.rest.resources import find_instance
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import CHUNK_BYTES
from api.rest.serving.client_gone import still_wanted
from events.identifiers import Level
from store.blobs.store import MAPPED_BYTES
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Changed, Editor
from store.dicom.change.modification import Modification
from store.dicom.change.request import Flags, needs_name, read_anonymize, read_modify
from store.dicom.change.tag_path import TagPath
from store.dicom.syntax import read_syntax
from store.dicom.tags import PATIENT_NAME

_UID: Final = re.compile(r"[0-9.]{1,64}\Z")


class ModifyInstance:
    """The answer is a file; nothing is stored."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        deps = self._deps
        with deps.views.snapshot() as s:
            instance = find_instance(s, identifier)
        body = read_body(req)
        change = self._read(body, req)
        target = read_target(body, deps)
        editor = Editor(change, Drawn(new_secret()), runtime.default_encoding(deps))
        check = still_wanted(req, deps.stopping.check)
        changed = dicom_files.of_current(
            deps, instance, lambda current: modify_file(current, deps.blobs, deps.codecs, editor, target, check)
        )
        send_file(resp, changed)

    def _read(self, body: Mapping[str, Any], _req: falcon.Request) -> Modification:
        return read_modify(body, Level.INSTANCE, read_flags(body, self._deps))


def send_file(resp: falcon.Response, changed: Changed) -> None:
    """Answer with a file; a large one goes out piece by piece."""
    resp.content_type = DICOM
    if changed.size_bytes <= MAPPED_BYTES:
        resp.data = b"".join(changed.parts)
        return
    resp.content_length = changed.size_bytes
    resp.stream = changed.pieces(CHUNK_BYTES)


class AnonymizeInstance(ModifyInstance):
    def _read(self, body: Mapping[str, Any], req: falcon.Request) -> Modification:
        return read_anonymization(self._deps, req, body)


def read_body(req: falcon.Request) -> dict[str, Any]:
    """Return the object in a body. Raises BadField, of which Orthanc says nothing more."""
    body = fields.read_json(req)
    if not isinstance(body, dict):
        raise BadField
    return body


def read_flags(body: Mapping[str, Any], deps: Deps) -> Flags:
    """Return the fields of a request that are no tags. Raises BadField."""
    default_creator = deps.settings.default_private_creator
    flags = Flags(
        force=flag(body, "Force"),
        removes_private=flag(body, "RemovePrivateTags"),
        keeps_private=flag(body, "KeepPrivateTags"),
        private_creator=fields.text(body, "PrivateCreator", default=default_creator),
    )
    for name in ("KeepSource", "KeepLabels"):
        flag(body, name)
    return flags


def flag(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadField(f'Member "{name}" should be a Boolean value')
    return value


def read_anonymization(deps: Deps, req: falcon.Request, body: Mapping[str, Any]) -> Modification:
    """Read a request to anonymise, and draw the patient's name. Raises InvalidRequest and its refinements."""
    change = read_unnamed(deps, body)
    return named(change, deps.index.draw_anonymous_name(correlation_of(req))) if needs_name(change) else change


def read_unnamed(deps: Deps, body: Mapping[str, Any]) -> Modification:
    """Read a request to anonymise; the name, where one is to be drawn, is lacking."""
    return read_anonymize(body, read_flags(body, deps), f"Sinogram {deps.settings.sinogram_version}")


def named(change: Modification, name: str) -> Modification:
    return replace(change, replace={**change.replace, TagPath((), PATIENT_NAME): name})


def transfer_syntax(body: Mapping[str, Any], *, of_job: bool = False) -> str:
    """Return what `Transcode` names, "" for nothing; whether it can be had is seen at each instance. Raises BadField, OutOfRange."""
    uid = fields.text(body, "Transcode", default="")
    if uid and (not _UID.match(uid) or read_syntax(uid) is None):
        if of_job:  # Orthanc has two answers
            raise BadField(f"Unknown transfer syntax UID: {uid}")
        raise OutOfRange(f"Unknown transfer syntax: {uid}")
    return uid


def lossy_quality(body: Mapping[str, Any]) -> int:
    """Return `LossyQuality`, 0 for that of the configuration. Raises BadField."""
    if "LossyQuality" not in body:
        return 0
    number = body["LossyQuality"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadField("Integer value expected in field: LossyQuality")
    return clamp_quality(number)


def read_target(body: Mapping[str, Any], deps: Deps) -> Target | None:
    """Return what a file is to be transcoded to, if it is. Raises BadField, OutOfRange."""
    syntax, quality = transfer_syntax(body), lossy_quality(body)
    return Target(syntax, quality or deps.codecs.settings.lossy_quality) if syntax else None


def routes(deps: Deps) -> Routes:
    one = one_of(Level.INSTANCE)
    return {f"{one}/modify": ModifyInstance(deps), f"{one}/anonymize": AnonymizeInstance(deps)}
