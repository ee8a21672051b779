"""The read models of stored peers (`OrthancPeersInDatabase`) and DICOMweb servers, secrets included: who asks them reads them here."""

from events.dicomweb_servers import (
    DicomWebServerChanged,
    DicomWebServerDropped,
    DicomWebServerEvent,
    DicomWebServerRemoved,
    DicomWebServerStored,
)
from events.peers import PeerChanged, PeerDropped, PeerEvent, PeerRemoved, PeerStored
from store.batch import Batch
from store.log import Appended
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Projection, without
from store.projections.remotes import pack_remote
from store.tables import DICOMWEB_SERVERS, PEERS, remote_key


def _store_peer(batch: Batch, appended: Appended[PeerStored]) -> None:
    batch.put(PEERS, remote_key(appended.event.name), pack_remote(appended.event))


def _remove_peer(batch: Batch, appended: Appended[PeerRemoved]) -> None:
    batch.delete(PEERS, remote_key(appended.event.name))


def _store_server(batch: Batch, appended: Appended[DicomWebServerStored]) -> None:
    batch.put(DICOMWEB_SERVERS, remote_key(appended.event.name), pack_remote(appended.event))


def _remove_server(batch: Batch, appended: Appended[DicomWebServerRemoved]) -> None:
    batch.delete(DICOMWEB_SERVERS, remote_key(appended.event.name))


PROJECTION = Projection(
    tables=(PEERS, DICOMWEB_SERVERS),
    handles={
        PeerStored: _store_peer,
        PeerRemoved: _remove_peer,
        DicomWebServerStored: _store_server,
        DicomWebServerRemoved: _remove_server,
    },
    ignores=(
        PeerChanged,  # kept as settings of the run
        PeerDropped,
        DicomWebServerChanged,
        DicomWebServerDropped,
        *without(OF_SERVER, PeerEvent, DicomWebServerEvent),
        *BESIDE_SERVER,
    ),
)
