"""Entries of a modality worklist as `.wl` files: character sets, syntaxes, several steps, times written in several ways."""

from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

JAPANESE = "\\ISO 2022 IR 87"


def step(aet: str = "CT01", date: str = "20240115", time: str = "080000", modality: str = "CT") -> Dataset:
    item = Dataset()
    item.Modality, item.ScheduledStationAETitle = modality, aet
    item.ScheduledProcedureStepStartDate, item.ScheduledProcedureStepStartTime = date, time
    item.ScheduledPerformingPhysicianName, item.ScheduledProcedureStepDescription = "Phys^One", "Step"
    item.ScheduledProcedureStepID, item.ScheduledStationName = "S1", "STATION"
    return item


def entry(
    patient: str,
    name: str = "Doe^John",
    *steps: Dataset,
    charset: str | None = "ISO_IR 100",
    syntax: str = ExplicitVRLittleEndian,
    accession: str = "A1",
) -> bytes:
    made = Dataset()
    if charset is not None:
        made.SpecificCharacterSet = charset
    made.AccessionNumber, made.PatientName, made.PatientID = accession, name, patient
    made.PatientBirthDate, made.PatientSex = "19700101", "M"
    made.StudyInstanceUID = f"1.2.7305.{int(patient[1:])}"
    made.RequestedProcedureDescription, made.RequestedProcedureID = f"Procedure {patient}", f"RP{patient}"
    made.ScheduledProcedureStepSequence = list(steps or (step(),))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = UID("1.2.276.0.7230010.3.1.0.1")
    made.file_meta.MediaStorageSOPInstanceUID = made.StudyInstanceUID
    out = BytesIO()
    dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()


def entries() -> dict[str, bytes]:
    """Names of files and their bytes; patients P1 to P8."""
    return {
        "a.wl": entry("P1"),
        "b.wl": entry("P2", "Smith^Jane", step("MR01", "20240116", "093000", "MR")),
        "c.wl": entry("P3", "Müller^Jörg", step(time="235959"), charset="ISO_IR 192"),
        "d.wl": entry("P4", "Люкceмбypг", step("ct01", "20240117", "000000"), charset="ISO_IR 144"),
        "e.wl": entry("P5", "Yamada^Tarou=山田^太郎", step("US 01", time="1200"), charset=JAPANESE),
        "f.wl": entry("P6", "Doe^John", step(), step("MR01", "20240118", "101500", "MR"), accession=""),
        "g.wl": entry("P7", "Doe^John", step(time="120000.5"), syntax=ImplicitVRLittleEndian),
        "h.wl": entry("P8", "Doe^John", step(date="", time=""), charset=None),
    }


def write_folder(folder: Path) -> None:
    """Write the entries, and what is none: a file that is no DICOM, and DICOM files of other names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in entries().items():
        (folder / name).write_bytes(data)
    (folder / "lockfile").touch()  # which `wlmscpfs` wants
    (folder / "other.dcm").write_bytes(entry("P9"))
