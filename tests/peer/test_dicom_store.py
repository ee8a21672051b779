"""C-ECHO and C-STORE with DCMTK's own tools to both servers: the same verdicts, and afterwards the same archive."""

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from tests import data_factory
from tests.data_factory import Sample, dataset, encode
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK's storescu is not installed (Debian: dcmtk)"),
]

TOOL_TIMEOUT_S = 60
TRANSFER_SYNTAX = re.compile(rb"\x02\0\x10\0UI.\0([0-9.]+)", re.DOTALL)
# The option by which storescu proposes a syntax; with any other syntax it proposes the uncompressed three.
PROPOSALS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.4.102": "-xf",
    "1.2.840.10008.1.2.5": "-xr",
}


def run(pair: Pair, tool: str, *arguments: str, called: str = "PEER") -> list[int]:
    """The exit statuses of a DCMTK tool that talks to Sinogram and, at the same time, to Orthanc."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda server: _run_one(server, tool, arguments, called), (pair.ours, pair.theirs)))


def _run_one(server: Server, tool: str, arguments: tuple[str, ...], called: str) -> int:
    command = [tool, *arguments[:-1], "-aec", called, "127.0.0.1", str(server.dicom_port), *arguments[-1:]]
    done = subprocess.run([part for part in command if part], capture_output=True, timeout=TOOL_TIMEOUT_S, check=False)
    return done.returncode


def store(pair: Pair, data: bytes, proposal: str, calling: str = "STORESCU") -> list[int]:
    """Sends one file to both."""
    path = pair.ours.data.parent / "one.dcm"
    path.write_bytes(data)
    return run(pair, "storescu", "-aet", calling, proposal, str(path))


@cache
def by_syntax() -> dict[str, list[Sample]]:
    """The samples that storescu can send, by the transfer syntax that their file meta information names."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in data_factory.all_files():
        if named := TRANSFER_SYNTAX.search(sample.data[:1024]):
            found[named[1].decode()].append(sample)
    return found


@pytest.fixture(scope="module")
def receiving(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("receiving")) as pair:
        yield pair


def test_echo(receiving: Pair) -> None:
    assert run(receiving, "echoscu", "") == [0, 0]


@pytest.mark.parametrize("syntax", PROPOSALS)
def test_a_folder_of_one_syntax_is_received_alike(receiving: Pair, syntax: str, tmp_path: Path) -> None:
    for sample in by_syntax()[syntax]:
        (tmp_path / f"{sample.name}.dcm").write_bytes(sample.data)
    ours, theirs = run(receiving, "storescu", "-nh", PROPOSALS[syntax], "+sd", str(tmp_path))
    assert ours == theirs
    levels = ("patients", "studies", "series", "instances")
    assert_same(receiving.differences([Request(f"/{level}") for level in levels]))


@pytest.mark.usefixtures("modern")
def test_what_was_received_reads_alike(receiving: Pair) -> None:
    receiving.wait_until_stable()  # `received` means nothing to the servers: it marks the requests for differences.py
    instances = receiving.ids("instances")
    requests = [
        Request(f"/instances/{each}{route}")
        for each in instances
        for route in ("?received", "/simplified-tags", "/header?received", "/tags")
    ]
    requests += [Request(f"/{level}?expand") for level in ("patients", "studies", "series")]
    assert_same(receiving.differences(requests))


