"""Warnings of Orthanc's numbers in the log: those of requested tags, and of pixels that cannot be decoded."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.messages.commands.server import ChooseMainTags
from actors.services.codecs.limits import CodecSettings
from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import CannotTranscode
from events.identifiers import Level
from events.numbered_warnings import ALL, OF_FILE_META, OF_LOWER_LEVEL, OTHER_MAIN_TAGS, READ_FROM_FILE, UNDECODABLE
from store.dicom.indexed_tags import with_extra
from store.dicom.uids import EXPLICIT_LE
from tests import data_factory
from tests.contract.rest_stage import RestStage, rest_stage
from tests.contract.retrieve_stage import fill
from tests.dicom_bytes import dataset, encode
from tests.transcoded import transcode
from tools.server.core import Core

META = "W006: requested tags of the file meta information are left out: 0002,0002;0002,0010"
LOWER = "W005: tag 0018,0015 should be asked of these levels only: series, instance"


@pytest.fixture
def filled(archive: Core) -> Core:
    """Two studies; of the second one more tag is kept."""
    fill(archive, encode(dataset(1, 1, 1, 1, SliceThickness="1")))
    extra = with_extra({Level.STUDY: (0x00081080,)})
    archive.index.ask(ChooseMainTags(tags={int(level): list(tags) for level, tags in extra.items()}))
    fill(archive, encode(dataset(2, 1, 1, 1, SliceThickness="2")))
    return archive


def studies(stage: RestStage) -> list[str]:
    """Identifiers: the older one first."""
    uids = (b"2.25.7305.1.1", b"2.25.7305.2.1")
    return [json.loads(stage.ask("/tools/lookup", "POST", uid).body)[0]["ID"] for uid in uids]


def warned(stage: RestStage, caplog: pytest.LogCaptureFixture, path: str) -> tuple[Any, list[str]]:
    """Return the answer, and what was logged for it."""
    caplog.clear()
    answer = stage.ask(path)
    assert answer.status == 200
    return json.loads(answer.body), caplog.messages


def test_requested_tags_are_worth_warnings(filled: Core, caplog: pytest.LogCaptureFixture) -> None:
    with rest_stage(filled) as stage:
        old, new = studies(stage)
        tags = "0018,0050;0018,0015;TransferSyntaxUID;MediaStorageSOPClassUID;StudyDate"
        _, told = warned(stage, caplog, f"/studies/{old}?requested-tags={tags}")
        read = f"W001: tags of study {old} are read from a file: 0018,0015;0018,0050"
        other = "W002: the index keeps other main tags of this study than those of the present configuration: POST to /studies/"
        assert told == [LOWER, META, read, f"{other}{old}/reconstruct"]
        _, told = warned(stage, caplog, f"/studies?expand&requested-tags={tags}")
        assert sorted(told) == sorted([LOWER, META, META, read, read.replace(old, new), f"{other}{old}/reconstruct"])
        assert warned(stage, caplog, f"/studies/{new}?requested-tags=0008,1080;StudyDate;PatientID")[1] == []
        assert warned(stage, caplog, f"/studies/{old}")[1] == []


def test_each_warning_can_be_switched_off(filled: Core, caplog: pytest.LogCaptureFixture) -> None:
    switches = {
        "W001": READ_FROM_FILE,
        "W002": OTHER_MAIN_TAGS,
        "W005": OF_LOWER_LEVEL,
        "W006": OF_FILE_META,
    }
    for number, switch in switches.items():
        with rest_stage(filled, warnings=ALL - {switch}) as stage:
            _, told = warned(stage, caplog, f"/studies/{studies(stage)[0]}?requested-tags=0018,0015;0002,0010")
        assert {message[:4] for message in told} == switches.keys() - {number}


def test_files_that_may_not_be_read_tell_nothing(filled: Core, caplog: pytest.LogCaptureFixture) -> None:
    with rest_stage(filled, reads_files=False) as stage:
        new = studies(stage)[1]
        shown, told = warned(stage, caplog, f"/studies/{new}?requested-tags=0018,0050;StudyInstanceUID")
        assert shown["RequestedTags"] == {"StudyInstanceUID": "2.25.7305.2.1"}
        text = 'are not in the index, and "StorageAccessOnFind" lets no file be read: 0018,0050'
        assert told == [f"W007: tags of study {new} {text}"]
        instance = json.loads(stage.ask("/instances").body)[0]
        assert "0018,0050" in warned(stage, caplog, f"/instances/{instance}/tags?short")[0]


@pytest.fixture(params=[True, False])
def codecs(request: pytest.FixtureRequest) -> Iterator[CodecPool]:
    made = CodecPool(CodecSettings(warnings=ALL if request.param else ALL - {UNDECODABLE}))
    yield made
    made.close()


def test_pixels_that_cannot_be_decoded_are_named(codecs: CodecPool, caplog: pytest.LogCaptureFixture) -> None:
    samples = {sample.name: sample.data for sample in data_factory.all_files()}
    with pytest.raises(CannotTranscode):
        transcode(samples["encapsulated-1.2.840.10008.1.2.4.90"], EXPLICIT_LE, codecs)
    told = [message for message in caplog.messages if message.startswith("W003: pixels of SOP instance 2.25.")]
    assert len(told) == (UNDECODABLE in codecs.settings.warnings)
