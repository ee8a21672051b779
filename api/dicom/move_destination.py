"""How the instances of a C-MOVE get to its destination: by an association of this process, or by a job."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from actors.messages.jobs_client import JobsClient
from actors.services.codecs.pool import CodecPool
from actors.services.jobs.operations.store_plan import JOB_TYPE, StorePlan, to_plan
from actors.services.remote.modality import Modality
from actors.services.remote.outgoing import Admission
from actors.services.remote.store_scu import Originator
from actors.services.remote.stored_sender import StoredSender, StorePool, fallbacks_for
from actors.services.remote.target import ScuSettings, Target
from actors.wire.dicom.command import Element
from actors.wire.dicom.statuses import DUPLICATE, SUCCESS
from actors.wire.errors import NO_PRESENTATION_CONTEXT, Interrupted, RemoteFailed
from actors.wire.interruption import Interruption
from events.errors import PeerFailed
from events.identifiers import ResourceId
from store.blobs.store import BlobStore
from store.views.views import Views

# A client that moves to itself may begin to listen only once it has asked: GDCM's gdcmscu does, and waits for ever if we were faster.
PATIENCE_S: Final = 0.5
MOST_LOSSES: Final = 2  # associations lost, or not to be had, one after the other: the destination is given up


class MoveDestinations:
    """Opens senders and submits jobs; one per process, thread-safe."""

    def __init__(
        self,
        views: Views,
        blobs: BlobStore,
        scu: ScuSettings,
        jobs: JobsClient,
        codecs: CodecPool,
        admission: Callable[[Target], Admission] | None = None,
    ) -> None:
        """`admission` makes the filter of what goes to a destination."""
        self._views = views
        self._blobs = blobs
        # Nothing is kept for the next C-MOVE: a destination that serves one association at a time, such as the asker
        # itself, is free again when it is told that all is done. As from Orthanc.
        self._pool = StorePool(close_delay_s=0)
        self._scu = scu
        self._jobs = jobs
        self._codecs = codecs
        self._admission = admission

    def open_sender(
        self, destination: Modality, originator: Originator, instances: Sequence[ResourceId]
    ) -> "MoveSender":
        """Return what sends the instances; no association is open yet. Raises RemoteFailed."""
        interruption = Interruption()
        target = replace(self._scu.target(destination), patience_s=PATIENCE_S)
        sender = StoredSender(
            self._views,
            self._blobs,
            self._pool,
            target,
            instances,
            self._codecs,
            fallbacks=fallbacks_for(self._scu, destination),
            interruption=interruption,
            originator=originator,
            admits=None if self._admission is None else self._admission(target),
        )
        return MoveSender(sender, interruption)

    def submit_job(self, destination: Modality, originator: Originator, instances: Sequence[ResourceId]) -> None:
        """Have a job send the instances; durable when it returns. Raises RemoteFailed, StorageFull, Busy."""
        target = self._scu.target(destination)
        plan = StorePlan(
            modality=destination,
            instances=instances,
            local_aet=target.calling_aet,
            timeout_s=target.timeout_s,
            originator_aet=originator.aet,
            originator_id=originator.message_id,
            description="C-MOVE",  # as in Orthanc
        )
        self._jobs.submit(JOB_TYPE, to_plan(plan), steps=len(instances))


class MoveSender:
    """The sub-operations of one C-MOVE."""

    def __init__(self, sender: StoredSender, interruption: Interruption) -> None:
        self._sender = sender
        self._interruption = interruption
        self._losses = 0
        self.has_begun = False

    def send(self, position: int) -> int:
        """Send an instance; returns the status of its C-STORE. Raises SinogramError where there is none."""
        self.has_begun = False
        try:
            response = self._sender.send(position, self._on_last_fragment)
        except Interrupted as exc:
            raise PeerFailed("interrupted") from exc
        except RemoteFailed as exc:
            self._losses += exc.code != NO_PRESENTATION_CONTEXT  # which is about this kind of instance alone
            raise
        self._losses = 0
        if response is None:  # a script keeps it back
            return SUCCESS
        status = response.number(Element.STATUS)
        return SUCCESS if status == DUPLICATE else status  # as for Orthanc: the destination has it

    def _on_last_fragment(self) -> None:
        self.has_begun = True

    @property
    def is_hopeless(self) -> bool:
        return self._losses >= MOST_LOSSES

    def interrupt(self) -> None:
        self._interruption.interrupt()

    def close(self) -> None:
        self._sender.close(keep=False)
