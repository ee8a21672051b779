"""What `bench dicomweb` asks is what servers understand."""

import pytest

from api.dicomweb.search.request import parse_search
from events.identifiers import Level
from tools.bench.web_searching import KINDS


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_every_kind_asks_for_something_that_is_known(name: str) -> None:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    path, _, query = kind.query(12_345, 1).partition("?")
    level = {"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.INSTANCE}[path.rpartition("/")[2]]
    assert parse_search(query, level, is_case_sensitive=False).limit in {0, 101}


def test_the_lists_are_those_that_ohif_asks_for() -> None:
    (kind,) = (kind for kind in KINDS if kind.name == "first page")
    assert kind.query(0, 1) == "studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
