"""`DELETE` of a study, a series or an instance. No transaction of PS3.18, but many servers offer it at the addresses of WADO-RS.

Plugin 1.20 of Orthanc answers 405, but asks others for it (`/dicom-web/servers/{name}/delete`).
"""

import falcon

from api.dicomweb.addresses import find_addressed
from api.dicomweb.handlers import Handlers
from api.rest.deps import Deps
from api.rest.serving.auth import correlation_of, username_of
from events.identifiers import Level
from store.records import Resource

_ADDRESSES = (
    "studies/{study}",
    "studies/{study}/series/{series}",
    "studies/{study}/series/{series}/instances/{instance}",
)


def handlers(deps: Deps) -> Handlers:
    """Return what deletes; nothing does in a read-only archive."""

    def on_delete(
        req: falcon.Request, resp: falcon.Response, study: str, series: str | None = None, instance: str | None = None
    ) -> None:
        with deps.views.snapshot() as snapshot:
            found = find_addressed(snapshot, study, series, instance)
        for record in found:
            deps.index.delete(
                record.level if isinstance(record, Resource) else Level.INSTANCE,
                record.id,
                remote_ip=req.remote_addr or "",
                username=username_of(req),
                correlation=correlation_of(req),
            )
        resp.status = falcon.HTTP_204
        resp.content_type = None

    return {} if deps.settings.read_only else {address: {"DELETE": on_delete} for address in _ADDRESSES}
