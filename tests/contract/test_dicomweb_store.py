"""STOW-RS of files, and DELETE: what becomes of each part, and what the answer says of it (PS3.18 §10.5, Annex I.2)."""

import gzip
import http.client
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from actors.messages.dicomweb_settings import DicomWebSettings
from actors.services.ingest.settings import IngestSettings
from api.app import create_app
from api.dicomweb.store import answer as store_answer
from api.dicomweb.store import instances as store
from events.errors import Busy, SinogramError, StorageFailed, StorageFull
from events.identifiers import parse_resource_id
from store.records import Origin
from tests.contract.http_serving import DEADLINE_S, connect, serving
from tests.contract.rest_stage import Answer, RestStage, call, ids, rest_stage
from tests.contract.shared_stage import empty, shared_stage
from tests.dicom_bytes import MR, dataset, encode, uid
from tests.scripts_stage import run_scripts
from tools.server.core import Core

RELATED = 'multipart/related; type="application/dicom"; boundary=XX'
XML = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    with shared_stage(tmp_path_factory.mktemp("archive")) as stage:
        yield stage


@pytest.fixture
def stage(shared: RestStage) -> Iterator[RestStage]:
    yield shared
    empty(shared)


@dataclass(frozen=True, slots=True)
class File:
    """An instance of study 1 of patient 1, unless it says otherwise."""

    instance: str
    data: bytes


def file(study: int = 1, **values: Any) -> File:
    number = next(_numbers)
    return File(uid(1, study, 1, number), encode(dataset(1, study, 1, number, **values)))


def related(*parts: bytes, kind: str | None = "application/dicom", end: bytes = b"--\r\n") -> bytes:
    head = b"--XX\r\n" + (f"Content-Type: {kind}\r\n\r\n".encode() if kind else b"\r\n")
    return b"".join(head + part + b"\r\n" for part in parts) + b"--XX" + end


def post(stage: RestStage, body: bytes, kind: str = RELATED, study: str = "", **headers: str) -> Answer:
    path = "/dicom-web/studies" + (f"/{study}" if study else "")
    return stage.ask(path, "POST", body, {"Content-Type": kind, "Host": "pacs:8042"} | headers)


def told(answer: Answer) -> dict[str, Any]:
    """The module of an answer, with the instances and the reasons in its sequences."""
    assert answer.headers["Content-Type"] == "application/dicom+json"
    module = json.loads(answer.body)
    assert module["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    shown: dict[str, Any] = {"status": answer.status}
    for item in module.get("00081199", {}).get("Value", []):
        assert item["00081190"]["vr"] == "UR"
        shown.setdefault("stored", []).append(item["00081155"]["Value"][0])
    for item in module.get("00081198", {}).get("Value", []):
        shown.setdefault("failed", []).append((item["00081155"]["Value"][0], item["00081197"]["Value"][0]))
    for item in module.get("0008119A", {}).get("Value", []):
        assert item.keys() == {"00081197"}
        shown.setdefault("other", []).append(item["00081197"]["Value"][0])
    return shown


# -- what is stored ---------------------------------------------------------------------------------------------------


def test_the_answer_names_class_instance_and_address_of_what_is_stored(stage: RestStage) -> None:
    one, other = file(), file()
    answer = post(stage, related(one.data, other.data))
    assert answer.status == 200
    study = f"http://pacs:8042/dicom-web/studies/{uid(1, 1)}"
    assert json.loads(answer.body) == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00081190": {"vr": "UR", "Value": [study]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [MR]},
                    "00081155": {"vr": "UI", "Value": [each.instance]},
                    "00081190": {
                        "vr": "UR",
                        "Value": [f"{study}/series/{uid(1, 1, 1)}/instances/{each.instance}"],
                    },
                }
                for each in (one, other)
            ],
        },
    }
    assert sorted(stage.ask(f"/instances/{each}/file").body for each in ids(stage, "instances")) == sorted(
        (one.data, other.data)
    )


def test_the_type_of_a_multipart_body_may_be_written_in_any_way(stage: RestStage) -> None:
    for kind in (
        'multipart/related; type="application/dicom"; boundary="XX"',
        "multipart/related; type=application/dicom; boundary=XX; start=x",
        'Multipart/Related; Boundary=XX; Type="Application/DICOM"',
    ):
        one = file()
        assert told(post(stage, related(one.data), kind)) == {"status": 200, "stored": [one.instance]}


