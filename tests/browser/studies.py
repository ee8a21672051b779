"""Studies for the browser's tests."""

from datetime import date, timedelta

from tests.dicom_bytes import add_pixels, dataset, encode

_FIRST_DAY = date(2026, 1, 1)


def make_study(number: int) -> bytes:
    """A study of one small image; the higher the number, the newer."""
    day = _FIRST_DAY + timedelta(days=number)
    made = dataset(
        patient=number + 1,
        study=number + 1,
        PatientName=f"Tester^Anna{number}",
        PatientID=f"P{number:04}",
        StudyDate=f"{day:%Y%m%d}",
        StudyDescription=("Head", "Knee MR", "Thorax CT")[number % 3],
        AccessionNumber=f"A{number}",
    )
    return encode(add_pixels(made))
