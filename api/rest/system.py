"""`/system`, `/plugins`, the root and other fixed answers; what leads to the page where Orthanc has its Explorer."""

from typing import Any

import falcon

from actors.messages.commands.instances import NEVER
from api.rest.deps import Deps, Routes
from api.rest.render_resources import TYPE_OF_LEVEL
from api.rest.serving.replies import send_json, send_text
from api.rest.settings import ORTHANC_API_VERSION, ORTHANC_DATABASE_VERSION, ORTHANC_VERSION, RestSettings
from events.errors import NotFound
from store.dicom.indexed_tags import signature, with_extra

EXPLORER = "/app/explorer.html"


class System:
    """`/system`: the fields of Orthanc 1.12.11's OpenAPI document, those older releases had, and our version.

    Only announce here what works: clients choose their requests by it.
    """

    def __init__(self, deps: Deps) -> None:
        self._settings = deps.settings

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, render_system(self._settings))


def render_system(settings: RestSettings) -> dict[str, Any]:
    main_tags = with_extra(settings.extra_main_tags)
    return {
        "ApiVersion": ORTHANC_API_VERSION,
        "Capabilities": {
            "HasExtendedChanges": True,
            "HasExtendedFind": True,
            "HasKeyValueStores": True,
            "HasQueues": False,
            "HasReserveQueueValue": False,
        },
        "CheckRevisions": settings.check_revisions,
        "DatabaseBackendPlugin": None,
        "DatabaseServerIdentifier": settings.database_server_identifier,
        "DatabaseVersion": ORTHANC_DATABASE_VERSION,
        "DefaultRetrieveMethod": settings.default_retrieve_method,  # named so up to 1.12.7 at least
        "DicomAet": settings.dicom_aet,
        "DicomDefaultRetrieveMethod": settings.default_retrieve_method,
        "DicomPort": settings.dicom_port,
        "HasLabels": True,
        "HttpPort": settings.http_port,
        "IngestTranscoding": settings.ingest_transcoding,
        "IsHttpServerSecure": settings.is_http_server_secure,
        "MainDicomTags": {TYPE_OF_LEVEL[level]: signature(tags) for level, tags in main_tags.items()},
        "MaximumPatientCount": settings.maximum_patient_count,
        "MaximumStorageMode": settings.maximum_storage_mode,
        "MaximumStorageSize": settings.maximum_storage_size_mb,
        "Name": settings.name,
        "OverwriteInstances": settings.overwrite_instances != NEVER,  # a Boolean up to 1.12.11
        "PatientLevelEnabled": settings.patient_level_enabled,
        "PluginsEnabled": bool(_built_in(settings)),
        "ReadOnly": settings.read_only,
        "SinogramVersion": settings.sinogram_version,
        "StorageAreaPlugin": None,
        "StorageCompression": settings.storage_compression,
        "UserMetadata": dict(settings.user_metadata),
        "Version": ORTHANC_VERSION,
    }


class Root:
    """`/`: on to the Explorer, as in Orthanc. A browser is led to the page at once, unless a folder is served in the Explorer's place."""

    def __init__(self, deps: Deps) -> None:
        self._has_folder = deps.settings.serve_folders.find(EXPLORER) is not None

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_header("Vary", "Accept")
        is_browser = "text/html" in req.env.get("HTTP_ACCEPT", "")
        _lead(resp, "ui/" if is_browser and not self._has_folder else EXPLORER[1:])


class Leading:
    """A way to somewhere else, relative as Orthanc's are, so that it stays behind a proxy."""

    def __init__(self, location: str) -> None:
        self._location = location

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        _lead(resp, self._location)


def _lead(resp: falcon.Response, location: str) -> None:
    resp.status = falcon.HTTP_307
    resp.set_header("Location", location)
    resp.content_type = None
    resp.data = b""


def _built_in(settings: RestSettings) -> dict[str, str]:
    """Return what Orthanc has in plugins and this server has built in, by its name there, with a description."""
    plugins = {}
    if settings.dicom_web.is_enabled:
        plugins["dicom-web"] = "DICOMweb: QIDO-RS, WADO-RS, STOW-RS and WADO-URI, and a client of other servers"
    if settings.worklists.is_enabled:
        plugins["worklists"] = "Serves the DICOM modality worklist, from a folder and by REST"
    return plugins


class Plugins:
    """`/plugins`: the script that the Explorer always asks for, and what is built in."""

    def __init__(self, deps: Deps) -> None:
        self._built_in = _built_in(deps.settings)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, ["explorer.js", *self._built_in])


class Plugin:
    """What is built in is shown as a plugin, for clients that look for it."""

    def __init__(self, deps: Deps) -> None:
        self._built_in = _built_in(deps.settings)
        self._version = deps.settings.sinogram_version

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if name not in self._built_in:
            raise NotFound
        shown = {
            "Description": self._built_in[name],
            "ExtendsOrthancExplorer": False,
            "ID": name,
            "Version": self._version,
        }
        send_json(req, resp, shown)


class ExplorerExtensions:
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        send_text(resp, "// Extensions to Orthanc Explorer by the registered plugins\n\n")
        resp.content_type = "application/javascript"


class Listing:
    """A folder of routes, such as `/tools`: the names of what lies in it."""

    def __init__(self, names: list[str]) -> None:
        self._names = sorted(names)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, self._names)


def routes(deps: Deps) -> Routes:
    return {
        "/system": System(deps),
        "/plugins": Plugins(deps),
        "/plugins/explorer.js": ExplorerExtensions(),
        "/plugins/{name}": Plugin(deps),
    }


def ways(deps: Deps) -> Routes:
    """Return what leads to the page; it goes with it."""
    return {
        "/": Root(deps),
        EXPLORER: Leading("../ui/"),
        "/app/images/favicon.ico": Leading("../../ui/icon.svg"),
        "/favicon.ico": Leading("app/images/favicon.ico"),
    }
