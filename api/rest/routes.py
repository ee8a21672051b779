"""Every URI of the REST API, one line each."""

from typing import Any

from api.rest.bulk_tags import InstancesTags, Module, SharedTags
from api.rest.changes import Changes, Exports
from api.rest.deps import Deps
from api.rest.events import Events, History
from api.rest.explorer import Explorer
from api.rest.instance_content import Content, File, Header, TagsOf
from api.rest.render_resources import COLLECTION, TYPE_OF_LEVEL
from api.rest.resources import Above, Below, Collection, Single
from api.rest.runtime import LOG_CATEGORIES
from api.rest.statistics import ArchiveStatistics, ResourceStatistics
from api.rest.system import ExplorerExtensions, Favicon, Listing, Plugin, Plugins, Root, System
from api.rest.tools import (
    AcceptedSopClasses,
    AcceptedTransferSyntaxes,
    Control,
    DefaultEncoding,
    GenerateUid,
    LogLevel,
    Lookup,
    Now,
    UnknownSopClassAccepted,
)
from api.rest.upload import Instances
from events.identifiers import Level

PATIENT, STUDY, SERIES, INSTANCE = Level

Routes = dict[str, Any]  # URI template -> falcon resource, which is any object with on_get, on_post …


def list_routes(deps: Deps) -> Routes:
    """Return the resource behind every URI."""
    routes: Routes = {
        "/": Root(),
        "/app/explorer.html": Explorer(deps),
        "/favicon.ico": Favicon(),
        "/system": System(deps),
        "/plugins": Plugins(),
        "/plugins/explorer.js": ExplorerExtensions(),
        "/plugins/{name}": Plugin(),
        "/statistics": ArchiveStatistics(deps),
        "/changes": Changes(deps),
        "/exports": Exports(deps),
        "/events": Events(deps),
        "/patients": Collection(deps, PATIENT),
        "/studies": Collection(deps, STUDY),
        "/series": Collection(deps, SERIES),
        "/instances": Instances(deps),
        "/studies/{identifier}/module-patient": Module(deps, STUDY, PATIENT),
        "/instances/{identifier}/file": File(deps),
        "/instances/{identifier}/tags": TagsOf(deps, "full"),
        "/instances/{identifier}/simplified-tags": TagsOf(deps, "simplify"),
        "/instances/{identifier}/header": Header(deps),
        "/instances/{identifier}/content": Content(deps),
        "/instances/{identifier}/content/{path:path}": Content(deps),
        "/instances/{identifier}/history": History(deps),
    }
    for level in Level:
        routes |= _routes_of_level(deps, level)
    tools = _tools(deps)
    routes["/tools"] = Listing(list(tools))
    return routes | {f"/tools/{name}": resource for name, resource in tools.items()}


def _routes_of_level(deps: Deps, level: Level) -> Routes:
    one = f"/{COLLECTION[level]}/{{identifier}}"
    routes: Routes = {
        one: Single(deps, level),
        f"{one}/module": Module(deps, level, level),
        f"{one}/statistics": ResourceStatistics(deps, level),
    }
    for other in Level:
        if other < level:
            routes[f"{one}/{TYPE_OF_LEVEL[other].lower()}"] = Above(deps, level, other)
        elif other > level:
            routes[f"{one}/{COLLECTION[other]}"] = Below(deps, level, other)
    if level != INSTANCE:
        routes[f"{one}/shared-tags"] = SharedTags(deps, level)
        routes[f"{one}/instances-tags"] = InstancesTags(deps, level)
    return routes


def _tools(deps: Deps) -> Routes:
    return {
        "accepted-sop-classes": AcceptedSopClasses(deps),
        "accepted-transfer-syntaxes": AcceptedTransferSyntaxes(deps),
        "default-encoding": DefaultEncoding(deps),
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
