"""No byte of an anonymised file says who the patient was."""

import io
import re
import warnings
from collections.abc import Iterator

import pydicom
import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from actors.services.ingest.settings import IngestSettings
from actors.services.jobs.operations.modification_plan import to_plan
from events.identifiers import Level
from store.dicom.change.basic_profile import EDITIONS, profile
from store.dicom.part10 import open_part10
from store.projections.job_rows import JobState
from store.records import Instance
from store.views.metadata import sources_of
from tests.contract.changed_datasets import anonymize, item, read
from tests.contract.modification_stage import NAME, plan_of
from tests.contract.operations_stage import working
from tests.contract.retrieve_stage import fill
from tests.data_factory import add_pixels, all_files, dataset, encode
from tools.server.core import Core

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


SECRETS = ("Geheim^Jürgen", "ID-4711-é", "19610203", "2.25.4711.1", "Klinikum Süd", "private Söcret", "1.2.4711.9")


def told_everywhere(charset: str, values: tuple[str, ...] = SECRETS) -> bytes:
    """A file that says who the patient is wherever the profile looks, at three depths, and in private elements."""
    name, identifier, date, own, place, private, frame = values
    made = add_pixels(dataset(1, SpecificCharacterSet=charset))
    deepest = item(
        PatientName=name, PatientID=identifier, PatientBirthDate=date, InstitutionName=place, FrameOfReferenceUID=frame
    )
    deepest.add_new(0x00090010, "LO", private)
    deepest.add_new(0x00091001, "LO", private)
    middle = item(
        SourceImageSequence=Sequence([deepest]), ReferencedSOPInstanceUID=own, OperatorsName=name, PatientComments=place
    )
    for keyword, value in (
        ("PatientName", name), ("PatientID", identifier), ("PatientBirthDate", date), ("StudyDate", date), ("SeriesDate", date),
        ("AcquisitionDate", date), ("ContentDate", date), ("InstitutionName", place), ("InstitutionAddress", place),
        ("ReferringPhysicianName", name), ("OperatorsName", name), ("OtherPatientIDs", identifier), ("PatientAddress", place),
        ("PatientComments", name), ("StudyDescription", name), ("SeriesDescription", place), ("AccessionNumber", identifier[:16]),
        ("StudyInstanceUID", own + ".1"), ("SeriesInstanceUID", own + ".2"), ("SOPInstanceUID", own), ("FrameOfReferenceUID", frame),
        ("RequestingPhysician", name), ("StationName", place), ("DeviceSerialNumber", identifier), ("ProtocolName", name),
    ):  # fmt: skip
        setattr(made, keyword, value)
    made.SourceImageSequence = Sequence([middle, deepest])
    made.RequestAttributesSequence = Sequence([item(ScheduledProcedureStepDescription=name)])
    block = made.private_block(0x0029, private, create=True)
    block.add_new(1, "LO", private)
    block.add_new(2, "OB", name.encode("utf-16"))
    block.add_new(3, "SQ", Sequence([item(PatientName=name)]))
    made.add_new(0x60004000, "LT", private)
    made.add_new(0x50000022, "LO", private)
    return encode(made, preamble=(b"Geheim^" * 19)[:128])


def spellings(value: str) -> Iterator[bytes]:
    """A value in every encoding in which a file may hold it; words of some length count alone, too."""
    for text in {value, *(word for word in re.split(r"[\^ =\\]", value) if len(word) > 4)}:
        for encoding in (
            "utf-8",
            "latin-1",
            "iso8859-2",
            "iso8859-5",
            "shift_jis",
            "iso2022_jp",
            "euc_kr",
            "gb18030",
            "utf-16-le",
        ):
            try:
                yield text.encode(encoding)
            except UnicodeEncodeError:
                continue


def leaks(data: bytes, values: tuple[str, ...]) -> list[bytes]:
    file = open_part10(data)
    seen = data + bytes(file.data)  # what is deflated is looked at inflated, too
    return [raw for value in values for raw in spellings(value) if raw in seen]


