"""`sinogram import` of a folder that a real Orthanc has compressed: it says what it met, and does not pretend to have brought it."""

from pathlib import Path

import pytest

from tests.contract.test_cli_import import server as import_server
from tests.contract.test_cli_import import stored
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.peer.exchange import Request
from tests.peer.servers import Oracle, running
from tools.cli import main
from tools.import_files import is_compressed_by_orthanc, kind_of


@pytest.mark.peer
def test_a_folder_that_orthanc_has_compressed_is_named_as_what_it_is(
    tmp_path: Path, oracle: Oracle, capsys: pytest.CaptureFixture[str]
) -> None:
    made = dataset(1, 1, 1, 1)
    add_pixels(made)
    files = [encode(made), encode(dataset(1, 1, 1, 2))]  # one with pixels, one without
    with running("theirs", [oracle.command], tmp_path, '"StorageCompression": true,') as theirs:
        for data in files:
            assert theirs.ask(Request("/instances", "POST", data)).status == 200
        folder = theirs.data
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert not any(kind_of(path) for path in found)
    assert sum(is_compressed_by_orthanc(path) for path in found) >= len(files)
    with import_server(stored) as url:
        assert main(["import", "--url", url, "--quiet", str(folder)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("0 stored")
    assert "StorageCompression" in printed.err
