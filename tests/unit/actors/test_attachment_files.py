"""The file of an attachment: durable before its event, swept if it has none, watched like that of an instance, never taken back."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.core.file_removal import Recheck, Storage, Sweep, leased_folders
from actors.core.scrubber import LAP_S, Scrubber
from actors.messages.commands.attachments import SetAttachment
from actors.messages.commands.command import Command
from actors.messages.commands.files import RevokeFolders
from actors.messages.damage_reports import reporter
from actors.messages.index_client import IndexClient
from actors.services.ingest import incoming_blob
from actors.services.ingest.incoming_blob import SPILL_BYTES
from events.identifiers import Level, ResourceId
from store.blobs.writer import BlobWriter
from store.projections.attachments import Attachment
from store.views.attachments import list_attachments
from store.views.damaged import list_damaged
from tests.clock import Clock
from tests.data_factory import dataset, encode
from tests.index_stage import IndexStage
from tests.ingest_stage import Gate

SMALL, LARGE = b"some bytes", bytes(SPILL_BYTES + 1)


class Annex:
    """An archive with one instance, whose study gets attachments."""

    def __init__(self, stage: IndexStage, root: Path) -> None:
        self.gate = Gate(stage, root)
        self.client = IndexClient(stage.ask)
        self.gate.blobs.on_damage = reporter(self.client)
        self.gate.send(encode(dataset(1)))
        with stage.views.snapshot() as snapshot:
            (self.study,) = snapshot.list_ids(Level.STUDY)

    def attach(self, data: bytes, number: int = 1024, resource: ResourceId | None = None) -> int:
        with self.gate.ingest.attach() as incoming:
            incoming.write(data)
            return incoming.keep(
                partial(SetAttachment, id=resource or self.study, number=number, correlation=b"12345678")
            )

    @property
    def attachments(self) -> dict[int, Attachment]:
        with self.gate.stage.views.snapshot() as snapshot:
            record = snapshot.get(Level.STUDY, self.study)
            assert record is not None
            return {n: each for n, each in list_attachments(snapshot, record).items() if isinstance(each, Attachment)}

    def path(self, number: int = 1024) -> Path:
        return self.gate.blobs.path(self.attachments[number].blob)

    @property
    def listed(self) -> list[tuple[int, str]]:
        with self.gate.stage.views.snapshot() as snapshot:
            found, _ = list_damaged(snapshot, 0, 100)
        return [(each.file.number if isinstance(each.file, Attachment) else 1, each.damage.kind) for each in found]

    def storage(self) -> Storage:
        return Storage(self.client, self.gate.stage.views, self.gate.blobs)


@pytest.fixture
def annex(stage: IndexStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Annex]:
    monkeypatch.setattr(incoming_blob, "FILES_AHEAD", 0)
    made = Annex(stage, tmp_path)
    yield made
    made.gate.ingest.close()


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_the_file_is_durable_before_its_event(annex: Annex, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    steps: list[str] = []
    commit, ask = BlobWriter.commit, annex.gate.stage.ask

    def note_commit(self: BlobWriter, **options: Any) -> None:
        commit(self, **options)
        steps.append("durable")

    def note_event(command: Command) -> Any:
        if isinstance(command, SetAttachment):
            steps.append("event")
        return ask(command)

    monkeypatch.setattr(BlobWriter, "commit", note_commit)
    monkeypatch.setattr(annex.gate.stage, "ask", note_event)
    annex.attach(data)
    assert steps == ["durable", "event"]
    assert annex.path().read_bytes() == data


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["none", "small", "large"])
def test_the_options_of_files_hold(annex: Annex, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """SyncStorageArea and StoreMD5ForAttachments."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    annex.attach(data)
    assert synced
    assert len(annex.attachments[1024].md5) == 16
    annex.gate.ingest.close()
    annex.gate.settings = replace(annex.gate.settings, sync=False, hash=False)
    annex.gate.ingest = annex.gate.open()
    synced.clear()
    annex.attach(data)
    assert not synced
    assert annex.attachments[1024].md5 == b""
    assert annex.path().read_bytes() == data


def test_what_a_killed_process_leaves_is_swept_and_what_is_known_stays(annex: Annex) -> None:
    annex.attach(SMALL)
    annex.attach(LARGE, 1030)
    annex.gate.ingest.attach().write(LARGE)  # half a body
    assert len(annex.gate.files) == 4
    annex.gate.stage.ask(RevokeFolders(owner="gateway-1"))
    annex.storage().on_receive(Sweep(leased_folders(annex.gate.stage.views)))
    assert len(annex.gate.files) == 3
    assert annex.path().read_bytes() == SMALL
    assert annex.path(1030).read_bytes() == LARGE


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_after_a_cut_a_damaged_one_is_listed_and_not_retracted(annex: Annex, data: bytes) -> None:
    """Of an instance that is as young and as small it would be believed that nobody was told of it."""
    annex.attach(data)
    os.truncate(annex.path(), 3)
    annex.storage().on_receive(Sweep(leased_folders(annex.gate.stage.views), is_after_cut=True))
    assert annex.listed == [(1024, "truncated")]
    assert annex.path().exists()


def test_one_that_was_put_back_is_no_longer_listed_after_a_start(annex: Annex, tmp_path: Path) -> None:
    annex.attach(SMALL)
    annex.path().rename(tmp_path / "aside")
    with pytest.raises(Exception, match="is missing"):
        annex.gate.blobs.check_instance(annex.attachments[1024])
    assert annex.listed == [(1024, "missing")]
    (tmp_path / "aside").rename(annex.path())
    annex.storage().on_receive(Recheck())
    assert annex.listed == []


def test_the_scrubber_reads_attachments_behind_instances_and_goes_on_where_it_was(
    annex: Annex, clock: Clock, tmp_path: Path
) -> None:
    for number in (1024, 1030, 1040):
        annex.attach(SMALL, number)
    position = tmp_path / "scrubbed"

    def scrubber() -> Scrubber:
        return Scrubber(annex.client, annex.gate.stage.views, annex.gate.blobs, position, 1_000_000, clock.monotonic)

    for number in (1024, 1040):
        annex.path(number).write_bytes(b"other byte")
    first = scrubber()
    for _ in range(3):  # the instance, and two of them
        first.step()
    first.close()
    assert annex.listed == [(1024, "altered")]
    annex.path(1024).unlink()  # what it is not told of, if it does not begin again
    second = scrubber()
    while second.step() - clock.monotonic() < LAP_S / 2:
        pass
    assert annex.listed == [(1024, "altered"), (1040, "altered")]
    while second.step() - clock.monotonic() < LAP_S / 2:
        pass
    second.close()
    assert annex.listed == [(1024, "missing"), (1040, "altered")]
