"""What one dataset may cost: elements, items and fragments by the million, depth, and what is deflated.

All limits are ours; Orthanc has none of them.
"""

import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from events.errors import Busy, InvalidDicom, StorageFull
from store.dicom import inflating
from store.dicom import limits as limits_module
from store.dicom.content import content
from store.dicom.identifier import decode_dataset, pick
from store.dicom.inflating import InflatedFile, inflate
from store.dicom.limits import LARGE_ELEMENTS, LARGE_INFLATED_BYTES, Limits, large_datasets, set_limits
from store.dicom.part10 import open_part10
from store.dicom.rendering import render_tags
from store.dicom.summary import summarize
from store.dicom.uids import DEFLATED_LE, EXPLICIT_LE, IMPLICIT_LE
from tests.unit.store_dicom.dicom_bytes import (
    SEQUENCE_END,
    UNDEFINED,
    explicit,
    identity,
    implicit,
    implicit_instance,
    instance,
    item,
    open_item,
    open_sequence,
    part10,
    sequence,
)

ELEMENTS, STORED = 30_000, 60_000
NAME = explicit(0x00400009, "SH", b"")
JPEG = "1.2.840.10008.1.2.4.50"


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    set_limits(Limits(inflated_bytes=4 << 20, elements=ELEMENTS, stored_elements=STORED))
    yield
    set_limits(Limits())


def fragments(count: int) -> bytes:
    pixels = explicit(0x7FE00010, "OB", item(b"") * count + SEQUENCE_END, UNDEFINED)
    return part10(identity() + pixels, JPEG)


