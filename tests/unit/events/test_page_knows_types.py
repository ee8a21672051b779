"""The page offers the types of events as a list of its own."""

import re
from pathlib import Path

from events.envelope import EVENT_TYPES

PAGE = Path(__file__).parents[3] / "api" / "ui" / "source" / "src" / "events" / "types.ts"


def test_the_page_offers_every_type_of_event() -> None:
    listed = re.findall(r'"([a-z]+(?:-[a-z]+)+)"', PAGE.read_text())
    assert len(listed) == len(set(listed))
    assert set(listed) == {tag.partition("/")[0] for tag in EVENT_TYPES}
