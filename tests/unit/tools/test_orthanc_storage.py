"""Which files of an Orthanc's compressed folder are sent: each whole one, and no beginning of another."""

import zlib
from pathlib import Path

import pytest

from tests.dicom_bytes import dataset, encode
from tools.orthanc_storage import whole_files

IMAGE = encode(dataset(1, 1, 1, 1)) + bytes(range(256)) * 40
BEGINNING = IMAGE[:-5000]


def compressed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + zlib.compress(data)


CUT = compressed(IMAGE)[:-40]


@pytest.mark.parametrize(
    ("files", "sent"),
    [
        ([compressed(IMAGE), compressed(BEGINNING)], {0}),
        ([CUT, compressed(BEGINNING)], {0}),  # it would be stored in the place of the image
        ([CUT, compressed(IMAGE)], {0, 1}),  # another copy, which is whole
        ([compressed(IMAGE), compressed(encode(dataset(1, 1, 1, 2)))], {0, 1}),
    ],
    ids=["beginning", "beginning-of-a-damaged-one", "copy-of-a-damaged-one", "another-instance"],
)
def test_a_beginning_is_left_out_and_a_whole_file_never(tmp_path: Path, files: list[bytes], sent: set[int]) -> None:
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    for order in (paths, paths[::-1]):
        assert set(whole_files(order)) == {paths[number] for number in sent}
