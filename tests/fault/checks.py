"""What must hold of an archive whatever was done to its server."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from events.identifiers import format_blob_id
from store.tables import LEASES, U64
from store.views.files import list_owners, read_owned
from store.views.views import Views
from tests.fault.instances import Instance, dataset_of
from tests.fault.servers import ServerUnderTest, exchange, wait_for
from tools import log, replay


def check_archive(server: ServerUnderTest) -> set[str]:
    """Check that list, counters, files, read models and log of a running server agree; returns the instances."""
    listed = server.get("/instances")
    assert len(listed) == len(set(listed)), "an instance is listed twice"
    statistics = server.get("/statistics")
    counts = {level: len(server.get(f"/{level.lower()}")) for level in ("Patients", "Studies", "Series")}
    assert {level: statistics[f"Count{level}"] for level in counts} == counts
    assert statistics["CountInstances"] == len(listed)
    wait_for(lambda: not stray_files(server), "files without an instance to be swept")
    assert not missing_files(server)
    assert int(statistics["TotalDiskSize"]) == sum(path.stat().st_size for path in files_of(server))
    check_log(server)
    return set(listed)


def check_log(server: ServerUnderTest) -> None:
    """Check the chain of the log, and that replaying it gives the read models as they are."""
    assert log.verify(server.index) == 0
    assert replay.replay(server.index, verify=True) == 0


def files_of(server: ServerUnderTest) -> list[Path]:
    return [path for path in (server.storage / "blobs").rglob("*-*") if path.is_file()]


def stray_files(server: ServerUnderTest) -> set[str]:
    """Names of files that belong to no instance and are no attachment, but for the empty ones that living gateways keep ready."""
    sizes = {}
    for path in files_of(server):
        with contextlib.suppress(FileNotFoundError):  # swept just now
            sizes[path.name] = path.stat().st_size
    wanted, leased = _wanted_files(server)
    return {name for name, size in sizes.items() if name not in wanted and (size or _folder_of(name) not in leased)}


def missing_files(server: ServerUnderTest) -> set[str]:
    """Names of files that an instance or an attachment has and the disk has not."""
    wanted, _ = _wanted_files(server)
    return wanted - {path.name for path in files_of(server)}


def _wanted_files(server: ServerUnderTest) -> tuple[set[str], set[int]]:
    """Return the names of the files that are known, and the folders that living gateways have leased."""
    with replay.open_for_reading(server.index) as environment, Views(environment).snapshot() as snapshot:
        files = (read_owned(snapshot, owner) for owner in list_owners(snapshot))
        wanted = {format_blob_id(file.blob) for file in files if file is not None}
        owners = {U64.unpack(k)[0]: snapshot.row(LEASES, k) or b"" for k in snapshot.keys(LEASES, b"")}
    living = {str(pid).encode() for pid in server.pids()}
    return wanted, {folder for folder, owner in owners.items() if owner.rpartition(b"/")[2] in living}


def _folder_of(name: str) -> int:
    """Return the number of the folder that a file was made for: the first six bytes of its name."""
    return int(name.replace("-", "")[:12], 16)


def check_bytes(server: ServerUnderTest, instances: Iterable[Instance], *, by_rest: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Check that the server returns what was sent: the dataset, and the whole file where it came by REST."""
    with contextlib.closing(server.connect_http()) as connection:
        for instance in instances:
            answer = exchange(connection, "GET", f"/instances/{instance.id}/file")
            assert answer.status == 200, f"{instance}: {answer.status}"
            assert dataset_of(answer.body) == instance.dataset(), f"{instance} is not what was sent"
            if instance.id in by_rest:
                assert answer.body == instance.file(), f"{instance} is not the file that was sent"
