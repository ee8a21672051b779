"""The DICOM server over real sockets: pynetdicom as sender, then what a sender may do that pynetdicom does not."""

import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import lmdb
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts
from pynetdicom.presentation import build_context

from actors.services.remote.modality import Modality, Operation
from actors.services.scripts.errors import ScriptFailed
from actors.wire.dicom.command import Element
from actors.wire.dicom.pdu import encode_p_data
from api.dicom.settings import DicomSettings
from events.errors import Busy, InvalidDicom, SinogramError, StorageFull
from tests.contract.dicom_fakes import FakeUpload
from tests.contract.dicom_scu import (
    CT,
    DEFAULT_CONTEXTS,
    DEFLATED_LE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    JPEG,
    RELEASE_RQ,
    VERIFICATION,
    Aborted,
    Accepted,
    Closed,
    Rejected,
    ReleaseReply,
    Response,
    Scu,
    associate_request,
    echo_command,
    item,
    make_dataset,
    store_command,
    user_information,
)
from tests.contract.dicom_server import RunningServer, serve


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with serve() as running:
        yield running


def make_pydicom_dataset(sop_instance: str = "1.2.3.1", transfer_syntax: str = EXPLICIT_LE) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = sop_instance
    dataset.PatientID = "PATIENT"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.0"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    return dataset


# --- a proper sender ---


def test_pynetdicom_echoes_and_stores(server: RunningServer) -> None:
    entity = AE("MODALITY")
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(CT, [EXPLICIT_LE])
    association = entity.associate("127.0.0.1", server.port, ae_title="ARCHIVE")
    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(make_pydicom_dataset()).Status == 0
    association.release()
    assert association.is_released
    (upload,) = server.ingest.stored
    origin = upload.origin
    assert (origin.kind, origin.remote_ip, origin.remote_aet, origin.called_aet) == (
        "DicomProtocol",
        "127.0.0.1",
        "MODALITY",
        "ARCHIVE",
    )


def test_pynetdicom_may_propose_128_contexts_and_limit_nothing(server: RunningServer) -> None:
    entity = AE("MODALITY")
    entity.requested_contexts = [*AllStoragePresentationContexts[:127], build_context(VERIFICATION)]
    association = entity.associate("127.0.0.1", server.port, max_pdu=0)
    assert len(association.accepted_contexts) == 128
    assert association.send_c_echo().Status == 0
    association.release()


def test_what_is_stored_is_what_was_sent(server: RunningServer) -> None:
    dataset = make_dataset(padding=100_001)
    with Scu(server.port) as scu:
        scu.associate([(3, CT, [EXPLICIT_LE]), (5, CT, [DEFLATED_LE]), (7, CT, [JPEG])])
        for context_id in (3, 5, 7):
            answer = scu.store(dataset, context_id=context_id)
            assert isinstance(answer, Response)
    stored = server.ingest.stored
    assert stored[0].dataset == stored[2].dataset == dataset
    for upload, syntax in zip(stored, (EXPLICIT_LE, DEFLATED_LE, JPEG), strict=True):
        assert upload.data[:132] == bytes(128) + b"DICM"
        assert syntax.encode() in upload.data[:400]
        assert CT.encode() in upload.data[:400]
        assert b"1.2.3.1" in upload.data[:400]


def test_the_answer_names_what_was_stored(server: RunningServer) -> None:
    with Scu(server.port) as scu:
        scu.associate()
        answer = scu.store(make_dataset())
    assert isinstance(answer, Response)
    assert answer.context_id == 3
    command = answer.command
    assert (command.field, command.message_id, answer.status, command.has_dataset) == (0x8001, 9, 0, False)
    assert command.text(Element.AFFECTED_SOP_CLASS_UID) == CT
    assert command.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3.1"


def test_the_answer_waits_until_the_instance_is_durable(server: RunningServer) -> None:
    entered, durable = threading.Event(), threading.Event()

    def wait(_: FakeUpload) -> None:
        entered.set()
        assert durable.wait(20)

    server.ingest.on_store = wait
    with Scu(server.port) as scu:
        scu.associate()
        scu.send(encode_p_data(3, store_command(), is_command=True, is_last=True))
        scu.send_dataset(make_dataset())
        assert entered.wait(20)
        scu.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            scu.socket.recv(1)
        scu.socket.setblocking(True)
        durable.set()
        answer = scu.receive()
    assert isinstance(answer, Response)
    assert answer.status == 0


