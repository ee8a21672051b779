"""`bench wado`: metadata, frames and files of a study a second over DICOMweb (WADO-RS), the same study in every server.

metadata, first        of a study that nobody has asked for, once a round; a server that makes them ahead needs its time before (`--wait`)
metadata, again        of the same study, ten times
frame ×1, ×4           a frame of 256 × 320 pixels of 16 bits as it is stored, by so many clients at once
frame of JPEG-LS …     the same of compressed instances, as they are stored, and decoded
file, study            an instance, and all of them in one answer, as they are stored
"""

import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from tools.bench.http_load import Asked, asking, uploads
from tools.bench.ingest import in_turns
from tools.bench.results import Run, measured
from tools.bench.samples import SERIES_PER_STUDY, Samples, make_uid
from tools.bench.senders import run_senders
from tools.bench.targets import Target

COMPRESSED: Final = 50  # instances
AGAIN: Final = 10
MANY_CLIENTS: Final = 4
_AS_STORED: Final = "; transfer-syntax=*"
_FRAME: Final = 'multipart/related; type="application/octet-stream"'
_FILE: Final = 'multipart/related; type="application/dicom"'


def web_retrieve(
    targets: Sequence[Target], *, seed: int, instances: int, rounds: int, count: int, wait_s: int
) -> list[Run]:
    """Store a study of so many instances for each round, and one of compressed ones, then ask. Raises PeerFailed."""
    series_length = max(1, instances // SERIES_PER_STUDY)
    plain = Samples(seed, "mr", ExplicitVRLittleEndian, series_length)
    packed = Samples((seed + 1) % 10**10, "phantom", JPEGLSLossless)
    for _ in range(rounds):
        _store(targets, plain.take(series_length * SERIES_PER_STUDY))
    _store(targets, packed.take(COMPRESSED))
    time.sleep(wait_s)
    runs = []
    for number in range(1, rounds + 1):
        study = number - 1
        first = study * series_length * SERIES_PER_STUDY
        places = range(first, first + series_length * SERIES_PER_STUDY)
        frames = [f"{_instance(seed, each, series_length)}/frames/1" for each in places]
        smaller = [f"{_instance(packed.seed, each, packed.series_length)}/frames/1" for each in range(COMPRESSED)]
        study_path = f"/dicom-web/studies/{make_uid(1, seed, study)}"
        kinds = {
            "metadata, first": _asked([f"{study_path}/metadata"], 1, "application/dicom+json"),
            "metadata, again": _asked([f"{study_path}/metadata"], AGAIN, "application/dicom+json"),
            "frame ×1": _asked(frames, count, _FRAME + _AS_STORED),
            f"frame ×{MANY_CLIENTS}": _asked(frames, count, _FRAME + _AS_STORED),
            "frame of JPEG-LS ×1": _asked(smaller, count, _FRAME + _AS_STORED),
            f"frame of JPEG-LS, decoded ×{MANY_CLIENTS}": _asked(smaller, count, _FRAME),
            "file": _asked([each.removesuffix("/frames/1") for each in frames], count, _FILE + _AS_STORED),
            "study": _asked([study_path], 1, _FILE + _AS_STORED),
        }
        for name, asked in kinds.items():
            clients = MANY_CLIENTS if name.endswith(f"×{MANY_CLIENTS}") else 1
            for target in in_turns(targets, number):
                senders = asking(target.client, [asked[place::clients] for place in range(clients)])
                runs.append(measured(name, target, number, partial(run_senders, senders)))
    return runs


def _store(targets: Sequence[Target], files: Sequence[bytes]) -> None:
    for target in targets:
        run_senders(uploads(target.client, files, 1))


def _instance(seed: int, number: int, series_length: int) -> str:
    series = number // series_length
    uids = (make_uid(1, seed, series // SERIES_PER_STUDY), make_uid(2, seed, series), make_uid(3, seed, number))
    return "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids)


def _asked(paths: Sequence[str], count: int, accept: str) -> list[Asked]:
    return [("GET", path, b"", accept) for path in islice(cycle(paths), count)]
