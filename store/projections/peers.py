"""The read model of stored peers (`OrthancPeersInDatabase`), secrets included: who sends to them reads them here."""

from dataclasses import fields
from typing import Any

import msgpack

from events.attachments import AttachmentEvent
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
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections.projection import Projection
from store.tables import PEERS, peer_key


def _store(batch: Batch, appended: Appended[PeerStored]) -> None:
    event = appended.event
    values = {f.name: getattr(event, f.name) for f in fields(event)}
    batch.put(PEERS, peer_key(event.name), msgpack.packb(values))


def _remove(batch: Batch, appended: Appended[PeerRemoved]) -> None:
    batch.delete(PEERS, peer_key(appended.event.name))


@decodes
def unpack_peer(row: bytes) -> dict[str, Any]:
    values: dict[str, Any] = msgpack.unpackb(row)
    return values


PROJECTION = Projection(
    tables=(PEERS,),
    handles={PeerStored: _store, PeerRemoved: _remove},
    ignores=(
        PeerChanged,  # kept as settings of the run
        PeerDropped,
        ModalityEvent,
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
