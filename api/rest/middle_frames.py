"""The frame that stands for a series or a study in a picture: the one in the middle of the series, of the largest series of the study."""

from actors.services.images.slice_order import NoOrder, count_frames, order_slices
from events.errors import NotFound
from events.identifiers import Level
from store.records import Instance, Resource
from store.views.snapshot import Snapshot


def series_of(snapshot: Snapshot, resource: Resource) -> list[Resource]:
    """Return the series of a study, the largest first, or a series alone."""
    if resource.level is Level.SERIES:
        return [resource]
    held = [each for each in snapshot.children(resource) if isinstance(each, Resource)]
    return sorted(held, key=lambda each: -each.instance_count)


def ordered_instances(snapshot: Snapshot, series: Resource) -> list[Instance]:
    """Return the instances of a series in the order of its slices, or as they came where nothing tells of one."""
    instances = [each for each in snapshot.children(series) if isinstance(each, Instance)]
    try:
        return [*order_slices(instances).instances]
    except NoOrder:
        return instances


def middle_of(snapshot: Snapshot, series: Resource) -> tuple[Instance, int]:
    """Return the instance and the index of the frame in the middle of a series. Raises NotFound, if it has been deleted."""
    ordered = ordered_instances(snapshot, series)
    if not ordered:
        raise NotFound
    counts = [max(1, count_frames(instance)) for instance in ordered]
    middle = sum(counts) // 2
    place = 0
    while middle >= counts[place]:
        middle -= counts[place]
        place += 1
    return ordered[place], middle
