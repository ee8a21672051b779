"""Queries of the hierarchy by DICOM tags, as C-FIND asks them: matched on short snapshots, answered in batches.

A batch is one snapshot, so a query over a large archive neither keeps old pages of the index alive nor grows in memory. Tags that
the index does not have are read from the file of the resource's oldest instance, outside the snapshot.
"""

from collections.abc import Iterator

from store.blobs.store import BlobStore
from store.dicom.matching import Dataset
from store.views.find_files import TagFiles
from store.views.find_match import Candidate, Search
from store.views.find_plan import choose_source
from store.views.find_walk import Walk
from store.views.query import Query
from store.views.views import Views


class Finder:
    """Answers queries; thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore) -> None:
        self._views = views
        self._files = TagFiles(views, blobs)

    def find(self, query: Query) -> Iterator[list[Dataset]]:
        """Iterate over batches of answers: of each resource the wanted tags it has. Batches may be empty.

        The work is done while the next batch is waited for; nothing is open when it is given.
        """
        search = Search(query)
        with self._views.snapshot() as s:
            search.warn(s)
            if search.is_impossible(s):
                return
            walk = Walk(choose_source(s, search), query.level)
        answered = 0
        while not walk.is_done and not (query.limit and answered >= query.limit):
            with self._views.snapshot() as s:
                candidates = [search.describe(s, ref, row) for ref, row in walk.matches(s, search)]
            answers = [answer for each in candidates if (answer := self._answer(search, each)) is not None]
            if query.limit:
                answers = answers[: query.limit - answered]
                answered += len(answers)
            yield answers

    def _answer(self, search: Search, candidate: Candidate) -> Dataset | None:
        if candidate.parts.from_file:
            search.warnings.tell_of_reading(
                candidate.id, candidate.parts.from_file, reads_files=search.query.reads_files
            )
        values = self._files.complete(candidate, search.query.default_encoding)
        return None if values is None else {tag: values[tag] for tag in search.query.wanted if tag in values}
