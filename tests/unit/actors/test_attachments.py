"""What the index records of attachments, which files it condemns, and how it counts them."""

from dataclasses import replace
from typing import Any

import pytest

from actors.messages.commands.attachments import RemoveAttachment, RepackAttachment, SetAttachment
from actors.messages.commands.files import ReportDamage, ReportRecovery, RevokeFolders
from actors.messages.commands.resources import RetractInstance
from actors.messages.commands.revisions import Seen
from events.attachments import DICOM
from events.errors import FolderRevoked, InvalidRequest, NotFound, RevisionConflict
from events.identifiers import BlobId, Level
from events.stored_file import Compression
from store.blobs.writer import make_blob_id
from store.environment import Environment
from store.projections.attachments import Sizes
from store.records import Resource, Statistics
from store.tables import ATTACHED, ATTACHMENTS, BLOBS, CONDEMNED, DAMAGED_FILES
from store.views.attachments import attached_sizes, list_attachments, revision_of
from store.views.feed import get_events, get_history
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command

NAMES = ("P", "S", "R", "I")
INSTANCE_BYTES = 1_000


@pytest.fixture
def stage(env: Environment, clock: Clock) -> IndexStage:
    made = IndexStage(env, clock)
    made.lease()
    made.ask(store_command(*NAMES, place=1, size_bytes=INSTANCE_BYTES))
    made.ask(store_command("P", "S", "R", "J", place=2, size_bytes=INSTANCE_BYTES))
    return made


def put(*names: str, place: int, number: int = 1024, size_bytes: int = 10, **more: Any) -> SetAttachment:
    values: dict[str, Any] = {"md5": bytes([place]) * 16, "blob": make_blob_id(1, place), "correlation": b"12345678"}
    return SetAttachment(id=chain(*names), number=number, size_bytes=size_bytes, **(values | more))


def remove(*names: str, number: int = 1024, **more: Any) -> RemoveAttachment:
    return RemoveAttachment(id=chain(*names), number=number, correlation=b"12345678", **more)


def told(stage: IndexStage) -> list[dict[str, Any]]:
    """The events of attachments, all values together."""
    with stage.views.snapshot() as snapshot:
        found = get_events(snapshot, limit=1000)
    return [{**each.public, **(each.personal or {})} for each in found if each.tag.startswith("attachment-")]


def held(stage: IndexStage, *names: str) -> dict[int, tuple[BlobId, int]]:
    """File and revision of every attachment of a resource."""
    with stage.views.snapshot() as snapshot:
        record = snapshot.get(Level(len(names)), chain(*names))
        assert record is not None
        return {n: (file.blob, revision_of(file)) for n, file in list_attachments(snapshot, record).items()}


def keys(stage: IndexStage, table: bytes) -> set[bytes]:
    with stage.views.snapshot() as snapshot:
        return set(snapshot.keys(table, b""))


def sizes(stage: IndexStage) -> list[Sizes]:
    """Bytes of attachments of the patient, its study, its series, its first instance, and of the archive."""
    with stage.views.snapshot() as snapshot:
        found = [snapshot.find(chain(*NAMES[:length])) for length in range(1, 5)]
        total = snapshot.statistics()
        own = [attached_sizes(snapshot, each[1]) for each in found if each is not None]
    return [*own, Sizes(total.attached_bytes, total.attached_disk_bytes)]


def test_each_file_takes_the_place_of_the_one_before(stage: IndexStage) -> None:
    first, second, third = (put("P", place=place) for place in (3, 4, 5))
    assert stage.run(first, second, remove("P"), third) == [0, 1, True, 0]
    revisions = [(each["old_revision"], each.get("revision")) for each in told(stage)]
    assert revisions == [(None, 0), (0, 1), (1, None), (None, 0)]
    assert held(stage, "P") == {1024: (third.blob, 0)}
    assert keys(stage, CONDEMNED) == {first.blob, second.blob}
    assert not keys(stage, BLOBS) & {first.blob, second.blob}


def test_numbers_stand_side_by_side_and_the_dicom_file_is_the_first(stage: IndexStage) -> None:
    stage.run(put(*NAMES, place=3, number=65535), put(*NAMES, place=4, number=1024))
    assert [*held(stage, *NAMES)] == [DICOM, 1024, 65535]
    assert [*held(stage, "P")] == []


def test_the_same_file_sent_again_changes_nothing(stage: IndexStage) -> None:
    command = put("P", place=3)
    assert stage.run(command, command) == [0, 0]
    assert len(told(stage)) == 1
    assert keys(stage, CONDEMNED) == set()


def test_what_is_personal_stands_apart(stage: IndexStage) -> None:
    stage.run(put("P", place=3), remove("P"))
    with stage.views.snapshot() as snapshot:
        found = [each for each in get_events(snapshot, limit=1000) if each.tag.startswith("attachment-")]
    assert not any({"id", "md5", "packed_md5"} & each.public.keys() for each in found)
    assert {(each.actor, each.correlation) for each in found} == {("rest", b"12345678")}


