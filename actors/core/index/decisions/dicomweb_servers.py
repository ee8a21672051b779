"""Decisions about DICOMweb servers."""

from actors.core.index.context import Decisions
from actors.core.index.decisions.http_remotes import HttpRemoteKind
from actors.messages.commands.remotes import OF_DICOMWEB_SERVERS
from events.dicomweb_servers import (
    DicomWebServerChanged,
    DicomWebServerDropped,
    DicomWebServerRemoved,
    DicomWebServerStored,
)
from store.views.remotes import DICOMWEB_ROWS

DECISIONS: Decisions = HttpRemoteKind(
    DICOMWEB_ROWS, DicomWebServerStored, DicomWebServerRemoved, DicomWebServerChanged, DicomWebServerDropped
).decisions(OF_DICOMWEB_SERVERS)