def test_a_body_may_be_one_file(stage: RestStage) -> None:
    for kind in (
        "application/dicom",
        "Application/DICOM; transfer-syntax=1.2.840.10008.1.2.1",
    ):
        one = file()
        assert told(post(stage, one.data, kind)) == {"status": 200, "stored": [one.instance]}


def test_a_part_without_a_type_is_what_the_body_is(stage: RestStage) -> None:
    one = file()
    assert told(post(stage, related(one.data, kind=None))) == {"status": 200, "stored": [one.instance]}


def test_a_body_may_come_as_gzip(stage: RestStage) -> None:
    one, other = file(), file()
    body = gzip.compress(related(one.data, other.data))
    answer = post(stage, body, **{"Content-Encoding": "gzip"})
    assert told(answer) == {"status": 200, "stored": [one.instance, other.instance]}


def test_what_is_there_already_is_stored(stage: RestStage) -> None:
    one, other = file(), file()
    post(stage, related(one.data))
    answer = post(stage, related(one.data, other.data, one.data))
    assert told(answer) == {"status": 200, "stored": [one.instance, other.instance, one.instance]}
    assert len(ids(stage, "instances")) == 2


def test_an_instance_is_overwritten_where_the_configuration_says_so(archive: Core) -> None:
    one = file()
    changed = encode(dataset(1, 1, 1, int(one.instance.rpartition(".")[2]), PatientName="Other^Name"))
    with rest_stage(archive, incoming=IngestSettings(overwrite="Always")) as stage:
        post(stage, related(one.data))
        assert told(post(stage, related(changed))) == {"status": 200, "stored": [one.instance]}
        (identifier,) = ids(stage, "instances")
        assert stage.ask(f"/instances/{identifier}/file").body == changed


def test_several_studies_may_come_at_once_and_the_first_one_is_the_address(stage: RestStage) -> None:
    one, other = file(study=2), file(study=1)
    answer = post(stage, related(one.data, other.data))
    assert told(answer) == {"status": 200, "stored": [one.instance, other.instance]}
    module = json.loads(answer.body)
    assert module["00081190"]["Value"] == [f"http://pacs:8042/dicom-web/studies/{uid(1, 2)}"]


def test_instances_come_from_a_plugin_for_scripts_and_metadata(stage: RestStage) -> None:
    post(stage, related(file().data))
    (identifier,) = ids(stage, "instances")
    assert stage.ask(f"/instances/{identifier}/metadata/Origin").body == b"Plugins"
    resource = parse_resource_id(identifier)
    assert resource is not None
    with stage.deps.views.snapshot() as snapshot:
        record = snapshot.get_instance(resource)
    assert record is not None
    assert Origin.of(record).remote_ip == "127.0.0.1"  # for the log; Orthanc's plugin keeps none


