"""Files that make archives of many kinds, and what an archive is compared by: names, order and bytes of its members, and records of DICOMDIR."""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.dicom_bytes import CT, SECONDARY_CAPTURE, add_pixels, dataset, encode, uid

# Where records stand depends on how long the names of the writers are.
_OFFSETS = {0x00041200, 0x00041202, 0x00041400, 0x00041420}
_RECORDS = 0x00041220

_NAMES: tuple[tuple[str | None, str | None], ...] = (  # PatientID, PatientName
    ("A1", "Doe^Jane"),
    ("A1", "Doe^John"),  # PatientIDs that collide
    ("A1 Doe", "Jane"),  # another patient, the same folder
    ("a1", "doe^jane"),
    ("", ""),
    (None, None),
    (" a  b ", " x  y^z"),
    ("../..", ".."),
    ("..\\x", "A/B:C*D?"),
    ("L" * 64, "M" * 64),
    ("tab\tx", "n[1]{2}(3)+=,;!@#$%&~`'"),
)
_TEXTS: tuple[tuple[str, str], ...] = (  # SpecificCharacterSet, a name
    ("ISO_IR 100", "Müller^Jürg^Ä"),
    ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO_IR 144", "Люкceмбypг"),
    ("ISO_IR 192", "é日本😀ﬁ½²µ a"),
)
_NUMBERS: tuple[tuple[str | None, ...], ...] = (  # of the instances of a series
    ("7", "5", "5"),
    ("7", None, "20"),
    ("1", "3"),
    ("-7",),
    ("4294967295", "4294967296", "4294967301"),
    ("99999999999", " 5 ", "+6"),
    ("0", "-1", None),
    ("1.5", "2"),
    ("12345678", "007"),
    ("99999999999999999999", "3"),
)
_MODALITIES = (None, "", "ct", "S", "U/S", "PETMOD", "X Y", "A_B", "%d", "..")


def varied_files() -> Iterator[bytes]:
    """Names that are empty, hostile, foreign or the same; numbers that are missing, equal, negative or too large."""
    for number, (patient_id, name) in enumerate(_NAMES):
        for study in (1, 2):
            told: dict[str, Any] = {"PatientID": patient_id, "PatientName": name}
            if study == 2:
                told |= dict.fromkeys(("AccessionNumber", "StudyDescription", "SeriesDescription"))
            yield made_file(901 + number, study, 1, 1, **told)
    for number, (charset, name) in enumerate(_TEXTS):
        told = {
            "SpecificCharacterSet": charset.split("\\"),
            "PatientName": name,
            "StudyDescription": name.split("=")[0],
        }
        yield made_file(920 + number, 1, 1, 1, SeriesDescription=name.split("=")[-1], **told)
    for series, numbers in enumerate(_NUMBERS):
        for instance, told_number in enumerate(numbers):
            yield made_file(930, 1, series, instance, InstanceNumber=told_number, SeriesDescription="same")
    for series, modality in enumerate(_MODALITIES):
        yield made_file(931, 1, series, 1, Modality=modality, SeriesDescription="a-b")
    empty = ("StudyDate", "StudyTime", "StudyID", "SeriesNumber", "InstanceNumber", "Modality")
    yield made_file(932, 1, 1, 1, **dict.fromkeys(empty, ""))
    # Without a StudyDate Orthanc's directory has today's, so the day is not to change meanwhile: `compare` looks at that.
    yield made_file(932, 2, 1, 1, StudyID=None, SeriesNumber=None, InstanceNumber=None, Modality=None)
    for instance in range(3):
        yield made_file(933, 1, 1, instance, SOPClassUID=(CT, SECONDARY_CAPTURE, "1.2.3.99")[instance])
    yield made_file(936, 1, 1, 1, StudyDescription="a\nb\rc\x1bd\x7fe\x01f", SeriesDescription="a\nb")
    for patient in (934, 935):  # two patients, one study by its UIDs
        yield made_file(
            patient, 1, 1, 1, StudyInstanceUID=uid(934), SeriesInstanceUID=uid(934, 1), SOPInstanceUID=uid(934, patient)
        )


def made_file(patient: int, study: int, series: int, instance: int, **attributes: Any) -> bytes:
    told = {"StudyTime": "101112", "PatientID": f"PAT{patient}"} | attributes
    with pydicom_config.disable_value_validation():
        return encode(add_pixels(dataset(patient, study, series, instance, **told), rows=4, columns=4))


def members(archive: bytes) -> list[str]:
    """What an archive is compared by, in order: a line a member, or a record of DICOMDIR."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return [line for name in opened.namelist() for line in _lines(name, opened.read(name))]


def _lines(name: str, data: bytes) -> list[str]:
    if name != "DICOMDIR":
        return [f"{name} {hashlib.sha256(data).hexdigest()}"]
    return [f"{name} {tag:08x} {vr} {value!r}" for record in records(data) for tag, vr, value in record]


def records(directory: bytes) -> list[list[tuple[int, str, bytes]]]:
    """The elements of a DICOMDIR as they lie in it: its own, then those of each record; without the places of records."""
    with pydicom_config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of character sets that pydicom does not know
        read = dcmread(io.BytesIO(directory))
        return [_raw(each) for each in (read, *read.get("DirectoryRecordSequence", ()))]


def _raw(item: Dataset) -> list[tuple[int, str, bytes]]:
    raw = [item.get_item(tag) for tag in sorted(item.keys()) if tag not in _OFFSETS and tag != _RECORDS]
    return [(int(each.tag), str(each.VR), bytes(each.value or b"")) for each in raw]
