"""C-GET over real sockets: which instances an identifier names, how they go out, what the counts say, how it ends."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from actors.services.codecs.pool import CodecPool
from actors.services.remote.modality import Modality
from api.dicom.get_scp import create_get_service
from api.dicom.service import Service
from store.dicom.part10 import file_meta, find_dataset
from store.dicom.uids import PATIENT_ROOT_GET, STUDY_ROOT_GET
from tests.contract.retrieve_stage import SETTINGS, Keys, Told, fill, get, serving, study
from tests.dicom_bytes import CT, MR, add_pixels, dataset, encode, uid
from tests.native_pixels import Native
from tests.transcoded import transcode
from tools.server.core import Core

LITTLE = "1.2.840.10008.1.2.1"


@pytest.fixture
def service(archive: Core, codecs: CodecPool) -> Service:
    """Patient 1: two studies of two series of three instances; patient 2: an MR and a CT."""
    fill(archive, *study(1, 1, series=2, instances=3), *study(1, 2, series=2, instances=3))
    fill(archive, *study(2), encode(dataset(2, 1, 1, 2, SOPClassUID=CT)))
    return create_get_service(archive.views, archive.blobs, codecs)


def names(told: Told) -> list[str]:
    return [name for name, _, _ in told.received]


def series(patient: int, number: int, place: int) -> list[str]:
    return [uid(patient, number, place, instance) for instance in (1, 2, 3)]


STUDY_1 = [*series(1, 1, 1), *series(1, 1, 2)]
STUDY_2 = [*series(1, 2, 1), *series(1, 2, 2)]
SERIES_1 = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": uid(1, 1, 1)}
STUDY_4 = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(4, 1)}
WHOLE_STUDY_1 = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)}
NAMED: dict[str, tuple[Keys, list[str]]] = {
    "a patient": ({"QueryRetrieveLevel": "PATIENT", "PatientID": "PAT1"}, STUDY_1 + STUDY_2),
    "a patient in lower case": ({"QueryRetrieveLevel": "patient", "PatientID": "pat1"}, STUDY_1 + STUDY_2),
    "a study": ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)}, STUDY_1),
    "two studies": ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": [uid(1, 2), uid(1, 1)]}, STUDY_2 + STUDY_1),
    "a study twice": ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": [uid(1, 1), uid(1, 1)]}, STUDY_1),
    "a study by its accession": ({"QueryRetrieveLevel": "STUDY", "AccessionNumber": "ACC12"}, STUDY_2),
    "a study whatever the accession": (
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1), "AccessionNumber": "ACC12"},
        STUDY_1,
    ),
    "a study of another patient": (
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1), "PatientID": "PAT2"},
        STUDY_1,
    ),
    "a series": ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": uid(1, 1, 2)}, series(1, 1, 2)),
    "instances": (
        {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": [uid(1, 1, 1, 3), uid(1, 1, 2, 1)]},
        [uid(1, 1, 1, 3), uid(1, 1, 2, 1)],
    ),
    "an instance of no level": ({"SOPInstanceUID": uid(1, 1, 1, 3)}, [uid(1, 1, 1, 3)]),
    "the lowest key without a level": (
        {"StudyInstanceUID": uid(1, 1), "SeriesInstanceUID": uid(1, 1, 2), "PatientID": "PAT1"},
        series(1, 1, 2),
    ),
    "some that are not there": (
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ["1.2.3", uid(1, 1)]},
        STUDY_1,
    ),
    "none that is there": ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}, []),
}


@pytest.mark.parametrize("name", NAMED)
def test_an_identifier_names_instances_in_order(service: Service, name: str) -> None:
    keys, expected = NAMED[name]
    with serving(service) as port:
        told = get(port, PATIENT_ROOT_GET if "patient" in name else STUDY_ROOT_GET, keys)
    assert names(told) == expected
    assert told.status == 0
    assert told.sums() == {len(expected)}


def test_the_counts_of_pending_responses_go_up_one_by_one(service: Service) -> None:
    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, SERIES_1)
    assert told.statuses == [0xFF00, 0xFF00, 0x0000]
    assert told.counts == [(2, 1, 0, 0), (1, 2, 0, 0), (None, 3, 0, 0)]


def test_of_a_study_under_two_patients_the_keys_above_tell_which(archive: Core, service: Service) -> None:
    fill(archive, encode(dataset(3, StudyInstanceUID=uid(1, 1))))
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)}
    with serving(service) as port:
        both = get(port, STUDY_ROOT_GET, keys)
        one = get(port, STUDY_ROOT_GET, {**keys, "PatientID": "pat3"})
        neither = get(port, STUDY_ROOT_GET, {**keys, "PatientID": "PAT9"})
    assert names(both) == names(neither) == [*STUDY_1, uid(3, 1, 1, 1)]
    assert names(one) == [uid(3, 1, 1, 1)]


@pytest.mark.parametrize(
    "keys",
    [
        {"QueryRetrieveLevel": "STUDY"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""},
        {"QueryRetrieveLevel": "STUDY", "PatientID": "PAT1"},
        {"QueryRetrieveLevel": "SERIES", "AccessionNumber": "ACC11"},
        {"QueryRetrieveLevel": "FOO", "StudyInstanceUID": uid(1, 1)},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"},
        {"PatientName": "Doe*"},
    ],
    ids=[
        "no key",
        "an empty key",
        "a key above",
        "accession of a series",
        "no known level",
        "wildcard",
        "no unique key",
    ],
)
def test_an_identifier_that_names_nothing_does_not_match_its_class(service: Service, keys: dict[str, str]) -> None:
    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, keys)
    assert (told.statuses, told.received) == ([0xA900], [])


@pytest.mark.parametrize("syntax", [LITTLE, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless])
def test_a_dataset_goes_out_as_it_is_stored(archive: Core, codecs: CodecPool, syntax: str) -> None:
    file = encode(dataset(4), syntax)
    fill(archive, file)
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        contexts = [(MR, LITTLE), (CT, syntax), (MR, syntax)]
        told = get(port, STUDY_ROOT_GET, STUDY_4, contexts=contexts)
    assert told.received == [(uid(4, 1, 1, 1), syntax, file[find_dataset(file) :])]


@pytest.mark.parametrize(
    ("stored", "accepted"),
    [(ImplicitVRLittleEndian, LITTLE), (ExplicitVRBigEndian, LITTLE), (LITTLE, ImplicitVRLittleEndian)],
)
def test_a_dataset_is_written_again_for_another_syntax(
    archive: Core, codecs: CodecPool, stored: str, accepted: str
) -> None:
    fill(archive, encode(dataset(4), stored))
    with serving(create_get_service(archive.views, archive.blobs, codecs, transcodes=False)) as port:
        told = get(port, STUDY_ROOT_GET, STUDY_4, contexts=[(MR, JPEG2000Lossless), (MR, accepted)])
    ((name, syntax, data),) = told.received
    assert (name, syntax) == (uid(4, 1, 1, 1), accepted)
    assert read(data, accepted) == dataset(4)


@pytest.mark.parametrize("why_not", ["", "TranscodeDicomProtocol", "AllowTranscoding"])
def test_pixels_are_decompressed_where_that_is_wanted(archive: Core, codecs: CodecPool, why_not: str) -> None:
    original = add_pixels(dataset(4))
    compressed = dcmread(BytesIO(encode(original)))
    compressed.compress(RLELossless, generate_instance_uid=False)
    fill(archive, encode(compressed, RLELossless))
    asker = Modality(name="a", aet="ASKING", host="", port=1, allow_transcoding=why_not != "AllowTranscoding")
    service = create_get_service(archive.views, archive.blobs, codecs, transcodes=why_not != "TranscodeDicomProtocol")
    with serving(service, settings=replace(SETTINGS, modalities=(asker,))) as port:
        told = get(port, STUDY_ROOT_GET, STUDY_4)
        as_stored = get(port, STUDY_ROOT_GET, STUDY_4, contexts=[(MR, LITTLE), (MR, RLELossless)])
    assert [(told.status, len(told.received)), told.failed] == (
        [(0xA702, 0), [uid(4, 1, 1, 1)]] if why_not else [(0, 1), []]
    )
    for _, syntax, data in told.received:
        assert read(data, syntax).PixelData == original.PixelData
    assert [syntax for _, syntax, _ in as_stored.received] == [RLELossless]


@pytest.mark.parametrize("stored", [LITTLE, RLELossless])
def test_an_instance_is_compressed_for_who_takes_nothing_else(archive: Core, codecs: CodecPool, stored: str) -> None:
    original = add_pixels(dataset(4))
    file = encode(original)
    if stored != LITTLE:
        file = whole(file, stored, codecs)
    fill(archive, file)
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        for offered, chosen in (
            (["1.2.840.10008.1.2.4.80"], 0),
            (["1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.57"], 1),
        ):
            told = get(port, STUDY_ROOT_GET, STUDY_4, contexts=[(MR, syntax) for syntax in offered])
            ((name, syntax, data),) = told.received
            assert (name, syntax) == (uid(4, 1, 1, 1), offered[chosen])
            back = transcode(file_meta(MR, name, syntax) + data, LITTLE, codecs)
            assert read(bytes(back), LITTLE).PixelData == original.PixelData


def test_what_one_syntax_cannot_hold_goes_in_another(archive: Core, codecs: CodecPool) -> None:
    samples = np.arange(30, dtype="<u4").reshape(1, 5, 6, 1) << 20
    fill(
        archive,
        Native(samples=samples, bits=32).file(LITTLE, SeriesInstanceUID=uid(4, 1, 1), StudyInstanceUID=uid(4, 1)),
    )
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        told = get(port, STUDY_ROOT_GET, STUDY_4, contexts=[(MR, "1.2.840.10008.1.2.4.80"), (MR, RLELossless)])
        refused = get(port, STUDY_ROOT_GET, STUDY_4, contexts=[(MR, "1.2.840.10008.1.2.4.80")])
    assert [syntax for _, syntax, _ in told.received] == [RLELossless]
    assert (refused.received, len(refused.failed)) == ([], 1)


def whole(file: bytes, syntax: str, codecs: CodecPool) -> bytes:
    """A file in another transfer syntax."""
    return file_meta(MR, uid(4, 1, 1, 1), syntax) + bytes(transcode(file, syntax, codecs))


def read(data: bytes, syntax: str) -> Dataset:
    """A dataset from the network."""
    return read_dataset(BytesIO(data), is_implicit_VR=syntax == ImplicitVRLittleEndian, is_little_endian=True)


def test_what_fits_no_context_fails_alone(service: Service) -> None:
    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, {"QueryRetrieveLevel": "PATIENT", "PatientID": "PAT2"})
    assert names(told) == [uid(2, 1, 1, 1)]
    assert (told.status, told.counts[-1]) == (0xB000, (None, 1, 1, 0))
    assert told.failed == [uid(2, 1, 1, 2)]


@pytest.mark.parametrize("has_role", [True, False])
def test_nothing_is_sent_where_the_peer_does_not_take_it(service: Service, *, has_role: bool) -> None:
    contexts = [(MR, "1.2.840.10008.1.2.4.102" if has_role else LITTLE)]
    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, SERIES_1, contexts=contexts, has_role=has_role)
    assert told.received == []
    assert (told.status, told.counts[-1]) == (0xA702, (None, 0, 3, 0))
    assert told.failed == series(1, 1, 1)


@pytest.mark.parametrize(
    ("status", "expected", "counts"),
    [
        (0xA700, 0xA702, (0, 3, 0)),
        (0xB000, 0xB000, (0, 0, 3)),
        (0xB007, 0xB000, (0, 0, 3)),
        (0x0107, 0xA702, (0, 3, 0)),  # a warning of other services
        (0xC123, 0xA702, (0, 3, 0)),
    ],
)
def test_what_the_peer_answers_is_counted(
    service: Service, status: int, expected: int, counts: tuple[int, int, int]
) -> None:
    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, SERIES_1, status=status)
    assert (told.status, told.counts[-1]) == (expected, (None, *counts))
    assert told.sums() == {3}


def test_failures_are_named(service: Service) -> None:
    def every_other(place: int) -> int:
        return 0xA700 if place % 2 else 0

    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, WHOLE_STUDY_1, status=every_other)
    assert (told.status, told.counts[-1]) == (0xB000, (None, 3, 3, 0))
    assert told.failed == STUDY_1[::2]
    assert told.sums() == {6}


def test_a_cancel_stops_it(service: Service) -> None:
    with serving(service) as port:
        told = get(port, PATIENT_ROOT_GET, {"QueryRetrieveLevel": "PATIENT", "PatientID": "PAT1"}, cancel_after=2)
    assert told.status == 0xFE00
    assert len(told.received) in {2, 3}  # one may be under way
    assert told.counts[-1] == (12 - len(told.received), len(told.received), 0, 0)


def test_an_instance_that_vanished_fails_alone(archive: Core, service: Service) -> None:
    with archive.views.snapshot() as snapshot:
        gone = next(each for each in snapshot.list(4) if each.tags[0x00080018] == uid(1, 1, 1, 2))  # type: ignore[arg-type]
    archive.blobs.remove(gone.blob)  # type: ignore[union-attr]  # an instance
    with serving(service) as port:
        told = get(port, STUDY_ROOT_GET, SERIES_1)
    assert (told.status, told.counts[-1], told.failed) == (0xB000, (None, 2, 1, 0), [uid(1, 1, 1, 2)])


def test_the_association_goes_on_behind_it(service: Service) -> None:
    keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": uid(1, 1, 1, 1)}
    with serving(service) as port:
        for _ in range(3):
            assert get(port, STUDY_ROOT_GET, keys).status == 0
