"""`/changes` is written by a form of its own: the bytes are the encoder's."""

import pytest

from api.rest.changes import encode_changes, render_changes
from api.rest.serving import orthanc_json
from events.identifiers import Level, ResourceId, Seq
from store.projections.changes import ChangeType
from store.records import Change, ChangesPage


def change(seq: int, kind: ChangeType, level: Level) -> Change:
    return Change(Seq(seq), kind.name, level, ResourceId(bytes(range(seq % 200, seq % 200 + 20))), seq % 1000 * 10**6)


def pages() -> list[ChangesPage]:
    all_kinds = [
        change(number, kind, level) for number, (kind, level) in enumerate((k, v) for k in ChangeType for v in Level)
    ]
    return [
        ChangesPage([], True, 0, 12),
        ChangesPage(all_kinds[:1], False, 1, 1),
        ChangesPage(all_kinds, True, all_kinds[0].seq, all_kinds[-1].seq),
        ChangesPage([change(2**63 - 1, ChangeType.NewInstance, Level.INSTANCE)], False, 2**63 - 1, 2**63 - 1),
    ]  # fmt: skip


@pytest.mark.parametrize("page", pages(), ids=lambda page: f"{len(page.changes)} changes")
def test_a_page_is_as_the_encoder_writes_it(page: ChangesPage) -> None:
    assert encode_changes(page) == orthanc_json.encode(render_changes(page))
