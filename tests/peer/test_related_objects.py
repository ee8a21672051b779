"""Studies whose objects refer to each other, changed beside Orthanc: CT and PET, RT structure set, plan and dose, a report, a presentation state.

All files of a request are compared at once: a drawn UID has to stand in the same places of all of them.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.data_factory import add_pixels, dataset, encode, uid
from tests.peer.changed_files import elements_of, masked
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle
from tests.peer.test_modification import is_needed

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

_STORAGE = "1.2.840.10008.5.1.4.1.1."
CT, PET, RT_DOSE, RT_STRUCT, RT_PLAN, REPORT, STATE = (
    f"{_STORAGE}{end}" for end in ("2", "128", "481.2", "481.3", "481.5", "88.33", "11.1")
)
FRAME = "1.2.826.0.1.3680043.9.1"


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, Sequence(value) if isinstance(value, list) and keyword.endswith("Sequence") else value)
    return made


def to(sop_class: str, series: int, number: int = 1) -> Dataset:
    """A reference to an instance of the study."""
    return item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid(1, 1, series, number))


def related() -> list[bytes]:
    ct = [add_pixels(dataset(1, 1, 1, n, SOPClassUID=CT, Modality="CT", FrameOfReferenceUID=FRAME)) for n in (1, 2)]
    ct[1].ReferencedImageSequence = Sequence([to(CT, 1)])
    pet = add_pixels(
        dataset(1, 1, 2, SOPClassUID=PET, Modality="PT", FrameOfReferenceUID=FRAME, DecayCorrection="START")
    )
    pet.RadiopharmaceuticalInformationSequence = Sequence(
        [item(Radiopharmaceutical="FDG", RadiopharmaceuticalStartTime="101112")]
    )
    pet.SourceImageSequence = Sequence([to(CT, 1), to(CT, 1, 2)])
    struct = dataset(
        1,
        1,
        3,
        SOPClassUID=RT_STRUCT,
        Modality="RTSTRUCT",
        StructureSetLabel="a",
        StructureSetDate="20240101",
        StructureSetTime="10",
    )
    series = item(SeriesInstanceUID=uid(1, 1, 1), ContourImageSequence=[to(CT, 1), to(CT, 1, 2)])
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=uid(1, 1),
        RTReferencedSeriesSequence=[series],
    )
    struct.ReferencedFrameOfReferenceSequence = Sequence(
        [item(FrameOfReferenceUID=FRAME, RTReferencedStudySequence=[study])]
    )
    struct.StructureSetROISequence = Sequence(
        [item(ROINumber="1", ReferencedFrameOfReferenceUID=FRAME, ROIName="Lung")]
    )
    struct.ROIContourSequence = Sequence(
        [item(ContourSequence=[item(ContourImageSequence=[to(CT, 1, 2)], NumberOfContourPoints="1")])]
    )
    plan = dataset(
        1,
        1,
        4,
        SOPClassUID=RT_PLAN,
        Modality="RTPLAN",
        FrameOfReferenceUID=FRAME,
        RTPlanLabel="p",
        RTPlanDate="20240101",
    )
    plan.ReferencedStructureSetSequence = Sequence([to(RT_STRUCT, 3)])
    plan.BeamSequence = Sequence(
        [item(BeamName="b", TreatmentMachineName="Linac", ReferencedReferenceImageSequence=[to(CT, 1)])]
    )
    dose = add_pixels(dataset(1, 1, 5, SOPClassUID=RT_DOSE, Modality="RTDOSE", FrameOfReferenceUID=FRAME), frames=2)
    dose.ReferencedRTPlanSequence = Sequence([to(RT_PLAN, 4)])
    report = dataset(
        1,
        1,
        6,
        SOPClassUID=REPORT,
        Modality="SR",
        ContentDate="20240101",
        ContentTime="10",
        VerificationFlag="UNVERIFIED",
    )
    evidence = item(SeriesInstanceUID=uid(1, 1, 2), ReferencedSOPSequence=[to(PET, 2)])
    report.CurrentRequestedProcedureEvidenceSequence = Sequence(
        [item(StudyInstanceUID=uid(1, 1), ReferencedSeriesSequence=[evidence])]
    )
    report.ContentSequence = Sequence([item(ValueType="IMAGE", ReferencedSOPSequence=[to(PET, 2)])])
    state = dataset(1, 1, 7, SOPClassUID=STATE, Modality="PR", ContentLabel="L", PresentationCreationDate="20240101")
    state.ReferencedSeriesSequence = Sequence(
        [item(SeriesInstanceUID=uid(1, 1, 1), ReferencedImageSequence=[to(CT, 1)])]
    )
    other = add_pixels(dataset(1, 2, 1, SOPClassUID=CT, Modality="CT", FrameOfReferenceUID=FRAME))
    other.ReferencedStudySequence = Sequence([item(ReferencedSOPInstanceUID=uid(1, 1), StudyInstanceUID=uid(1, 1))])
    other.SourceImageSequence = Sequence([to(CT, 1)])
    return [encode(each) for each in (*ct, pet, struct, plan, dose, report, state, other)]


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("related")) as made:
        yield made


@pytest.fixture(scope="module")
def stored(pair: Pair) -> dict[str, list[str]]:
    """By level: what is there before anything is changed."""
    for server in (pair.ours, pair.theirs):
        assert all(server.ask(Request("/instances", "POST", data)).status == 200 for data in related())
    return {level: pair.ids(level) for level in ("patients", "studies", "series", "instances")}


def outcome(server: Server, sources: list[str], path: str, body: dict[str, Any]) -> dict[str, bytes]:
    """Every element of what is made, by the place of its source and its path; then it goes."""
    assert server.ask(Request(path, "POST", json.dumps(body))).status == 200
    told: Any = server.get_json("/instances?expand")
    made = {each.get("AnonymizedFrom") or each.get("ModifiedFrom"): each for each in told if each["ID"] not in sources}
    found = {}
    for place, source in enumerate(sources):
        if source in made:
            elements = elements_of(server.get(f"/instances/{made[source]['ID']}/file").body)
            found.update({f"{place}/{key}": value for key, value in elements.items()})
    for each in made.values():
        assert server.ask(Request(f"/instances/{each['ID']}", "DELETE")).status == 200
    return masked(found)


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/studies/{study}/anonymize", {}), ("/studies/{study}/anonymize", {"DicomVersion": "2008"}), ("/studies/{study}/anonymize", {"DicomVersion": "2017c"}),
    ("/studies/{study}/anonymize", {"DicomVersion": "2021b"}), ("/studies/{study}/anonymize", {"Keep": ["FrameOfReferenceUID", "ROIName"]}),
    ("/patients/{patient}/anonymize", {}), ("/studies/{study}/modify", {"Replace": {"StudyDescription": "x"}}),
    ("/patients/{patient}/modify", {"Replace": {"PatientID": "N"}, "Force": True}), ("/series/{series}/anonymize", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"), REQUESTS, ids=lambda value: value if isinstance(value, str) else json.dumps(value)
)
def test_what_refers_to_each_other_does_so_afterwards_as_by_orthanc(
    pair: Pair, stored: dict[str, list[str]], path: str, body: dict[str, Any]
) -> None:
    whole = next(each for each in stored["studies"] if len(pair.theirs.get_json(f"/studies/{each}")["Series"]) > 1)  # type: ignore[index] # an object
    series: Any = pair.theirs.get_json(f"/studies/{whole}/series")
    pet = next(each["ID"] for each in series if each["MainDicomTags"]["Modality"] == "PT")
    named = path.format(study=whole, patient=stored["patients"][0], series=pet)
    ours, theirs = (outcome(server, stored["instances"], named, body) for server in (pair.ours, pair.theirs))
    assert len(theirs) > 30
    different = {
        key: (ours.get(key), theirs.get(key)) for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)
    }
    if path.endswith("anonymize"):
        different = {key: both for key, both in different.items() if not is_needed(key.partition("/")[2], both[1])}
    assert different == {}
