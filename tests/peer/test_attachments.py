"""Attachments: every request is answered as Orthanc answers it, and `/changes` and sizes tell of the same."""

import zlib
from collections.abc import Iterator

import pytest

from tests.data_factory import dataset, encode
from tests.peer.changes import ChangeLog
from tests.peer.comparison import Difference, assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

OPTIONS = '"UserContentType": {"pdf": [1024, "application/pdf"], "two words": 1030, "x.y": [2000, ""], "last": 65535},'
LEVELS = ("patients", "studies", "series", "instances")
FACTS = ("size", "md5", "compressed-size", "compressed-md5", "info", "is-compressed")
BODY = b"0123456789"


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("attachments"), OPTIONS) as made:
        for server in (made.ours, made.theirs):
            assert server.ask(Request("/instances", "POST", encode(dataset(81, 1, 1, 1)))).status == 200
        made.wait_until_stable()
        yield made


def changes(pair: Pair) -> tuple[list[tuple[str, str, str, str]], ...]:
    """What both tell of attachments."""
    logs = (ChangeLog.of(server).rows() for server in (pair.ours, pair.theirs))
    return tuple([row for row in log if row[0] == "UpdatedAttachment"] for log in logs)


def names() -> list[str]:
    """Names and numbers that are there, could be, are Orthanc's own, and are none."""
    good = ["pdf", "1024", "01024", "two%20words", "1030", "x.y", "last", "65535", "5000"]
    own = ["dicom", "1", "dicom-as-json", "2", "dicom-until-pixel-data", "3", "1023", "0", "-1"]
    none = ["65536", "99999", "2147483648", "-2147483649", "PDF", "nope", "1024.0", "1024x", "0x400", "%2B1024"]
    return good + own + none + ["%201024", "1024%20", "1024%09", "%20", "%C2%A01024"]


def sizes(pair: Pair) -> list[Request]:
    found = [Request("/statistics")]
    for level in LEVELS:
        found += [Request(f"/{level}/{identifier}/statistics") for identifier in pair.ids(level)]
        found.append(Request(f"/{level}?response-content=Attachments"))
    return found


def repacked(path: str, names: list[str]) -> list[Request]:
    """Compress and uncompress, each once more than is needed, and look at all that shows it."""
    found = []
    for name in names:
        for change in ("compress", "compress", "uncompress", "uncompress", "compress"):
            found.append(Request(f"{path}/{name}/{change}", "POST", ""))
            found += [Request(f"{path}/{name}/{below}")
                      for below in ("data", "data?filename=x", "size", "md5", "is-compressed")]  # fmt: skip
            found.append(Request(f"{path}/{name}/verify-md5", "POST", ""))
            found += [Request(f"{path}/{name}/data", headers={"Range": wanted})
                      for wanted in ("bytes=2-5", "bytes=3-", "bytes=0-0", "bytes=10-12", "bytes=900000-")]  # fmt: skip
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_a_life_of_attachments(pair: Pair, level: str) -> None:
    (identifier,) = pair.ids(level)
    path = f"/{level}/{identifier}/attachments"
    lists = [Request(f"{path}{query}") for query in ("", "?full", "?full=false", "?full=x", "?expand")]
    read = [Request(f"{path}/{name}{below}") for name in names() for below in ("", "/data", "/nope")]
    facts = [Request(f"{path}/{name}/{fact}") for name in ("pdf", "1030", "5000", "dicom", "3") for fact in FACTS]
    named = [Request(f"{path}/pdf/data{query}")
             for query in ("?filename=a.pdf", "?filename", "?filename=", "?filename=a%20b", "?x")]  # fmt: skip
    requests = [
        *lists,
        *read,
        *(Request(f"{path}/{name}", "PUT", f"of {name}") for name in names()),
        *(Request(f"{path}/pdf", "PUT", value) for value in ("hello", "hello", b"\xff\0", "x" * 100_000)),
        Request(f"{path}/1030", "PUT", b""),
        Request(f"{path}/5000", "PUT", b"\x1f\x8bno gzip", {"Content-Encoding": "gzip"}),
        *lists,
        *read,
        *facts,
        *named,
        *repacked(path, ["nope", "2", "5555"]),
        Request(f"{path}/x.y/info", headers={"Accept": "application/xml"}),
        Request(path, "DELETE"),
        Request(path, "PUT", "x"),
        Request(f"{path}/pdf", "POST", "x"),
        *(Request(f"{path}/{name}/verify-md5", "POST", "") for name in names()),
        *(Request(f"{path}/pdf/{below}", method, "x")
          for below in ("data", "size", "info", "verify-md5", "compress", "compressed-data") for method in ("PUT", "DELETE")),
        *(Request(f"{path}/pdf/{below}") for below in ("verify-md5", "compress", "uncompress")),
        *sizes(pair),
        *(Request(f"{path}/{name}", "DELETE") for name in names() if name not in {"x.y", "last"}),
        Request(f"{path}/pdf", "DELETE"),
        *(Request(f"{path}/{name}") for name in names()),
        Request(f"{path}/last", "PUT", "once more"),
        *lists,
        *sizes(pair),
    ]  # fmt: skip
    before = [len(rows) for rows in changes(pair)]
    assert_same(pair.differences(requests))
    ours, theirs = (rows[start:] for rows, start in zip(changes(pair), before, strict=True))
    assert ours == theirs
    assert len(ours) > len(names()) / 2


