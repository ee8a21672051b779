"""Where associations go: a request's wishes before the modality's before the configuration's."""

from pathlib import Path

import pytest

from actors.services.remote.modality import Modality
from actors.services.remote.target import ScuSettings
from actors.wire.errors import RemoteFailed
from actors.wire.tls import TlsSettings

TLS = TlsSettings(certificate=Path("c"), private_key=Path("k"), trusted=Path("t"))


def modality(**values: object) -> Modality:
    return Modality(**{"name": "a", "aet": "THERE", "host": "h", "port": 104, **values})  # type: ignore[arg-type]


def test_the_configurations_values_hold_where_nobody_says_otherwise() -> None:
    target = ScuSettings(aet="US", timeout_s=7, maximum_pdu_length=5000, tls=TLS).target(modality())
    assert (target.host, target.port, target.called_aet, target.calling_aet) == ("h", 104, "THERE", "US")
    assert (target.timeout_s, target.maximum_pdu_length, target.tls) == (7, 5000, None)


def test_the_modalitys_values_come_before_the_configurations() -> None:
    target = ScuSettings(aet="US", tls=TLS).target(modality(local_aet="ME", timeout_s=3, use_tls=True))
    assert (target.calling_aet, target.timeout_s, target.tls) == ("ME", 3, TLS)


def test_the_requests_values_come_first() -> None:
    target = ScuSettings(aet="US").target(modality(local_aet="ME", timeout_s=3), local_aet="I", timeout_s=0)
    assert (target.calling_aet, target.timeout_s) == ("I", 0)


@pytest.mark.parametrize(
    ("tls", "missing"),
    [
        (None, "DicomTlsCertificate and DicomTlsPrivateKey are"),
        (TlsSettings(certificate=Path("c"), private_key=Path("k")), "DicomTlsTrustedCertificates is"),
    ],
)
def test_tls_without_what_it_takes_is_refused(tls: TlsSettings | None, missing: str) -> None:
    with pytest.raises(RemoteFailed, match=missing) as raised:
        ScuSettings(tls=tls).target(modality(use_tls=True))
    assert raised.value.code == 6


def test_without_certificates_required_none_need_be_trusted() -> None:
    tls = TlsSettings(certificate=Path("c"), private_key=Path("k"), is_remote_certificate_required=False)
    assert ScuSettings(tls=tls).target(modality(use_tls=True)).tls is tls
