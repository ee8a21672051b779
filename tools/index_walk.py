"""A look at every row of every table of an index, in a process that damage may end.

LMDB trusts its pages: one that is damaged can make it read outside of its map, which ends the process, and so does a file
that is shorter than its pages say. So the walk runs in a child, which tells which table it is at.
"""

import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import msgpack

from events import envelope
from events.errors import BadMedium, CorruptLog, SinogramError
from events.identifiers import Level, Ref, Seq
from store.damaged_rows import DECODING, DamagedRow
from store.environment import FILE_NAME, Environment, missing_bytes
from store.projections import ALL_TABLES, rows
from store.projections.attachments import unpack_attachment, unpack_sizes
from store.projections.files import unpack_damaged
from store.projections.job_rows import unpack_output, unpack_progress
from store.tables import (
    AGGREGATES,
    ATTACHED,
    ATTACHMENTS,
    BLOBS,
    CONDEMNED,
    CURSORS,
    DAMAGED_FILES,
    DICOMWEB_SERVERS,
    EVENTS,
    EXPORTS,
    IDS,
    INSTANCES,
    JOB_OUTPUTS,
    JOB_PROGRESS,
    JOBS,
    LEVEL_REF,
    LOG,
    MODALITIES,
    NON_EVENT,
    PATIENTS,
    PEERS,
    PERSONAL,
    SERIES,
    SETTINGS,
    STUDIES,
    TOTALS,
    U64,
)

SNAPSHOT_S = 0.3  # a reader is held for no longer
_LOOK_EVERY = 256  # rows between two looks at the clock

Decode = Callable[[bytes, bytes], object]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a table; `table` is empty where the file as a whole is."""

    table: str
    what: str
    is_certain: bool = True


def _u64(_: bytes, row: bytes) -> object:
    return U64.unpack(row)


def _msgpack(_: bytes, row: bytes) -> object:
    return msgpack.unpackb(row, strict_map_key=False)


def _resource(level: Level) -> Decode:
    return lambda row_key, row: rows.read_resource(level, _ref(row_key), row, rows.EMPTY_AGGREGATE)


def _ref(row_key: bytes) -> Ref:
    return Ref(U64.unpack(row_key)[0])


_DECODERS: dict[bytes, Decode] = {
    EVENTS: lambda row_key, row: envelope.decode_record(Seq(U64.unpack(row_key)[0]), row),
    PERSONAL: _msgpack,
    PATIENTS: _resource(Level.PATIENT),
    STUDIES: _resource(Level.STUDY),
    SERIES: _resource(Level.SERIES),
    INSTANCES: lambda row_key, row: rows.read_instance(_ref(row_key), row),
    IDS: lambda _, row: LEVEL_REF.unpack(row),
    AGGREGATES: lambda _, row: rows.unpack_aggregate(row),
    BLOBS: lambda _, row: U64.unpack_from(row),
    ATTACHMENTS: unpack_attachment,
    ATTACHED: lambda _, row: unpack_sizes(row),
    CONDEMNED: _u64,
    CURSORS: _u64,
    SETTINGS: _msgpack,
    DAMAGED_FILES: lambda _, row: unpack_damaged(row),
    JOBS: _msgpack,
    JOB_PROGRESS: lambda _, row: unpack_progress(row),
    JOB_OUTPUTS: lambda _, row: unpack_output(row),
    EXPORTS: _msgpack,
    MODALITIES: _msgpack,
    PEERS: _msgpack,
    DICOMWEB_SERVERS: _msgpack,
    TOTALS: lambda _, row: list(U64.iter_unpack(row)),
}


def remedy(table: str) -> str:
    """Return what to do about a damaged table."""
    name = table.encode()
    if name in LOG:
        return (
            "the log itself is damaged: put a copy back; without one, 'sinogram replay --data DIR --until SEQ --into NEW' keeps "
            "what stands before the damage, and 'sinogram import' of the files in blobs brings back what came after it"
        )
    if name in NON_EVENT:
        return "'sinogram replay --data DIR --into NEW' builds a new index; positions and settings of this run are lost"
    if name:
        return "'sinogram replay --data DIR --into NEW' builds a new index from the log"
    return "put a copy of the index back; without one, 'sinogram import' of the files in blobs fills a new index"


def check_size(folder: Path) -> Finding | None:
    """Return what is wrong with a file that is shorter than its pages say. Reads the two first pages only."""
    try:
        lost = missing_bytes(folder)
    except (BadMedium, OSError) as exc:
        return Finding("", str(exc))
    # A page at the end that was freed before it was ever written may be missing: the walk tells.
    return Finding("", f"the last {lost:,} bytes of {FILE_NAME} are missing", is_certain=False) if lost else None


def walk(folder: Path) -> list[Finding]:
    """Look at every row; returns what is damaged. Takes about a second a million rows."""
    cut = check_size(folder)
    if cut is not None and cut.is_certain:
        return [cut]
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_fd)
        _run_child(folder, write_fd)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as told:
        unpacker = msgpack.Unpacker(told)
        at, findings = "", []
        for kind, table, what in unpacker:
            at = table
            if kind == "found":
                findings.append(Finding(table, what))
    _, status = os.waitpid(child, 0)
    if status:
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "an error"
        findings.append(Finding(at, f"reading it ended in {how}: pages of {FILE_NAME} are damaged or missing"))
    return [cut, *findings] if cut is not None and findings else findings


def _run_child(folder: Path, write_fd: int) -> None:
    status = 1
    try:
        faulthandler.disable()  # that a damaged page ends this process is a finding, no defect
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what LMDB says before it aborts
        for note in _walk_here(folder):
            os.write(write_fd, msgpack.packb(note))
        status = 0
    finally:
        os._exit(status)


def _walk_here(folder: Path) -> Iterator[tuple[str, str, str]]:
    try:
        with Environment(folder, writable=False) as env:
            for table in ALL_TABLES:
                yield "at", table.decode(), ""
                what = _walk_table(env, table)
                if what:
                    yield "found", table.decode(), what
    except SinogramError as exc:
        yield "found", "", str(exc)


def _walk_table(env: Environment, table: bytes) -> str:
    """Return what is wrong with the first row of a table that cannot be read, "" if all can."""
    decode = _DECODERS.get(table, lambda _, row: row)
    at = b""
    while True:
        try:
            with env.begin() as txn:
                at, is_done, what = _walk_some(txn, env.tables[table], at, decode)
        except lmdb.Error as exc:
            return f"a page cannot be read ({str(exc).rpartition(': ')[2]}), after the key {at.hex() or 'none'}"
        if what or is_done:
            return what


def _walk_some(txn: lmdb.Transaction, db: Any, after: bytes, decode: Decode) -> tuple[bytes, bool, str]:
    deadline = time.monotonic() + SNAPSHOT_S
    with txn.cursor(db=db) as cursor:
        found = cursor.set_range(after + b"\0") if after else cursor.first()
        count = 0
        while found:
            row_key, row = cursor.item()
            if after and row_key <= after:
                return after, True, f"its keys are out of order after {after.hex()}"
            try:
                decode(row_key, row)
            except (*DECODING, DamagedRow, CorruptLog) as exc:
                return after, True, f"the row {row_key.hex()} cannot be read ({type(exc).__name__})"
            after = row_key
            count += 1
            if count % _LOOK_EVERY == 0 and time.monotonic() > deadline:
                return after, False, ""
            found = cursor.next()
    return after, True, ""


def print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        where = f"the table '{finding.table}'" if finding.table else "the index"
        print(f"{where} is damaged: {finding.what}; {remedy(finding.table)}", file=sys.stderr)