# --- negotiation on the wire ---


def test_the_acceptance_says_what_it_should(server: RunningServer) -> None:
    role = item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\1")
    window = item(0x53, struct.pack(">HH", 5, 5))
    identity = item(0x58, b"\1\1" + struct.pack(">H", 3) + b"abc" + bytes(2))
    with Scu(server.port) as scu:
        answer = scu.ask(associate_request(user=user_information(extra=role + window + identity), called="SOMEBODY"))
    assert isinstance(answer, Accepted)
    assert answer.contexts == [(1, 0, IMPLICIT_LE), (3, 0, EXPLICIT_LE), (5, 0, IMPLICIT_LE)]
    assert answer.maximum_length == 16384
    assert [kind for kind, _ in answer.user_items] == [0x51, 0x52, 0x54, 0x55]
    assert answer.titles.startswith(b"SOMEBODY        SCU             ")


def test_nothing_accepted_is_still_an_association(server: RunningServer) -> None:
    with Scu(server.port) as scu:
        assert scu.associate([(1, "1.2.3.4", [IMPLICIT_LE])]).contexts == [(1, 3, IMPLICIT_LE)]
        assert scu.release() == ReleaseReply()


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        (DicomSettings(check_called_aet=True), {"called": "WRONG"}, Rejected(1, 1, 7)),
        (DicomSettings(always_allowed=frozenset()), {"calling": "STRANGER"}, Rejected(1, 1, 3)),
        (DicomSettings(), {"application_context": "1.2.3"}, Rejected(1, 1, 2)),
        (DicomSettings(maximum_associations=0), {}, Rejected(2, 3, 2)),
    ],
)
def test_rejections(settings: DicomSettings, options: dict[str, str], expected: Rejected) -> None:
    with serve(settings) as server, Scu(server.port) as scu:
        assert scu.ask(associate_request(**options)) == expected  # type: ignore[arg-type] # titles and names alone
        assert scu.receive() == Closed()


def test_the_log_tells_who_was_rejected_and_why(caplog: pytest.LogCaptureFixture) -> None:
    with serve(DicomSettings(check_called_aet=True)) as server, Scu(server.port) as scu:
        scu.ask(associate_request(called="WRONG"))
        scu.receive()
    assert (
        "rejected with 'SCU' at 127.0.0.1, which calls 'WRONG': Permanent: Called AE Title Not Recognized"
        in caplog.text
    )


def test_settings_are_read_for_each_association() -> None:
    with serve() as server:
        with Scu(server.port) as scu:
            assert scu.associate([(1, CT, [JPEG])]).contexts == [(1, 0, JPEG)]
        server.settings = DicomSettings(accepted_transfer_syntaxes=("1.2.840.10008.1.2",), maximum_pdu_length=4096)
        with Scu(server.port) as scu:
            answer = scu.associate([(1, CT, [JPEG])])
            assert answer.contexts == [(1, 3, IMPLICIT_LE)]
            assert answer.maximum_length == 4096


# --- permissions ---


def test_what_is_not_allowed_is_answered_by_an_abort() -> None:
    echo_only = Modality(name="m", aet="SCU", host="127.0.0.1", port=1, allowed=frozenset({Operation.ECHO}))
    with serve(DicomSettings(always_allowed=frozenset(), modalities=(echo_only,))) as server, Scu(server.port) as scu:
        scu.associate()
        assert isinstance(scu.echo(), Response)
        assert scu.store(make_dataset()) == Aborted(0, 0)
        assert not server.ingest.uploads