@pytest.mark.parametrize("level", LEVELS)
def test_attachments_of_nothing(pair: Pair, level: str) -> None:
    before = changes(pair)
    for identifier in ("nope", "00000000-00000000-00000000-00000000-00000000"):
        path = f"/{level}/{identifier}/attachments"
        requests = [Request(path), Request(f"{path}?full")]
        for name in names():
            requests += [Request(f"{path}/{name}{below}", method, body) for below, method, body in
                         (("", "GET", None), ("/data", "GET", None), ("/size", "GET", None), ("", "PUT", "x"),
                          ("", "DELETE", None), ("/verify-md5", "POST", ""), ("/compress", "POST", ""))]  # fmt: skip
        assert_same(pair.differences(requests))
    assert changes(pair) == before


def test_attachments_by_another_level(pair: Pair) -> None:
    """One is set whatever level the URI names, and read by that of the resource alone."""
    (study,) = pair.ids("studies")
    requests = [
        Request(f"/series/{study}/attachments/pdf", "PUT", "by series"),
        *(Request(f"/{level}/{study}/attachments/pdf/data") for level in LEVELS),
        *(Request(f"/{level}/{study}/attachments/pdf/verify-md5", "POST", "") for level in LEVELS),
        Request(f"/instances/{study}/attachments"),
        Request(f"/patients/{study}/attachments/pdf", "DELETE"),
        Request(f"/studies/{study}/attachments/pdf"),
    ]
    assert_same(pair.differences(requests))
    ours, theirs = changes(pair)
    assert ours[-2:] == theirs[-2:]
    assert {row[1] for row in ours[-2:]} == {"Study"}


RANGES = (
    *("bytes=0-3", "bytes=2-", "bytes=-3", "bytes=-0", "bytes=0-0", "bytes=9-9", "bytes=0-9", "bytes=00-03", "bytes=-"),
    *(
        "bytes=0-10",
        "bytes=5-100",
        "bytes=10-",
        "bytes=10-12",
        "bytes=-10",
        "bytes=-20",
        "bytes=0-18446744073709551615",
    ),
    *("bytes=0-1,4-5", "bytes=1-2-3", "bytes=--3", "bytes=1--3", "bytes=1-3,", "bytes=,1-3", "bytes=", "bytes", ""),
    *("chunks=0-3", "Bytes=0-3", "1-3", "=1-3", "bytes==1-3", "bytes=a-b", "bytes=0x1-3", "bytes=1.0-3", "nope"),
    *("bytes= 1-3", "bytes=1 -3", "bytes=1- 3", "bytes = 1-3", "bytes=+1-3", "bytes=1-+3"),
    *("bytes=18446744073709551616-18446744073709551617", "bytes=99999999999999999999999-", "bytes=5-3"),
)