def test_what_is_not_there_leaves_no_event(stage: IndexStage) -> None:
    assert stage.ask(remove("P")) is False
    assert [type(each) for each in stage.run(put("Q", place=3), remove("Q"))] == [NotFound, NotFound]
    assert told(stage) == []


@pytest.mark.parametrize("number", [0, 1, 2, 3, 1023, 65536])
def test_numbers_that_are_not_the_users(stage: IndexStage, number: int) -> None:
    answers = stage.run(put(*NAMES, place=3, number=number), remove(*NAMES, number=number))
    assert [type(each) for each in answers] == [InvalidRequest, InvalidRequest]


def test_of_a_process_that_has_lost_its_folder_nothing_is_taken(stage: IndexStage) -> None:
    taken = put("P", place=3)
    stage.run(taken, RevokeFolders(owner="gateway-1"))
    with pytest.raises(FolderRevoked):
        stage.ask(put("P", place=4))
    assert stage.ask(taken) == 0


def test_a_client_that_has_seen_another_revision_is_refused(stage: IndexStage) -> None:
    stage.ask(put("P", place=3, seen=Seen(7), must_have_seen=True))  # the first needs none
    md5 = (b"\3" * 16).hex()
    for wrong in ({"seen": Seen(1)}, {"seen": Seen(0, "ab")}, {"must_have_seen": True}):
        answers = stage.run(put("P", place=4, **wrong), remove("P", **wrong))
        assert [type(each) for each in answers] == [RevisionConflict, RevisionConflict]
    assert stage.ask(put("P", place=4, seen=Seen(0, md5))) == 1
    assert stage.ask(remove("P", seen=Seen(1))) is True


# -- with their resource ------------------------------------------------------------------------------------------------


def test_attachments_leave_with_their_resource(stage: IndexStage) -> None:
    for length in range(1, 5):
        stage.ask(put(*NAMES[:length], place=2 * length + 1))
        stage.ask(put(*NAMES[:length], place=2 * length + 2, number=65535))
    stage.ask(delete_command(*NAMES))
    assert len(keys(stage, ATTACHMENTS)) == 6
    stage.ask(delete_command("P"))
    stage.purge_all()
    for table in (ATTACHMENTS, ATTACHED, BLOBS):
        assert keys(stage, table) == set()
    assert len(keys(stage, CONDEMNED)) == 2 + 8
    stage.ask(store_command(*NAMES, place=20))
    assert stage.ask(put(*NAMES, place=21)) == 0  # a new life


def test_the_history_of_an_instance_has_its_attachments(stage: IndexStage) -> None:
    stage.run(put(*NAMES, place=3), put("P", place=4), remove(*NAMES))
    with stage.views.snapshot() as snapshot:
        tags = [each.tag for each in get_history(snapshot, chain(*NAMES))]
    assert tags[1:] == ["attachment-set/1", "attachment-removed/1"]


def test_bytes_are_counted_at_every_level_above(stage: IndexStage) -> None:
    assert sizes(stage) == [Sizes()] * 5
    stage.ask(put(*NAMES, place=3, size_bytes=10))
    stage.ask(put("P", "S", place=4, size_bytes=500))
    stage.ask(put("P", "S", "R", "J", place=5, size_bytes=7))
    one, both, all_ = (Sizes(n, n) for n in (10, 17, 517))
    assert sizes(stage) == [all_, all_, both, one, all_]
    stage.ask(put(*NAMES, place=6, size_bytes=0))
    assert sizes(stage)[0] == Sizes(507, 507)
    stage.ask(remove("P", "S"))
    assert sizes(stage) == [Sizes(7, 7)] * 3 + [Sizes(), Sizes(7, 7)]
    stage.ask(delete_command("P", "S", "R", "J"))
    assert sizes(stage) == [Sizes()] * 5


def test_a_deleted_tree_takes_its_bytes_from_the_total_at_once(stage: IndexStage) -> None:
    stage.ask(store_command("Q", place=9))
    stage.ask(put("Q", place=10, size_bytes=3))
    for length in range(1, 5):
        stage.ask(put(*NAMES[:length], place=2 + length))
    stage.ask(delete_command("P"))
    assert sizes(stage)[-1] == Sizes(3, 3)
    stage.purge_all()
    assert sizes(stage)[-1] == Sizes(3, 3)


# -- other files with the same content ------------------------------------------------------------------------------------


def repack(*names: str, number: int, replaced: BlobId, place: int, packed_bytes: int = 4) -> RepackAttachment:
    """Compress what has 10 or, as a DICOM file, 1,000 bytes."""
    return RepackAttachment(
        id=chain(*names),
        number=number,
        replaced=replaced,
        correlation=b"",
        blob=make_blob_id(1, place),
        size_bytes=INSTANCE_BYTES if number == DICOM else 10,
        md5=b"",
        compression=Compression.ZLIB,
        packed_bytes=packed_bytes,
        packed_md5=b"\xff" * 16,
    )


