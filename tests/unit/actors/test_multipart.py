"""Forms are taken apart as they come, however the bytes are cut."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.wire.multipart import (
    MAX_HEADER_BYTES,
    Mark,
    PartHeaders,
    draw_boundary,
    parse_boundary,
    parts,
    split,
    write_parts,
)
from events.errors import InvalidRequest

HEADER = b'Content-Disposition: form-data; name="f"; filename="a.dcm"'


def form(parts: list[bytes], boundary: bytes = b"XX", header: bytes = HEADER) -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + header + b"\r\n\r\n" + part + b"\r\n" for part in parts)
    return body + b"--" + boundary + b"--\r\n"


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def parts_of(chunks: Iterator[bytes], boundary: bytes = b"XX") -> list[bytes]:
    parts, part = [], b""
    for piece in split(chunks, boundary):
        if isinstance(piece, Mark):
            parts.append(part)
            part = b""
        elif isinstance(piece, bytes):
            part += piece
    assert part == b""
    return parts


PART = st.binary(max_size=200) | st.sampled_from([b"", b"\r\n", b"\r\n--", b"\r\n--X", b"--XX", b"\r\n--XY\r\n", b"\r"])


@given(st.lists(PART.filter(lambda part: b"\r\n--XX" not in b"\r\n" + part), max_size=4), st.integers(1, 64))
def test_every_part_arrives_whole_however_the_body_is_cut(parts: list[bytes], size: int) -> None:
    assert parts_of(cut(form(parts), size)) == parts


def test_preamble_and_epilogue_are_no_parts() -> None:
    body = b"preamble\r\n" + form([b"one"]) + b"epilogue\r\n--XX\r\n\r\nnot a part"
    assert parts_of(iter([body])) == [b"one"]


def test_a_part_may_have_no_headers() -> None:
    assert parts_of(iter([b"--XX\r\n\r\none\r\n--XX--\r\n"])) == [b"one"]


def test_a_body_without_boundary_holds_nothing() -> None:
    assert parts_of(iter([b"garbage"])) == []


TWO = form([b"one", b"two"])
DELIMITERS = (TWO.index(b"--XX"), TWO.index(b"\r\n--XX", 4) + 2, TWO.rindex(b"--XX"))
ENDS = {place + 4 + more for place in DELIMITERS for more in range(3)}  # cut right behind a delimiter, or its line


@pytest.mark.parametrize("length", sorted(set(range(8, len(TWO) - 4)) - ENDS))
def test_a_form_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(InvalidRequest):
        list(split(iter([TWO[:length]]), b"XX"))


@pytest.mark.parametrize("end", [b"", b"-", b"--", b"--\r\n", b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_last_boundary_ends_the_form_with_and_without_its_hyphens(end: bytes, size: int) -> None:
    body = TWO[: DELIMITERS[2] + 4] + end
    assert parts_of(cut(body, size)) == [b"one", b"two"]


@pytest.mark.parametrize("length", range(DELIMITERS[1] + 4, len(TWO) - 2))
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_has_to_be_closed_is_refused_without_the_hyphens(length: int, size: int) -> None:
    got: list[bytes] = []
    with pytest.raises(InvalidRequest) if length < len(TWO) - 2 else nullcontext():
        got.extend(b"".join(part) for _, part in parts(cut(TWO[:length], size), b"XX", is_closed=True))
    assert got == [b"one", b"two"][: 1 + (length >= DELIMITERS[2] + 4)]


def test_endless_headers_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        list(split(iter([b"--XX\r\n", b"a" * (MAX_HEADER_BYTES + 1), b"b"]), b"XX"))


def test_pieces_are_no_larger_than_what_came() -> None:
    body = form([b"x" * 1_000_000])
    assert max(len(piece) for piece in split(cut(body, 1000), b"XX") if isinstance(piece, bytes)) < 2000


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=XX", b"XX"),
        ('multipart/form-data; boundary="X X"', b"X X"),
        ("Multipart/Form-Data; BOUNDARY=XX", b"XX"),
        ("multipart/form-data; charset=utf-8; boundary=XX; foo=bar", b"XX"),
        ("multipart/form-data; boundary = XX", b"XX"),
        ("multipart/form-data; boundary= XX", b"XX"),
        ("multipart/form-data ;boundary =\tXX ;charset=utf-8", b"XX"),
        ('multipart/form-data; boundary = "X;X" ; charset=utf-8', b"X;X"),
        ("multipart/form-data; boundary='XX'", b"'XX'"),
        ('multipart/form-data; boundary="XX', b'"XX'),
        ('multipart/form-data; boundary=XX"', b'XX"'),
        ("multipart/form-data; xboundary=YY; boundary=XX", b"XX"),
        ("multipart/form-data; boundary=YY; boundary=XX", b"XX"),
        ('multipart/form-data; charset="; boundary=YY"; boundary=XX', b"XX"),
        ('multipart/form-data; boundary=""', None),
        ("multipart/form-datax; boundary=XX", None),
        ("multipart/form-data, boundary=XX", None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/related; boundary=XX", None),
        ("application/dicom", None),
        ("", None),
    ],
)
def test_the_boundary_is_found_where_orthanc_finds_it(content_type: str, boundary: bytes | None) -> None:
    assert parse_boundary(content_type) == boundary


NAME = st.text("abcdefghij-", min_size=1, max_size=8)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
WRITTEN = st.lists(st.tuples(st.dictionaries(NAME, VALUE, max_size=3), st.lists(PART, max_size=3)), max_size=4)


@given(WRITTEN, st.integers(1, 64))
def test_what_is_written_is_read(written: list[tuple[dict[str, str], list[bytes]]], size: int) -> None:
    boundary = draw_boundary()
    body = b"".join(write_parts([(PartHeaders(headers), content) for headers, content in written], boundary))
    read = [(dict(headers), b"".join(content)) for headers, content in parts(cut(body, size), boundary)]
    assert read == [(headers, b"".join(content)) for headers, content in written]


def test_headers_are_named_in_lower_case_and_may_be_folded() -> None:
    body = b"--XX\r\nContent-Type: multipart/related;\r\n\ttype=a\r\nno header\r\nCONTENT-ID : <1>\r\n\r\none\r\n--XX--"
    ((headers, content),) = ((headers, b"".join(content)) for headers, content in parts(iter([body]), b"XX"))
    assert (headers, content) == ({"content-type": "multipart/related; type=a", "content-id": "<1>"}, b"one")
