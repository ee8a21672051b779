"""Correlation of what one request causes: the same random bytes stand in every event of it."""

import secrets

CORRELATION_BYTES = 8


def new_correlation() -> bytes:
    return secrets.token_bytes(CORRELATION_BYTES)
