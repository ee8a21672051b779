"""A file of some kilobytes can be a dataset of a quarter of a gigabyte: whatever is done with it, a process holds little of it."""

import subprocess
import sys
from pathlib import Path

import pytest

_SETUP = """
import socket, sys, tempfile, threading, zlib
from struct import pack
from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import Target
from actors.services.transcoding.transcode import transcode as compress
from tests.transcoded import transcode
from actors.wire.dicom.connection import Connection
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.upper_layer import UpperLayer
from store.dicom.received import Announced, trim
from store.dicom.encoding import sendable_dataset
from tests.dicom_bytes import MR, dataset, encode
from store.dicom.mapped import MappedFile
from tests.native_pixels import Native
from tests.pixel_files import RLE, pixel_file
import numpy

SIZE = 256 << 20
EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"


def deflated(*before):
    stream = zlib.compressobj(1, wbits=-15)
    parts = [stream.compress(b"".join(before) + pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, SIZE))]
    parts += [stream.compress(bytes(1 << 20)) for _ in range(SIZE >> 20)]
    return b"".join([*parts, stream.flush()])


def send(data):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    def drain():
        while theirs.recv(1 << 20):
            pass
    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    layer, context = UpperLayer(Connection(ours, timeout_s=30)), Context(1, MR, EXPLICIT)
    layer.agree({1: context}, received_limit=16384, sent_limit=16384)
    layer.send_large(context, b"", data)
    ours.close()
    reader.join()


UID = pack("<HH2sH", 8, 0x18, b"UI", 4) + b"1.2\\0"
announced = Announced(MR, "1.2", DEFLATED)
head = announced.file_meta("PEER")
"""
_PEAK = """
line, = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(line.split()[1]) >> 10)
"""
_WORK = {
    "explicit VR": "data = transcode(head + deflated(UID), EXPLICIT, CodecPool()); assert len(data) > SIZE; send(data)",
    "implicit VR": "data = transcode(head + deflated(UID), IMPLICIT, CodecPool()); assert len(data) > SIZE; send(data)",
    "put right": (
        "odd = pack('<HH2sH', 0x10, 0x20, b'LO', 3) + b'abc'\n"
        "data = sendable_dataset(head + deflated(UID, odd)); assert len(data) < SIZE; send(data)"
    ),
    "received": "assert trim(head + deflated(UID), len(head), announced) is None",
    "received with padding": (
        "stream = zlib.compressobj(1, wbits=-15)\n"
        "parts = [stream.compress(UID + pack('<HH2sHI', 0x7FE0, 0x10, b'OB', 0, SIZE))]\n"
        "parts += [stream.compress(bytes(1 << 20)) for _ in range(SIZE >> 20)]\n"
        "parts += [stream.compress(b'abc'), stream.flush()]\n"
        "assert trim(head + b''.join(parts), len(head), announced).inflated_anew"
    ),
    "decoded": (
        "frame = numpy.zeros((4096, 4096), 'u1')\n"
        "plane = bytes((0x81, 0)) * (4096 * 4096 // 128)\n"
        "coded = pack('<16I', 1, 64, *[0] * 14) + plane\n"
        "codecs = CodecPool()\n"
        "data = transcode(pixel_file(RLE, frame, [coded] * 16), EXPLICIT, codecs)\n"
        "assert len(data) > SIZE; send(data); codecs.close()"
    ),
    "encoded": (
        "frame = numpy.random.default_rng(0).integers(0, 256, (2048, 2048), 'u1')\n"
        "with tempfile.TemporaryFile() as file:\n"
        "    native = Native(samples=frame[None, :, :, None]).file(EXPLICIT, NumberOfFrames=str(SIZE // frame.size + 1))\n"
        "    file.write(native[:-frame.size])\n"
        "    for _ in range(SIZE // frame.size + 1): file.write(frame)\n"
        "    length = (SIZE // frame.size + 1) * frame.size\n"
        "    file.seek(-length - 4, 2); file.write(pack('<I', length)); file.flush()\n"
        "    stored, codecs = MappedFile.of(file.fileno()), CodecPool()\n"
        "    made = compress(memoryview(stored), Target(RLE), codecs, stored.reopen)\n"
        "    assert len(made.dataset) > SIZE; send(made.dataset); codecs.close()"
    ),
}


_SHORT = {"received with padding", "decoded"}  # those that do most


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=() if what in _SHORT else pytest.mark.nightly) for what in _WORK]
)
def test_a_process_holds_little_of_a_large_dataset(what: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _SETUP + "\n" + _WORK[what] + "\n" + _PEAK],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 180  # MB; 90 of them are modules
