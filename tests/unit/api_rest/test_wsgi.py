"""What a request's headers are in its environment, and that strangers do not fill our memory with their names."""

import pytest

from api.rest.serving import wsgi


def test_headers_have_the_names_of_cgi_and_those_that_come_twice_are_joined() -> None:
    headers = [(b"Content-Type", b"a/b"), (b"X-Long-" + b"y" * 100, b"1"), (b"Accept", b"c"), (b"ACCEPT", b"d")]
    assert wsgi._header_variables(headers) == {
        "CONTENT_TYPE": "a/b",
        "HTTP_X_LONG_" + "Y" * 100: "1",
        "HTTP_ACCEPT": "c, d",
    }


def test_few_and_short_names_alone_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "_variables", {})
    longest = b"a" * wsgi.LONGEST_KEPT_NAME
    for name in (longest, longest + b"a", b"b" * 30_000):
        wsgi._header_variables([(name, b"")])
    assert set(wsgi._variables) == {longest}
    wsgi._header_variables((b"%d" % number, b"") for number in range(2 * wsgi.MOST_KEPT_NAMES))
    assert len(wsgi._variables) == wsgi.MOST_KEPT_NAMES