FILES: dict[str, Callable[[int], bytes]] = {
    "items": lambda count: instance(sequence(0x0040A730, item(b"") * count)),
    "open items": lambda count: instance(open_sequence(0x0040A730, open_item(b"") * (count // 2))),
    "elements of an item": lambda count: instance(sequence(0x0040A730, item(NAME * count))),
    "elements in implicit VR": lambda count: implicit_instance(
        b"".join(implicit(0x30010000 + number, b"") for number in range(count))
    ),
    "elements in explicit VR": lambda count: instance(NAME * count),
    "items of a private tag": lambda count: instance(
        explicit(0x00111010, "UN", item(b"") * count + SEQUENCE_END, UNDEFINED)
    ),
    "fragments": fragments,
    "items of an indexed tag": lambda count: instance(sequence(0x00400275, item(b"") * count)),
}
READERS: dict[str, Callable[[bytes], object]] = {
    "tags": render_tags,
    "content": lambda data: content(data, []),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_with_too_many_elements_is_not_stored(kind: str) -> None:
    with pytest.raises(InvalidDicom, match="too many elements"):
        summarize(FILES[kind](2 * STORED))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", FILES)
def test_what_is_stored_may_be_too_much_to_be_shown(kind: str, reader: str) -> None:
    data = FILES[kind](ELEMENTS + 20_000)
    assert summarize(data).study_uid == "1.2.3"
    with pytest.raises(InvalidDicom, match="MaximumDatasetElements"):
        READERS[reader](data)
    assert pick(data, (0x00100020, 0x0020000D), "Latin1") == {0x00100020: "P1", 0x0020000D: "1.2.3"}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_below_the_limits_is_shown(kind: str) -> None:
    data = FILES[kind](LARGE_ELEMENTS + 100)
    assert summarize(data).study_uid == "1.2.3"
    assert render_tags(data)["0020,000d"]["Value"] == "1.2.3"


@pytest.mark.parametrize("kind", FILES)
def test_the_structure_of_a_file_is_proved_without_holding_it(kind: str) -> None:
    data = FILES[kind](40_000)
    tracemalloc.start()
    try:
        summarize(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", [101, 10_000])
@pytest.mark.parametrize("reader", [summarize, render_tags, lambda data: pick(data, (0x00100020,), "Latin1")])
def test_items_are_not_nested_without_end(depth: int, reader: Callable[[bytes], object]) -> None:
    nested = b""
    for _ in range(depth):
        nested = open_sequence(0x0040A730, open_item(nested))
    with pytest.raises(InvalidDicom, match="nested more than 100 deep"):
        reader(instance(nested))


def test_file_meta_information_has_an_end() -> None:
    meta = explicit(0x00020016, "AE", b"") * 20_000
    with pytest.raises(InvalidDicom, match="meta information has too many"):
        summarize(bytes(128) + b"DICM" + meta + identity())


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE])
@pytest.mark.parametrize("count", [10_001, 100_000])
def test_an_identifier_of_a_query_has_an_end(syntax: str, count: int) -> None:
    one = implicit(0x00400009, b"") if syntax == IMPLICIT_LE else NAME
    with pytest.raises(InvalidDicom, match="too many elements"):
        decode_dataset(one * count, syntax, "Latin1")


def test_large_datasets_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "WAIT_S", 0.05)
    large, small = FILES["items"](LARGE_ELEMENTS + 1), FILES["items"](LARGE_ELEMENTS - 100)
    seen: list[object] = []

    def other() -> None:
        render_tags(small)
        try:
            render_tags(large)
        except Busy as exc:
            seen.append(exc)

    with large_datasets.scope():
        render_tags(large)
        render_tags(large)  # the same reader may go on
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert [type(each) for each in seen] == [Busy]
    assert render_tags(large)


# -- deflated datasets ------------------------------------------------------------------------------------------------


def deflated(size: int, head: bytes = b"") -> bytes:
    """A file whose dataset ends with `size` bytes of zeros as Pixel Data."""
    stream = zlib.compressobj(9, wbits=-15)
    packed = stream.compress((head or identity()) + explicit(0x7FE00010, "OB", b"", size))
    for start in range(0, size, 1 << 20):
        packed += stream.compress(bytes(min(1 << 20, size - start)))
    return part10(packed + stream.flush(), DEFLATED_LE)


@pytest.mark.parametrize("size", [0, 1000, LARGE_INFLATED_BYTES, LARGE_INFLATED_BYTES + 2, (4 << 20) - 1000])
def test_an_honest_deflated_dataset_is_read_up_to_the_limit(size: int) -> None:
    data = deflated(size)
    assert summarize(data).study_uid == "1.2.3"
    assert render_tags(data)["0020,000d"]["Value"] == "1.2.3"
    assert content(data, ["7fe0-0010", "0"]) == bytes(size)
    assert isinstance(open_part10(data).data, InflatedFile) == (size >= LARGE_INFLATED_BYTES)


@pytest.mark.parametrize("size", [4 << 20, 64 << 20])
def test_a_deflated_bomb_is_refused_and_its_place_is_free_again(size: int) -> None:
    for _ in range(5):
        with pytest.raises(InvalidDicom, match="MaximumInflatedSizeMB"):
            summarize(deflated(size))
    assert summarize(deflated(2 << 20)).study_uid == "1.2.3"


def test_a_large_deflated_dataset_is_not_held_in_memory() -> None:
    set_limits(Limits())
    data = deflated(20 << 20)
    tracemalloc.start()
    try:
        summarize(data)
        render_tags(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * LARGE_INFLATED_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [1, 3, 500])
def test_a_large_deflated_dataset_that_is_cut_short_is_refused(cut: int) -> None:
    data = deflated(3 << 20)
    for _ in range(5):
        with pytest.raises(InvalidDicom):
            summarize(data[:-cut])
    assert summarize(data).study_uid == "1.2.3"


def test_two_large_deflated_datasets_are_open_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "WAIT_S", 0.05)
    data = deflated(2 << 20)
    held = [open_part10(data), open_part10(data)]
    with pytest.raises(Busy, match="deflated"):
        open_part10(data)
    assert open_part10(deflated(1000)).syntax.deflated  # a small one needs no place
    held.pop()
    assert summarize(data).study_uid == "1.2.3"


def test_no_room_for_an_inflated_dataset_is_told(tmp_path: object) -> None:
    set_limits(Limits(folder=f"{tmp_path}/gone"))
    with pytest.raises(StorageFull, match="folder for temporary files"):
        inflate(zlib.compress(bytes(2 << 20), wbits=-15), 0)
