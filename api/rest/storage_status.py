"""`GET /storage/status`: which files are damaged, of instances and other attachments. Not Orthanc's."""

from typing import Any

import falcon

from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.render_resources import TYPE_OF_LEVEL
from api.rest.serving.replies import send_json
from events.identifiers import format_blob_id, format_resource_id
from store.times import format_us
from store.views.attachments import AttachmentNaming
from store.views.damaged import DamagedFile, count_damaged, list_damaged
from store.views.feed import MAX_SEQ
from store.views.files import number_of

DEFAULT_LIMIT = 100
MOST = 1_000  # resources of one answer


class StorageStatus:
    """`?since=` and `?limit=` page through the list as through `/events`; 100 at once, 1,000 at most."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._naming = AttachmentNaming(deps.settings.user_content_type)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        since, limit = arguments.lenient_numbers(req, since=0, limit=DEFAULT_LIMIT)
        since, limit = min(max(since, 0), MAX_SEQ - 1), min(max(limit, 1), MOST)
        with self._deps.views.snapshot() as snapshot:
            count = count_damaged(snapshot)
            page, is_done = list_damaged(snapshot, since, limit)
        shown: dict[str, Any] = {
            "CountDamaged": count,
            "Damaged": [self._render(each) for each in page],
            "Done": is_done,
            "Last": page[-1].file.ref if page else since,
        }
        send_json(req, resp, shown)

    def _render(self, each: DamagedFile) -> dict[str, Any]:
        return {
            "ID": format_resource_id(each.id),
            "Type": TYPE_OF_LEVEL[each.level],
            "Attachment": self._naming.name_of(number_of(each.file)),
            "File": format_blob_id(each.file.blob),
            "Damage": each.damage.kind,
            "Size": each.file.disk_bytes,
            "FoundSize": each.damage.found_bytes,
            "Seq": each.damage.seq,
            "Date": format_us(each.damage.at_us),
        }


def routes(deps: Deps) -> Routes:
    return {"/storage/status": StorageStatus(deps)}
