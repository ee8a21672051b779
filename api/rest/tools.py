"""`/tools/…`: the clock, identifiers, and what can be set while the server runs."""

import uuid
from datetime import UTC
from typing import Any

import falcon

from actors.services.ingest.settings import ENCODINGS
from api.dicom.negotiation import select_sop_classes, select_transfer_syntaxes
from api.errors import OutOfRange
from api.log_settings import LOG_CATEGORIES, LOG_LEVELS, log_level_setting
from api.rest import fields, runtime
from api.rest.deps import Deps, Routes
from api.rest.render_resources import render_link
from api.rest.serving.body import read_text
from api.rest.serving.replies import send_json, send_text
from events.errors import InvalidDicom, NotFound
from events.identifiers import Level, ResourceId
from store.dicom.tags import STUDY_INSTANCE_UID
from store.dicom.uids import draw_uid
from store.tables import normalize_identifier
from store.times import format_time
from store.views.lookup import find_identifier
from store.views.snapshot import Snapshot

_BY_LOWER = {name.lower(): name for name in ENCODINGS}


def canonical_encoding(text: str) -> str:
    """Return Orthanc's spelling of an encoding given in any case. Raises OutOfRange."""
    name = _BY_LOWER.get(text.lower())
    if name is None:
        raise OutOfRange
    return name


class Now:
    """`/tools/now` (UTC) and `/tools/now-local`."""

    def __init__(self, deps: Deps, *, local: bool) -> None:
        self._now = deps.now
        self._local = local

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        moment = self._now()
        send_text(resp, format_time(moment if self._local else moment.astimezone(UTC)))


class GenerateUid:
    """`/tools/generate-uid?level=…`; UIDs are derived from UUIDs (PS3.5 §B.2), Orthanc takes DCMTK's root."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        level = req.get_param("level")
        if level == "patient":
            send_text(resp, str(uuid.uuid4()))
        elif level in {"study", "series", "instance"}:
            send_text(resp, draw_uid())
        else:
            raise NotFound


class Lookup:
    """`POST /tools/lookup`: from a DICOM identifier to Orthanc's."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        value = read_text(req).rstrip("\0").strip()
        if "*" in value or "?" in value:
            raise OutOfRange("Wildcards are not allowed on tag 0010,0020")
        with self._deps.views.snapshot() as s:
            found = [hit for hit in find_identifier(s, value) if _is_identifier(s, *hit, value)] if value else []
        send_json(req, resp, [render_link(level, resource) for level, resource in sorted(found)])


def _is_identifier(s: Snapshot, level: Level, resource: ResourceId, value: str) -> bool:
    """Tell an identifier from an accession number, which the index also finds and this route does not."""
    if level != Level.STUDY:
        return True
    study = s.get(level, resource)
    uid = study.tags.get(STUDY_INSTANCE_UID, "") if study is not None else ""
    return normalize_identifier(uid) == normalize_identifier(value)


class LogLevel:
    """`/tools/log-level` (all categories) and `/tools/log-level-{category}`."""

    def __init__(self, deps: Deps, category: str | None = None) -> None:
        self._deps = deps
        self._categories = LOG_CATEGORIES if category is None else (category,)

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        configured = self._deps.settings.log_levels
        with self._deps.views.snapshot() as s:
            levels = [
                s.setting(log_level_setting(category)) or configured.get(category, "default")
                for category in self._categories
            ]
        send_text(resp, max(levels, key=LOG_LEVELS.index))

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        level = read_text(req)
        if level not in LOG_LEVELS:
            raise OutOfRange(f'Verbosity can be "default", "verbose" or "trace": {level}')
        for category in self._categories:
            self._deps.index.set_setting(log_level_setting(category), level)
        send_text(resp)


class DefaultEncoding:
    """`/tools/default-encoding`: the character set of files that name none."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        send_text(resp, runtime.default_encoding(self._deps))

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        encoding = canonical_encoding(read_text(req))
        self._deps.index.set_setting(runtime.DEFAULT_ENCODING, encoding)
        send_text(resp, encoding)


class UnknownSopClassAccepted(runtime.Switch):
    """`/tools/unknown-sop-class-accepted`."""

    NAME = runtime.UNKNOWN_SOP_CLASS_ACCEPTED

    def configured(self) -> bool:
        return self._deps.settings.unknown_sop_class_accepted


class AcceptedTransferSyntaxes:
    """`/tools/accepted-transfer-syntaxes`: put as patterns, shown as what they match."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        configured = list(self._deps.settings.accepted_transfer_syntaxes)
        patterns = runtime.read(self._deps, runtime.ACCEPTED_TRANSFER_SYNTAXES, configured)
        send_json(req, resp, list_transfer_syntaxes(patterns))

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        patterns = parse_patterns(read_text(req))
        self._deps.index.set_setting(runtime.ACCEPTED_TRANSFER_SYNTAXES, patterns)
        send_json(req, resp, list_transfer_syntaxes(patterns))


def parse_patterns(text: str) -> list[str]:
    """Return the patterns of a PUT: a JSON array of strings, or one pattern as JSON or plain text (OpenAPI 1.12.11).

    Orthanc 1.12.7 refuses plain text that begins with a digit, for it takes that for JSON. Raises InvalidDicom, whose
    code Orthanc answers; InvalidJson.
    """
    value = fields.parse_json(text)
    if value is fields.NOT_JSON:
        return [text.strip()]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidDicom
    return value


def list_transfer_syntaxes(patterns: list[str]) -> list[str]:
    """Return the known transfer syntaxes that match a pattern, in numeric order as Orthanc lists them."""
    return sorted(select_transfer_syntaxes(tuple(patterns)), key=lambda uid: tuple(map(int, uid.split("."))))


class AcceptedSopClasses:
    """`/tools/accepted-sop-classes`: from `AcceptedSopClasses` and `RejectedSopClasses`."""

    def __init__(self, deps: Deps) -> None:
        self._settings = deps.settings

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        accepted = select_sop_classes(self._settings.accepted_sop_classes, self._settings.rejected_sop_classes)
        send_json(req, resp, sorted(accepted))


class DicomConformance:
    """`/tools/dicom-conformance`: the statement of what is negotiated just now."""

    def __init__(self, deps: Deps) -> None:
        self._render = deps.conformance

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        send_text(resp, self._render())


class Control:
    """`POST /tools/reset` and `POST /tools/shutdown`: answered at once, done afterwards."""

    def __init__(self, action: Any) -> None:
        self._action = action

    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        self._action()
        resp.content_type = "application/json"
        resp.data = b"{}"


def routes(deps: Deps) -> Routes:
    tools: Routes = {
        "accepted-sop-classes": AcceptedSopClasses(deps),
        "accepted-transfer-syntaxes": AcceptedTransferSyntaxes(deps),
        "default-encoding": DefaultEncoding(deps),
        "dicom-conformance": DicomConformance(deps),
        "generate-uid": GenerateUid(),
        "log-level": LogLevel(deps),
        **{f"log-level-{category}": LogLevel(deps, category) for category in LOG_CATEGORIES},
        "lookup": Lookup(deps),
        "now": Now(deps, local=False),
        "now-local": Now(deps, local=True),
        "reset": Control(deps.reset),
        "shutdown": Control(deps.shutdown),
        "unknown-sop-class-accepted": UnknownSopClassAccepted(deps),
    }
    return {f"/tools/{name}": resource for name, resource in tools.items()}
