"""Addresses in answers are those under which the client, or its proxy, knows this server."""

import falcon
import pytest
from falcon.testing import create_environ

from actors.messages.dicomweb_settings import DicomWebSettings
from api.dicomweb.base_url import base_url, resource_url
from api.rest.settings import RestSettings


def base(headers: dict[str, str], scheme: str = "http", **options: str | bool) -> str:
    environ = create_environ(host="own.org", port=8042, scheme=scheme, headers=headers)
    return base_url(falcon.Request(environ), RestSettings(dicom_web=DicomWebSettings(**options)))  # type: ignore[arg-type] # options of any type


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, "http://own.org:8042"),
        ({"Host": "[::1]:8042"}, "http://[::1]:8042"),
        ({"Host": "no host"}, "http://localhost:8042"),
        ({"Forwarded": "host=f.org;proto=https;for=1.2.3.4"}, "https://f.org"),
        ({"Forwarded": "for=1 ; HOST=f.org; Proto=HTTPS"}, "https://f.org"),
        ({"Forwarded": 'host="f.org:99";proto=https, host=second.org'}, "https://f.org:99"),
        ({"Forwarded": "proto=https"}, "https://own.org:8042"),
        ({"Forwarded": 'host="a b";proto=gopher'}, "http://own.org:8042"),
        ({"Forwarded": "of no use"}, "http://own.org:8042"),
        ({"X-Forwarded-Host": "x.org", "X-Forwarded-Proto": "https"}, "https://x.org"),
        ({"X-Forwarded-Host": "x.org, y.org", "X-Forwarded-Proto": "https, http"}, "https://x.org"),
        ({"X-Forwarded-Host": "x.org"}, "http://own.org:8042"),  # so the plugin
        ({"X-Forwarded-Proto": "https"}, "http://own.org:8042"),  # likewise
        ({"Forwarded": "host=f.org", "X-Forwarded-Host": "x.org", "X-Forwarded-Proto": "https"}, "http://f.org"),
    ],
)
def test_the_host_is_that_which_the_client_asks(headers: dict[str, str], wanted: str) -> None:
    assert base(headers) == f"{wanted}/dicom-web"


def test_options_go_before_what_a_request_tells() -> None:
    forwarded = {"Forwarded": "host=f.org;proto=http"}
    assert base(forwarded, host="h.org:5", is_https=True, public_root="/pub/x/") == "https://h.org:5/pub/x"
    assert base({}, is_https=True) == "https://own.org:8042/dicom-web"
    assert base(forwarded, is_https=True) == "http://f.org/dicom-web"
    assert base({}, root="/") == "http://own.org:8042"


def test_a_server_of_https_says_so() -> None:
    assert base({}, scheme="https") == "https://own.org:8042/dicom-web"


def test_uids_are_quoted_in_an_address() -> None:
    assert resource_url("http://h/d", "1.2", "3/4 5") == "http://h/d/studies/1.2/series/3%2F4%205"
