"""Instances of the archive on their way to one destination, one after the other.

The stored instances decide what is proposed: some rows are read ahead of the instance that is due, and the association is
made for all of them. An instance that it was not proposed for gets a new association. Not thread-safe.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from actors.services.codecs.pool import CodecPool
from actors.services.remote.association import Association
from actors.services.remote.association_pool import AssociationPool
from actors.services.remote.modality import Modality
from actors.services.remote.outgoing import Admission
from actors.services.remote.requestor import open_association
from actors.services.remote.store_scu import (
    Kind,
    Originator,
    check,
    class_refused,
    make_dataset,
    plan_contexts,
    store,
)
from actors.services.remote.target import ScuSettings, Target
from actors.services.transcoding.targets import UNCOMPRESSED
from actors.services.transcoding.targets import Target as Wanted
from actors.services.transcoding.transcode import transcode
from actors.wire.dicom.command import Command
from actors.wire.dicom.statuses import SUCCESS
from actors.wire.errors import NO_PRESENTATION_CONTEXT, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from events.errors import InvalidDicom, NotFound
from events.identifiers import ResourceId
from store.blobs.store import BlobStore
from store.dicom.encoding import sendable_dataset
from store.dicom.tags import SOP_INSTANCE_UID
from store.dicom.uids import EXPLICIT_BE
from store.records import Instance
from store.views.views import Views

ROWS_AHEAD: Final = 256  # read in one snapshot, about 4 ms; their kinds are proposed together
TRUSTED_S: Final = 1.0  # an association that has been idle for longer may have been closed by the peer


@dataclass(frozen=True, slots=True, eq=False)
class StoreAssociation:
    """An association for C-STORE, and the kinds of instances it was proposed for."""

    association: Association
    kinds: frozenset[Kind]
    fallbacks: tuple[str, ...]  # the syntaxes that were offered besides


StorePool = AssociationPool[StoreAssociation]


class StoredSender:
    """Sends instances by their position in a list."""

    def __init__(
        self,
        views: Views,
        blobs: BlobStore,
        pool: StorePool,
        target: Target,
        instances: Sequence[ResourceId],
        codecs: CodecPool,
        *,
        fallbacks: tuple[str, ...],
        interruption: Interruption,
        originator: Originator | None = None,
        admits: Admission | None = None,
    ) -> None:
        """`fallbacks` are the transfer syntaxes that may be transcoded to, in the order of preference.

        `admits` is asked about each instance; one that it refuses is not sent.
        """
        self._blobs = blobs
        self._codecs = codecs
        self._pool = pool
        self._target = target
        self._fallbacks = fallbacks
        self._interruption = interruption
        self._originator = originator
        self._admits = admits
        self._ahead = _RowsAhead(views, instances)
        self._current: StoreAssociation | None = None
        self._used_s = 0.0  # when it was used last, by the monotonic clock
        self._is_proven = True  # False for an association out of the pool that has not answered yet

    def send(self, position: int, settle: Callable[[], None] | None = None) -> Command | None:
        """Send an instance; returns the peer's response, whatever it says, or None if it is not to be sent.

        Raises NotFound if the instance has been deleted, DamagedFile, InvalidDicom if it cannot be sent to this peer, RemoteFailed,
        Interrupted; ScriptFailed and Busy if the filter cannot answer.
        """
        record = self._ahead.read(position)
        while True:
            try:
                return self._send_file(record, position, settle)
            except (
                FileNotFoundError
            ) as exc:  # deleted since it was read ahead, or replaced by another file; nothing was sent yet
                current = self._ahead.read(position, again=True)
                if current.blob == record.blob:
                    raise NotFound("The file of an instance is missing") from exc
                record = current

    def _send_file(self, record: Instance, position: int, settle: Callable[[], None] | None) -> Command | None:
        data = memoryview(self._blobs.read_instance(record))
        if self._admits is not None and not self._admits(data, record.transfer_syntax):
            return None
        return self._send(record, position, data, settle)

    def check(self, response: Command | None) -> int:
        """Return the status of what `send` has returned if the peer has the instance now. Raises RemoteFailed.

        One that was not to be sent counts as done.
        """
        if response is None:
            return SUCCESS
        assert self._current is not None
        return check(self._current.association, response)

    def _send(self, record: Instance, position: int, data: memoryview, settle: Callable[[], None] | None) -> Command:
        kind = Kind(record.sop_class, record.transfer_syntax)
        if not kind.sop_class or not kind.transfer_syntax:
            raise InvalidDicom("An instance has no SOP class, or no known transfer syntax: it cannot be sent")
        while True:
            negotiated = self._negotiated_for(kind, position)
            try:
                response = self._store(negotiated, record, data, settle)
            except RemoteFailed as exc:
                # The peer may have gone just when we believed that a kept association was open.
                if self._is_proven or exc.trouble is not Trouble.UNREACHABLE:
                    raise
                self._drop()
            else:
                self._is_proven = True
                self._used_s = time.monotonic()
                return response

    def _store(
        self, negotiated: StoreAssociation, record: Instance, data: memoryview, settle: Callable[[], None] | None
    ) -> Command:
        association = negotiated.association
        kind = Kind(record.sop_class, record.transfer_syntax)
        context, uid, dataset = make_dataset(association, kind, self._fallbacks, partial(self._make, record, data))
        return store(association, context, uid, dataset, originator=self._originator, settle=settle)

    def _make(self, record: Instance, data: memoryview, transfer_syntax: str) -> tuple[str, memoryview]:
        if transfer_syntax == record.transfer_syntax:
            return record.tags.get(SOP_INSTANCE_UID, ""), sendable_dataset(data)
        opened = self._blobs.reopener(record, data.obj)  # type: ignore[arg-type]  # what was read
        wanted = Wanted(transfer_syntax, self._codecs.settings.lossy_quality)
        made = transcode(data, wanted, self._codecs, opened, self._interruption.check)
        return made.sop_instance, made.dataset

    # --- associations ---

    def _negotiated_for(self, kind: Kind, position: int) -> StoreAssociation:
        """Return an open association that was proposed for a kind of instance. Raises RemoteFailed, Interrupted."""
        current = self._current
        if current is not None and not self._is_good(current, kind):
            self._drop()
            current = None
        if current is None:
            current = self._pool.take(partial(self._fits, kind), self._interruption)
            self._is_proven = current is None
            self._current = current = current or self._open(kind, position)
        return current

    def _fits(self, kind: Kind, kept: StoreAssociation) -> bool:
        return kept.association.target == self._target and kind in kept.kinds and kept.fallbacks == self._fallbacks

    def _is_good(self, negotiated: StoreAssociation, kind: Kind) -> bool:
        if kind not in negotiated.kinds or not negotiated.association.is_usable:
            return False
        return time.monotonic() < self._used_s + TRUSTED_S or negotiated.association.is_still_open()

    def _open(self, kind: Kind, position: int) -> StoreAssociation:
        proposals, kinds = plan_contexts(self._ahead.kinds(position), self._fallbacks)
        try:
            association = open_association(self._target, proposals, self._interruption)
        except RemoteFailed as exc:
            if exc.code == NO_PRESENTATION_CONTEXT:
                raise class_refused(kind) from exc
            raise
        return StoreAssociation(association, kinds, self._fallbacks)

    def _drop(self) -> None:
        """End the association, in order where that is possible."""
        current, self._current = self._current, None
        if current is not None:
            current.association.release()

    def close(self, *, keep: bool = True) -> None:
        """Let go of the association; `keep` it for others if it is usable. Never raises."""
        current, self._current = self._current, None
        if current is None:
            return
        if keep and current.association.is_usable:
            self._pool.give_back(current)
        else:
            current.association.release()


def fallbacks_for(scu: ScuSettings, modality: Modality) -> tuple[str, ...]:
    """Return the transfer syntaxes that datasets for a modality may be transcoded to, in the order of preference."""
    if not scu.transcode or not modality.allow_transcoding:
        return ()
    return tuple(dict.fromkeys((scu.preferred_transfer_syntax, *UNCOMPRESSED, EXPLICIT_BE)))


class _RowsAhead:
    """The rows of the instances that are due next."""

    def __init__(self, views: Views, instances: Sequence[ResourceId]) -> None:
        self._views = views
        self._instances = instances
        self._start = 0
        self._rows: list[Instance | None] = []

    def read(self, position: int, *, again: bool = False) -> Instance:
        """Return the row at a position. Raises NotFound."""
        if again or not self._start <= position < self._start + len(self._rows):
            with self._views.snapshot() as snapshot:
                self._rows = [
                    snapshot.get_instance(instance) for instance in self._instances[position : position + ROWS_AHEAD]
                ]
            self._start = position
        row = self._rows[position - self._start]
        if row is None:
            raise NotFound("An instance has been deleted since the job was made")
        return row

    def kinds(self, position: int) -> list[Kind]:
        """Return the kinds of the instances from a position on, as far as they have been read."""
        rows = self._rows[position - self._start :]
        return [kind for row in rows if row is not None and all(kind := Kind(row.sop_class, row.transfer_syntax))]
