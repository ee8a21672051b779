"""Codec processes that crash, hang, or want too much: one frame's error, and nobody else's."""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.services.codecs import pool as pools
from actors.services.codecs.limits import CodecSettings
from actors.services.codecs.messages import MOST_BYTES, Request, Wanted
from actors.services.codecs.pool import CodecPool
from actors.services.codecs.printed import MOST_LINES
from actors.services.transcoding.targets import CannotTranscode
from events.errors import Busy
from store.dicom.pixels.description import Frame, PixelDescription, UndecodablePixels
from store.dicom.uids import EXPLICIT_LE
from tests.dicom_bytes import dataset, encode
from tests.fault.servers import freeze
from tests.pixel_files import ENCODERS, EXACT, HTJ2K, J2K_LOSSLESS, JPEG_LS, LOSSLESS_SV1, RLE, gray, pixel_file
from tests.transcoded import transcode

SAMPLES = gray(16)
FILE = pixel_file(LOSSLESS_SV1, SAMPLES, [ENCODERS[LOSSLESS_SV1](SAMPLES)])


@contextmanager
def pool(**settings: Any) -> Iterator[CodecPool]:
    made = CodecPool(CodecSettings(**settings))
    try:
        yield made
    finally:
        made.close()


def decodes(codecs: CodecPool) -> bool:
    return SAMPLES.tobytes() in bytes(transcode(FILE, EXPLICIT_LE, codecs))


def pid_of(codecs: CodecPool) -> int:
    with codecs.lease() as codec:
        return codec.pid


def wait_until(holds: Callable[[], bool], patience_s: float = 30) -> bool:
    """Look again and again: of another process's end there is no event."""
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_nothing_runs_before_it_is_needed() -> None:
    with pool() as codecs:
        assert not codecs._idle
        transcode(encode(dataset()), EXPLICIT_LE, codecs)  # nothing is compressed in it
        assert not codecs._idle
        assert decodes(codecs)
        assert len(codecs._idle) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
