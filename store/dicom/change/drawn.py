"""New UIDs and patient identifiers, drawn once: each follows from the old one and a secret that the request has drawn.

So a UID becomes the same new UID in whichever instance, item and reference it stands, and in whichever process and run of a job it is met;
the plan of a job keeps nothing but the secret. Nobody who does not have the secret can tell the old UID from the new one (a keyed hash).
"""

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Final

SECRET_BYTES: Final = 32


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


class Drawn:
    """What becomes of UIDs and of PatientIDs, which are given as bytes without padding."""

    def __init__(self, secret: bytes, known: Mapping[bytes, bytes] | None = None) -> None:
        """`known` UIDs and PatientIDs become what it says, such as those that are kept."""
        self._secret = secret
        self._known = dict(known or {})

    def with_known(self, known: Mapping[bytes, bytes]) -> "Drawn":
        return Drawn(self._secret, {**self._known, **known})

    def uid(self, old: bytes) -> bytes:
        """Return the new UID (PS3.5 §B.2); an empty one stays."""
        known = self._known.get(old)
        if known is not None or not old:
            return known or b""
        return b"2.25.%d" % self._uuid(b"uid", old).int

    def patient_id(self, old: bytes) -> bytes:
        """Return the new PatientID, a UUID as from Orthanc."""
        known = self._known.get(old)
        return known if known is not None else str(self._uuid(b"patient", old)).encode()

    def _uuid(self, kind: bytes, old: bytes) -> uuid.UUID:
        digest = hashlib.blake2b(old, digest_size=16, key=self._secret, person=kind).digest()
        return uuid.UUID(bytes=digest, version=4)