@pytest.mark.parametrize("edition", [edition for edition in EDITIONS if edition != "2008"])
@pytest.mark.parametrize(
    ("charset", "values"),
    [
        ("ISO_IR 192", SECRETS),
        ("ISO_IR 100", SECRETS),
        ("ISO_IR 192", ("山田^太郎=やまだ^たろう", "患者４７１１", "19610203", "2.25.4711.1", "東京病院", "秘密の値です", "1.2.4711.9")),
        ("ISO_IR 144", ("Люкceмбypг^Иван", "ИД-4711-Ж", "19610203", "2.25.4711.1", "Больница", "секретно!", "1.2.4711.9")),
    ],
)  # fmt: skip
def test_no_byte_tells_who_the_patient_was(edition: str, charset: str, values: tuple[str, ...]) -> None:
    data = told_everywhere(charset, values)
    assert leaks(data, values)  # the search finds what is there
    assert leaks(anonymize(data, DicomVersion=edition), values) == []


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_no_transfer_syntax_hides_anything(syntax: str) -> None:
    source = read(told_everywhere("ISO_IR 100"))
    assert leaks(anonymize(encode(source, syntax)), SECRETS) == []


@pytest.mark.parametrize("compress", [False, True])
def test_no_stored_byte_of_what_a_job_makes_tells_it_either(archive: Core, compress: bool) -> None:
    """Of sources that are compressed and that are not, one of them deflated; what is made is stored compressed or not."""
    plain = told_everywhere("ISO_IR 192")
    other = read(plain)
    other.SOPInstanceUID += ".7"
    with working(archive, settings=IngestSettings(sync=False, compress=compress)) as engine:
        fill(archive, plain, encode(other, DeflatedExplicitVRLittleEndian))
        plan = plan_of(engine)
        assert engine.run(NAME, to_plan(plan), plan.steps).state is JobState.Success
        with archive.views.snapshot() as s:
            records = [
                each for each in s.list(Level.INSTANCE) if isinstance(each, Instance) and sources_of(s, each.ref)
            ]
        assert len(records) == 2
        for record in records:
            stored = archive.blobs.path(record.blob).read_bytes()
            whole = bytes(archive.blobs.read_instance(record))
            assert (stored != whole) is compress
            assert leaks(whole, SECRETS) == []
            assert not any(raw in stored for value in SECRETS for raw in spellings(value))


def identifying(data: bytes, edition: str) -> set[bytes]:
    """The values of a file that an edition of the profile takes out, and those of private elements; too short ones are in every file."""
    table = profile(edition)

    def walk(found: Dataset) -> Iterator[bytes]:
        for tag in found.keys():  # noqa: SIM118 # a Dataset is iterated by its elements
            element = found.get_item(tag)
            if getattr(element, "VR", "") == "SQ" or found[tag].VR == "SQ":
                for inner in found[tag].value or ():
                    yield from walk(inner)
            elif (tag in table or tag in (0x00100010, 0x00100020) or tag.is_private) and isinstance(
                element.value, bytes
            ):
                yield element.value.strip(b" \0")

    with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        return {value for value in walk(pydicom.dcmread(io.BytesIO(data), force=True)) if len(value) > 7}


@pytest.mark.parametrize("edition", EDITIONS)
def test_nothing_identifying_is_left_of_any_sample(edition: str) -> None:
    """A value that stands in the pixels, or in an attribute that stays, too, is no leak: it is looked for in what left."""
    left = {}
    count = 0
    for sample in all_files():
        try:
            result = anonymize(sample.data, DicomVersion=edition)
            wanted = identifying(sample.data, edition)
        except Exception:  # noqa: BLE001 # a broken sample, which uploads refuse, or pydicom cannot read
            continue
        kept = identifying_elsewhere(sample.data, edition)
        file = open_part10(result)
        seen = result + bytes(file.data)
        found = {value for value in wanted if value in seen and not any(value in other for other in kept)}
        count += 1
        if found:
            left[sample.name] = found
    assert count > 100
    assert left == {}


def identifying_elsewhere(data: bytes, edition: str) -> list[bytes]:
    """The values of attributes that stay."""
    table = profile(edition)

    def walk(found: Dataset) -> Iterator[bytes]:
        for tag in found.keys():  # noqa: SIM118 # likewise
            if tag in table or tag.is_private:
                continue
            element = found.get_item(tag)
            if found[tag].VR == "SQ":
                for inner in found[tag].value or ():
                    yield from walk(inner)
            elif isinstance(element.value, bytes):
                yield element.value

    with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        return list(walk(pydicom.dcmread(io.BytesIO(data), force=True)))