def test_a_codec_that_dies_under_a_frame_is_that_frames_error(number: signal.Signals) -> None:
    with pool() as codecs:
        with codecs.lease() as codec:
            os.kill(codec.pid, number)
            with pytest.raises(UndecodablePixels, match=number.name):
                codec.decode(_request(), os.memfd_create("nothing"))
        assert decodes(codecs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
def test_a_codec_that_dies_between_images_is_nobodys_error(number: signal.Signals) -> None:
    with pool() as codecs:
        assert decodes(codecs)
        pid = pid_of(codecs)
        os.kill(pid, number)
        assert wait_until(lambda: is_gone(pid))
        assert decodes(codecs)
        assert pid_of(codecs) != pid


def test_a_codec_that_hangs_is_killed_at_the_time_limit() -> None:
    with pool() as codecs:
        with codecs.lease() as codec:
            pid = codec.pid
            codec._link.settimeout(0.2)  # for this one frame: starting a process may take longer
            freeze(pid)
            with pytest.raises(UndecodablePixels, match="CodecTimeout"):
                codec.decode(_request(), os.memfd_create("nothing"))
        assert is_gone(pid)
        assert decodes(codecs)


def test_processor_time_is_limited() -> None:
    samples = np.random.default_rng(1).integers(0, 1 << 16, (2500, 2500)).astype("<u2")
    file = pixel_file(J2K_LOSSLESS, samples, [ENCODERS[J2K_LOSSLESS](samples)])
    with pool(processor_s=0) as codecs:
        with pytest.raises(CannotTranscode, match="CodecProcessorTime"):
            transcode(file, EXPLICIT_LE, codecs)
        assert decodes(codecs)


@pytest.mark.parametrize("syntax", [J2K_LOSSLESS, HTJ2K, JPEG_LS, LOSSLESS_SV1])
def test_memory_is_limited(syntax: str) -> None:
    samples = np.broadcast_to(np.uint8(0), (20000, 20000))  # 400 MB, compressed to little
    file = pixel_file(syntax, samples, [_bomb(syntax, samples)])
    with pool(memory_mb=512) as codecs:
        with pytest.raises(CannotTranscode):
            transcode(file, EXPLICIT_LE, codecs)
        assert decodes(codecs)


def test_an_image_that_needs_more_memory_says_so() -> None:
    samples = np.zeros((20000, 16000), "u1")
    file = pixel_file(JPEG_LS, samples, [ENCODERS[JPEG_LS](samples)])
    with pool(memory_mb=512) as codecs:
        with pytest.raises(CannotTranscode, match="CodecMemory"):
            transcode(file, EXPLICIT_LE, codecs)
        assert decodes(codecs)


def _bomb(syntax: str, samples: Any) -> bytes:
    """A frame of another size, whose header says the size of `samples`."""
    small = ENCODERS[syntax](np.ascontiguousarray(samples[:64, :64]))
    size = (64).to_bytes(2, "big") * 2
    if syntax in {J2K_LOSSLESS, HTJ2K}:
        wide, narrow = (20000).to_bytes(4, "big") * 2, (64).to_bytes(4, "big") * 2
        return small.replace(narrow, wide)  # image and tile
    assert small.count(size) == 1
    return small.replace(size, (20000).to_bytes(2, "big") * 2)


@pytest.mark.parametrize("syntax", [*EXACT])
def test_a_bomb_is_refused_and_bystanders_go_on(syntax: str) -> None:
    """One codec decodes a bomb while others decode images: all of those come out."""
    samples = np.broadcast_to(np.uint8(0), (20000, 20000))
    bomb = pixel_file(syntax, samples, [b"\x40\0\0\0" * 16 + bytes(100) if syntax == RLE else _bomb(syntax, samples)])
    fine: list[bool] = []
    with pool(memory_mb=1024, timeout_s=20) as codecs:
        bystander = threading.Thread(target=lambda: fine.extend(decodes(codecs) for _ in range(20)))
        bystander.start()
        with pytest.raises(CannotTranscode):
            transcode(bomb, EXPLICIT_LE, codecs)
        bystander.join()
    assert fine == [True] * 20


def test_codecs_die_with_the_process_that_started_them() -> None:
    program = (
        "import os, signal, sys, time\n"
        "from tests.fault.test_codecs import CodecPool, decodes, pid_of\n"
        "codecs = CodecPool(); decodes(codecs)\n"
        "pid = pid_of(codecs); os.kill(pid, signal.SIGSTOP if sys.argv[1] == 'busy' else 0)\n"
        "print(pid, flush=True); time.sleep(60)\n"
    )
    for state in ("idle", "busy"):  # a stopped process stands for one in the middle of a frame: it reads nothing
        starter = subprocess.Popen([sys.executable, "-c", program, state], stdout=subprocess.PIPE)
        assert starter.stdout is not None
        with starter.stdout as told:
            pid = int(told.readline())
        starter.kill()
        starter.wait()
        if state == "busy":
            os.kill(pid, signal.SIGCONT)
        assert wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]


def test_idle_codecs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_S", 0.2)
    with pool() as codecs:
        assert decodes(codecs)
        assert wait_until(lambda: not codecs._idle)
        assert decodes(codecs)


def test_codecs_are_replaced_after_some_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MOST_FRAMES", 3)
    with pool() as codecs:
        seen = []
        for _ in range(6):
            seen.append(pid_of(codecs))
            assert decodes(codecs)
    assert len(set(seen)) == 2


def test_a_codec_that_held_a_large_frame_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "KEPT_BYTES", 100)
    with pool() as codecs:
        assert decodes(codecs)
        assert not codecs._idle


def test_no_more_processes_than_allowed_and_nothing_is_left_open() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    pids: set[int] = set()
    with pool(processes=2) as codecs:

        def work() -> None:
            for _ in range(5):
                with codecs.lease() as codec:
                    pids.add(codec.pid)
                assert decodes(codecs)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= len(pids) <= 2
    assert set(Path("/proc/self/fd").iterdir()) <= before
    assert all(is_gone(pid) for pid in pids)


