"""Mutated images on a server of processes: uploads, pictures, arrays, other syntaxes and C-GET, while a bystander asks for a sound image.

All processes but those of codecs live on, with the memory and the descriptors that they had, and the bystander is answered all the time.
"""

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import IncompleteRead
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from store.dicom.uids import STUDY_ROOT_GET
from tests.contract.retrieve_stage import get
from tests.dicom_bytes import MR, uid
from tests.fault.servers import Answer, ServerUnderTest, anonymous_bytes_of, descriptors_of, exchange, server_in
from tests.fuzz.mutation import SEED
from tests.fuzz.pixel_inputs import COMPRESSED, UNCOMPRESSED, make_input
from tests.fuzz.test_pixels import input_told
from tests.native_pixels import EXPLICIT
from tests.pixel_files import ENCODERS, JPEG_LS, gray, pixel_file

BATCH: Final = 12  # instances of one C-GET
INPUTS: Final = max(BATCH, int(os.environ.get("SINOGRAM_FUZZ_INPUTS", "0")) // 25)
TIMEOUT_S: Final = 20
PATIENCE_S: Final = 3 * TIMEOUT_S  # a frame that is being decoded, one that waits, one of one's own
MOST_GROWTH_BYTES: Final = 256 << 20
CONTEXTS: Final = ([(MR, EXPLICIT)], [(MR, JPEG_LS)])
PICTURES: Final = ("preview", "rendered", "image-uint8", "image-uint16", "image-int16", "matlab")
ARGUMENTS: Final = (
    *("", "?width=100000000", "?width=0&height=0", "?width=-1", "?width=1e9", "?width=nan", "?width=65535&height=1"),
    *("?quality=0", "?quality=101", "?quality=x", "?window-width=0", "?window-width=nan", "?window-width=1e308"),
    *("?window-center=-1e308&window-width=1e308", "?window-width=inf", "?smooth=1&width=7", "?returnUnsupportedImage"),
)


@dataclass
class Bystander:
    """Asks for a sound image and for nothing of weight, and stores others, until it is told to stop."""

    server: ServerUnderTest
    picture: str
    slowest_s: float = 0.0
    rounds: int = 0
    failures: list[object] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with closing(self.server.connect_http()) as connection:
            expected = exchange(connection, "GET", self.picture)
            while not self._stop.is_set():
                started = time.monotonic()
                seen = exchange(connection, "GET", self.picture), exchange(connection, "GET", "/system")
                stored = exchange(connection, "POST", "/instances", _sound(2 + self.rounds))
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                self.rounds += 1
                if seen[0] != expected or expected.status != 200 or {seen[1].status, stored.status} != {200}:
                    self.failures.append((seen, stored))

    @contextmanager
    def beside(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def _sound(number: int) -> bytes:
    samples = gray(16)
    return pixel_file(JPEG_LS, samples, [ENCODERS[JPEG_LS](samples)], instance=number, PatientID="SOUND",
                      StudyInstanceUID=uid(7, 1), SeriesInstanceUID=uid(7, 1, 1), SOPInstanceUID=uid(7, 1, 1, number))  # fmt: skip


class Asker:
    """Sends inputs, and asks for what a seed chooses."""

    def __init__(self, server: ServerUnderTest, connection: Any) -> None:
        self._server = server
        self._connection = connection
        self.answers: dict[int, int] = {}

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        answer = exchange(self._connection, method, path, body)
        assert answer.status in {200, 400, 404, 415}, (method, path, answer)
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
        return answer

    def try_input(self, number: int) -> bool:
        """Store an input and ask for what can be made of it; returns whether it could be stored."""
        made, _ = make_input(SEED, number)
        stored = self.ask("POST", "/instances", made.encode())
        if stored.status != 200:
            return False
        chance = random.Random(f"{SEED}/{number}/served")
        path = json.loads(stored.body)["Path"]
        self.ask("GET", f"{path}/{chance.choice(PICTURES)}{chance.choice(ARGUMENTS)}")
        self.ask("GET", f"{path}/frames/{chance.choice((0, 1, 2, 4_294_967_295))}/{chance.choice((*PICTURES, 'raw'))}")
        self.ask("GET", f"{path}/file?transcode={chance.choice((*COMPRESSED, *UNCOMPRESSED[:4]))}")
        try:
            array = self.ask("GET", f"{path}/numpy?rescale={chance.randrange(2)}&compress={chance.randrange(2)}")
        except IncompleteRead:  # a later frame is damaged, which is no success to whoever reads the answer
            self._connection.close()
        else:
            if array.status == 200:
                np.load(BytesIO(array.body), allow_pickle=False)
        self.ask("GET", f"{path}/frames")
        return True

    def retrieve(self, count: int) -> None:
        """Ask for what is stored by C-GET in either kind of syntax, and delete it."""
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(9, 1)}
        for contexts in CONTEXTS:
            told = get(self._server.dicom_port, STUDY_ROOT_GET, keys, contexts=contexts)
            assert told.status in {0, 0xB000, 0xA702}, hex(told.status)
            assert len(told.received) <= count
        for study in self._server.get("/studies?expand"):
            if study["MainDicomTags"].get("StudyInstanceUID") == uid(9, 1):
                self.ask("DELETE", f"/studies/{study['ID']}")


@pytest.mark.timeout(0 if INPUTS > 1_000 else 300)
def test_nothing_but_codecs_is_harmed(tmp_path: Path) -> None:
    options = {
        "CodecTimeout": TIMEOUT_S,
        "DicomAlwaysAllowGet": True,
        "KeepAliveTimeout": 600,
    }  # connections outlast a C-GET
    with server_in(tmp_path, **options) as server:
        server.start()
        path = json.loads(server.request("POST", "/instances", _sound(1)).body)["Path"]
        assert server.request("GET", f"{path}/preview").status == 200
        bystander = Bystander(server, f"{path}/preview")
        before = server.named()
        sizes = {pid: (descriptors_of(pid, server.storage), anonymous_bytes_of(pid)) for pid in before.values()}
        with bystander.beside(), closing(server.connect_http()) as connection:
            asker = Asker(server, connection)
            for start in range(0, INPUTS, BATCH):
                stored = 0
                for number in range(start, min(start + BATCH, INPUTS)):
                    with input_told(number):
                        stored += asker.try_input(number)
                with input_told(start):
                    asker.retrieve(stored)
        assert server.named() == before
        assert not bystander.failures
        assert bystander.slowest_s < PATIENCE_S
        assert asker.answers.get(200)
        assert asker.answers.get(415)
        _check_that_all_codecs_are_free(server, f"{path}/preview")
        for pid, (descriptors, anonymous) in sizes.items():
            assert descriptors_of(pid, server.storage) <= descriptors + 20
            assert anonymous_bytes_of(pid) - anonymous < MOST_GROWTH_BYTES
        assert "Traceback" not in server.log, server.log[-6000:]
        assert server.stop() == 0


def _check_that_all_codecs_are_free(server: ServerUnderTest, picture: str) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(server.request("GET", picture).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
