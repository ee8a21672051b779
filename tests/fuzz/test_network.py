"""PDUs and DIMSE messages that are nearly right, to this server and as the answers of peers.

A conversation is sent as a whole; the other end is served in this thread, to the end of what came. Nothing waits.
"""

import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.messages.worklist_settings import WorklistSettings
from actors.services.remote import echo_scu, find_scu, get_scu, move_scu, requestor, store_scu
from actors.services.remote.association import Association
from actors.services.remote.modality import Operation
from actors.services.remote.target import Target
from actors.wire.dicom import pdu
from actors.wire.dicom.command import decode_command
from actors.wire.dicom.connection import Connection
from actors.wire.dicom.ending import AssociationEnded, Violation
from actors.wire.errors import RemoteFailed
from api.dicom.acceptor import Acceptor
from api.dicom.commitment_scp import create_commitment_services
from api.dicom.echo_scp import create_echo_service
from api.dicom.find_scp import create_find_service
from api.dicom.service import Services
from api.dicom.settings import DicomSettings
from api.dicom.store_scp import create_store_service
from api.dicom.worklist_scp import create_worklist_service
from store.dicom.matching import Dataset
from store.dicom.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET
from store.views.query import Query
from tests.contract.dicom_fakes import FakeIngest
from tests.dicom_bytes import MR
from tests.fault import raw_association as raw
from tests.fuzz import dicom_inputs
from tests.fuzz.mutation import inputs, nothing_left, told
from tests.worklist_files import write_folder
from tools.server.core import Core

DECODERS: dict[str, Callable[[bytes], object]] = {
    "A-ASSOCIATE-RQ": pdu.decode_associate_request,
    "A-ASSOCIATE-AC": pdu.decode_associate_accept,
    "A-ASSOCIATE-RJ": pdu.decode_associate_reject,
    "command set": decode_command,
}


def seeds(kind: str) -> list[bytes]:
    if kind == "command set":
        return [raw.store_rq(MR, "1.2.3"), answer(0x8001, 1, 0), answer(0x8020, 1, 0xFF00, 1)]
    return [raw.associate_rq()[6:], acceptance()[6:], bytes((0, 1, 1, 1))]


@pytest.mark.parametrize("kind", DECODERS)
def test_what_is_decoded_is_whole_or_a_violation(kind: str) -> None:
    with nothing_left():
        for data in inputs(seeds(kind), dicom_inputs.NETWORK_TOKENS, short=3_000):
            with told(data), contextlib.suppress(Violation):
                DECODERS[kind](data)


# -- as a server ------------------------------------------------------------------------------------------------------


class NoAnswers:
    def find(self, query: Query) -> Iterator[list[Dataset]]:
        assert query
        yield []


SETTINGS = DicomSettings(aet="PEER", always_allowed=frozenset({*Operation}), scp_timeout_s=5)


@contextlib.contextmanager
def conversation(sent: bytes) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection on which one side has sent all that it will ever send; gives both ends, the other one first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname(), timeout=5)
        ours, _ = listener.accept()
    with peer, ours:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no port is left in TIME_WAIT
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        yield ours, peer


def test_a_server_ends_any_association_without_a_defect(
    caplog: pytest.LogCaptureFixture, archive: Core, tmp_path: Path
) -> None:
    ingest = FakeIngest()
    write_folder(tmp_path / "worklists")
    worklists = WorklistSettings(is_enabled=True, folder=tmp_path / "worklists")
    asked: list[object] = []
    services = Services(
        [
            create_echo_service(),
            create_store_service(ingest),
            create_find_service(NoAnswers()),
            create_worklist_service(archive.views, worklists),
            *create_commitment_services(asked.append, lambda _aet, report: asked.append(report)),
        ]
    )
    caplog.set_level(logging.ERROR)
    stored = 0
    with nothing_left():
        for data in inputs(dicom_inputs.requests(), dicom_inputs.NETWORK_TOKENS, short=1_000):
            with told(data), conversation(data) as (ours, _):
                slots = contextlib.nullcontext()
                Acceptor(Connection(ours, timeout_s=5), "127.0.0.1", SETTINGS, services, slots).run()
                assert not caplog.records, caplog.text
            stored += len(ingest.stored)
            ingest.uploads.clear()
    assert stored
    assert asked


# -- as a client ------------------------------------------------------------------------------------------------------


