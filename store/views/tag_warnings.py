"""What operators are told in the log where tags are asked for that the index does not have: warnings W001, W005 and W007.

C-FIND and `requested-tags` of REST tell the same, when Orthanc 1.12.7 does.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from events.identifiers import Level, ResourceId, format_resource_id
from events.numbered_warnings import NOT_READ_FROM_FILE, OF_LOWER_LEVEL, READ_FROM_FILE, warn
from store.dicom.dictionary import format_tag
from store.dicom.indexed_tags import MainTags

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TagWarnings:
    """The warnings of one request about resources of a level."""

    on: frozenset[str]  # those that are switched on
    level: Level

    def tell_of_lower_levels(self, asked: Iterable[int], main_tags: MainTags) -> None:
        """Name each tag that belongs to lower levels alone: what one file says of it need not hold for the resource."""
        if OF_LOWER_LEVEL not in self.on:
            return
        for tag in sorted(asked):
            keeps = [level for level in Level if tag in main_tags[level]]
            if keeps and keeps[0] > self.level:
                lower = ", ".join(level.name.lower() for level in Level if level >= keeps[0])
                text = "tag %s should be asked of these levels only: %s"
                warn(log, self.on, OF_LOWER_LEVEL, text, format_tag(tag), lower)

    def tell_of_reading(self, resource: ResourceId, tags: Iterable[int], *, reads_files: bool) -> None:
        """Name the tags that a file is read for, or would have to be, in ascending order."""
        shown = self.level.name.lower(), format_resource_id(resource), show_tags(tags)
        if reads_files:
            warn(log, self.on, READ_FROM_FILE, "tags of %s %s are read from a file: %s", *shown)
        else:
            text = 'tags of %s %s are not in the index, and "StorageAccessOnFind" lets no file be read: %s'
            warn(log, self.on, NOT_READ_FROM_FILE, text, *shown)

    def tell_of_missing_keys(self, keys: Iterable[int]) -> None:
        """Name the keys of a query that therefore finds nothing."""
        text = 'a query finds nothing: keys are not in the index, and "StorageAccessOnFind" lets no file be read: %s'
        warn(log, self.on, NOT_READ_FROM_FILE, text, show_tags(sorted(keys)))


def show_tags(tags: Iterable[int]) -> str:
    return ";".join(map(format_tag, tags))
