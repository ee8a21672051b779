"""Events about the DICOMweb servers that this server is a client of (`/dicom-web/servers`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from events.event import secret
from events.peers import RemotePeer
from events.server import ServerEvent


class DicomWebServerEvent(ServerEvent):
    """Events of the server: which DICOMweb servers it knows."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebServerStored(DicomWebServerEvent, RemotePeer):
    """`PUT /dicom-web/servers/{name}` with `ServersInDatabase`: a server is new or changed."""

    TAG: ClassVar[str] = "dicomweb-server-stored/1"
    password: str = secret()
    headers: Mapping[str, str] = secret()
    private_key_password: str = secret()


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebServerRemoved(DicomWebServerEvent):
    """`DELETE /dicom-web/servers/{name}` with `ServersInDatabase`."""

    TAG: ClassVar[str] = "dicomweb-server-removed/1"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebServerChanged(DicomWebServerEvent, RemotePeer):
    """`PUT /dicom-web/servers/{name}` without that option: it holds until the next start. What is secret stays out of the log."""

    TAG: ClassVar[str] = "dicomweb-server-changed/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebServerDropped(DicomWebServerEvent):
    """`DELETE /dicom-web/servers/{name}` without that option: until the next start there is no such server."""

    TAG: ClassVar[str] = "dicomweb-server-dropped/1"
    name: str