def test_a_codec_that_cannot_be_started_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor() -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pool() as codecs:
        before = set(Path("/proc/self/fd").iterdir())
        for name in ("Printed", "SharedMemory"):
            with monkeypatch.context() as broken:
                broken.setattr(pools, name, no_descriptor)
                with pytest.raises(Busy, match="Too many open files"), codecs.lease():
                    pass
        assert set(Path("/proc/self/fd").iterdir()) <= before
        assert decodes(codecs)


def _request() -> Request:
    described = PixelDescription(
        frames=1,
        rows=4,
        columns=4,
        samples=1,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        signed=False,
        photometric_interpretation="MONOCHROME2",
    )
    return Request(wanted=Wanted.NATIVE, transfer_syntax=JPEG_LS, frame=Frame(((0, 10),)), described=described)


def print_as(pid: int, text: str) -> None:
    """Write to another process's standard error, without waiting where it takes no more."""
    fd = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@pytest.mark.parametrize("niceness", [CodecSettings().niceness, 0])
def test_a_codec_has_the_priority_of_those_who_wait_for_it(niceness: int) -> None:
    with pool(niceness=niceness) as codecs:
        assert decodes(codecs)
        assert os.getpriority(os.PRIO_PROCESS, pid_of(codecs)) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)


def test_what_a_codec_prints_is_logged_as_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pool(processes=1) as codecs:
        pid = pid_of(codecs)
        print_as(pid, "libodd: warning\n\nlibodd: \x1b[2J half a li")
        assert decodes(codecs)
    told = [record for record in caplog.records if "codec.printed" in record.message]
    assert [record.getMessage().partition(": ")[2] for record in told] == [
        "libodd: warning",
        "libodd: \x1b[2J half a li",
    ]  # the formatter of the log escapes it
    assert {record.levelno for record in told} == {logging.INFO}
    assert all(f"pid={pid}" in record.message for record in told)


def test_a_codec_that_prints_without_end_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pool(processes=1) as codecs:
        pid = pid_of(codecs)
        with suppress(BlockingIOError):
            while True:
                print_as(pid, "odd\n" * 1000)
        flags = int(Path(f"/proc/{pid}/fdinfo/2").read_text().split("flags:")[1].split()[0], 8)
        assert flags & os.O_NONBLOCK  # nor is it held up itself
        assert decodes(codecs)
        assert pid_of(codecs) == pid
    told = [record.getMessage() for record in caplog.records if "codec.printed" in record.message]
    assert len(told) == MOST_LINES + 1
    assert "more lines" in told[-1]


def test_a_frame_in_very_many_fragments_is_refused_and_ends_no_codec() -> None:
    with pool(processes=1) as codecs, codecs.lease() as codec:
        request = replace(_request(), frame=Frame(((0, 1),) * (MOST_BYTES // 2)))
        with pytest.raises(UndecodablePixels, match="lies in 2097152 fragments"):
            codec.decode(request, os.memfd_create("nothing"))
        assert codec.is_fit


def test_a_refusal_has_the_words_of_the_library() -> None:
    whole = ENCODERS[JPEG_LS](SAMPLES)
    file = pixel_file(JPEG_LS, SAMPLES, [whole[: len(whole) // 2] + b"\xff\xd9"])
    with pool(processes=1) as codecs, pytest.raises(CannotTranscode, match=r"JpeglsError: charls_.* Invalid JPEG-LS"):
        transcode(file, EXPLICIT_LE, codecs)


def test_the_last_words_of_a_codec_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with pool(processes=1) as codecs, codecs.lease() as codec:
        print_as(codec.pid, "corrupted double-linked list\n")
        os.kill(codec.pid, signal.SIGABRT)
        with pytest.raises(UndecodablePixels):
            codec.decode(_request(), os.memfd_create("nothing"))
    assert "corrupted double-linked list" in caplog.text
