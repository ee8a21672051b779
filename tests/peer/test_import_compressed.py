"""`sinogram import` of a folder that a real Orthanc has compressed brings every instance as it was sent there."""

from pathlib import Path

import pytest

from tests.contract.test_cli_import import server as import_server
from tests.contract.test_cli_import import stored
from tests.dicom_bytes import dataset, encode
from tests.fault.instances import Instance
from tests.peer.exchange import Request
from tests.peer.servers import Oracle, running
from tools.cli import main


@pytest.mark.peer
def test_a_folder_that_orthanc_has_compressed_is_brought_as_it_was(tmp_path: Path, oracle: Oracle) -> None:
    files = [Instance(number, "COMPRESSED", 1, 1, 20_000).file() for number in range(1, 4)]
    files.append(encode(dataset(1, 1, 1, 9)))  # one without pixels
    with running("theirs", [oracle.command], tmp_path, '"StorageCompression": true,') as theirs:
        for data in files:
            assert theirs.ask(Request("/instances", "POST", data)).status == 200
        folder = theirs.data
    sent: list[bytes] = []

    def answer(body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        sent.append(body)
        return stored(body, headers)

    assert (
        len([path for path in folder.rglob("*") if path.is_file()]) > len(files) + 1
    )  # beside an image lies its beginning
    with import_server(answer) as url:
        assert main(["import", "--url", url, "--quiet", str(folder)]) == 0
    assert sorted(sent) == sorted(files)
