"""Certificates for tests, made by the `openssl` command: an authority, two it has signed, and one nobody knows."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: Identity
    server: Identity
    client: Identity
    stranger: Identity  # signed by itself

    @property
    def trusted(self) -> Path:
        return self.authority.certificate


def make_certificates(folder: Path) -> Certificates:
    authority, stranger = (_make_authority(folder, name) for name in ("authority", "stranger"))
    server, client = (_make_signed(folder, name, authority) for name in ("server", "client"))
    return Certificates(authority, server, client, stranger)


def _make_authority(folder: Path, name: str) -> Identity:
    made = Identity(folder / f"{name}.crt", folder / f"{name}.key")
    _openssl("req", "-x509", *_new_key(made.key), "-out", made.certificate, "-days", "2", "-subj", f"/CN={name}")
    return made


def _make_signed(folder: Path, name: str, authority: Identity) -> Identity:
    made = Identity(folder / f"{name}.crt", folder / f"{name}.key")
    request = folder / f"{name}.csr"
    _openssl("req", *_new_key(made.key), "-out", request, "-subj", f"/CN={name}")
    signer = ("-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial")
    _openssl("x509", "-req", "-in", request, *signer, "-out", made.certificate, "-days", "2")
    return made


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-keyout", path)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