# --- what may go wrong in storing ---


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageFull("full"), 0xA700),
        (Busy("later"), 0xA700),
        (ScriptFailed("boom"), 0xA700),
        (InvalidDicom("bad"), 0xC000),
        (KeyError("x"), 0xC000),
    ],
)
@pytest.mark.parametrize("moment", ["on_open", "on_write", "on_judge", "on_store"])
def test_a_failure_has_a_status_and_the_association_goes_on(
    server: RunningServer, caplog: pytest.LogCaptureFixture, moment: str, error: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    with Scu(server.port) as scu:
        scu.associate()
        setattr(server.ingest, moment, fail)
        answer = scu.store(make_dataset(padding=50_000))
        assert isinstance(answer, Response)
        assert answer.status == status
        setattr(server.ingest, moment, lambda *_: None)
        answer = scu.store(make_dataset())
        assert isinstance(answer, Response)
        assert answer.status == 0
    assert len(server.ingest.stored) == 1
    refused = [record for record in caplog.records if f"0x{status:04x}" in record.getMessage()]
    assert len(refused) == 1, "logged once"
    assert isinstance(error, SinogramError) or "'x'" not in refused[0].getMessage(), "the text may be a patient's"


# --- several at once ---


def test_eight_associations_at_once(server: RunningServer) -> None:
    def send(number: int) -> list[int]:
        with Scu(server.port) as scu:
            scu.associate()
            statuses = []
            for instance in range(5):
                uid = f"1.2.3.{number}.{instance}"
                answer = scu.store(make_dataset(uid, padding=40_000), uid)
                assert isinstance(answer, Response)
                statuses.append(answer.status)
            scu.release()
            return statuses

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [[0] * 5] * 8
    assert len(server.ingest.stored) == 40


def test_slow_senders_do_not_hold_up_others() -> None:
    """More senders than threads stop in the middle of a dataset; another still stores."""
    with serve(DicomSettings(threads_count=1)) as server:
        slow = [Scu(server.port) for _ in range(3)]
        for scu in slow:
            scu.associate()
            scu.send(encode_p_data(3, store_command(), is_command=True, is_last=True))
            scu.send_dataset(make_dataset(padding=1000), end=False)
        with Scu(server.port) as scu:
            scu.associate()
            assert isinstance(scu.store(make_dataset()), Response)
        for scu in slow:
            scu.send_dataset(b"\0\0")
            assert isinstance(scu.receive(), Response)
            scu.socket.close()


def test_no_more_operations_at_once_than_threads() -> None:
    with serve(DicomSettings(threads_count=2)) as server:
        lock, together, most = threading.Lock(), [0], [0]
        both = threading.Barrier(2, timeout=20)

        def count(_: FakeUpload) -> None:
            with lock:
                together[0] += 1
                most[0] = max(most[0], together[0])
            both.wait()
            with lock:
                together[0] -= 1

        server.ingest.on_store = count

        def send(number: int) -> None:
            with Scu(server.port) as scu:
                scu.associate()
                assert isinstance(scu.store(make_dataset(f"1.2.{number}"), f"1.2.{number}"), Response)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(send, range(6)))
        assert most == [2]


def test_filters_that_think_long_do_not_keep_other_associations_waiting() -> None:
    """While as many filters are at work as there are operations, an instance that none is asked about is stored."""
    with serve(DicomSettings(threads_count=1)) as server, Scu(server.port) as slow, Scu(server.port) as quick:
        thinking, done = threading.Event(), threading.Event()

        def think(upload: FakeUpload) -> None:
            if upload.origin.remote_aet == "SLOW":
                thinking.set()
                assert done.wait(20)

        server.ingest.on_judge = think
        slow.associate(calling="SLOW")
        slow.send(encode_p_data(3, store_command(), is_command=True, is_last=True))
        slow.send_dataset(make_dataset())
        assert thinking.wait(20)
        quick.associate()
        answer = quick.store(make_dataset("1.2.7"), "1.2.7")
        done.set()
        slow.receive()
    assert isinstance(answer, Response)
    assert answer.status == 0


@pytest.mark.parametrize("status", [0xA700, 0xC123, 0xB000])
def test_the_status_of_a_filter_is_what_the_peer_is_told(server: RunningServer, status: int) -> None:
    server.ingest.dimse_status = status
    with Scu(server.port) as scu:
        scu.associate()
        answer = scu.store(make_dataset())
    assert isinstance(answer, Response)
    assert answer.status == status


# --- ways to cut messages ---


