"""Where pictures and values are not Orthanc 1.12.7's: the reviewed list, each with the clause of the standard that decides.

Values of these cases are held against models of the standard in `tests/contract/test_rest_images.py` and `test_rest_stacks.py`, and
against other decoders in `test_image_values.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset

from tests.peer.exchange import Answer

VALUES: Final = r"matlab|numpy|image-.*|preview|rendered|.*/numpy"
PICTURES: Final = r"image-.*|preview|rendered"


@dataclass(frozen=True, slots=True)
class Case:
    """One answer of both servers about one instance."""

    made: Dataset
    route: str
    ours: Answer
    theirs: Answer

    def number(self, keyword: str, default: int = 0) -> int:
        return int(self.made.get(keyword) or default)

    @property
    def label(self) -> str:
        return str(self.made.get("PhotometricInterpretation", ""))

    @property
    def syntax(self) -> str:
        return str(self.made.file_meta.get("TransferSyntaxUID", ""))

    @property
    def has_pixels(self) -> bool:
        return any(name in self.made for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))

    @property
    def is_refused_there(self) -> bool:
        return self.theirs.status >= 400 and self.ours.status == 200


@dataclass(frozen=True, slots=True)
class Accepted:
    why: str
    clause: str  # of the standard, or whose decision it is
    routes: str  # a regular expression for the whole route, without its arguments
    when: Callable[[Case], bool]


def _is_shown_here_alone(case: Case) -> bool:
    """Pixels that 1.12.7 refuses."""
    bits = case.number("BitsAllocated")
    return case.is_refused_there and (
        case.syntax.removeprefix("1.2.840.10008.1.2.4.") in {"90", "91", "110", "111", "112", "201", "202", "203"}
        or case.label in {"YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_RCT", "YBR_ICT", "PALETTE COLOR"}
        or bits in {1, 32, 64}
        or (bits == 8 and case.number("PixelRepresentation") == 1)
        or case.number("SamplesPerPixel") == 3
        or bool(case.made.get("NumberOfFrames") == 0)
    )


def _uses_beyond_stored_bits(case: Case) -> bool:
    return case.number("BitsStored") < case.number("BitsAllocated") and case.number("PixelRepresentation") == 1


ACCEPTED: Final = (
    Accepted(
        "pixels that 1.12.7 cannot decode: JPEG 2000, JPEG XL, YBR, signed bytes, 32 bits, floating point, single bits in a width that is no multiple of 8, colours by plane of 16 bits",
        "PS3.3 §C.7.6.3.1.2, §C.7.6.24, §C.7.6.25; PS3.5 §8",
        r".*",
        _is_shown_here_alone,
    ),
    Accepted(
        "an instance without pixels, or with some that cannot be decoded, is 415 from every route; 1.12.7 says 500 or 400 but for pictures",
        "this server's",
        r"matlab|numpy|frames/0/(raw|numpy)",
        lambda case: case.theirs.status in {400, 500} and case.ours.status == 415,
    ),
    Accepted(
        "colours of an image that is no square: 1.12.7 takes rows for columns",
        "the expression gives an array of rows, columns, samples",
        "matlab",
        lambda case: case.number("Rows") != case.number("Columns") and b"permute" in case.theirs.body,
    ),
    Accepted(
        "the sign of a sample is its highest stored bit, and what lies above is no part of it",
        "PS3.5 §8.1.1",
        VALUES,
        _uses_beyond_stored_bits,
    ),
    Accepted(
        "slope, intercept and window of functional groups",
        "PS3.3 §C.7.6.16.2.9, §C.7.6.16.2.10",
        r"rendered|numpy|frames/0/numpy",
        lambda case: "SharedFunctionalGroupsSequence" in case.made or "PerFrameFunctionalGroupsSequence" in case.made,
    ),
    Accepted(
        "tables: Modality LUT, and VOI LUT where there is no window",
        "PS3.3 §C.11.1, §C.11.2",
        r"rendered|numpy|frames/0/numpy",
        lambda case: "ModalityLUTSequence" in case.made or "VOILUTSequence" in case.made,
    ),
    Accepted(
        "32 bits without a window: the values that occur, from black to white; 1.12.7 shows white",
        "this server's; the standard wants a window",
        "rendered",
        lambda case: case.number("BitsAllocated") == 32 and "WindowCenter" not in case.made,
    ),
)


def explain(case: Case) -> Accepted | None:
    """Return why an answer may differ, None if it may not."""
    route: Any = case.route.partition("?")[0]
    return next((each for each in ACCEPTED if re.fullmatch(each.routes, route) and each.when(case)), None)
