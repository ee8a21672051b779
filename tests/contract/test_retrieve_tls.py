"""C-GET and C-MOVE over TLS, in and out: large datasets, and a C-CANCEL that is noticed behind the encryption."""

import shutil
import ssl
import threading
from dataclasses import replace

import pytest

from actors.messages.jobs_client import JobsClient
from actors.services.codecs.pool import CodecPool
from actors.services.remote.modality import Modality, Operation
from actors.services.remote.target import ScuSettings
from actors.wire.tls import TlsSettings
from api.dicom.get_scp import create_get_service
from api.dicom.move_destination import MoveDestinations
from api.dicom.move_scp import create_move_service
from api.dicom.store_scp import create_store_service
from store.dicom.part10 import find_dataset
from store.dicom.uids import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tests.contract.certificates import Certificates, make_certificates
from tests.contract.dicom_fakes import FakeIngest, FakeUpload
from tests.contract.retrieve_stage import SETTINGS, fill, get, move, serving
from tests.dicom_bytes import add_pixels, dataset, encode, uid
from tools.server.core import Core

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
WAIT_S = 40.0
STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def files(archive: Core) -> list[bytes]:
    made = [encode(add_pixels(dataset(1, 1, 1, number), rows=600, columns=600)) for number in range(1, 6)]
    fill(archive, *made)
    return made


def client_of(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.trusted))
    context.load_cert_chain(certificates.client.certificate, certificates.client.key)
    context.check_hostname = False
    return context


def tls_of(certificates: Certificates) -> TlsSettings:
    ours = certificates.server
    return TlsSettings(certificate=ours.certificate, private_key=ours.key, trusted=certificates.trusted)


def test_datasets_come_back_over_tls(archive: Core, files: list[bytes], certificates: Certificates) -> None:
    settings = replace(SETTINGS, tls=tls_of(certificates))
    with serving(create_get_service(archive.views, archive.blobs, CodecPool()), settings=settings) as port:
        told = get(port, STUDY_ROOT_GET, STUDY, tls=client_of(certificates))
        cancelled = get(port, STUDY_ROOT_GET, STUDY, tls=client_of(certificates), cancel_after=1)
    assert [data for _, _, data in told.received] == [file[find_dataset(file) :] for file in files]
    assert cancelled.status == 0xFE00
    assert cancelled.sums() == {5}


def test_a_move_over_tls_to_tls(archive: Core, files: list[bytes], certificates: Certificates) -> None:
    """And a cancel of one whose destination has stopped to answer."""
    settings = replace(SETTINGS, tls=tls_of(certificates), always_allowed=frozenset(Operation))
    ingest = FakeIngest()
    with serving(create_store_service(ingest), settings=settings) as there:
        modality = Modality(name="there", aet="THERE", host="127.0.0.1", port=there, use_tls=True)
        scu = ScuSettings(aet="OURS", tls=tls_of(certificates))
        jobs = JobsClient(lambda _: None, lambda _: None)
        destinations = MoveDestinations(archive.views, archive.blobs, scu, jobs, CodecPool())
        service = create_move_service(
            archive.views, {"THERE": modality}.get, destinations.open_sender, destinations.submit_job
        )
        with serving(service, settings=settings) as port:
            told = move(port, STUDY_ROOT_MOVE, "THERE", STUDY, tls=client_of(certificates))
            assert [upload.dataset for upload in ingest.stored] == [file[find_dataset(file) :] for file in files]
            hangs, is_over = threading.Event(), threading.Event()

            def hang(_upload: FakeUpload) -> None:
                if len(ingest.stored) > len(files):
                    hangs.set()
                    is_over.wait(WAIT_S)

            ingest.on_store = hang
            cancelled = move(
                port, STUDY_ROOT_MOVE, "THERE", STUDY, tls=client_of(certificates), cancel_after=1, cancel_when=hangs
            )
            is_over.set()
    assert (told.status, told.sums()) == (0, {5})
    assert (cancelled.status, cancelled.counts[-1]) == (0xFE00, (3, 1, 1, 0))
    assert len(cancelled.failed) == 1  # it was sent, and nobody waits for what became of it