def test_the_dataset_is_the_one_that_was_sent(receiving: Pair) -> None:
    """Byte for byte after the file meta information, in a syntax that leaves an encoder no choice."""
    sent = encode(dataset(77, 1, 1, 1))
    assert store(receiving, sent, "-xe") == [0, 0]
    hits = receiving.ours.ask(Request("/tools/lookup", "POST", "2.25.7305.77.1.1.1")).json()
    assert isinstance(hits, list)
    body = receiving.ours.get(f"{hits[0]['Path']}/file").body
    assert pydicom.dcmread(BytesIO(body)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert body.endswith(sent[sent.index(b"\x08\x00\x16\x00UI") :])


def test_settings_changed_over_rest_hold_for_associations(receiving: Pair) -> None:
    jpeg, plain = by_syntax()["1.2.840.10008.1.2.4.50"][0].data, encode(dataset(78, 1, 1, 1))
    odd_class = encode(dataset(78, 1, 1, 2, SOPClassUID="1.2.3.4.5.6"))
    verdicts = [store(receiving, odd_class, "")]
    syntaxes, unknown = "/tools/accepted-transfer-syntaxes", "/tools/unknown-sop-class-accepted"
    receiving.differences([Request(syntaxes, "PUT", '["1.2.840.10008.1.2"]'), Request(unknown, "PUT", "1")])
    verdicts += [
        store(receiving, data, proposal) for data, proposal in ((jpeg, "-xy"), (plain, "-xe"), (odd_class, "-xi"))
    ]
    receiving.differences([Request(syntaxes, "PUT", "*"), Request(unknown, "PUT", "0")])
    verdicts += [store(receiving, plain, "-xe")]
    assert [ours == 0 for ours, _ in verdicts] == [theirs == 0 for _, theirs in verdicts]
    assert_same(receiving.differences([Request("/instances")]))


STRICT = """
  "DicomCheckCalledAet" : true, "DicomAlwaysAllowEcho" : false, "DicomAlwaysAllowStore" : false,
  "AcceptedTransferSyntaxes" : [ "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.*" ], "RejectSopClasses" : [ "1.2.840.10008.5.1.4.1.1.7*" ],
  "DicomModalities" : {
    "all" : [ "ALL", "127.0.0.1", 104 ],
    "echo" : { "AET" : "ECHOER", "Host" : "127.0.0.1", "Port" : 104, "AllowStore" : false },
    "store" : { "AET" : "STORER", "Host" : "127.0.0.1", "Port" : 104, "AllowEcho" : false }
  },
"""


@pytest.fixture(scope="module")
def strict(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("strict"), STRICT) as pair:
        yield pair


@pytest.mark.parametrize("calling", ["ALL", "all", "ECHOER", "STORER", "STRANGER"])
@pytest.mark.parametrize("called", ["PEER", "peer", "OTHER"])
def test_who_may_echo_and_store(strict: Pair, calling: str, called: str) -> None:
    path = strict.ours.data.parent / "asked.dcm"
    path.write_bytes(encode(dataset(79, 1, 1, 1)))
    echoes = run(strict, "echoscu", "-aet", calling, "", called=called)
    stores = run(strict, "storescu", "-aet", calling, "-xi", str(path), called=called)
    ours, theirs = zip(echoes, stores, strict=True)
    assert [status == 0 for status in ours] == [status == 0 for status in theirs]


@pytest.mark.usefixtures("modern")
def test_rejected_classes_and_syntaxes(strict: Pair) -> None:
    cases = {
        "secondary capture": (encode(dataset(79, 1, 2, 1, SOPClassUID=data_factory.SECONDARY_CAPTURE)), "-xi"),
        "explicit only": (encode(dataset(79, 1, 2, 2)), "-xe"),
        "big endian": (encode(dataset(79, 1, 2, 3), "1.2.840.10008.1.2.2"), "-xb"),
        "jpeg": (by_syntax()["1.2.840.10008.1.2.4.50"][0].data, "-xy"),
        "implicit": (encode(dataset(79, 1, 2, 4)), "-xi"),
    }
    verdicts = {name: store(strict, *case, calling="ALL") for name, case in cases.items()}
    different = {name: statuses for name, statuses in verdicts.items() if (statuses[0] == 0) != (statuses[1] == 0)}
    assert not different
    assert_same(strict.differences([Request("/instances"), Request("/tools/accepted-transfer-syntaxes")]))
