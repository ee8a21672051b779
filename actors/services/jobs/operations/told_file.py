"""What the file of a stored instance tells the index once more."""

import mmap
from typing import Any, NamedTuple

from actors.services.ingest.ingest import Ingest
from actors.services.jobs.operation import Workbench
from events.identifiers import Level, ResourceId
from store.dicom.summary import Summary, summarize
from store.records import Instance


class ToldFile(NamedTuple):
    """What the file of an instance says."""

    instance: Instance
    summary: Summary

    def values(self, *levels: Level) -> list[Any]:
        """Return it for the index, with the tags of these levels."""
        summary = self.summary
        return [
            self.instance.id,
            self.instance.blob,
            {int(level): summary.tags[level] for level in levels},
            summary.tags[Level.PATIENT],
            summary.transfer_syntax,
            summary.sop_class,
            summary.pixel_data_offset,
            summary.pixel_data_vr,
            summary.index_in_series,
        ]


def read_told(bench: Workbench, resource: ResourceId) -> ToldFile | None:
    """Read the file of an instance; None if it is not there any more. Raises DamagedFile, InvalidDicom, MissingTag, StorageFailed."""
    with bench.views.snapshot() as snapshot:
        record = snapshot.get_instance(resource)
    if record is None:
        return None
    try:
        return ToldFile(record, summarize_file(bench.ingest, bench.blobs.read_instance(record, whole=False)))
    except FileNotFoundError:
        return None


def summarize_file(ingest: Ingest, data: bytes | mmap.mmap) -> Summary:
    encoding = ingest.settings().default_encoding
    if isinstance(data, bytes):
        return summarize(data, default_encoding=encoding, plan=ingest.plan)
    with data:
        return summarize(data, default_encoding=encoding, plan=ingest.plan)
