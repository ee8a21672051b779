"""Bodies: their ends, their limits, gzip."""

import gzip
import io
from typing import Any

import falcon
import pytest
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BodyTooLarge, OutOfRange
from api.rest.serving.body import CHUNK_BYTES, read_chunks, read_text
from api.rest.serving.inflating import inflate
from api.rest.settings import RestSettings
from events.errors import InvalidDicom, InvalidRequest

MIB = 1 << 20


def request(body: bytes, declared: int | None = None, **headers: str) -> falcon.Request:
    environ: dict[str, Any] = testing.create_environ(method="POST", headers=headers)
    environ["wsgi.input"] = io.BytesIO(body)
    environ.pop("CONTENT_LENGTH", None)
    if declared is not None:
        environ["CONTENT_LENGTH"] = str(declared)
    return falcon.Request(environ)


def read(req: falcon.Request, **settings: Any) -> bytes:
    return b"".join(read_chunks(req, RestSettings(**settings)))


def test_a_body_of_stated_length_ends_there() -> None:
    assert read(request(b"abcdef", 3)) == b"abc"


def test_a_body_without_length_ends_with_the_stream() -> None:
    assert read(request(b"abcdef")) == b"abcdef"


def test_a_body_shorter_than_stated_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read(request(b"abc", 4))


@pytest.mark.parametrize("declared", [2 * MIB + 1, None])
def test_a_body_above_the_ceiling_is_refused(declared: int | None) -> None:
    with pytest.raises(BodyTooLarge):
        read(request(b"x" * (2 * MIB + 1), declared), maximum_request_body_size_mb=2)


def test_no_ceiling_where_the_option_is_zero() -> None:
    assert len(read(request(b"x" * (2 * MIB + 1)), maximum_request_body_size_mb=0)) == 2 * MIB + 1


def test_a_length_that_is_no_number_is_refused() -> None:
    req = request(b"")
    req.env["CONTENT_LENGTH"] = "1e3"
    with pytest.raises(InvalidRequest):
        read(req)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP"])
def test_gzip_is_inflated(encoding: str) -> None:
    assert read(request(gzip.compress(b"abc"), None, **{"Content-Encoding": encoding})) == b"abc"


@pytest.mark.parametrize("encoding", ["br", "identity", "deflate", "x-gzip"])
def test_other_encodings_pass_through(encoding: str) -> None:
    assert read(request(b"abc", None, **{"Content-Encoding": encoding})) == b"abc"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 100))
def test_members_of_a_gzip_stream_are_joined_however_it_is_cut(members: list[bytes], size: int) -> None:
    packed = b"".join(map(gzip.compress, members))
    chunks = (packed[start : start + size] for start in range(0, len(packed), size))
    assert b"".join(inflate(chunks, 0)) == b"".join(members)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_gzip_stream_that_is_cut_is_refused(content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content)
    length = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(InvalidDicom):
        list(inflate(iter([packed[:length]]), 0))


def test_garbage_for_gzip_is_refused() -> None:
    with pytest.raises(InvalidDicom):
        list(inflate(iter([b"junk"]), 0))


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    pieces: list[int] = []
    with pytest.raises(InvalidDicom, match="MaximumFileSizeInArchiveMB"):
        pieces.extend(map(len, inflate(iter([gzip.compress(b"\0" * (20 * MIB))]), MIB)))
    assert sum(pieces) <= MIB
    assert max(pieces) <= CHUNK_BYTES


def test_an_argument_may_not_be_endless() -> None:
    with pytest.raises(OutOfRange):
        read_text(request(b"x" * (MIB + 1)))
