"""The table of all DICOMweb services. A service is one module: it says which methods of which addresses below the root it answers.

Several services share an address: `GET studies` searches, `POST studies` stores. So a module gives functions, and the falcon resource of an
address is put together here.
"""

from collections.abc import Callable
from typing import Final

from api.dicomweb import capabilities, deletion
from api.dicomweb.handlers import Handler, Handlers
from api.dicomweb.rendered import resources, wado_uri
from api.dicomweb.retrieve import bulk, files, frames, metadata
from api.dicomweb.search import matches
from api.dicomweb.servers import descriptions, jobs, requests
from api.dicomweb.store import instances
from api.rest.deps import Deps, Routes

SERVICES: Final[tuple[Callable[[Deps], Handlers], ...]] = (
    matches.handlers,
    files.handlers,
    frames.handlers,
    metadata.handlers,
    bulk.handlers,
    resources.handlers,
    instances.handlers,
    deletion.handlers,
    descriptions.handlers,
    requests.handlers,
    jobs.handlers,
)


class Address:
    """What one address answers."""

    def __init__(self) -> None:
        self.methods: dict[str, Handler] = {}

    def add(self, method: str, handler: Handler) -> None:
        """Raises ValueError where two services claim the same."""
        if method in self.methods:
            raise ValueError(f"two services claim {method}")
        self.methods[method] = handler
        setattr(self, f"on_{method.lower()}", handler)  # where falcon looks for it


def routes(deps: Deps) -> Routes:
    """Return all addresses of DICOMweb, none where it is not enabled. Raises ValueError where two services claim the same."""
    settings = deps.settings.dicom_web
    if not settings.is_enabled:
        return {}
    below_root: dict[str, Address] = {}
    for service in SERVICES:
        for below, methods in service(deps).items():
            address = below_root.setdefault(below, Address())
            for method, handler in methods.items():
                address.add(method, handler)
    offered = {below: [*address.methods] for below, address in below_root.items()}
    addresses: Routes = {settings.route(below): address for below, address in below_root.items()}
    addresses[settings.route("info")] = capabilities.Info(deps.settings)
    if settings.has_root:
        addresses[settings.route("").rstrip("/")] = capabilities.Capabilities(deps.settings, offered)
    if settings.serves_wado_uri:
        wado = Address()
        wado.add("GET", wado_uri.handler(deps))
        addresses[f"/{settings.wado_root.strip('/')}"] = wado
    return addresses
