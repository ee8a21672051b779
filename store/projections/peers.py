"""The read model of stored peers (`OrthancPeersInDatabase`), secrets included: who sends to them reads them here."""

from events.peers import PeerChanged, PeerDropped, PeerEvent, PeerRemoved, PeerStored
from store.batch import Batch
from store.log import Appended
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Projection, without
from store.projections.remotes import pack_remote
from store.tables import PEERS, remote_key


def _store(batch: Batch, appended: Appended[PeerStored]) -> None:
    batch.put(PEERS, remote_key(appended.event.name), pack_remote(appended.event))


def _remove(batch: Batch, appended: Appended[PeerRemoved]) -> None:
    batch.delete(PEERS, remote_key(appended.event.name))


PROJECTION = Projection(
    tables=(PEERS,),
    handles={PeerStored: _store, PeerRemoved: _remove},
    ignores=(
        PeerChanged,  # kept as settings of the run
        PeerDropped,
        *without(OF_SERVER, PeerEvent),
        *BESIDE_SERVER,
    ),
)
