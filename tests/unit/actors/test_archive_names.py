"""Names in archives, where they are not Orthanc's (those are compared in tests/peer/test_archives.py), and their limits."""

import pytest

from actors.services.archives.names import Siblings, file_names, folder_name
from events.identifiers import Level
from store.dicom.tags import MODALITY, PATIENT_ID, PATIENT_NAME, SERIES_DESCRIPTION


@pytest.mark.parametrize("told", ["..", ".", "", "-", "日本", "../", "/"])
def test_no_folder_leads_out_of_the_archive_or_has_no_name(told: str) -> None:
    assert folder_name(Level.PATIENT, {PATIENT_ID: told}) == "Unknown Patient"
    assert folder_name(Level.SERIES, {MODALITY: "", SERIES_DESCRIPTION: told}) == "Unknown Series"


def test_names_in_utf8_keep_letters_of_all_scripts_and_nothing_that_separates_folders() -> None:
    tags = {PATIENT_ID: "P/1\\2:3", PATIENT_NAME: "Müller^Jürg=山田^太郎"}
    assert folder_name(Level.PATIENT, tags, is_utf8=True) == "P123 Müller Jürg山田 太郎"
    assert folder_name(Level.PATIENT, tags) == "P123 Mller Jrg"


def test_equal_names_are_numbered_in_the_order_in_which_they_come() -> None:
    taken = Siblings()
    assert [taken.take(name) for name in ("a", "b", "a", "a", "A")] == ["a", "b", "a-2", "a-3", "A"]


def test_files_are_called_by_their_numbers_unless_two_have_one() -> None:
    assert file_names("CT", [3, 7, 20]) == ["CT000003.dcm", "CT000007.dcm", "CT000020.dcm"]
    assert file_names("CT", [3, 7, 7]) == ["CT000000.dcm", "CT000001.dcm", "CT000002.dcm"]
