"""Every URI of the REST API, one line each."""

from typing import Any

from actors.messages.job_states import Word
from actors.services.jobs.operations.retrieve_plan import GET, MOVE
from api.log_settings import LOG_CATEGORIES
from api.rest.bulk_tags import InstancesTags, Module, SharedTags
from api.rest.changes import Changes
from api.rest.deps import Deps
from api.rest.events import Events, History
from api.rest.explorer import Explorer
from api.rest.exports import Exports
from api.rest.instance_content import Content, File, Header, TagsOf
from api.rest.jobs import JobAction, JobEvents, JobOutput, Jobs, SingleJob
from api.rest.metrics import MetricsEnabled, Prometheus
from api.rest.modalities import Modalities, ModalityConfiguration, OneModality
from api.rest.modality_operations import Echo, FindAll, FindLevel, FindWorklist, ToolEcho
from api.rest.modality_store import Store, StoreStraight
from api.rest.queries import OneQuery, Queries, QueryKeys, QueryLevel, QueryModality, StartQuery
from api.rest.query_answers import AnswerContent, Answers, OneAnswer, QueryBelow
from api.rest.render_resources import COLLECTION, TYPE_OF_LEVEL
from api.rest.resources import Above, Below, Collection, Removable, Single
from api.rest.retrieves import Retrieve, RetrieveAnswers
from api.rest.scripts import ExecuteScript, LuaStatus
from api.rest.statistics import ArchiveStatistics, ResourceStatistics
from api.rest.storage_status import StorageStatus
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
        "/lua/status": LuaStatus(deps),
        "/storage/status": StorageStatus(deps),
        "/patients": Collection(deps, PATIENT),
        "/studies": Collection(deps, STUDY),
        "/series": Collection(deps, SERIES),
        "/instances": Collection(deps, INSTANCE) if deps.settings.read_only else Instances(deps),
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
    routes |= _modalities(deps) | _queries(deps) | _jobs(deps)
    tools = _tools(deps)
    routes["/tools"] = Listing(list(tools))
    return routes | {f"/tools/{name}": resource for name, resource in tools.items()}


def _routes_of_level(deps: Deps, level: Level) -> Routes:
    one = f"/{COLLECTION[level]}/{{identifier}}"
    routes: Routes = {
        one: Single(deps, level) if deps.settings.read_only else Removable(deps, level),
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


def _modalities(deps: Deps) -> Routes:
    one = "/modalities/{name}"
    return {
        "/modalities": Modalities(deps),
        one: OneModality(deps),
        f"{one}/configuration": ModalityConfiguration(deps),
        f"{one}/echo": Echo(deps),
        f"{one}/find": FindAll(deps),
        f"{one}/find-patient": FindLevel(deps, PATIENT),
        f"{one}/find-study": FindLevel(deps, STUDY),
        f"{one}/find-series": FindLevel(deps, SERIES),
        f"{one}/find-instance": FindLevel(deps, INSTANCE),
        f"{one}/find-worklist": FindWorklist(deps),
        f"{one}/query": StartQuery(deps),
        f"{one}/move": Retrieve(deps, MOVE),
        f"{one}/get": Retrieve(deps, GET),
        f"{one}/store": Store(deps),
        f"{one}/store-straight": StoreStraight(deps),
    }


def _queries(deps: Deps) -> Routes:
    one = "/queries/{identifier}"
    answer = f"{one}/answers/{{number}}"
    return {
        "/queries": Queries(deps),
        one: OneQuery(deps),
        f"{one}/level": QueryLevel(deps),
        f"{one}/modality": QueryModality(deps),
        f"{one}/query": QueryKeys(deps),
        f"{one}/answers": Answers(deps),
        answer: OneAnswer(deps),
        f"{one}/retrieve": RetrieveAnswers(deps),
        f"{answer}/content": AnswerContent(deps),
        f"{answer}/retrieve": RetrieveAnswers(deps),
        f"{answer}/query-studies": QueryBelow(deps, STUDY),
        f"{answer}/query-series": QueryBelow(deps, SERIES),
        f"{answer}/query-instances": QueryBelow(deps, INSTANCE),
    }


def _jobs(deps: Deps) -> Routes:
    actions = {word: JobAction(deps, word) for word in (Word.CANCEL, Word.PAUSE, Word.RESUME, Word.RESUBMIT)}
    return {
        "/jobs": Jobs(deps),
        "/jobs/{identifier}": SingleJob(deps),
        "/jobs/{identifier}/events": JobEvents(deps),
        "/jobs/{identifier}/{name}": JobOutput(deps),
        **{f"/jobs/{{identifier}}/{word.value}": action for word, action in actions.items()},
    }


def _tools(deps: Deps) -> Routes:
    return {
        "accepted-sop-classes": AcceptedSopClasses(deps),
        "accepted-transfer-syntaxes": AcceptedTransferSyntaxes(deps),
        "default-encoding": DefaultEncoding(deps),
        "dicom-echo": ToolEcho(deps),
        "execute-script": ExecuteScript(deps),
        "generate-uid": GenerateUid(),
        "log-level": LogLevel(deps),
        **{f"log-level-{category}": LogLevel(deps, category) for category in LOG_CATEGORIES},
        "lookup": Lookup(deps),
        "metrics": MetricsEnabled(deps),
        "metrics-prometheus": Prometheus(deps),
        "now": Now(deps, local=False),
        "now-local": Now(deps, local=True),
        "reset": Control(deps.reset),
        "shutdown": Control(deps.shutdown),
        "unknown-sop-class-accepted": UnknownSopClassAccepted(deps),
    }
