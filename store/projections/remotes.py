"""Rows of remotes, modalities, peers and DICOMweb servers: the plain values of the event that stored each."""

from dataclasses import fields
from typing import Any

import msgpack

from events.dicomweb_servers import DicomWebServerStored
from events.peers import PeerStored
from events.server import ModalityStored
from store.damaged_rows import decodes


def pack_remote(event: ModalityStored | PeerStored | DicomWebServerStored) -> bytes:
    packed: bytes = msgpack.packb({f.name: getattr(event, f.name) for f in fields(event)})
    return packed


@decodes
def unpack_remote(row: bytes) -> dict[str, Any]:
    values: dict[str, Any] = msgpack.unpackb(row)
    return values
