"""Ingest: the one path by which an instance enters, from every source (C-STORE, REST, peers, Lua, job results).

This actor owns the leased folders of its process and the syncs under way. Uploads run in their callers' threads, so that parsing
and writing scale with the gateways. It asks the index. An upload goes

    bytes -> element walk -> filter -> blob on disk, index command -> reply

and nothing bad ever reaches the index: a file that cannot be parsed is discarded before. How bytes become a durable blob is in `incoming_blob`; here
a DICOM file is judged and indexed.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from actors.messages.commands.instances import IF_CHANGED, NEVER, StoreInstance
from actors.messages.index_client import IndexClient
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.incoming_attachment import IncomingAttachment
from actors.services.ingest.incoming_blob import DurableBlobs, IncomingBlob
from actors.services.ingest.ingest_transcoding import IngestTranscoder
from actors.services.ingest.known_instances import NO_FILE, KnownInstances
from actors.services.ingest.settings import IngestSettings
from actors.services.scripts.script_filters import NO_FILTERS, Judgement, ReceivedFile, ScriptFilters
from actors.wire import metrics
from events.errors import Busy, NotFound, ReadOnlyArchive, SinogramError
from events.identifiers import BlobId, Level, ResourceId, new_correlation
from events.received import facts
from events.stored_file import PlainFile, StoredFile
from store.blobs.packed import PIECE_BYTES
from store.blobs.store import BlobStore
from store.dicom.indexed_tags import with_extra
from store.dicom.received import Announced, read_clean, trim
from store.dicom.summary import HierarchyIds, IndexPlan, Summary, summarize
from store.projections.rows import file_values
from store.records import Origin
from store.views.views import Views

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """What an instance was made from by a modification."""

    sources: Mapping[Level, ResourceId]  # the instance and, as far as they became others, what was above it
    kind: str  # the metadata that tells of it: "ModifiedFrom", "AnonymizedFrom"; "" for none
    keeps_labels: bool

    def fields(self) -> dict[str, Any]:
        """Return what StoreInstance says of it."""
        return {
            "derived_from": {int(level): bytes(source) for level, source in self.sources.items()},
            "derivation": self.kind,
            "keeps_labels": self.keeps_labels,
        }


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of an upload."""

    status: str  # "Success", "AlreadyStored" or "FilteredOut"
    summary: Summary
    dimse_status: int = 0  # what a C-STORE of an instance that was filtered out is answered

    @property
    def ids(self) -> HierarchyIds:
        return self.summary.ids


class Ingest:
    """Opens uploads. Thread-safe; one per process."""

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        blobs: BlobStore,
        owner: str,
        settings: Callable[[], IngestSettings],
        filters: ScriptFilters = NO_FILTERS,
        codecs: CodecPool | None = None,
    ) -> None:
        """Without `codecs` nothing is transcoded."""
        self.index = index
        self.known = KnownInstances(views, blobs)
        self.blobs = blobs
        self.settings = settings
        self.plan = IndexPlan(with_extra(settings().extra_main_tags))
        self.durable = DurableBlobs(index, blobs, owner, sync=settings().sync)
        self.filters = filters
        self.transcoder = None if codecs is None else IngestTranscoder(codecs)

    def open(self, origin: Origin, correlation: bytes = b"", derivation: Derivation | None = None) -> "Upload":
        """Start an upload; leave its `with` block to discard it unless it was stored.

        `derivation` says what it was made from, `correlation` names the request it belongs to in its events; without one it is a request of its own. Raises
        ReadOnlyArchive.
        """
        return Upload(self, origin, correlation or new_correlation(), derivation=derivation)

    def receive(self, origin: Origin, announced: Announced) -> "Upload":
        """Start an upload of a dataset that a C-STORE brings; what is written is the dataset as it comes.

        A file's head is put before it. What its sender has put around it is not kept, and a dataset of another instance is
        refused before anybody sees it. Raises ReadOnlyArchive.
        """
        return Upload(self, origin, new_correlation(), announced)

    def attach(self, *, compress: bool | None = None) -> IncomingAttachment:
        """Start an attachment; leave its `with` block to discard it unless it was kept. Raises ReadOnlyArchive.

        `compress` says how it is to lie there, where the configuration does not.
        """
        settings = self.settings()
        return IncomingAttachment(
            self.index, self.durable, settings if compress is None else replace(settings, compress=compress)
        )

    def new_blob(self, settings: IngestSettings) -> IncomingBlob:
        return IncomingBlob(self.durable, sync=settings.sync, digest=settings.hash, compress=settings.compress)

    def close(self) -> None:
        self.durable.close()


