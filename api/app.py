"""REST and DICOMweb as one WSGI application: Orthanc's front rules, falcon's routing, Orthanc's errors.

A noun of REST is one module, with its routes at the foot, and a line in the table below; services of DICOMweb have a table of their own.
"""

import re
from collections.abc import Callable
from typing import Any

import falcon

from api.dicomweb import services as dicomweb
from api.rest import (
    archives,
    attachments,
    bulk,
    bulk_tags,
    change_preview,
    changes,
    commitments,
    create_dicom,
    event_rates,
    events,
    exports,
    find,
    images,
    instance_content,
    instance_export,
    jobs,
    labels,
    lua_replay,
    metadata,
    modalities,
    modality_operations,
    modality_store,
    modification,
    modification_jobs,
    peer_store,
    peers,
    prometheus,
    protection,
    queries,
    reconstruction,
    remotes,
    resources,
    retrieves,
    scripts,
    split_merge,
    stacks,
    statistics,
    storage_status,
    system,
    thumbnails,
    tools,
    upload,
    worklists,
)
from api.rest.deps import Deps, Routes
from api.rest.serving.compression import Compression
from api.rest.serving.cors import Cors
from api.rest.serving.fault import Faults
from api.rest.serving.folders import ServedFolders
from api.rest.serving.front import Application, Front
from api.rest.serving.router import Router
from api.rest.serving.sessions import Sessions
from api.ui import page

NOUNS: tuple[Callable[[Deps], Routes], ...] = (
    system.routes,
    statistics.routes,
    labels.routes,
    resources.routes,
    reconstruction.routes,
    metadata.routes,
    protection.routes,
    attachments.routes,
    upload.routes,
    bulk_tags.routes,
    bulk.routes,
    instance_content.routes,
    instance_export.routes,
    images.routes,
    thumbnails.routes,
    stacks.routes,
    archives.routes,
    modification.routes,
    change_preview.routes,
    modification_jobs.routes,
    split_merge.routes,
    changes.routes,
    events.routes,
    event_rates.routes,
    exports.routes,
    find.routes,
    modalities.routes,
    modality_operations.routes,
    modality_store.routes,
    commitments.routes,
    peers.routes,
    remotes.routes,
    peer_store.routes,
    queries.routes,
    retrieves.routes,
    jobs.routes,
    scripts.routes,
    lua_replay.routes,
    storage_status.routes,
    prometheus.routes,
    create_dicom.routes,
    tools.routes,
    worklists.routes,
    dicomweb.routes,
    page.routes,
)


_PATIENT_LEVEL = re.compile(r"^/patients\b|/patient$")


def create_app(deps: Deps) -> Application:
    """Return the WSGI application for HTTP. It holds no state of its own: its dependencies do."""
    sessions = Sessions(deps.views, deps.index)
    front = prometheus.Measured(Front(create_application(deps), deps.settings, deps.filters, sessions))
    packed = Compression(front) if deps.settings.http_compression_enabled else front
    return Cors(packed, deps.settings.cors) if deps.settings.cors.origins else packed


def create_application(deps: Deps) -> Application:
    """Return the application without the front: the routes, for requests that need no admission."""
    router: Any = Router()  # falcon takes any, and types its own alone
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App(router=router)
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.default_media_type = None  # type: ignore[assignment]  # no body, no Content-Type
    faults = Faults(describe=deps.settings.http_describe_errors)
    app.add_error_handler(Exception, faults.on_error)
    app.add_error_handler(falcon.HTTPError, faults.on_unknown_route)
    app.add_error_handler(falcon.HTTPMethodNotAllowed, faults.on_wrong_method)
    for template, resource in list_routes(deps).items():
        if deps.settings.serve_folders.find(template) is None:  # the page of ours at /app gives way
            app.add_route(template, resource)
    if deps.settings.serve_folders.folders:
        app.add_sink(ServedFolders(deps.settings.serve_folders))
    return app


def list_routes(deps: Deps) -> Routes:
    """Return the resource behind every URI. Raises ValueError where two nouns claim the same."""
    routes: Routes = {}
    for noun in NOUNS:
        own = noun(deps)
        if twice := routes.keys() & own.keys():
            raise ValueError(f"two nouns claim {min(twice)}")
        routes |= own
    if not deps.settings.patient_level_enabled:
        routes = {route: noun for route, noun in routes.items() if not _PATIENT_LEVEL.search(route)}
    names = [route.removeprefix("/tools/") for route in routes if route.startswith("/tools/")]
    return routes | {"/tools": system.Listing(names)}
