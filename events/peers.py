"""Events about the peers of this server: other servers with Orthanc's REST API (`/peers`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from events.event import personal, secret
from events.server import ServerEvent


class PeerEvent(ServerEvent):
    """Events of the server: which peers there are."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePeer:
    """What an event says of a peer."""

    name: str
    timeout_s: int  # 0: HttpTimeout
    pkcs11: bool
    certificate: str  # a path; "": none
    private_key: str  # likewise
    url: str = personal()
    username: str = personal()
    properties: Mapping[str, str] = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStored(PeerEvent, RemotePeer):
    """`PUT /peers/{name}` with `OrthancPeersInDatabase`: a peer is new or changed."""

    TAG: ClassVar[str] = "peer-stored/1"
    password: str = secret()
    headers: Mapping[str, str] = secret()
    private_key_password: str = secret()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRemoved(PeerEvent):
    """`DELETE /peers/{name}` with `OrthancPeersInDatabase`."""

    TAG: ClassVar[str] = "peer-removed/1"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerChanged(PeerEvent, RemotePeer):
    """`PUT /peers/{name}` without that option: it holds until the next start. What is secret stays out of the log."""

    TAG: ClassVar[str] = "peer-changed/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDropped(PeerEvent):
    """`DELETE /peers/{name}` without that option: until the next start there is no such peer."""

    TAG: ClassVar[str] = "peer-dropped/1"
    name: str
