"""C-GET of compressed images for who takes no compressed ones: what cannot be decoded fails alone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pynetdicom import build_role
from pynetdicom.ae import ApplicationEntity

from actors.services.codecs.pool import CodecPool, CodecProcess
from api.dicom.get_scp import create_get_service
from store.dicom.uids import STUDY_ROOT_GET
from tests.contract.retrieve_stage import SETTINGS, Told, fill, get, identifier_of, serving, study
from tests.dicom_bytes import MR, uid
from tests.pixel_files import ENCODERS, EXACT, JPEG_LS, LOSSLESS_SV1, RLE, gray, pixel_file
from tools.server.core import Core

LITTLE = "1.2.840.10008.1.2.1"
STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(9, 1)}
SAMPLES = gray(16)
WRONG: dict[str, dict[str, Any]] = {
    "a row too many": {"Rows": 25},
    "a column too many": {"Columns": 31},
    "32 bits": {"BitsAllocated": 32},
    "no number of frames": {"NumberOfFrames": "-1"},
    "frames that are not there": {"NumberOfFrames": "2"},
    "colours that are not there": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
}


def asked(archive: Core, codecs: CodecPool, *files: bytes) -> Told:
    fill(archive, *files)
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        return get(port, STUDY_ROOT_GET, STUDY, contexts=[(MR, LITTLE)])


@pytest.mark.parametrize("what", WRONG)
def test_images_that_contradict_themselves_fail_and_the_others_arrive(
    archive: Core, codecs: CodecPool, what: str
) -> None:
    bad = [
        pixel_file(syntax, SAMPLES, [ENCODERS[syntax](SAMPLES)], instance=number, **WRONG[what])
        for number, syntax in enumerate((LOSSLESS_SV1, JPEG_LS), 1)
    ]
    good = [
        pixel_file(syntax, SAMPLES, [ENCODERS[syntax](SAMPLES)], instance=number)
        for number, syntax in enumerate(EXACT, 3)
    ]
    told = asked(archive, codecs, *bad, *good)
    assert sorted(told.failed) == [uid(9, 1, 1, 1), uid(9, 1, 1, 2)]
    assert told.status == 0xB000
    assert sorted(name for name, _, _ in told.received) == sorted(uid(9, 1, 1, number) for number in range(3, 9))
    assert all(SAMPLES.tobytes() in data for _, _, data in told.received)


def test_all_frames_arrive_under_an_offset_table_of_the_first(archive: Core, codecs: CodecPool) -> None:
    samples = [gray(16, seed=seed) for seed in range(3)]
    files = [
        pixel_file(syntax, samples[0], [ENCODERS[syntax](each) for each in samples], table=[0], instance=number)
        for number, syntax in enumerate((RLE, LOSSLESS_SV1, JPEG_LS), 1)
    ]
    told = asked(archive, codecs, *files)
    assert (told.status, len(told.received)) == (0, 3)
    whole = b"".join(each.tobytes() for each in samples)
    assert all(whole in data for _, _, data in told.received)


# --- while codecs are busy ---


@contextmanager
def all_leased(codecs: CodecPool) -> Iterator[None]:
    with ExitStack() as leases:
        for _ in range(codecs.settings.processes):
            leases.enter_context(codecs.lease())
        yield


@pytest.mark.parametrize("ending", ["cancel", "abort"])
def test_who_waits_for_a_codec_is_still_listened_to(archive: Core, codecs: CodecPool, ending: str) -> None:
    fill(archive, pixel_file(RLE, SAMPLES, [ENCODERS[RLE](SAMPLES)]))
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port, all_leased(codecs):
        entity = ApplicationEntity("ASKING")
        entity.add_requested_context(STUDY_ROOT_GET, LITTLE)
        entity.add_requested_context(MR, LITTLE)
        association = entity.associate("127.0.0.1", port, ext_neg=[build_role(MR, scp_role=True)])
        responses = association.send_c_get(identifier_of(STUDY), STUDY_ROOT_GET, msg_id=7)
        if ending == "cancel":
            association.send_c_cancel(7, association.accepted_contexts[0].context_id)
            ((status, _),) = responses
            assert (status.Status, status.NumberOfRemainingSuboperations) == (0xFE00, 1)
            association.release()
        else:
            association.abort()
    # Leaving `serving` has joined the association's thread, although no codec has become free.


def test_who_waits_for_a_codec_keeps_no_other_operation_from_its_turn(
    archive: Core, codecs: CodecPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive, pixel_file(RLE, SAMPLES, [ENCODERS[RLE](SAMPLES)]), *study(1))
    told: list[Told] = []
    waits, lease = threading.Event(), codecs.lease

    def noted(check: Callable[[], None]) -> AbstractContextManager[CodecProcess]:
        waits.set()
        return lease(check)

    with serving(
        create_get_service(archive.views, archive.blobs, codecs), settings=replace(SETTINGS, threads_count=1)
    ) as port:
        with all_leased(codecs):
            monkeypatch.setattr(codecs, "lease", noted)
            waiting = threading.Thread(
                target=lambda: told.append(get(port, STUDY_ROOT_GET, STUDY, contexts=[(MR, LITTLE)]))
            )
            waiting.start()
            assert waits.wait(20)
            other = get(port, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)})
            assert (other.status, len(other.received)) == (0, 1)
        waiting.join()
    assert (told[0].status, len(told[0].received)) == (0, 1)
