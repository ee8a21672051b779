"""Images for whoever compares pictures and values: those that pydicom and pydicom-data bring, and made ones for each layout, depth and syntax."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.data_factory import _distinct, shipped_files
from tests.dicom_bytes import Sample
from tests.native_pixels import BIG, DEFLATED, EXPLICIT, IMPLICIT, LAYOUTS
from tests.pixel_files import BASELINE, ENCODERS, EXTENDED, HTJ2K, J2K, J2K_LOSSLESS, color, gray, pixel_file

NATIVE: Final = {"explicit": EXPLICIT, "implicit": IMPLICIT, "big endian": BIG, "deflated": DEFLATED}
_LABELS: Final = {BASELINE: "YBR_FULL_422", J2K_LOSSLESS: "YBR_RCT", HTJ2K: "YBR_RCT", J2K: "YBR_ICT"}
_SHADES: Final = {"Red": 257, "Green": 255, "Blue": 100}


def _palette() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, step in _SHADES.items():
        made[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        made[f"{name}PaletteColorLookupTableData"] = (np.arange(256) * step % 65536).astype("<u2").tobytes()
    return made


@cache
def made_images() -> tuple[Sample, ...]:
    """Every layout of uncompressed pixels in every such syntax, and every depth and kind of colours in the compressed ones."""
    found: list[Sample] = []
    for name, syntax in NATIVE.items():
        for what, native in LAYOUTS.items():
            attributes = _palette() if native.label == "PALETTE COLOR" else {}
            found.append(Sample(f"{what}, {name}", native.file(syntax, 1000 + len(found), **attributes)))
    for syntax, encode in ENCODERS.items():
        for bits in (8, 12, 16):
            if bits > {BASELINE: 8, EXTENDED: 12}.get(syntax, 16):
                continue
            frames = [gray(bits, seed=seed) for seed in range(2)]
            for label in ("MONOCHROME1", "MONOCHROME2"):
                file = pixel_file(
                    syntax,
                    frames[0],
                    [encode(frame) for frame in frames],
                    instance=1000 + len(found),
                    PhotometricInterpretation=label,
                    BitsStored=bits,
                    WindowCenter="60",
                    WindowWidth="90",
                )
                found.append(Sample(f"{label} of {bits} bits, {syntax}", file))
        if syntax != EXTENDED:
            samples, label = color(), _LABELS.get(syntax, "RGB")
            file = pixel_file(
                syntax, samples, [encode(samples)], instance=1000 + len(found), PhotometricInterpretation=label
            )
            found.append(Sample(f"colours, {syntax}", file))
    return tuple(found)


@cache
def field_images() -> tuple[Sample, ...]:
    """What pydicom and, where it is installed, pydicom-data bring; files that are no DICOM among them."""
    spec = find_spec("data_store")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / "data"
    seen: set[bytes] = set()
    more = [] if folder is None else sorted(path for path in folder.rglob("*") if path.is_file())
    shipped = [Sample(sample.name, _distinct(sample.data, seen)) for sample in shipped_files()]
    return (*shipped, *(Sample(path.name, _distinct(path.read_bytes(), seen)) for path in more))
