"""Whether a series is complete, as Orthanc tells it from the instances' indexes (`Status` of `/series/{id}`)."""

from collections.abc import Iterable


def series_status(expected: int | None, indexes: Iterable[int | None]) -> str:
    """Return Orthanc's `Status`: "Complete", "Missing", "Inconsistent" or "Unknown".

    `indexes` are the instances' IndexInSeries. Unknown: no number was announced. Inconsistent: an instance without
    index, outside 1…expected, or two with the same.
    """
    if expected is None:
        return "Unknown"
    seen: set[int] = set()
    for index in indexes:
        if index is None or not 1 <= index <= expected or index in seen:
            return "Inconsistent"
        seen.add(index)
    return "Complete" if len(seen) == expected else "Missing"
