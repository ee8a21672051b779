"""STOW-RS beside Orthanc's DICOMweb plugin 1.20: the same requests, the same answers, or the difference that docs/compatibility.md tells."""

import gzip
import io
import itertools
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest

from tests.dicom_bytes import dataset, encode, uid
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle
from tests.peer.worklist_stage import find_plugin

pytestmark = pytest.mark.peer

PATIENT = 77
KIND = 'multipart/related; type="application/dicom"; boundary=XX'
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def pair(oracle: Oracle, modern: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    plugin = find_plugin(oracle, "libOrthancDicomWeb.so")
    if plugin is None:
        pytest.skip("This Orthanc has no DICOMweb plugin")
    with start_pair(oracle, tmp_path_factory.mktemp("stow"), f'"Plugins": ["{plugin}"],') as pair:
        yield pair


def instance(**values: Any) -> bytes:
    return encode(dataset(PATIENT, 1, 1, next(_numbers), **values))


def related(*parts: bytes, kind: str = "application/dicom", end: bytes = b"--\r\n") -> bytes:
    head = f"--XX\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + b"--XX" + end


def post(pair: Pair, body: bytes, study: str = "", **headers: str) -> tuple[Answer, Answer]:
    told = {"Content-Type": KIND, "Accept": "application/dicom+json", "Host": "pacs"}
    request = Request(
        f"/dicom-web/studies{study}", "POST", body, told | {n.replace("_", "-"): v for n, v in headers.items()}
    )
    return pair.ours.ask(request), pair.theirs.ask(request)


def module(answer: Answer) -> dict[str, Any]:
    """The module of an answer without what is told to differ: the character set, and sequences without items."""
    found = answer.json()
    assert isinstance(found, dict)
    return {tag: element for tag, element in found.items() if tag != "00080005" and "Value" in element}


def count(server: Server) -> int:
    found = server.get_json("/statistics")
    assert isinstance(found, dict)
    return int(found["CountInstances"])


def test_what_is_stored_is_answered_alike(pair: Pair) -> None:
    one, other = instance(), instance(StudyInstanceUID=uid(PATIENT, 2))
    bodies = (
        (related(one), ""),
        (related(one, one), ""),  # again, and twice
        (related(instance(), other), ""),
        (related(instance(), instance()), f"/{uid(PATIENT, 1)}"),
        (related(instance(), end=b""), ""),
        (related(instance(), kind="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"), ""),
    )
    for body, study in bodies:
        ours, theirs = post(pair, body, study)
        assert (ours.status, ours.headers["content-type"]) == (theirs.status, theirs.headers["content-type"])
        assert module(ours) == module(theirs)
    ours, theirs = post(pair, related(one), X_Forwarded_Host="a.b", X_Forwarded_Proto="https")
    assert module(ours) == module(theirs)
    assert count(pair.ours) == count(pair.theirs) > 5


def test_instances_of_another_study_are_refused_alike(pair: Pair) -> None:
    ours, theirs = post(pair, related(instance()), "/1.2.3")
    assert ours.status == theirs.status == 409
    assert module(ours) == module(theirs)
    good, bad = instance(), instance(StudyInstanceUID="1.2.3.4")
    ours, theirs = post(pair, related(good, bad), f"/{uid(PATIENT, 1)}")
    assert (ours.status, theirs.status) == (202, 409)  # PS3.18 Table 10.5.3-1: some are stored
    assert module(ours) == module(theirs)


def test_what_is_no_file_is_a_failure_here_and_left_out_there(pair: Pair) -> None:
    good = instance()
    for body, statuses in ((related(b"garbage"), (400, 400)), (related(good, b"garbage"), (202, 400))):
        ours, theirs = post(pair, body)
        assert (ours.status, theirs.status) == statuses
        mine = module(ours)
        failures = mine.pop("0008119A")["Value"]
        assert failures == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
        assert mine == module(theirs)


def test_a_file_without_its_study_is_refused_alike(pair: Pair) -> None:
    ours, theirs = post(pair, related(instance(StudyInstanceUID=None)))
    assert ours.status == theirs.status == 400
    assert module(ours) == module(theirs)


def test_types_that_are_not_taken_are_415_in_both(pair: Pair) -> None:
    body = related(instance())
    for kind in ("", "text/plain", "multipart/related; boundary=XX", 'multipart/related; type="application/dicom"'):
        ours, theirs = post(pair, body, Content_Type=kind)
        assert (kind, ours.status, theirs.status) == (kind, 415, 415)
        assert [each.json()["OrthancStatus"] for each in (ours, theirs)] == [3000, 3000]  # type: ignore[index]  # plain JSON


def test_what_the_plugin_passes_over_is_told_or_stored_here(pair: Pair) -> None:
    """It answers 200 to each, and has stored nothing, or not all."""
    body = related(instance(), instance())
    before = count(pair.theirs)
    for sent, headers, status in (
        (body[:-100], {}, 202),
        (b"--XX--\r\n", {}, 400),
        (related(instance(), kind="text/plain"), {}, 400),
        (gzip.compress(related(instance())), {"Content_Encoding": "gzip"}, 200),
        (related(instance(), kind="APPLICATION/DICOM"), {}, 200),
    ):
        ours, theirs = post(pair, sent, **headers)
        assert (ours.status, theirs.status) == (status, 200)
    assert count(pair.theirs) == before + 1


def test_delete_is_ours_alone(pair: Pair) -> None:
    post(pair, related(instance(StudyInstanceUID="1.2.3.9")))
    request = Request("/dicom-web/studies/1.2.3.9", "DELETE")
    assert (pair.ours.ask(request).status, pair.theirs.ask(request).status) == (204, 405)
    assert pair.ours.ask(request).status == 404


def test_dicomweb_client_stores_and_reads_the_answers(pair: Pair) -> None:
    api = pytest.importorskip("dicomweb_client.api", reason="PyPI's dicomweb-client is not installed")
    for server in (pair.ours, pair.theirs):
        client = api.DICOMwebClient(f"http://127.0.0.1:{server.http_port}/dicom-web")
        files = [pydicom.dcmread(io.BytesIO(instance())) for _ in range(3)]
        answer = client.store_instances(files)
        stored = [each.ReferencedSOPInstanceUID for each in answer.ReferencedSOPSequence]
        assert stored == [each.SOPInstanceUID for each in files]
        assert "FailedSOPSequence" not in answer
    client = api.DICOMwebClient(f"http://127.0.0.1:{pair.ours.http_port}/dicom-web")
    files = [pydicom.dcmread(io.BytesIO(instance(StudyInstanceUID=each))) for each in ("1.2.3.5", uid(PATIENT, 1))]
    answer = client.store_instances(files, study_instance_uid="1.2.3.5")
    assert [each.ReferencedSOPInstanceUID for each in answer.ReferencedSOPSequence] == [files[0].SOPInstanceUID]
    assert [each.FailureReason for each in answer.FailedSOPSequence] == [0x0110]
    client.delete_study("1.2.3.5")
    assert pair.ours.get("/dicom-web/studies/1.2.3.5").status in {404, 405}