@pytest.mark.parametrize("body", [BODY, b"", b"x"])
def test_ranges(pair: Pair, body: bytes) -> None:
    (instance,) = pair.ids("instances")
    path = f"/instances/{instance}/attachments"
    asked = [
        Request(f"{path}/{name}", headers={"Range": wanted})
        for wanted in RANGES
        for name in ("1024/data", "1024/size", "5555/data", "nope/data")
    ]
    more = [Request(f"{path}/1024/data?filename=x", headers={"Range": "bytes=0-0"}),
            Request(f"{path}/1024/data", headers={"Range": "bytes=0-0", "If-Range": '"x"'}),
            Request(f"{path}/dicom/data", headers={"Range": "bytes=128-131"}),
            Request(f"/instances/{instance}/file", headers={"Range": "bytes=128-131"})]  # fmt: skip
    assert_same(pair.differences([Request(f"{path}/1024", "PUT", body), *asked, *more]))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("body", [BODY, b"", b"x" * 100_000], ids=["ten", "none", "many"])
def test_compression(pair: Pair, level: str, body: bytes) -> None:
    """How small a file becomes is the library's affair; all else is the same."""
    (identifier,) = pair.ids(level)
    path = f"/{level}/{identifier}/attachments"
    names = ["pdf", "dicom"] if level == "instances" else ["pdf"]
    before = changes(pair)
    assert_same(pair.differences([Request(f"{path}/pdf", "PUT", body), *repacked(path, names)]))
    ours, theirs = (rows[len(earlier) :] for rows, earlier in zip(changes(pair), before, strict=True))
    assert ours == theirs
    assert len(ours) == 1 + 3
    for name in names:
        for server in (pair.ours, pair.theirs):
            content, lying = (server.get(f"{path}/{name}/{which}").body for which in ("data", "compressed-data"))
            assert lying == b"" if not content else inflate(lying) == (len(content), content)
    assert uncounted(pair.ours, path, names) == uncounted(pair.theirs, path, names)
    packed = [request for name in names for request in
              (Request(f"{path}/{name}/compressed-data?filename=x"), Request(f"{path}/{name}/info"),
               Request(f"{path}/{name}/compressed-size"), Request(f"{path}/{name}/compressed-md5"),
               Request(f"{path}/{name}/compressed-data", headers={"Range": "bytes=0-7"}))]  # fmt: skip
    found = pair.differences(packed)
    assert_same([each for each in found if not is_of_library(each)])
    assert_same(pair.differences([Request(f"{path}/{name}/uncompress", "POST", "") for name in names] + packed))
    assert_same(pair.differences([Request(f"{path}/pdf", "DELETE"), *sizes(pair)]))


def uncounted(server: Server, path: str, names: list[str]) -> list[int]:
    """What else the statistics of the resource and of the archive count on the disk than these attachments."""
    lying = sum(int(server.get(f"{path}/{name}/compressed-size").body) for name in names)
    shown = [server.get(uri).json() for uri in (path.replace("/attachments", "/statistics"), "/statistics")]
    return [int(shown[0]["DiskSize"]) - lying, int(shown[1]["TotalDiskSize"]) - lying]  # type: ignore[index]  # plain JSON


def inflate(lying: bytes) -> tuple[int, bytes]:
    """What the first eight bytes say of the size, and the content."""
    return int.from_bytes(lying[:8], "little"), zlib.decompress(lying[8:])


def is_of_library(found: Difference) -> bool:
    is_body = found.aspect in {"body", "body/CompressedMD5", "body/CompressedSize"}
    return is_body or (found.aspect == "header content-range" and "/compressed-data" in found.request.path)