def acceptance() -> bytes:
    """An A-ASSOCIATE-AC that takes what `PROPOSALS` has."""
    syntax = raw.item(0x40, raw.EXPLICIT.encode())
    contexts = b"".join(raw.item(0x21, bytes((number, 0, 0, 0)) + syntax) for number in (1, 3, 5, 7, 9))
    user = raw.item(0x50, raw.item(0x51, struct.pack(">I", 16384)) + raw.item(0x52, b"2.25.7305.9"))
    fixed = struct.pack(">HH16s16s32x", 1, 0, b"PEER".ljust(16), b"OURS".ljust(16))
    return raw.pdu(raw.ASSOCIATE_AC, fixed + raw.item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + user)


def answer(field: int, message_id: int, status: int, dataset: int = 0x0101) -> bytes:
    return raw.command(
        (0x0100, struct.pack("<H", field)),
        (0x0120, struct.pack("<H", message_id)),
        (0x0800, struct.pack("<H", dataset)),
        (0x0900, struct.pack("<H", status)),
    )


PROPOSALS = [
    echo_scu.PROPOSAL,
    requestor.Proposal(MR, (raw.EXPLICIT,)),
    requestor.Proposal(STUDY_ROOT_FIND, (raw.EXPLICIT,)),
    requestor.Proposal("1.2.840.10008.5.1.4.1.2.2.2", (raw.EXPLICIT,)),
    requestor.Proposal(STUDY_ROOT_GET, (raw.EXPLICIT,)),
]
TARGET = Target(host="127.0.0.1", port=1, called_aet="PEER", calling_aet="OURS", timeout_s=5)
Use = Callable[[Association], object]


def identifier(_syntax: str) -> bytes:
    return b"\x08\0\x52\0CS\x06\0STUDY "


def store_one(association: Association) -> object:
    kind = store_scu.Kind(MR, raw.EXPLICIT)
    context, _, _ = store_scu.make_dataset(association, kind, (), lambda _: ("", memoryview(b"")))
    return store_scu.check(association, store_scu.store(association, context, "1.2.3", memoryview(bytes(100))))


def get_all(association: Association) -> object:
    def receive(incoming: get_scu.Incoming) -> int:
        return 0 if sum(map(len, incoming.parts)) else 0xC000

    return list(get_scu.get(association, STUDY_ROOT_GET, identifier, receive))


PENDING = answer(0x8020, 1, 0xFF00, 1)
USES: dict[str, tuple[Use, list[bytes]]] = {
    "C-ECHO": (echo_scu.echo, [raw.p_data(answer(0x8030, 1, 0), 3)]),
    "C-STORE": (store_one, [raw.p_data(answer(0x8001, 1, 0), 3, context=3)]),
    "C-FIND": (
        lambda association: list(find_scu.find(association, STUDY_ROOT_FIND, identifier)),
        [
            raw.p_data(PENDING, 3, context=5),
            raw.p_data(identifier(""), 2, context=5),
            raw.p_data(answer(0x8020, 1, 0), 3, context=5),
        ],
    ),
    "C-MOVE": (
        lambda association: list(move_scu.move(association, PROPOSALS[3].abstract_syntax, identifier, "DEST")),
        [raw.p_data(answer(0x8021, 1, 0xFF00), 3, context=7), raw.p_data(answer(0x8021, 1, 0), 3, context=7)],
    ),
    "C-GET": (
        get_all,
        [
            raw.p_data(raw.store_rq(MR, "1.2.3"), 3, context=3),
            raw.p_data(dicom_inputs.datasets()[0], 2, context=3),
            raw.p_data(answer(0x8010, 1, 0), 3, context=9),
        ],
    ),
}


@pytest.mark.parametrize("service", USES)
def test_a_client_ends_with_an_answer_or_says_what_the_peer_did(service: str) -> None:
    use, answers = USES[service]
    good = b"".join((acceptance(), *answers, raw.pdu(raw.RELEASE_RP, bytes(4))))
    succeeded = 0
    with nothing_left():
        for data in inputs([good], dicom_inputs.NETWORK_TOKENS, short=300):
            with told(data), conversation(data) as (ours, _), contextlib.suppress(RemoteFailed, AssociationEnded):
                with requestor._negotiate(TARGET, PROPOSALS, Connection(ours, timeout_s=5)) as association:
                    use(association)
                succeeded += 1
    assert succeeded
