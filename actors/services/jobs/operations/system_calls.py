"""The operations `call-system` of a sequence: a command is run for each instance, whose file is its last argument.

The file is a copy that the command may do with as it likes; it is removed when the command has ended. The command's output is the
server's. What a crash repeats is the commands of one operation; one that was running when its worker was killed goes on besides.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations.named_resources import Operation, instances_of
from actors.wire.errors import RemoteFailed
from events.errors import NotFound
from events.identifiers import ResourceId, format_resource_id
from store.views.current import read_current

SYSTEM_COMMAND: Final = 10  # Orthanc's number


def call_system(bench: Workbench, operation: Operation, settle: Callable[[], None]) -> None:
    """Run the command. Raises NotFound, RemoteFailed if it cannot be run or does not end with exit status 0, Interrupted."""
    for instance in instances_of(bench.views, operation):
        with _copied(bench, instance) as file:
            settle()
            _run([operation["command"], *operation["arguments"], str(file)], bench)


@contextlib.contextmanager
def _copied(bench: Workbench, instance: ResourceId) -> Iterator[Path]:
    with bench.views.snapshot() as snapshot:
        record = snapshot.get_instance(instance)
    if record is None:
        raise NotFound("The resource is not there any more")
    with TemporaryDirectory(prefix="sinogram-", dir=bench.temporary_directory) as folder:
        file = Path(folder, f"{format_resource_id(instance)}.dcm")
        try:
            with read_current(bench.views, record, bench.blobs.open_instance) as source, file.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except FileNotFoundError as exc:
            raise NotFound("The file of an instance is missing") from exc
        yield file


def _run(command: Sequence[str], bench: Workbench) -> None:
    try:
        # A group of its own, so that all that the command starts ends with it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except (OSError, ValueError) as exc:  # ValueError: a NUL in an argument
        raise RemoteFailed(f"The command {command[0]} cannot be run: {exc}", code=SYSTEM_COMMAND) from exc

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    with bench.interruption.watch(kill):
        status = process.wait()
    bench.interruption.check()
    if status:
        how = f"was killed by signal {-status}" if status < 0 else f"has ended with exit status {status}"
        raise RemoteFailed(f"The command {command[0]} {how}", code=SYSTEM_COMMAND)
