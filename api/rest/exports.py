"""`/exports`: which resources clients have had sent, with `LogExportedResources`. Source: observed on Orthanc 1.12.7."""

from collections.abc import Iterable, Iterator
from typing import Any

import falcon

from actors.messages.index_client import ExportEntry
from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.render_resources import TYPE_OF_LEVEL, path_of
from api.rest.serving.replies import send_json, send_text, stream_object
from events.identifiers import Level, ResourceId, format_resource_id
from store.dicom.tags import PATIENT_ID
from store.records import Export, ExportsPage, Instance, Resource
from store.times import format_us
from store.views.exports import get_exports, get_last_export, has_more_exports
from store.views.snapshot import Snapshot
from store.views.views import Views

DEFAULT_LIMIT = 100
PIECE_EXPORTS = 5_000  # of one snapshot; a longer page is streamed
_UID_OF_LEVEL = {Level.STUDY: 0x0020000D, Level.SERIES: 0x0020000E, Level.INSTANCE: 0x00080018}


class Exports:
    """`GET` and `DELETE`; `last` stands alone and wins; one number that does not parse makes all numbers default."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        since, limit = arguments.lenient_numbers(req, since=0, limit=DEFAULT_LIMIT)
        with self._deps.views.snapshot() as s:
            if req.has_param("last"):
                page, since = get_last_export(s), 0
            else:
                page = get_exports(s, since=max(since, 0), limit=min(limit, PIECE_EXPORTS))
        if limit > PIECE_EXPORTS and not page.done:
            stream_object(req, resp, _stream(self._deps.views, page, max(since, 0), limit))
        else:
            send_json(req, resp, _render_page(page, since))

    def on_delete(self, _req: falcon.Request, resp: falcon.Response) -> None:
        self._deps.index.clear_exports()
        send_text(resp)


def _stream(views: Views, page: ExportsPage, since: int, limit: int) -> Iterator[tuple[str, Any]]:
    """Iterate over the members of a long page, of which no more than a piece is in memory; `page` is the first piece."""
    first = page.exports[0].seq

    def pieces() -> Iterator[list[dict[str, Any]]]:
        nonlocal page, since
        left = limit
        while page.exports:
            yield [_render(export) for export in page.exports]
            left, since = left - len(page.exports), page.exports[-1].seq
            with views.snapshot() as s:
                page = get_exports(s, since=since, limit=min(left, PIECE_EXPORTS))

    yield "Done", not has_more_exports(views, since, limit)
    yield "Exports", pieces()
    yield "First", first
    yield "Last", since


def _render_page(page: ExportsPage, since: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Done": page.done,
        "Exports": [_render(export) for export in page.exports],
        "Last": page.exports[-1].seq if page.exports else since,
    }
    if page.exports:
        shown["First"] = page.exports[0].seq
    return shown


def _render(export: Export) -> dict[str, Any]:
    shown = {
        "Date": format_us(export.at_us),
        "ID": format_resource_id(export.resource),
        "Path": path_of(export.level, export.resource),
        "PatientID": export.patient_id,
        "RemoteModality": export.modality,
        "ResourceType": TYPE_OF_LEVEL[export.level],
        "Seq": export.seq,
    }
    uids = (export.study_instance_uid, export.series_instance_uid, export.sop_instance_uid)
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return shown | dict(zip(names[: export.level - 1], uids, strict=False))


def log_exports(deps: Deps, modality: str, resources: Iterable[tuple[Level, ResourceId]], correlation: bytes) -> None:
    """Record what a request has sent to a modality, if `LogExportedResources` says so; one row a named resource."""
    if not deps.settings.log_exported_resources:
        return
    with deps.views.snapshot() as s:
        found = [(level, s.get(level, resource)) for level, resource in resources]
        entries = [_entry(s, level, record) for level, record in found if record is not None]
    if entries:
        deps.index.log_exports(modality, entries, correlation)


def _entry(s: Snapshot, level: Level, record: Resource | Instance) -> ExportEntry:
    uids = {Level.STUDY: "", Level.SERIES: "", Level.INSTANCE: ""}
    above: Resource | Instance = record
    for at in range(level, Level.PATIENT, -1):
        uids[Level(at)] = above.tags.get(_UID_OF_LEVEL[Level(at)], "")
        above = s.parent(above)
    return ExportEntry(
        level=level,
        id=record.id,
        patient_id=above.tags.get(PATIENT_ID, ""),
        study_instance_uid=uids[Level.STUDY],
        series_instance_uid=uids[Level.SERIES],
        sop_instance_uid=uids[Level.INSTANCE],
    )


def routes(deps: Deps) -> Routes:
    return {"/exports": Exports(deps)}