def test_a_conversation_cut_at_every_byte(server: RunningServer) -> None:
    """Request, echo, store and release arrive in two pieces, whatever the place of the cut."""
    before = associate_request()
    after = (
        encode_p_data(1, echo_command(), is_command=True, is_last=True)
        + encode_p_data(3, store_command(), is_command=True, is_last=True)
        + encode_p_data(3, make_dataset(), is_command=False, is_last=True)
        + RELEASE_RQ
    )
    for cut in range(1, len(before)):
        with Scu(server.port) as scu:
            scu.send(before[:cut])
            assert isinstance(scu.ask(before[cut:]), Accepted)
    for cut in range(1, len(after)):
        with Scu(server.port) as scu:
            scu.associate()
            scu.send(after[:cut])
            scu.send(after[cut:])
            answers = [scu.receive() for _ in range(3)]
        assert [type(answer) for answer in answers] == [Response, Response, ReleaseReply]
    assert {upload.dataset for upload in server.ingest.stored} == {make_dataset()}


@pytest.mark.parametrize("fragment", [1, 2, 3, 16378])
def test_fragments_of_any_size(server: RunningServer, fragment: int) -> None:
    dataset = make_dataset(padding=3 * fragment)
    with Scu(server.port) as scu:
        scu.associate()
        answer = scu.store(dataset, fragment=fragment)
        assert isinstance(answer, Response)
    assert server.ingest.stored[0].dataset == dataset


def test_a_command_in_fragments_of_one_byte_and_an_empty_last_one(server: RunningServer) -> None:
    with Scu(server.port) as scu:
        scu.associate()
        for byte in echo_command():
            scu.send(encode_p_data(1, bytes((byte,)), is_command=True, is_last=False))
        assert isinstance(scu.ask(encode_p_data(1, b"", is_command=True, is_last=True)), Response)


def test_several_fragments_in_one_pdu(server: RunningServer) -> None:
    dataset = make_dataset()
    fragments = [(3, store_command()), (0, dataset[:10]), (0, dataset[10:11]), (0, b""), (2, dataset[11:])]
    body = b"".join(struct.pack(">IBB", len(data) + 2, 3, flags) + data for flags, data in fragments)
    with Scu(server.port) as scu:
        scu.associate()
        answer = scu.ask(struct.pack(">BxI", 4, len(body)) + body)
        assert isinstance(answer, Response)
    assert server.ingest.stored[0].dataset == dataset


def test_requests_sent_ahead_are_answered_in_order(server: RunningServer) -> None:
    with Scu(server.port) as scu:
        scu.associate()
        requests = [encode_p_data(1, echo_command(number), is_command=True, is_last=True) for number in range(1, 50)]
        scu.send(b"".join(requests))
        answers = [scu.receive() for _ in requests]
    assert [answer.command.message_id for answer in answers if isinstance(answer, Response)] == list(range(1, 50))


def test_an_echo_is_answered_in_any_context(server: RunningServer) -> None:
    with Scu(server.port) as scu:
        scu.associate()
        answer = scu.echo(context_id=3)
    assert isinstance(answer, Response)
    assert answer.context_id == 3


def test_a_large_dataset_streams(server: RunningServer) -> None:
    """No write is longer than a PDU: the server hands on what arrives and keeps nothing."""
    longest = [0]

    def watch(upload: FakeUpload) -> None:
        longest[0] = max(longest[0], upload.writes and len(upload.data))
        if upload.writes > 2:
            upload.data.clear()

    server.ingest.on_write = watch
    with Scu(server.port) as scu:
        scu.associate(DEFAULT_CONTEXTS)
        answer = scu.store(make_dataset(padding=20_000_000), fragment=16378)
        assert isinstance(answer, Response)
    assert longest[0] <= 40_000


def test_an_association_for_which_the_archive_cannot_be_read_is_the_only_one_that_is_lost() -> None:
    with serve() as server:
        now, failures = server.server._settings_now, [lmdb.ReadersFullError("MDB_READERS_FULL")]
        server.server._settings_now = lambda: now() if not failures else _raise(failures.pop())
        with Scu(server.port) as scu:
            assert scu.receive() == Closed()
        with Scu(server.port) as scu:
            assert isinstance(scu.associate(), Accepted)


def _raise(error: Exception) -> DicomSettings:
    raise error
