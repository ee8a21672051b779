"""`bench images`: pictures and pixels a second, of 256 × 320 pixels of 16 bits, stored as they are and compressed.

preview, rendered, …  ×1, ×16    one instance a request, by so many clients at once
preview of JPEG Lossless …       the same of compressed instances
series as numpy                  one request for all slices of a series
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless

from tools.bench.http_load import gets
from tools.bench.ingest import in_turns, store_new
from tools.bench.results import Run, measured
from tools.bench.samples import Samples
from tools.bench.senders import run_senders
from tools.bench.targets import Target

STORED: Final = 50  # instances of each transfer syntax
MANY_CLIENTS: Final = 16
SERIES_REQUESTS: Final = 3  # a round

_SYNTAXES: Final = {"": ExplicitVRLittleEndian, " of JPEG Lossless": JPEGLosslessSV1, " of JPEG-LS": JPEGLSLossless}
_SERIES: Final = "series"
_KINDS: Final = {
    "preview ×1": ("preview", "", 1),
    "preview": ("preview", "", MANY_CLIENTS),
    "preview of JPEG Lossless": ("preview", " of JPEG Lossless", MANY_CLIENTS),
    "preview of JPEG-LS": ("preview", " of JPEG-LS", MANY_CLIENTS),
    "rendered, 512 pixels wide": ("rendered?width=512&smooth=1", "", MANY_CLIENTS),
    "image-uint16": ("image-uint16", "", MANY_CLIENTS),
    "numpy": ("numpy", "", MANY_CLIENTS),
    "raw frame": ("frames/0/raw", "", MANY_CLIENTS),
}  # fmt: skip


def images(targets: Sequence[Target], *, seed: int, rounds: int, count: int, slices: int) -> list[Run]:
    """Store the same instances in every server, then ask for them `count` times in each way. Raises PeerFailed."""
    stored = _store(targets, seed, slices)
    runs = []
    for number in range(1, rounds + 1):
        for name, (route, syntax, clients) in _KINDS.items():
            for target in in_turns(targets, number):
                asked = [f"/instances/{each}/{route}" for each in _repeated(stored[target.name][syntax], count)]
                senders = gets(target.client, [asked[first::clients] for first in range(clients)])
                runs.append(
                    measured(
                        f"{name} ×{clients}" if clients > 1 else name, target, number, partial(run_senders, senders)
                    )
                )
        for target in in_turns(targets, number):
            (series,) = stored[target.name][_SERIES]
            senders = gets(target.client, [[f"/series/{series}/numpy"] * SERIES_REQUESTS])
            runs.append(measured("series as numpy", target, number, partial(run_senders, senders)))
    return runs


def _store(targets: Sequence[Target], seed: int, slices: int) -> dict[str, Mapping[str, list[str]]]:
    """Return the identifiers of what each server holds, by kind."""
    stored: dict[str, dict[str, list[str]]] = {target.name: {} for target in targets}
    for place, (name, syntax) in enumerate(_SYNTAXES.items()):
        files = Samples((seed * 10 + place) % 10**10, "phantom", syntax).take(STORED)
        for target in targets:
            stored[target.name][name] = store_new(target, files, "instances", clients=1)
    files = Samples((seed * 10 + 9) % 10**10, "phantom", series_length=slices).take(slices)
    for target in targets:
        stored[target.name][_SERIES] = store_new(target, files, "series", clients=1)
    return dict(stored)


def _repeated(identifiers: Sequence[str], count: int) -> list[str]:
    return [identifiers[number % len(identifiers)] for number in range(count)]
