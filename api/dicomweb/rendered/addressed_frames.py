"""The frames that an address names, and those that may stand for a study or a series."""

from collections.abc import Iterator, Sequence

from actors.services.images.slice_order import count_frames
from api.dicomweb.base_url import resource_url
from api.rest.deps import Deps
from api.rest.middle_frames import middle_of, ordered_instances, series_of
from store.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID
from store.records import Instance, Resource


class Addressed:
    """What an address names."""

    def __init__(
        self,
        deps: Deps,
        study: str,
        series: str | None,
        found: Sequence[Resource | Instance],
        numbers: Sequence[int] | None,
    ) -> None:
        self._deps = deps
        self._study = study
        self._series_uid = series
        self._found = found
        self._numbers = numbers

    def representatives(self) -> Iterator[tuple[Instance, int]]:
        """Yield frames that may stand for all of it, the best first."""
        first = self._found[0]
        if isinstance(first, Instance):
            yield first, self._numbers[0] - 1 if self._numbers else 0
            return
        for series in self._series():
            with self._deps.views.snapshot() as s:
                middle = middle_of(s, series)
            yield middle

    def instances(self) -> Iterator[tuple[str, Instance]]:
        """Yield all instances, and the UIDs of their series."""
        for record in self._found:
            if isinstance(record, Instance):
                yield self._series_uid or "", record
                return
        for series in self._series():
            with self._deps.views.snapshot() as s:
                ordered = ordered_instances(s, series)
            for instance in ordered:
                yield series.tags[SERIES_INSTANCE_UID], instance

    @property
    def is_whole_instance(self) -> bool:
        """Whether it is an instance with all that it holds."""
        return self._numbers is None and isinstance(self._found[0], Instance)

    def frames(self, instance: Instance) -> Sequence[int]:
        """Return the indices of the frames of one of its instances that are meant."""
        if self._numbers is not None:
            return [number - 1 for number in self._numbers]
        return range(max(1, count_frames(instance)))

    def _series(self) -> list[Resource]:
        with self._deps.views.snapshot() as s:
            return [each for record in self._found if isinstance(record, Resource) for each in series_of(s, record)]

    def address(self, base: str, series: str, instance: Instance) -> str:
        return resource_url(base, self._study, series, instance.tags[SOP_INSTANCE_UID])
