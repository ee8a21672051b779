"""`/statistics`, of the archive and of one resource. Sizes are strings of bytes, and whole megabytes rounded down."""

from typing import Any

import falcon

from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of
from api.rest.resources import find_below
from api.rest.serving.replies import send_json
from events.identifiers import Level
from store.projections.attachments import Sizes
from store.records import Instance, Resource
from store.views.attachments import attached_sizes

_MIB = 1 << 20


class ArchiveStatistics:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        with self._deps.views.snapshot() as s:
            total = s.statistics()
        shown: dict[str, Any] = {
            "CountInstances": total.instances,
            "CountPatients": total.patients,
            "CountSeries": total.series,
            "CountStudies": total.studies,
        }
        shown |= _size("TotalDiskSize", total.disk_bytes + total.attached_disk_bytes)
        shown |= _size("TotalUncompressedSize", total.size_bytes + total.attached_bytes)
        send_json(req, resp, shown)


class ResourceStatistics:
    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with self._deps.views.snapshot() as s:
            record = find_below(s, self._level, identifier)
            attached = attached_sizes(s, record.ref)
        send_json(req, resp, render_statistics(record, attached))


def render_statistics(record: Resource | Instance, attached: Sizes) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    shown |= _size("DicomDiskSize", record.disk_bytes)
    shown |= _size("DicomUncompressedSize", record.size_bytes)
    shown |= _size("DiskSize", record.disk_bytes + attached.disk)
    shown |= _size("UncompressedSize", record.size_bytes + attached.content)
    if isinstance(record, Resource):
        shown["CountInstances"] = record.instance_count
        if record.level <= Level.STUDY:
            shown["CountSeries"] = record.series_count
        if record.level == Level.PATIENT:
            shown["CountStudies"] = record.study_count
    return shown


def _size(name: str, size_bytes: int) -> dict[str, Any]:
    return {name: str(size_bytes), f"{name}MB": size_bytes // _MIB}


def routes(deps: Deps) -> Routes:
    return {
        "/statistics": ArchiveStatistics(deps),
        **{f"{one_of(level)}/statistics": ResourceStatistics(deps, level) for level in Level},
    }
