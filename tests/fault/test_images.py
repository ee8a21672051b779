"""Images under adverse conditions: very large files, a codec that is stuck, many clients at once."""

import os
import signal
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.services.codecs.pool import CodecPool
from actors.services.images.frames import read_raw
from actors.services.images.pictures import make_picture
from events.identifiers import BlobId
from events.stored_file import PlainFile
from store.blobs.store import BlobStore
from store.dicom.pixels.transformations import Rendition
from tests.contract.rest_stage import RestStage, rest_stage
from tests.native_pixels import EXPLICIT, Native, ramp
from tests.peer.servers import wait_for
from tools.server.core import Core

SIDE, FRAMES = 512, 4000  # of 16 bits: 2.1 GB
MOST_GROWTH_KB = 48 << 10


def peak_kb() -> int:
    """The most memory that this process has had since it was asked to forget."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def lay_down_large(blobs: BlobStore) -> PlainFile:
    """A multi-frame instance of 2.1 GB, of which all but one frame is a hole in the file."""
    small = Native(samples=np.zeros((1, 1, 2, 1), "<u2"), bits=16)
    file = small.file(EXPLICIT, Rows=SIDE, Columns=SIDE, NumberOfFrames=str(FRAMES))
    start = file.index(b"\xe0\x7f\x10\0OW\0\0") + 12
    pixels = SIDE * SIDE * 2 * FRAMES
    blob = BlobId(bytes(16))
    blobs.path(blob).parent.mkdir(parents=True)
    with blobs.path(blob).open("wb") as out:
        out.write(file[: start - 4] + struct.pack("<I", pixels))
        out.seek(start + SIDE * SIDE * 2 * (FRAMES - 3))
        out.write(ramp("<u2", 1, SIDE, SIDE).tobytes())
        out.truncate(start + pixels)
    return PlainFile(blob=blob, size_bytes=start + pixels, md5=b"")


def test_a_frame_of_two_gigabytes_costs_as_much_as_a_frame(tmp_path: Path, codecs: CodecPool) -> None:
    blobs = BlobStore(tmp_path)
    instance = lay_down_large(blobs)
    wanted = Rendition(kind="image-uint16", media_type="image/png")
    make_picture(codecs, blobs, instance, 0, wanted)  # what is loaded once
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_kb()
    picture = import_module("imagecodecs").png_decode(make_picture(codecs, blobs, instance, FRAMES - 3, wanted))
    assert np.array_equal(picture, ramp("<u2", 1, SIDE, SIDE)[0, ..., 0])
    assert read_raw(blobs, instance, FRAMES - 3)[0] == picture.tobytes()
    assert peak_kb() - before < MOST_GROWTH_KB


@pytest.fixture
def rest(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as stage:
        yield stage


def upload(rest: RestStage, number: int) -> str:
    data = Native(samples=ramp("<u2", 2, 40, 40) + number, bits=16).file(EXPLICIT, number)
    path: str = import_module("json").loads(rest.upload(data).body)["Path"]
    return path


def test_a_codec_that_is_stuck_holds_up_its_own_image_alone(rest: RestStage) -> None:
    path, pool = upload(rest, 1), rest.deps.codecs
    assert rest.ask(f"{path}/preview").status == 200
    (codec,) = pool._idle
    os.kill(codec.pid, signal.SIGSTOP)
    answers: list[Any] = []
    stuck = threading.Thread(target=lambda: answers.append(rest.ask(f"{path}/preview")))
    stuck.start()
    try:
        wait_for(lambda: not pool._idle or None, "the stuck process to be given an image", 60)
        for route in ("preview", "numpy", "frames/1/rendered"):
            assert rest.ask(f"{path}/{route}").status == 200
        assert not answers
    finally:
        os.kill(codec.pid, signal.SIGCONT)
        stuck.join()
    assert [answer.status for answer in answers] == [200]


def test_many_clients_have_their_own_pictures(rest: RestStage) -> None:
    paths = [upload(rest, number) for number in range(1, 5)]
    alone = [rest.ask(f"{path}/image-uint16").body for path in paths]
    arrays = [rest.ask(f"{path}/numpy").body for path in paths]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda path: rest.ask(f"{path}/image-uint16").body, paths * 6))
        stacks = list(pool.map(lambda path: rest.ask(f"{path}/numpy").body, paths * 3))
    assert made == alone * 6
    assert stacks == arrays * 3
