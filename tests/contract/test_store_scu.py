"""Instances of an archive sent to a destination: contexts, bytes, associations, what a destination may do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.events import Event

from actors.services.codecs.pool import CodecPool
from actors.services.remote.store_scu import Originator
from actors.services.remote.stored_sender import StoredSender, StorePool
from actors.services.transcoding.targets import UNCOMPRESSED
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from events.errors import DamagedFile, InvalidDicom, NotFound
from events.identifiers import Level, ResourceId
from store.dicom.part10 import file_meta, find_dataset
from tests.contract.destination import EXPLICIT, IMPLICIT, Destination, destination
from tests.contract.retrieve_stage import fill
from tests.data_factory import shipped_files
from tests.dicom_bytes import CT, MR, add_pixels, dataset, encode, uid
from tests.native_pixels import Native
from tests.pixel_files import J2K, JPEG_LS, LOSSLESS_SV1, RLE
from tests.transcoded import transcode
from tools.server.core import Core

SHIPPED = {sample.name: sample.data for sample in shipped_files()}


def instances_of(archive: Core) -> list[ResourceId]:
    with archive.views.snapshot() as snapshot:
        return list(snapshot.list_ids(Level.INSTANCE))


@pytest.fixture
def pool() -> Iterator[StorePool]:
    made = StorePool(60)
    yield made
    made.close()


@contextmanager
def sending(archive: Core, there: Destination, pool: StorePool, **options: Any) -> Iterator[StoredSender]:
    sender = StoredSender(
        archive.views,
        archive.blobs,
        pool,
        options.pop("target", there.target()),
        instances_of(archive),
        options.pop("codecs", None) or CodecPool(),
        fallbacks=options.pop("fallbacks", UNCOMPRESSED),
        interruption=options.pop("interruption", Interruption()),
        **options,
    )
    try:
        yield sender
    finally:
        sender.close()


def send_all(archive: Core, there: Destination, pool: StorePool, **options: Any) -> list[int]:
    """Send everything; returns the statuses."""
    with sending(archive, there, pool, **options) as sender:
        return [sender.check(sender.send(place)) for place in range(len(instances_of(archive)))]


def test_the_bytes_of_a_dataset_arrive_as_they_are_stored(archive: Core, pool: StorePool) -> None:
    files = [
        encode(add_pixels(dataset(instance=1), rows=100, columns=1000)),
        encode(add_pixels(dataset(instance=2), rows=1024, columns=1024)),  # large enough to be mapped
        encode(dataset(instance=3)),
    ]
    fill(archive, *files)
    with destination() as there:
        assert send_all(archive, there, pool) == [0, 0, 0]
    assert [sent.dataset for sent in there.sent] == [file[find_dataset(file) :] for file in files]
    assert there.instances == [uid(1, 1, 1, number) for number in (1, 2, 3)]
    assert {sent.sop_class for sent in there.sent} == {MR}
    assert len(there.proposed) == 1


@pytest.mark.parametrize("maximum_pdu_length", [64, 4096, 131072, 0])
def test_fragments_are_as_long_as_the_destination_takes_them(
    archive: Core, pool: StorePool, maximum_pdu_length: int
) -> None:
    file = encode(add_pixels(dataset(), rows=100, columns=400))
    fill(archive, file)
    with destination(maximum_pdu_length=maximum_pdu_length) as there:
        send_all(archive, there, pool)
    assert there.sent[0].dataset == file[find_dataset(file) :]


def test_each_stored_syntax_is_a_context_and_another_one_offers_the_uncompressed_ones(
    archive: Core, pool: StorePool
) -> None:
    fill(archive, encode(dataset(instance=1)), SHIPPED["MR_small_RLE.dcm"])
    with destination(EXPLICIT, RLE) as there:
        send_all(archive, there, pool)
    assert there.proposed == [[(MR, (IMPLICIT,)), (MR, (EXPLICIT,)), (MR, (RLE,))]]
    assert [sent.transfer_syntax for sent in there.sent] == [EXPLICIT, RLE]


def test_nothing_is_offered_besides_where_transcoding_is_off(archive: Core, pool: StorePool) -> None:
    fill(archive, SHIPPED["MR_small_RLE.dcm"])
    with destination(RLE) as there:
        send_all(archive, there, pool, fallbacks=())
    assert there.proposed == [[(MR, (RLE,))]]


@pytest.mark.parametrize("preferred", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("answered_first", [EXPLICIT, IMPLICIT])
def test_the_preferred_syntax_decides_whatever_the_destination_would_choose(
    archive: Core, pool: StorePool, codecs: CodecPool, preferred: str, answered_first: str
) -> None:
    fill(archive, SHIPPED["MR_small_RLE.dcm"])
    fallbacks = tuple(sorted(UNCOMPRESSED, key=lambda syntax: syntax != preferred))
    # pynetdicom accepts of a context's syntaxes the one it supports first.
    with destination(answered_first, *(syntax for syntax in UNCOMPRESSED if syntax != answered_first)) as there:
        assert send_all(archive, there, pool, fallbacks=fallbacks, codecs=codecs) == [0]
    assert there.proposed == [[(MR, (fallbacks[0],)), (MR, (fallbacks[1],)), (MR, (RLE,))]]
    assert [sent.transfer_syntax for sent in there.sent] == [preferred]


def test_what_is_stored_uncompressed_is_preferred_as_it_is(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset(instance=1)), encode(dataset(instance=2, SOPClassUID=CT), IMPLICIT))
    with destination(EXPLICIT, IMPLICIT, classes=(MR, CT)) as there:
        send_all(archive, there, pool)
    assert [sent.transfer_syntax for sent in there.sent] == [EXPLICIT, IMPLICIT]


@pytest.mark.parametrize("accepted", [EXPLICIT, IMPLICIT])
def test_a_compressed_instance_is_decompressed_for_a_destination_that_needs_it(
    archive: Core, pool: StorePool, codecs: CodecPool, accepted: str
) -> None:
    fill(archive, SHIPPED["MR_small_RLE.dcm"])
    with destination(accepted) as there:
        assert send_all(archive, there, pool, codecs=codecs) == [0]
    assert there.sent[0].transfer_syntax == accepted
    assert there.sent[0].dataset == transcode(SHIPPED["MR_small_RLE.dcm"], accepted, codecs)


@pytest.mark.parametrize("accepted", [LOSSLESS_SV1, JPEG_LS, RLE])
def test_an_instance_is_compressed_for_a_destination_that_takes_nothing_else(
    archive: Core, pool: StorePool, codecs: CodecPool, accepted: str
) -> None:
    fill(archive, SHIPPED["MR_small.dcm"])
    with destination(accepted) as there:
        assert send_all(archive, there, pool, codecs=codecs, fallbacks=(accepted, *UNCOMPRESSED)) == [0]
    assert [(sent.transfer_syntax, sent.sop_instance) for sent in there.sent] == [(accepted, there.instances[0])]
    assert there.sent[0].dataset == transcode(SHIPPED["MR_small.dcm"], accepted, codecs)


def test_what_has_lost_something_is_sent_under_a_name_of_its_own(
    archive: Core, pool: StorePool, codecs: CodecPool
) -> None:
    fill(archive, SHIPPED["MR_small.dcm"])
    with destination(J2K) as there:
        assert send_all(archive, there, pool, codecs=codecs, fallbacks=(J2K,)) == [0]
    assert there.instances == [dcmread(BytesIO(_as_file(there.sent[0].dataset, J2K))).SOPInstanceUID]
    assert there.instances != [dcmread(BytesIO(SHIPPED["MR_small.dcm"])).SOPInstanceUID]


def _as_file(sent: bytes, syntax: str) -> bytes:
    return file_meta(MR, "1.2.3", syntax) + sent


def test_what_the_preferred_syntax_cannot_hold_goes_in_the_next_one(
    archive: Core, pool: StorePool, codecs: CodecPool
) -> None:
    """A report has no pixels that could be compressed, and 32 bits are too many for JPEG."""
    wide = Native(samples=np.zeros((1, 4, 4, 1), "<u4"), bits=32).file(EXPLICIT, instance=2)
    fill(archive, encode(dataset(instance=1), EXPLICIT), wide)
    with destination(LOSSLESS_SV1, IMPLICIT) as there:
        fallbacks = (LOSSLESS_SV1, IMPLICIT)
        assert send_all(archive, there, pool, codecs=codecs, fallbacks=fallbacks) == [0, 0]
    assert [sent.transfer_syntax for sent in there.sent] == [IMPLICIT, IMPLICIT]


def test_an_uncompressed_instance_is_written_again_for_a_destination_that_needs_it(
    archive: Core, pool: StorePool
) -> None:
    fill(archive, encode(dataset(), IMPLICIT))
    with destination(EXPLICIT) as there:
        send_all(archive, there, pool)
    plain = encode(dataset())
    assert there.sent[0].dataset == plain[find_dataset(plain) :]


def test_what_fits_no_context_fails_alone(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset(instance=1)), SHIPPED["MR_small_RLE.dcm"], encode(dataset(instance=3)))
    with destination(EXPLICIT) as there, sending(archive, there, pool, fallbacks=()) as sender:
        assert sender.check(sender.send(0)) == 0
        with pytest.raises(
            RemoteFailed, match=r"SOP class UID \[1\.2\.840\.10008\.5\.1\.4\.1\.1\.4\] and transfer"
        ) as e:
            sender.send(1)
        assert (e.value.code, e.value.trouble) == (9, Trouble.FINAL)
        assert sender.check(sender.send(2)) == 0
    assert len(there.proposed) == 1


def test_pixels_that_cannot_be_decoded_fail_alone(archive: Core, pool: StorePool, codecs: CodecPool) -> None:
    broken = bytearray(SHIPPED["MR_small_jp2klossless.dcm"])
    where = broken.index(b"\xff\x4f\xff\x51")  # the beginning of the codestream
    broken[where : where + 200] = bytes(200)
    fill(archive, bytes(broken), encode(dataset()))
    with destination(EXPLICIT) as there, sending(archive, there, pool, codecs=codecs) as sender:
        with pytest.raises(InvalidDicom, match="Cannot decode"):
            sender.send(0)
        assert sender.check(sender.send(1)) == 0


def test_more_kinds_than_contexts_take_several_associations(archive: Core, pool: StorePool) -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts[:150]]
    fill(archive, *(encode(dataset(instance=n + 1, SOPClassUID=name)) for n, name in enumerate(classes)))
    with destination(EXPLICIT, classes=classes) as there:
        assert send_all(archive, there, pool) == [0] * 150
    assert [len(proposed) for proposed in there.proposed] == [128, 128, 44]
    assert [sent.sop_class for sent in there.sent] == classes


def test_the_originator_of_a_move_is_told(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset()))
    with destination() as there:
        send_all(archive, there, pool, originator=Originator("MOVER", 77))
        send_all(archive, there, pool)
    assert [sent.originator for sent in there.sent] == [("MOVER", 77), (None, None)]


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_warnings_and_duplicates_are_success(archive: Core, pool: StorePool, status: int) -> None:
    fill(archive, encode(dataset()))
    with destination() as there:
        there.on_store = lambda _event, _number: status
        assert send_all(archive, there, pool) == [status]


@pytest.mark.parametrize(
    ("status", "trouble"), [(0xA700, Trouble.BUSY), (0xA900, Trouble.FINAL), (0xC000, Trouble.FINAL)]
)
def test_a_refused_instance_is_an_error_and_the_next_one_is_sent(
    archive: Core, pool: StorePool, status: int, trouble: Trouble
) -> None:
    fill(archive, encode(dataset(instance=1)), encode(dataset(instance=2)))
    with destination() as there, sending(archive, there, pool) as sender:
        there.on_store = lambda _event, number: 0 if number else status
        with pytest.raises(RemoteFailed) as e:
            sender.check(sender.send(0))
        assert e.value.details == f'C-STORE SCU to AET "THERE" has failed with DIMSE status 0x{status:04X}'
        assert (e.value.code, e.value.trouble, e.value.dimse_status) == (9, trouble, status)
        assert sender.check(sender.send(1)) == 0
    assert len(there.proposed) == 1


def test_a_deleted_instance_is_not_found(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset(instance=1)), encode(dataset(instance=2)))
    with destination() as there, sending(archive, there, pool) as sender:
        first = instances_of(archive)[0]
        archive.client.delete(Level.INSTANCE, first)
        with pytest.raises(NotFound):
            sender.send(0)
        assert sender.check(sender.send(1)) == 0


def test_an_instance_whose_file_is_missing_fails_alone(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset(instance=1)), encode(dataset(instance=2)))
    with archive.views.snapshot() as snapshot:
        record = snapshot.get_instance(instances_of(archive)[0])
    assert record is not None
    archive.blobs.remove(record.blob)
    with destination() as there, sending(archive, there, pool) as sender:
        with pytest.raises(DamagedFile, match="missing"):
            sender.send(0)
        assert sender.check(sender.send(1)) == 0


# --- the checkpoint before ---


def test_the_checkpoint_is_settled_before_the_last_fragment(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(add_pixels(dataset(), rows=100, columns=1000)))
    seen: list[int] = []
    with destination() as there, sending(archive, there, pool) as sender:
        sender.send(0, lambda: seen.append(len(there.sent)))
    assert seen == [0]


def test_an_instance_is_not_stored_where_the_checkpoint_fails(archive: Core, pool: StorePool) -> None:
    class Over(Exception):
        pass

    def fail() -> None:
        raise Over

    fill(archive, encode(add_pixels(dataset(), rows=100, columns=1000)))
    with destination() as there:
        with sending(archive, there, pool) as sender, pytest.raises(Over):
            sender.send(0, fail)
        assert not there.sent


# --- associations kept ---


def test_an_association_is_used_again_by_the_next_job(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset()))
    with destination() as there:
        for _ in range(3):
            send_all(archive, there, pool)
        assert len(there.proposed) == 1
        send_all(archive, there, pool, target=there.target(calling_aet="OTHER"))
        assert len(there.proposed) == 2
        pool.close()
    assert len(there.sent) == 4


def test_nothing_is_kept_without_a_delay(archive: Core) -> None:
    fill(archive, encode(dataset()))
    pool = StorePool(0)
    with destination() as there:
        for _ in range(2):
            send_all(archive, there, pool)
        assert len(there.proposed) == 2
    pool.close()


def test_an_association_is_released_after_its_delay(archive: Core) -> None:
    fill(archive, encode(dataset()))
    pool = StorePool(0.05)
    with destination() as there:
        send_all(archive, there, pool)
        assert there.released.acquire(timeout=30)
    pool.close()
    assert len(there.proposed) == 1


def test_a_kept_association_that_has_died_is_opened_again(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset()))
    events: list[Event] = []

    def remember(event: Event, _number: int) -> int:
        events.append(event)
        return 0

    with destination() as there:
        there.on_store = remember
        send_all(archive, there, pool)
        events[0].assoc.abort()
        assert send_all(archive, there, pool) == [0]
    assert len(there.proposed) == 2


# --- destinations that fail ---


def test_a_destination_that_is_not_there(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset()))
    with destination() as there:
        pass
    with sending(archive, there, pool) as sender, pytest.raises(RemoteFailed, match="Connection refused") as e:
        sender.send(0)
    assert e.value.trouble is Trouble.UNREACHABLE


def test_a_destination_that_aborts(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset(instance=1)), encode(dataset(instance=2)))

    def abort(event: Event, number: int) -> int:
        if not number:
            event.assoc.abort()
        return 0

    with destination() as there, sending(archive, there, pool) as sender:
        there.on_store = abort
        with pytest.raises(RemoteFailed, match="abort") as e:
            sender.send(0)
        assert e.value.trouble is Trouble.UNREACHABLE
        assert sender.check(sender.send(1)) == 0
    assert len(there.proposed) == 2


def test_a_destination_that_does_not_answer_is_a_timeout(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset()))
    go_on = threading.Event()
    with destination() as there:
        there.on_store = _waiting(go_on)
        with sending(archive, there, pool, target=there.target(timeout_s=1)) as sender:
            with pytest.raises(RemoteFailed) as e:
                sender.send(0)
            assert e.value.trouble is Trouble.TIMEOUT
        go_on.set()


def test_an_interruption_ends_the_wait_for_an_answer(archive: Core, pool: StorePool) -> None:
    fill(archive, encode(dataset()))
    go_on, interruption = threading.Event(), Interruption()
    with destination() as there:
        there.on_store = lambda event, number: interruption.interrupt() or _waiting(go_on)(event, number)  # type: ignore[func-returns-value]
        with (
            sending(archive, there, pool, target=there.target(timeout_s=0), interruption=interruption) as sender,
            pytest.raises(Interrupted),
        ):
            sender.send(0)
        go_on.set()


def _waiting(go_on: threading.Event) -> Callable[[Event, int], int]:
    def wait(_event: Event, _number: int) -> int:
        assert go_on.wait(30)
        return 0

    return wait
