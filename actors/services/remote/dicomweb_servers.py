"""Which DICOMweb servers there are, what each of them can, and how it is addressed: the members of its description that the plugin of Orthanc knows.

A server is described as a peer is (`actors.wire.http.peer`), and what it can are properties of it.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from actors.messages.commands.remotes import OF_DICOMWEB_SERVERS
from actors.messages.index_client import IndexClient
from actors.services.remote.named_remotes import NamedRemotes
from actors.wire.errors import RefusedByHttp, RemoteFailed
from actors.wire.http.peer import Peer, from_plain, to_plain
from store.views.remotes import DICOMWEB_ROWS
from store.views.views import Views

# Orthanc's numbers.
INEXISTENT_ITEM: Final = 7
BAD_FILE_FORMAT: Final = 15

CHUNKED_TRANSFERS: Final = "ChunkedTransfers"  # whether it takes bodies of which the length is not told before
UNIVERSAL_TRANSFER_SYNTAX: Final = "HasWadoRsUniversalTransferSyntax"  # whether it knows `transfer-syntax=*`
HAS_DELETE: Final = "HasDelete"  # whether it deletes
_DEFAULTS: Final = {CHUNKED_TRANSFERS: True, UNIVERSAL_TRANSFER_SYNTAX: True, HAS_DELETE: False}
# What Orthanc's plugin answers its own client, by what it is answered: status and number of the error.
_HANDED_ON: Final[Mapping[int, tuple[int, int]]] = {401: (401, 29), 403: (401, 29), 404: (404, 17)}
_WORDS: Final = {"1": True, "true": True, "0": False, "false": False}


class DicomWebServers(NamedRemotes[Peer]):
    """Thread-safe; one per process."""

    def __init__(
        self, configured: Sequence[Peer], views: Views, index: IndexClient, *, is_stored: bool = False
    ) -> None:
        """`is_stored` is the member ServersInDatabase of the section DicomWeb."""
        super().__init__(
            configured, views, DICOMWEB_ROWS, from_plain, to_plain, index, OF_DICOMWEB_SERVERS, is_stored=is_stored
        )

    def get(self, name: str) -> Peer:
        """Return a server. Raises RemoteFailed if there is none of this name."""
        server = self.find(name)
        if server is None:
            raise RemoteFailed(f"Inexistent server: {name}", code=INEXISTENT_ITEM, http_status=404)
        return server


def can(server: Peer, ability: str) -> bool:
    """Tell what a server can, by its description. Raises RemoteFailed where that is neither true nor false."""
    text = server.properties.get(ability)
    if text is None:
        return _DEFAULTS[ability]
    if text not in _WORDS:
        problem = "Bad value for a Boolean user property in the parameters of a Web service"
        details = f'{problem}: Property "{ability}" equals: {text:.60}'
        raise RemoteFailed(details, code=BAD_FILE_FORMAT, http_status=400)
    return _WORDS[text]


def address(uri: str, arguments: Mapping[str, str] | None = None) -> str:
    """Return what stands behind the address of a server for a URI, with or without a slash before it, and arguments in plain text."""
    told = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" if value else quote(name, safe="")
        for name, value in (arguments or {}).items()
    )
    return uri.lstrip("/") + (f"?{told}" if told else "")


def handed_on(error: RemoteFailed) -> RemoteFailed:
    """Return an error as clients of this server are told it: of credentials and of what is not there as the server has said it."""
    if isinstance(error, RefusedByHttp) and error.status in _HANDED_ON:
        http_status, code = _HANDED_ON[error.status]
        return RemoteFailed(error.details, code=code, http_status=http_status)
    return error