def test_a_repacked_attachment_keeps_its_revision(stage: IndexStage) -> None:
    stage.run(put("P", place=3), put("P", place=4))
    assert stage.ask(repack("P", number=1024, replaced=make_blob_id(1, 99), place=5)) is False
    command = repack("P", number=1024, replaced=BlobId(held(stage, "P")[1024][0]), place=6)
    assert stage.ask(command) is True
    assert stage.ask(command) is True  # asked again
    assert held(stage, "P") == {1024: (command.blob, 1)}
    assert sizes(stage)[0] == Sizes(content=10, disk=4)
    assert stage.ask(remove("P")) is True
    assert sizes(stage)[0] == Sizes()


def test_a_repacked_dicom_file_changes_the_file_of_its_instance_alone(stage: IndexStage) -> None:
    with stage.views.snapshot() as snapshot:
        before = snapshot.get_instance(chain(*NAMES))
    assert before is not None
    stage.ask(ReportDamage(blob=before.blob, kind="missing", found_bytes=None))
    command = repack(*NAMES, number=DICOM, replaced=before.blob, place=6)
    assert stage.ask(command) is True
    with stage.views.snapshot() as snapshot:
        after = snapshot.get_instance(chain(*NAMES))
        assert snapshot.owner_of_blob(command.blob) == before.ref
    assert after is not None
    assert (after.blob, after.compression, after.packed_bytes) == (command.blob, Compression.ZLIB, 4)
    assert (after.ref, after.tags, after.received_us) == (before.ref, before.tags, before.received_us)
    assert keys(stage, CONDEMNED) == {before.blob}
    assert keys(stage, DAMAGED_FILES) == set()


def saved(stage: IndexStage) -> list[int]:
    """What compression saves in the patient, its study, its series, and in the archive."""
    with stage.views.snapshot() as snapshot:
        found = [snapshot.get(Level(length), chain(*NAMES[:length])) for length in range(1, 4)]
        total = snapshot.statistics()
    assert total.size_bytes == sum(each.size_bytes for each in found[:1] if isinstance(each, Resource))
    saved = [each.size_bytes - each.disk_bytes for each in found if isinstance(each, Resource)]
    return [*saved, total.size_bytes - total.disk_bytes]


def test_what_compression_saves_or_costs_is_counted_at_every_level_above(stage: IndexStage) -> None:
    assert saved(stage) == [0] * 4
    packed = repack(*NAMES, number=DICOM, replaced=BlobId(held(stage, *NAMES)[DICOM][0]), place=6, packed_bytes=400)
    stage.ask(packed)
    assert saved(stage) == [600] * 4
    other = BlobId(held(stage, "P", "S", "R", "J")[DICOM][0])
    stage.ask(repack("P", "S", "R", "J", number=DICOM, replaced=other, place=7, packed_bytes=1_030))
    assert saved(stage) == [570] * 4
    compressed: dict[str, Any] = {"compression": Compression.ZLIB, "packed_bytes": 100, "packed_md5": bytes(16)}
    stage.ask(replace(store_command("P", "S", "R", "K", place=8, size_bytes=INSTANCE_BYTES), **compressed))
    assert saved(stage) == [1_470] * 4
    plain = replace(packed, blob=make_blob_id(1, 9), replaced=packed.blob, compression=0, packed_bytes=0)
    stage.ask(plain)
    assert saved(stage) == [870] * 4
    stage.ask(delete_command("P", "S", "R", "J"))
    assert saved(stage) == [900] * 4
    stage.ask(delete_command("P"))
    with stage.views.snapshot() as snapshot:
        assert snapshot.statistics() == Statistics(0, 0, 0, 0, 0)


# -- damage ------------------------------------------------------------------------------------------------------------


def test_damage_is_told_once_and_goes_with_the_next_file(stage: IndexStage) -> None:
    command = put("P", "S", place=3)
    stage.ask(command)
    damage = ReportDamage(blob=command.blob, kind="missing", found_bytes=None)
    assert stage.run(damage, damage) == [True, True]
    assert len(keys(stage, DAMAGED_FILES)) == 1
    recovery = ReportRecovery(blob=command.blob)
    assert stage.run(recovery, recovery, damage) == [True, True, True]
    assert [each.get("kind") for each in told(stage)[1:]] == ["missing", None, "missing"]
    stage.ask(put("P", "S", place=4))
    assert keys(stage, DAMAGED_FILES) == set()
    assert stage.ask(damage) is False  # nothing has that file any more


def test_a_damaged_attachment_of_what_was_deleted_is_forgotten(stage: IndexStage) -> None:
    command = put("P", "S", place=3)
    stage.run(command, ReportDamage(blob=command.blob, kind="emptied", found_bytes=0))
    stage.ask(delete_command("P"))
    stage.purge_all()
    assert keys(stage, DAMAGED_FILES) == set()


def test_an_attachment_is_never_retracted(stage: IndexStage) -> None:
    command = put(*NAMES, place=3)
    stage.run(command, RetractInstance(blob=command.blob))
    assert [*held(stage, *NAMES)] == [DICOM, 1024]
