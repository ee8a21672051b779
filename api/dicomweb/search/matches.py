"""QIDO-RS: studies, series and instances that match (PS3.18 §10.6), answered by the planner of C-FIND.

Source of what the standard leaves open: Orthanc's plugin 1.20, as observed; docs/compatibility.md has the differences. Answers are made
while they leave (`store.views.find_page`, which also says in which order they come). What the index has is told without opening a file.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

import falcon

from api.dicomweb.base_url import base_url, resource_url
from api.dicomweb.datasets import send_datasets, wants_xml
from api.dicomweb.handlers import Handlers
from api.dicomweb.search.attributes import ALWAYS_SHOWN, OF_IMAGES, SHOWN_IF_KNOWN, all_of
from api.dicomweb.search.request import AVAILABILITY, SearchRequest, Shown, parse_search
from api.rest import runtime
from api.rest.deps import Deps
from api.rest.serving.client_gone import still_wanted
from events.identifiers import Level
from store.dicom import tags
from store.dicom.dicom_json import Json
from store.dicom.matching import Dataset, OneOf, Value
from store.dicom.value_json import render_values
from store.views.find_page import Page, Pages
from store.views.query import Query
from store.views.resource_tags import COMPUTED

_UIDS: Final = {
    Level.STUDY: (tags.STUDY_INSTANCE_UID,),
    Level.SERIES: (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID),
    Level.INSTANCE: (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID),
}
_NAMED: Final = ((tags.STUDY_INSTANCE_UID, "study"), (tags.SERIES_INSTANCE_UID, "series"))  # in addresses
ADDRESSES: Final = {
    "studies": Level.STUDY,
    "series": Level.SERIES,
    "instances": Level.INSTANCE,
    "studies/{study}/series": Level.SERIES,
    "studies/{study}/instances": Level.INSTANCE,
    "studies/{study}/series/{series}/instances": Level.INSTANCE,
}


class _Search:
    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level
        self._pages = Pages(deps.views, deps.blobs)

    def on_get(self, req: falcon.Request, resp: falcon.Response, **uids: str) -> None:
        """Answer 200 with what matches, or 204 (PS3.18 Table 10.6.3-1)."""
        as_xml = wants_xml(req)
        is_sensitive = self._deps.settings.dicom_web.qido_case_sensitive
        asked = parse_search(req.query_string, self._level, is_case_sensitive=is_sensitive)
        answer = _Answer(asked, self._level, base_url(req, self._deps.settings))
        page = self._find(asked, answer, uids, still_wanted(req, self._deps.stopping.check))
        first = next(page.answers, None)
        if first is None:
            resp.status = falcon.HTTP_204
            return
        if page.is_cut:
            count = "" if page.remaining is None else f"{page.remaining} "
            resp.set_header("Warning", f"299 {answer.base}: There are {count}additional results that can be requested")
        send_datasets(resp, answer.render(chain((first,), page.answers)), as_xml=as_xml)

    def _find(self, asked: SearchRequest, answer: "_Answer", uids: dict[str, str], check: Callable[[], None]) -> Page:
        keys = dict(asked.keys)
        for tag, uid in ((tag, uids[name]) for tag, name in _NAMED if name in uids):
            if tag in keys and not keys[tag].matches(uid):
                return Page(iter(()))
            keys[tag] = OneOf((uid,))
        settings = self._deps.settings
        allowed = settings.limit_find_instances if self._level == Level.INSTANCE else settings.limit_find_results
        query = Query(
            level=self._level,
            keys=keys,
            wanted=answer.wanted,
            retrieve_aet=settings.dicom_aet,
            reads_files=settings.reads_files,
            warnings=settings.warnings if answer.is_beyond_index else frozenset(),
            default_encoding=runtime.default_encoding(self._deps),
            is_relational=True,
            limit=min(asked.limit or allowed, allowed) if allowed else asked.limit,
        )
        return Page(iter(())) if asked.finds_nothing else self._pages.find(query, asked.offset, check)


class _Answer:
    """What is told of each match, and how."""

    def __init__(self, asked: SearchRequest, level: Level, base: str) -> None:
        self.base = base
        self._level = level
        self._narrowed = {tag: inner for tag, inner in asked.shown.items() if inner is not None}
        shown = set(asked.shown) | (all_of(level) if asked.shows_all else set())
        self.is_beyond_index = not asked.keys.keys() | asked.shown.keys() <= all_of(level) | COMPUTED
        always = ALWAYS_SHOWN[level] | set(asked.shown)
        self.wanted = tuple(sorted(always | SHOWN_IF_KNOWN[level] | shown))
        self._empty: Dataset = dict.fromkeys(sorted(always - OF_IMAGES), None)
        self._empty |= {tags.SPECIFIC_CHARACTER_SET: "ISO_IR 192"}
        if level != Level.SERIES:
            self._empty[tags.INSTANCE_AVAILABILITY] = AVAILABILITY

    def render(self, found: Iterable[Dataset]) -> Iterator[Json]:
        return map(self._render, found)

    def _render(self, values: Dataset) -> Json:
        for tag, inner in self._narrowed.items():
            if tag in values:
                values[tag] = _narrow(values[tag], inner)
        uids = [str(values.get(tag) or "") for tag in _UIDS[self._level]]
        url: Dataset = {tags.RETRIEVE_URL: resource_url(self.base, *uids)} if all(uids) else {}
        return render_values(self._empty | values | url)


def _narrow(value: Value, shown: Shown) -> Value:
    """Return of the items of a sequence what is asked for."""
    if not isinstance(value, tuple):
        return value
    return tuple(
        {tag: item[tag] if inner is None else _narrow(item[tag], inner) for tag, inner in shown.items() if tag in item}
        for item in value
    )


def handlers(deps: Deps) -> Handlers:
    """Return who answers which search."""
    return {address: {"GET": _Search(deps, level).on_get} for address, level in ADDRESSES.items()}
