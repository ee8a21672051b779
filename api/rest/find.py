"""`/tools/find` and `/tools/count-resources`: resources of this server by tags, labels, metadata and parents.

What is observed on Orthanc 1.12.7 holds; where it does not, `tests/peer/differences.py` says why. Answers are in the order of their
identifiers, unless `OrderBy` asks for another. `"Explain": true`, which Orthanc has not, gives the plan of the query instead of its
answers.
"""

from dataclasses import replace
from typing import Any

import falcon

from api.errors import OutOfRange
from api.rest import runtime
from api.rest.deps import Deps, Routes
from api.rest.find_request import Selected, Shown, parse_selected, parse_shown, read_body
from api.rest.render_resources import TYPE_OF_LEVEL
from api.rest.requested_tags import RequestedTags
from api.rest.resources import CHUNK_RECORDS, Style, send_expanded, send_identifiers
from api.rest.serving.replies import send_json
from events.errors import InvalidRequest
from events.identifiers import Level, ResourceId
from store.dicom.dictionary import tag_name
from store.views.id_order import PIECE_IDS
from store.views.metadata import MetadataNaming
from store.views.query import Query
from store.views.selection import Explanation, Pieces, Selector

_EXPLAIN = "Explain"
_NOT_INDEXED = "when querying tags that are not stored as MainDicomTags in the Database"


class _OfArchive:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._selector = Selector(deps.views, deps.blobs)
        self._naming = MetadataNaming(deps.settings.user_metadata)


class Find(_OfArchive):
    """`POST /tools/find`."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = read_body(req)
        selected = parse_selected(body, self._naming, self._deps.views)
        shown = parse_shown(body, selected.level, self._naming, self._deps.views)
        if shown.since and not selected.is_indexed:
            raise InvalidRequest(f"Unable to use 'Since' in tools/find {_NOT_INDEXED}")
        query = replace(_query(self._deps, selected), limit=self._limit(selected.level, shown))
        if body.get(_EXPLAIN) is True:
            send_json(req, resp, render_explanation(query, self._selector.explain(query, shown.order)))
            return
        pieces = self._selector.select(query, shown.order, shown.since)
        if shown.expand:
            style = Style(self._deps, shown.form, RequestedTags(shown.tags), shown.contents)
            send_expanded(req, resp, self._deps, selected.level, _filled(pieces, CHUNK_RECORDS), style)
        else:
            send_identifiers(req, resp, _filled(pieces, PIECE_IDS))

    def _limit(self, level: Level, shown: Shown) -> int:
        """Return how many answers are given. As in Orthanc, a request with `Since` alone is not limited by the configuration."""
        settings = self._deps.settings
        allowed = settings.limit_find_instances if level == Level.INSTANCE else settings.limit_find_results
        if not allowed or (shown.is_page and not shown.limit):
            return shown.limit
        return min(shown.limit or allowed, allowed)


def _filled(pieces: Pieces, size: int) -> Pieces:
    """Put small pieces together: a short answer is one, which has a length."""
    held: list[ResourceId] = []
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield held[:size]
            del held[:size]
    if held:
        yield held


class CountResources(_OfArchive):
    """`POST /tools/count-resources`."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = read_body(req)
        selected = parse_selected(body, self._naming, self._deps.views)
        if body.get("CaseSensitive"):
            raise OutOfRange('Setting "CaseSensitive" to "true" is not supported by /tools/count-resources')
        if not selected.is_indexed:
            raise InvalidRequest(f"Unable to count resources {_NOT_INDEXED} or when using case sensitive queries.")
        query = _query(self._deps, selected)
        if body.get(_EXPLAIN) is True:
            send_json(req, resp, render_explanation(query, self._selector.explain(query)))
        else:
            send_json(req, resp, {"Count": self._selector.count(query)})


def _query(deps: Deps, selected: Selected) -> Query:
    return Query(
        level=selected.level,
        keys=selected.keys,
        metadata=selected.metadata,
        labels=selected.labels,
        parents=selected.parents,
        retrieve_aet=deps.settings.dicom_aet,
        reads_files=deps.settings.reads_files,
        default_encoding=runtime.default_encoding(deps),
    )


def render_explanation(query: Query, explanation: Explanation) -> dict[str, Any]:
    """Return how a query is answered: its index, how many rows of it that leaves, and what is then looked at."""
    source = explanation.plan.source
    name = tag_name(source.key) if isinstance(source.key, int) else source.key
    return {
        "Answers": explanation.way,
        "Compared": {where: sorted(map(tag_name, tags)) for where, tags in explanation.keys.items()},
        "Index": name or None,
        "IndexDecides": explanation.is_decided,
        "IndexLevel": TYPE_OF_LEVEL[source.level],
        "IndexRows": explanation.plan.rows if source.spans else None,
        "IndexRowsAreAll": explanation.plan.is_small,
        "Labels": sorted(query.labels.labels) if query.labels else [],
        "Level": TYPE_OF_LEVEL[query.level],
        "Metadata": sorted(query.metadata),
        "Parents": [TYPE_OF_LEVEL[level] for level in sorted(query.parents)],
        "ReadsFiles": bool(explanation.keys["Files"]),
    }


def routes(deps: Deps) -> Routes:
    return {"/tools/count-resources": CountResources(deps), "/tools/find": Find(deps)}