class Upload:
    """One DICOM file on its way in. Not thread-safe."""

    def __init__(
        self,
        ingest: Ingest,
        origin: Origin,
        correlation: bytes,
        announced: Announced | None = None,
        derivation: Derivation | None = None,
    ) -> None:
        self._ingest = ingest
        self._origin = origin
        self._correlation = correlation
        self._announced = announced  # of a dataset from the network
        self._derivation = derivation
        self._settings = ingest.settings()
        if self._settings.read_only:  # before a byte is kept or a filter asked; the index would refuse it in the end
            raise ReadOnlyArchive
        self._blob = ingest.new_blob(self._settings)
        self._parsed: Summary | None = None
        self._is_judged = False
        self._judgement: Judgement | None = None
        self._heals = NO_FILE  # the damaged file of this instance, which ours is to replace
        self._head_bytes = 0  # of the file meta information, where it is ours
        if announced is not None:
            head = announced.file_meta(origin.remote_aet)
            self._head_bytes = len(head)
            self.write(head)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes of the file; a memoryview is copied if it must be kept. Raises StorageFull."""
        self._blob.write(data)

    def look(self) -> Summary:
        """Return what the file is, before it is judged; it is complete. Raises InvalidDicom, MissingTag."""
        if self._parsed is None:
            self._parsed = self._summarize()
        return self._parsed

    def judge(self) -> None:
        """Transcode the file and ask the filters of scripts, if that is wanted; the file is complete.

        For callers who must not hold what is scarce while a codec works or a script thinks; `store` does it otherwise. Raises as `store`.
        """
        if self._is_judged:
            return
        has_filters = self._ingest.filters.has_received_filters
        if has_filters or self._settings.transcodes_to:
            self._parsed = summary = self._transcode(self.look(), has_filters=has_filters)
            self._judgement = self._ask_filters(summary) if has_filters else None
        self._is_judged = True

    def _transcode(self, summary: Summary, *, has_filters: bool) -> Summary:
        """Have the file in the transfer syntax of the configuration, as far as it can be; returns what it is then."""
        transcoder, settings = self._ingest.transcoder, self._settings
        if transcoder is None or not transcoder.wants(summary, settings):
            return summary
        if (
            not has_filters
            and settings.overwrite == NEVER
            and not transcoder.derives(settings)
            and self._is_known(summary)
        ):
            return summary  # it will not be kept
        remote_aet = self._origin.remote_aet if self._announced else ""
        return transcoder.run(self._blob, summary, settings, remote_aet, self._parse)

    def _parse(self) -> Summary:
        with self._blob.content() as data:
            return summarize(data, default_encoding=self._settings.default_encoding, plan=self._ingest.plan)

    def store(self) -> StoreResult:
        """Make the file part of the archive, durably, unless a filter is against it.

        Raises InvalidDicom, MissingTag, ScriptFailed (a filter failed), StorageFull, Busy; nothing is stored then, except that
        after Busy it may be.
        """
        started = time.perf_counter()
        result = "Refused"
        try:
            stored = self._store()
            result = stored.status
            return stored
        finally:
            self.discard()
            took_s = time.perf_counter() - started
            metrics.RECEIVED.add(1, result)
            metrics.RECEIVED_BYTES.add(self._blob.received_bytes)
            metrics.STORE_SECONDS.observe(took_s)
            metrics.LONGEST_STORE.observe(took_s)

    def _store(self) -> StoreResult:
        self.judge()
        summary, judgement = self.look(), self._judgement
        if judgement is not None and not judgement.is_accepted:
            logger.info("An incoming instance has been discarded by the filter")
            return StoreResult("FilteredOut", summary, judgement.dimse_status)
        if self._stays(summary):
            return self._already_stored(summary)
        if self._keep(summary):
            return StoreResult("Success", summary)
        if not self._is_known(summary):
            raise Busy("another upload of this instance has not succeeded yet; send it again")
        return self._already_stored(summary)

    def _keep(self, summary: Summary) -> bool:
        """Let the index have the instance, with its file unless none are kept; returns whether it is new there.

        A compressed file comes with another one of what stands before Pixel Data.
        """
        if not self._settings.store_dicom:
            return self._refer(self._blob.describe(), None, summary)
        if not self._settings.compress or summary.pixel_data_offset is None:
            return self._keep_with(None, summary)
        head = self._ingest.new_blob(self._settings)
        try:
            with self._blob.content() as data, memoryview(data)[: summary.pixel_data_offset] as beginning:
                for start in range(0, len(beginning), PIECE_BYTES):
                    head.write(beginning[start : start + PIECE_BYTES])
            return head.keep(lambda file: self._keep_with(file, summary), lambda _: False, beside=False)
        finally:
            head.discard()

    def _keep_with(self, head: PlainFile | None, summary: Summary) -> bool:
        # What heals or overwrites is never retracted: it is durable before its event.
        return self._blob.keep(
            lambda file: self._refer(file, head, summary),
            self._take_back,
            beside=not self._heals and self._settings.overwrite == NEVER,
        )

    def _refer(self, file: PlainFile, head: PlainFile | None, summary: Summary) -> bool:
        return self._ingest.index.store_instance(self._command(summary, file, head)) == "Success"

    def _ask_filters(self, summary: Summary) -> Judgement:
        encoding = self._settings.default_encoding
        with self._blob.content() as data:
            file = ReceivedFile(data, summary.transfer_syntax, encoding)
            return self._ingest.filters.judge_received(file, self._origin, self._correlation)

    def _already_stored(self, summary: Summary) -> StoreResult:
        """Record the event for scripts that listen for it; without such scripts do nothing."""
        if self._ingest.filters.hears_of_duplicates:
            with contextlib.suppress(NotFound):  # deleted in this moment
                self._ingest.index.note_duplicate(summary.ids.instance, self._origin, self._correlation)
        return StoreResult("AlreadyStored", summary)

    def _take_back(self, blob: BlobId) -> bool:
        """Let the index forget an instance whose file is not durable; it was never acknowledged."""
        try:
            self._ingest.index.retract(blob)
        except SinogramError as exc:  # its folder keeps the lease, and the next start retracts it
            logger.error("ingest.not-retracted error=%s", exc)
            return False
        return True

    def _summarize(self) -> Summary:
        """Parse the file, once: the filter, the index, the answer and the stored file all follow this parse."""
        encoding, announced, plan = self._settings.default_encoding, self._announced, self._ingest.plan
        if announced is None:
            return self._parse()
        with self._blob.content() as data:
            summary = read_clean(data, self._head_bytes, announced, encoding, plan)
        if summary is None:
            self._trim(self._head_bytes, announced)
            summary = self._parse()
        announced.must_agree(summary)
        return summary

    def _trim(self, start: int, announced: Announced) -> None:
        """Keep nothing but a file's head, which ends at `start`, and its dataset."""
        with self._blob.content() as data:
            trimmed = trim(data, start, announced)
            if trimmed is not None and not trimmed.ends_early:
                self._blob.replace(trimmed.parts(data))
        if trimmed is not None and trimmed.ends_early:
            self._blob.cut(trimmed.end)

    def _stays(self, summary: Summary) -> bool:
        """Tell whether the archive has the instance, durably, and keeps the file that it has."""
        if self._settings.overwrite == NEVER:
            return self._is_known(summary)
        if self._settings.overwrite != IF_CHANGED:
            return False
        with self._blob.content() as data:
            is_same = self._ingest.known.is_same(summary.ids.instance, data)
        return is_same and self._is_known(summary)

    def _is_known(self, summary: Summary) -> bool:
        """Tell whether the archive has the instance, durably; ours is to replace its file if that is damaged."""
        known = self._ingest.known.look(summary.ids.instance, self._blob.in_memory, syncs=self._settings.sync)
        self._heals = known.damaged
        return known.is_there

    def _command(self, summary: Summary, file: PlainFile, head: PlainFile | None) -> StoreInstance:
        rest: dict[str, Any] = self._origin.facts()
        if self._derivation is not None:
            rest |= self._derivation.fields()
        return StoreInstance(
            patient=summary.ids.patient,
            study=summary.ids.study,
            series=summary.ids.series,
            id=summary.ids.instance,
            tags=summary.tags[Level.INSTANCE],
            tags_above={int(level): summary.tags[level] for level in (Level.PATIENT, Level.STUDY, Level.SERIES)},
            transfer_syntax=summary.transfer_syntax,
            sop_class=summary.sop_class,
            pixel_data_offset=summary.pixel_data_offset,
            pixel_data_vr=summary.pixel_data_vr,
            index_in_series=summary.index_in_series,
            expected_instances=summary.expected_instances,
            correlation=self._correlation,
            overwrite=self._settings.overwrite,
            head=None if head is None else list(file_values(head)),
            heals=self._heals,
            **rest,
            **facts(StoredFile, file),
        )

    def discard(self) -> None:
        """Forget the upload; its file goes, unless the index may have taken it."""
        self._blob.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.discard()
