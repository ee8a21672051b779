"""A server of pynetdicom on loopback that ends at once when it is told to, with all of its associations."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import ThreadedAssociationServer

POLL_S = 0.02  # in which it notices that it is to end


@contextmanager
def serving_entity(
    entity: ApplicationEntity, handlers: Sequence[Any], port: int = 0, *, aborts: bool = True
) -> Iterator[int]:
    """Serve what the entity supports; gives the port. At the end associations are aborted, or waited for."""
    server: Any = entity.make_server(
        ("127.0.0.1", port), evt_handlers=list(handlers), server_class=ThreadedAssociationServer
    )
    entity._servers.append(server)  # as start_server would, but for how often it looks whether it is to end
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for association in entity.active_associations:
            if aborts:
                association.abort()
            association.join()
