"""`GET /storage/status`: which files of instances are damaged. Not Orthanc's."""

from typing import Any

import falcon

from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.serving.replies import send_json
from events.identifiers import format_blob_id, format_resource_id
from store.times import format_us
from store.views.damaged import DamagedInstance, count_damaged, list_damaged
from store.views.feed import MAX_SEQ

DEFAULT_LIMIT = 100
MOST = 1_000  # rows of one answer


class StorageStatus:
    """`?since=` and `?limit=` page through the list as through `/events`; 100 at once, 1,000 at most."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        since, limit = arguments.lenient_numbers(req, since=0, limit=DEFAULT_LIMIT)
        since, limit = min(max(since, 0), MAX_SEQ - 1), min(max(limit, 1), MOST)
        with self._deps.views.snapshot() as snapshot:
            count, found = count_damaged(snapshot), list_damaged(snapshot, since, limit + 1)
        page = found[:limit]
        shown: dict[str, Any] = {
            "CountDamaged": count,
            "Damaged": [_render(each) for each in page],
            "Done": len(found) <= limit,
            "Last": page[-1].instance.ref if page else since,
        }
        send_json(req, resp, shown)


def _render(each: DamagedInstance) -> dict[str, Any]:
    return {
        "ID": format_resource_id(each.instance.id),
        "File": format_blob_id(each.instance.blob),
        "Damage": each.damage.kind,
        "Size": each.instance.size_bytes,
        "FoundSize": each.damage.found_bytes,
        "Seq": each.damage.seq,
        "Date": format_us(each.damage.at_us),
    }


def routes(deps: Deps) -> Routes:
    return {"/storage/status": StorageStatus(deps)}
