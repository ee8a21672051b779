"""The read model of stored peers (`OrthancPeersInDatabase`), secrets included: who sends to them reads them here."""

from events.attachments import AttachmentEvent
from events.commitments import CommitmentEvent
from events.files import FileEvent
from events.jobs import JobEvent
from events.labels import LabelEvent
from events.peers import PeerChanged, PeerDropped, PeerRemoved, PeerStored
from events.protection import ProtectionEvent
from events.resources import ResourceEvent
from events.scripts import ScriptEvent
from events.server import (
    AnonymousNameDrawn,
    ChangesCleared,
    ExportsCleared,
    MainTagsChosen,
    ModalityEvent,
    ResourceExported,
)
from events.worklists import WorklistEvent
from store.batch import Batch
from store.log import Appended
from store.projections.projection import Projection
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
        ModalityEvent,
        CommitmentEvent,
        WorklistEvent,
        ChangesCleared,
        ExportsCleared,
        ResourceExported,
        MainTagsChosen,
        AnonymousNameDrawn,
        ResourceEvent,
        LabelEvent,
        ProtectionEvent,
        AttachmentEvent,
        FileEvent,
        JobEvent,
        ScriptEvent,
    ),
)
