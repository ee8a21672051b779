"""What opens doors is kept in the log and shown to nobody."""

import msgpack
import pytest

from actors.messages.commands.dicomweb_servers import ChangeDicomWebServer, StoreDicomWebServer
from actors.messages.commands.peers import ChangePeer, StorePeer
from events import envelope
from events.dicomweb_servers import DicomWebServerStored
from events.event import secret_names
from events.identifiers import Seq
from events.peers import PeerStored
from store.views.feed import HIDDEN, read_entry
from tests.golden.samples import EVENTS

STORED = EVENTS[PeerStored.TAG]
SECRETS = ("password", "headers", "private_key_password")


def test_the_secrets_of_a_peer_are_told_apart() -> None:
    assert secret_names(PeerStored) == set(SECRETS)
    assert secret_names(DicomWebServerStored) == set(SECRETS)
    with_secrets = [tag for tag, sample in EVENTS.items() if secret_names(type(sample))]
    assert with_secrets == [PeerStored.TAG, DicomWebServerStored.TAG]


def test_a_reader_of_the_log_is_told_that_they_are_there() -> None:
    made = envelope.encode(STORED, at_us=1, aggregate=b"", actor="rest", correlation=b"", previous_hash=bytes(32))
    assert made.personal_row is not None
    assert "Token" in str(msgpack.unpackb(made.personal_row))
    entry = read_entry(Seq(1), made.row, made.personal_row)
    assert entry.personal is not None
    assert {name: entry.personal[name] for name in SECRETS} == dict.fromkeys(SECRETS, HIDDEN)
    assert (entry.public["name"], entry.personal["url"]) == ("other", "https://192.0.2.7/")


@pytest.mark.parametrize("command", [StorePeer, ChangePeer, StoreDicomWebServer, ChangeDicomWebServer])
def test_no_text_of_an_event_or_a_command_has_them(command: type[StorePeer]) -> None:
    values = {"name": "other", "password": "secret-word"}
    assert "secret-word" not in repr(command(values=values, correlation=b""))
    assert not [name for name in SECRETS if f"{name}=" in repr(STORED)]