# -- Accept -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+xml",
        "application/dicom+json;q=0.1, application/dicom+xml",
        'multipart/related; type="application/dicom+xml"',
    ],
)
def test_the_answer_is_xml_where_the_client_likes_that_better(stage: RestStage, accept: str) -> None:
    one = file()
    answer = post(stage, related(one.data, b"no DICOM"), Accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (202, "application/dicom+xml")
    attributes = {each.get("tag"): each for each in ET.fromstring(answer.body)}
    assert list(attributes) == ["00080005", "00081190", "00081199", "0008119A"]
    values = [each.text for each in attributes["00081199"].iter(f"{XML}Value")]
    assert values[:2] == [MR, one.instance]
    assert [each.text for each in attributes["0008119A"].iter(f"{XML}Value")] == [str(0xC000)]


def test_the_answer_is_json_for_everybody_else(stage: RestStage) -> None:
    for accept in (
        "",
        "*/*",
        "application/dicom+json",
        "application/json",
        "text/html",
    ):
        one = file()
        assert told(post(stage, related(one.data), Accept=accept)) == {"status": 200, "stored": [one.instance]}


# -- the study of the address -----------------------------------------------------------------------------------------


def test_only_instances_of_the_study_of_the_address_are_stored(stage: RestStage) -> None:
    one, other = file(study=1), file(study=2)
    answer = post(stage, related(other.data, one.data), study=uid(1, 1))
    assert told(answer) == {"status": 202, "stored": [one.instance], "failed": [(other.instance, 0x0110)]}
    assert "not of the study" in answer.headers["Warning"]
    assert len(ids(stage, "instances")) == 1


def test_instances_of_another_study_alone_are_a_conflict(stage: RestStage) -> None:
    other = file(study=2)
    answer = post(stage, related(other.data), study=uid(1, 1))
    assert told(answer) == {"status": 409, "failed": [(other.instance, 0x0110)]}
    assert json.loads(answer.body)["00081190"] == {"vr": "UR"}
    assert ids(stage, "instances") == []


# -- what is refused --------------------------------------------------------------------------------------------------

GARBAGE = b"\0" * 128 + b"DICM" + b"garbage"


@pytest.mark.parametrize("bad", [b"", b"garbage", GARBAGE, b"PK\x03\x04"], ids=["empty", "text", "DICM", "ZIP"])
def test_what_is_no_file_is_a_failure_without_uids(stage: RestStage, bad: bytes) -> None:
    assert told(post(stage, related(bad))) == {"status": 400, "other": [0xC000]}
    one, other = file(), file()
    answer = post(stage, related(one.data, bad, other.data))
    assert told(answer) == {"status": 202, "stored": [one.instance, other.instance], "other": [0xC000]}


@pytest.mark.parametrize("lost", [1, 29, 100])
def test_a_file_that_is_damaged_is_named_by_its_meta_information(stage: RestStage, lost: int) -> None:
    one, damaged = file(), file()
    answer = post(stage, related(damaged.data[:-lost], one.data))
    assert told(answer) == {"status": 202, "stored": [one.instance], "failed": [(damaged.instance, 0xC000)]}


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_file_without_an_identifier_is_refused(stage: RestStage, keyword: str) -> None:
    bad = file(1, **{keyword: None})
    assert told(post(stage, related(bad.data))) == {"status": 400, "failed": [(bad.instance, 0xC000)]}


def test_a_part_of_another_type_is_refused(stage: RestStage) -> None:
    one, other = file(), file()
    answer = post(
        stage, related(one.data, kind="text/plain", end=b"\r\n") + related(other.data).removeprefix(b"--XX\r\n")
    )
    assert told(answer) == {"status": 202, "stored": [other.instance], "failed": [(one.instance, 0xC000)]}
    assert "text/plain" in answer.headers["Warning"]


def test_a_mixture_of_reasons_is_a_conflict(stage: RestStage) -> None:
    other = file(study=2)
    answer = post(stage, related(other.data, b"garbage"), study=uid(1, 1))
    assert told(answer) == {"status": 409, "failed": [(other.instance, 0x0110)], "other": [0xC000]}


def test_what_a_script_discards_has_not_been_stored(archive: Core) -> None:
    script = "function ReceivedInstanceFilter(dicom, origin) return dicom.Modality == 'MR' and origin.RequestOrigin == 'Plugins' end"
    with run_scripts(script) as scripts, rest_stage(archive, filters=scripts.filters) as stage:
        one, other = file(), file(Modality="CT")
        answer = post(stage, related(other.data, one.data))
        assert told(answer) == {"status": 202, "stored": [one.instance], "failed": [(other.instance, 0x0110)]}
        assert told(post(stage, related(other.data))) == {"status": 409, "failed": [(other.instance, 0x0110)]}
        assert len(ids(stage, "instances")) == 1


def test_a_script_that_fails_is_a_failure_of_its_instance(archive: Core) -> None:
    script = "function ReceivedInstanceFilter() error('boom') end"
    with run_scripts(script) as scripts, rest_stage(archive, filters=scripts.filters) as stage:
        one = file()
        assert told(post(stage, related(one.data))) == {"status": 409, "failed": [(one.instance, 0xA700)]}


class Failing:
    """An ingest some of whose uploads fail, when they are written or when they are stored."""

    def __init__(self, ingest: Any, error: SinogramError, fails: Callable[[int], bool], *, when: str) -> None:
        self._ingest, self._error, self._fails, self._when = ingest, error, fails, when
        self._number = 0

    def open(self, origin: Origin, correlation: bytes = b"") -> Any:
        upload = self._ingest.open(origin, correlation)
        self._number += 1
        if self._fails(self._number):

            def fail(*_: object) -> None:
                raise self._error

            failing = type("FailingUpload", (), {"write": upload.write, "store": upload.store, "look": upload.look})
            made: Any = failing
            setattr(made, self._when, staticmethod(fail))
            made.discard = upload.discard
            return made
        return upload


@pytest.mark.parametrize("when", ["write", "store"])
@pytest.mark.parametrize(
    ("error", "status"),
    [(StorageFull("the disk is full"), 507), (Busy("later"), 503), (StorageFailed("the disk fails"), 500)],
)
def test_where_this_server_cannot_store_the_client_is_told_to_come_again(
    stage: RestStage, error: SinogramError, status: int, when: str
) -> None:
    one, other, third = file(), file(), file()

    def ask(fails: Callable[[int], bool]) -> Answer:
        app = create_app(replace(stage.deps, ingest=Failing(stage.deps.ingest, error, fails, when=when)))  # type: ignore[arg-type]  # it attaches nothing
        headers = {"Content-Type": RELATED}
        return call(app, "/dicom-web/studies", "POST", related(one.data, other.data, third.data), headers)

    failed = [(each.instance, 0xA700) for each in (one, other, third)]
    assert told(ask(lambda _: True)) == {"status": status, "failed": failed}
    answer = told(ask(lambda number: number == 2))
    assert answer == {"status": 202, "stored": [one.instance, third.instance], "failed": failed[1:2]}


# -- bodies that are not well -----------------------------------------------------------------------------------------


def test_a_body_of_another_type_is_refused(stage: RestStage) -> None:
    for kind in (
        "",
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=XX",
        "multipart/related; boundary=XX",
        'multipart/related; type="application/dicom"',
        'multipart/related; type="text/plain"; boundary=XX',
    ):
        answer = post(stage, related(file().data), kind)
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (415, 3000)
        assert "application/dicom+json" in json.loads(answer.body)["Details"]
        assert ids(stage, "instances") == []


def test_a_body_without_an_instance_is_bad(stage: RestStage) -> None:
    for body in (
        b"",
        b"--XX--\r\n",
        b"--YY\r\n\r\nabc\r\n--YY--",
    ):
        answer = post(stage, body)
        assert (answer.status, json.loads(answer.body)["Details"]) == (400, "The body of the request holds no instance")


def test_of_a_body_that_is_cut_what_was_whole_is_stored_and_told(stage: RestStage) -> None:
    for count, lost in enumerate((7, 8, 9, 40, 400), 1):
        one, other = file(), file()
        answer = post(stage, related(one.data, other.data)[:-lost])
        assert told(answer) == {"status": 202, "stored": [one.instance], "other": [0xC000]}
        assert "does not end with the boundary" in answer.headers["Warning"]
        assert len(ids(stage, "instances")) == count


def test_a_client_that_falls_silent_is_told_what_was_stored(stage: RestStage) -> None:
    one, other = file(), file()
    body = related(one.data, other.data)
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {RELATED}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with (
        serving(stage.app, is_alone=False) as address,
        closing(connect(address, head.encode() + body[:-200])) as client,
    ):
        answer = http.client.HTTPResponse(client)
        answer.begin()
        module = json.loads(answer.read())
    assert answer.status == 202
    assert [each["00081155"]["Value"] for each in module["00081199"]["Value"]] == [[one.instance]]
    assert "0008119A" in module
    assert len(ids(stage, "instances")) == 1


def test_a_body_that_comes_in_chunks_is_stored(stage: RestStage) -> None:
    files = [file() for _ in range(3)]
    with (
        serving(stage.app, is_alone=False) as address,
        closing(http.client.HTTPConnection(*address, timeout=DEADLINE_S)) as client,
    ):
        body = related(*(each.data for each in files))
        chunks = (body[start : start + 100] for start in range(0, len(body), 100))
        client.request("POST", "/dicom-web/studies", chunks, {"Content-Type": RELATED}, encode_chunked=True)
        answer = client.getresponse()
        assert (answer.status, len(json.loads(answer.read())["00081199"]["Value"])) == (200, 3)
    assert len(ids(stage, "instances")) == 3


def test_a_body_that_is_cut_within_its_first_part_is_bad(stage: RestStage) -> None:
    answer = post(stage, related(file().data)[:-100])
    assert answer.status == 400
    assert "does not end with the boundary" in json.loads(answer.body)["Details"]
    assert ids(stage, "instances") == []


def test_a_request_has_a_most_number_of_parts(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_PARTS", 2)
    files = [file() for _ in range(3)]
    answer = post(stage, related(*(each.data for each in files)))
    assert told(answer) == {"status": 202, "stored": [each.instance for each in files[:2]], "other": [0xC000]}
    assert "2 parts or instances at most" in answer.headers["Warning"]


def test_a_body_beyond_the_limit_is_413_or_tells_what_was_stored(archive: Core) -> None:
    one, large = file(), file(EncapsulatedDocument=bytes(1 << 20))
    with rest_stage(archive, maximum_request_body_size_mb=1) as stage:
        assert post(stage, related(one.data, large.data)).status == 413  # it says so beforehand
        assert ids(stage, "instances") == []
        body = iter([related(one.data, end=b"\r\n"), related(large.data).removeprefix(b"--XX\r\n")])
        with (
            serving(stage.app, is_alone=False) as address,
            closing(http.client.HTTPConnection(*address, timeout=DEADLINE_S)) as client,
        ):
            client.request("POST", "/dicom-web/studies", body, {"Content-Type": RELATED}, encode_chunked=True)
            answer = client.getresponse()
            module = json.loads(answer.read())
    assert (answer.status, len(module["00081199"]["Value"]), len(module["0008119A"]["Value"])) == (202, 1, 1)


def test_the_answer_names_every_one_of_many(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are put into one piece of the answer."""
    monkeypatch.setattr(store_answer, "ITEMS_AT_ONCE", 20)
    files = [file() for _ in range(41)]
    answer = post(stage, related(*(each.data for each in files)))
    assert told(answer) == {"status": 200, "stored": [each.instance for each in files]}


# -- methods ----------------------------------------------------------------------------------------------------------


def test_a_read_only_archive_neither_stores_nor_deletes(archive: Core) -> None:
    with rest_stage(archive) as stage:
        post(stage, related(file().data))
    with rest_stage(archive, read_only=True) as stage:
        assert post(stage, related(file().data)).status in {404, 405}
        assert stage.ask(f"/dicom-web/studies/{uid(1, 1)}", "DELETE").status in {404, 405}
        assert len(ids(stage, "instances")) == 1


def test_dicomweb_that_is_off_stores_nothing(archive: Core) -> None:
    with rest_stage(archive, dicom_web=DicomWebSettings(is_enabled=False)) as stage:
        assert post(stage, related(file().data)).status == 404


# -- DELETE -----------------------------------------------------------------------------------------------------------


def test_delete_takes_an_instance_a_series_a_study(stage: RestStage) -> None:
    one, other = file(), file()
    third = encode(dataset(1, 1, 2, 7777))
    post(stage, related(one.data, other.data, third, file(study=2).data))
    study = f"/dicom-web/studies/{uid(1, 1)}"
    for path, left in (
        (f"{study}/series/{uid(1, 1, 1)}/instances/{one.instance}", 3),
        (f"{study}/series/{uid(1, 1, 1)}", 2),
        (study, 1),
    ):
        answer = stage.ask(path, "DELETE")
        assert (answer.status, answer.body) == (204, b"")
        assert len(ids(stage, "instances")) == left
        assert stage.ask(path, "DELETE").status == 404


def test_delete_of_a_study_of_two_patients_takes_both(stage: RestStage) -> None:
    post(stage, related(*(file(PatientID=patient, StudyInstanceUID="2.25.1").data for patient in ("A", "B"))))
    assert len(ids(stage, "studies")) == 2
    assert stage.ask("/dicom-web/studies/2.25.1", "DELETE").status == 204
    assert ids(stage, "studies") == []


def test_delete_takes_nothing_that_lies_elsewhere(stage: RestStage) -> None:
    one = file()
    post(stage, related(one.data, file(study=2).data))
    for path in (
        f"/studies/{uid(1, 2)}/series/{uid(1, 1, 1)}",
        f"/studies/{uid(1, 1)}/series/{uid(1, 2, 1)}/instances/{one.instance}",
        f"/studies/{one.instance}",
        "/studies/1.2.3",
    ):
        assert stage.ask("/dicom-web" + path, "DELETE").status == 404
    assert len(ids(stage, "instances")) == 2
