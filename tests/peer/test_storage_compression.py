"""`StorageCompression`, on and then off: what is kept, what is read and what is counted is as in Orthanc 1.12.7, but for what zlib makes of it."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.data_factory import add_pixels, dataset, encode, shipped_files
from tests.peer.comparison import Difference, assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle
from tests.peer.test_attachments import inflate, is_of_library

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

FACTS = ("size", "md5", "compressed-size", "compressed-md5", "is-compressed", "info")
READ = (
    *("file", "tags", "simplified-tags", "header", "content", "metadata?expand", "attachments?full", "statistics"),
    *("content/PatientID", "content/7fe0-0010/0"),
)  # fmt: skip
SHIPPED = frozenset(
    f"{name}.dcm"
    for name in (
        "MR_small",
        "MR_small_implicit",
        "MR_small_bigendian",
        "MR_small_RLE",
        "JPEG2000",
        "image_dfl",
        "reportsi",
    )
)
ATTACHMENTS = ("dicom", "dicom-until-pixel-data", "1024", "1025")


def samples() -> list[bytes]:
    """Files of several transfer syntaxes, and some of our own: with pixels, without, with more of them than is compressed at once."""
    own = [add_pixels(dataset(91)), dataset(92), add_pixels(dataset(93), rows=60_000)]
    return [*(each.data for each in shipped_files() if each.name in SHIPPED), *map(with_length, own)]


def with_length(made: Dataset) -> bytes:
    """Encode a dataset; without the length of its meta information 1.12.7 does not see where pixels begin."""
    file = BytesIO()
    pydicom.dcmwrite(file, pydicom.dcmread(BytesIO(encode(made))), enforce_file_format=True)
    return file.getvalue()


def looks(pair: Pair) -> Iterator[Request]:
    yield Request("/statistics")
    for instance in pair.ids("instances"):
        path = f"/instances/{instance}"
        yield from (Request(f"{path}/{below}") for below in READ)
        for name in ATTACHMENTS:
            yield from (Request(f"{path}/attachments/{name}/{fact}") for fact in ("info", "is-compressed", "data"))
            yield Request(f"{path}/attachments/{name}/verify-md5", "POST", "")
            yield from (Request(f"{path}/attachments/{name}/data", headers={"Range": wanted})
                        for wanted in ("bytes=128-131", "bytes=99999999-"))  # fmt: skip
    yield from (Request(f"/instances/{pair.ids('instances')[0]}/attachments/dicom/{fact}") for fact in FACTS)
    for series in pair.ids("series")[:2]:
        yield from (Request(f"/series/{series}/{below}") for below in ("statistics", "shared-tags", "instances-tags"))


def is_accepted(found: Difference) -> bool:
    return is_of_library(found) and (
        found.aspect != "body" or found.request.path.endswith(("compressed-size", "compressed-md5"))
    )


def is_size(found: Difference) -> bool:
    return found.aspect.removeprefix("body/") in {"DiskSize", "DicomDiskSize", "TotalDiskSize"}


def check(pair: Pair) -> list[tuple[str, str]]:
    """Compare all that shows; returns each attachment that is compressed, by its path and name."""
    found = pair.differences(list(looks(pair)))
    assert_same([each for each in found if not is_accepted(each) and not is_size(each)])
    compressed = []
    for instance in pair.ids("instances"):
        for name in ATTACHMENTS:
            path = f"/instances/{instance}/attachments/{name}"
            if pair.ours.ask(Request(f"{path}/is-compressed")).body == b"1":
                compressed.append((instance, name))
                for server in (pair.ours, pair.theirs):
                    content, lying = (server.get(f"{path}/{which}").body for which in ("data", "compressed-data"))
                    assert lying == b"" if not content else inflate(lying) == (len(content), content)
    assert uncounted(pair.ours) == uncounted(pair.theirs) == 0
    return compressed


def uncounted(server: Server) -> int:
    """What the statistics count on the disk besides the attachments of instances."""
    shown: dict[str, str] = server.get_json("/statistics")  # type: ignore[assignment]  # plain JSON
    total = int(shown["TotalDiskSize"])
    for instance in server.get_json("/instances"):  # type: ignore[attr-defined]  # a list
        path = f"/instances/{instance}"
        names: list[str] = server.get_json(f"{path}/attachments")  # type: ignore[assignment]
        sizes = {name: int(server.get(f"{path}/attachments/{name}/compressed-size").body) for name in names}
        of_instance: dict[str, str] = server.get_json(f"{path}/statistics")  # type: ignore[assignment]
        assert int(of_instance["DicomDiskSize"]) == sizes["dicom"]
        assert int(of_instance["DiskSize"]) == sum(sizes.values())
        total -= sum(sizes.values())
    return total


def put(pair: Pair, number: int, body: bytes) -> list[Request]:
    return [Request(f"/instances/{each}/attachments/{number}", "PUT", body) for each in pair.ids("instances")[:3]]


def test_what_is_compressed_stays_so_and_what_comes_later_is_not(oracle: Oracle, tmp_path: Path) -> None:
    with start_pair(oracle, tmp_path, '"StorageCompression": true,') as pair:
        assert_same(pair.differences([Request("/instances", "POST", data) for data in samples()]))
        assert_same(pair.differences(put(pair, 1024, b"text " * 100)))
        before = check(pair)
        assert {name for _, name in before} == {"dicom", "dicom-until-pixel-data", "1024"}
    with start_pair(oracle, tmp_path, '"StorageCompression": false,') as pair:
        assert check(pair) == before
        again = [Request("/instances", "POST", data) for data in samples()]
        assert_same(pair.differences([*again, Request("/instances", "POST", with_length(add_pixels(dataset(94))))]))
        assert_same(pair.differences(put(pair, 1025, b"text " * 100)))
        first = f"/instances/{before[0][0]}/attachments"
        changed = [Request(f"{first}/{name}/{change}", "POST", "")
                   for change in ("uncompress", "compress", "uncompress") for name in ("dicom", "dicom-until-pixel-data")]  # fmt: skip
        assert_same(pair.differences([*changed, Request(f"{first}/3", "DELETE"), Request(f"{first}/3", "PUT", "x")]))
        assert {name for instance, name in before if instance == before[0][0]} >= {"dicom"}
        assert check(pair) == [each for each in before if each[0] != before[0][0] or each[1] == "1024"]
