"""Gzip bodies within limits: of bytes, members, ratio, and of what all requests inflate together."""

import gzip
import random
from collections.abc import Iterator

import pytest

from api.rest.serving import inflating
from api.rest.serving.inflating import MAXIMUM_MEMBERS, UnderWay, inflate
from events.errors import Busy, InvalidDicom

LARGE = gzip.compress(bytes(1_000_000), mtime=0)


def cut(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_the_limit_of_bytes_is_that_of_what_is_inflated(size: int) -> None:
    assert len(b"".join(inflate(cut(LARGE, size), 1_000_000))) == 1_000_000
    with pytest.raises(InvalidDicom, match="MaximumFileSizeInArchiveMB"):
        list(inflate(cut(LARGE, size), 999_999))


def test_members_count_together_and_have_a_limit() -> None:
    with pytest.raises(InvalidDicom, match="MaximumFileSizeInArchiveMB"):
        list(inflate(cut(LARGE * 3), 2_000_000))
    empty = gzip.compress(b"", mtime=0)
    assert list(inflate(cut(empty * MAXIMUM_MEMBERS, 1 << 18), 0)) == []
    with pytest.raises(InvalidDicom, match="members"):
        list(inflate(cut(empty * (MAXIMUM_MEMBERS + 1), 1 << 18), 0))


def test_what_is_large_may_not_be_many_times_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "FREE_BYTES", 500_000)
    with pytest.raises(InvalidDicom, match="200 times"):
        list(inflate(cut(LARGE), 0))
    dense = gzip.compress(random.Random(1).randbytes(8_000) * 125, compresslevel=1, mtime=0)
    assert len(dense) * inflating.MAXIMUM_RATIO > 1_000_000
    assert len(b"".join(inflate(cut(dense), 0))) == 1_000_000
    monkeypatch.setattr(inflating, "FREE_BYTES", 1_000_000)
    assert len(b"".join(inflate(cut(LARGE), 0))) == 1_000_000


def test_all_requests_together_have_a_limit_and_give_back_what_they_took() -> None:
    under_way = UnderWay()
    first = inflate(cut(LARGE), 0, 1_500_000, under_way)
    assert sum(len(piece) for piece in (next(first) for _ in range(3))) > 500_000
    with pytest.raises(Busy, match="MaximumArchiveSizeMB"):
        list(inflate(cut(LARGE), 0, 1_500_000, under_way))
    first.close()  # type: ignore[attr-defined]  # a generator: its request has ended, however it did
    assert len(b"".join(inflate(cut(LARGE), 0, 1_500_000, under_way))) == 1_000_000
    assert len(b"".join(inflate(cut(LARGE), 0, 1_500_000, under_way))) == 1_000_000


@pytest.mark.parametrize("damage", [LARGE[:-1], LARGE[:5], LARGE + b"junk", LARGE[:50] + b"\xff" * 20 + LARGE[70:]])
def test_a_damaged_stream_gives_back_what_it_took(damage: bytes) -> None:
    under_way = UnderWay()
    with pytest.raises(InvalidDicom):
        list(inflate(cut(damage), 0, 1_000_000, under_way))
    assert len(b"".join(inflate(cut(LARGE), 0, 1_000_000, under_way))) == 1_000_000
