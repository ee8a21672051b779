"""Files with pixels of every syntax and layout, and what they become when something in them is changed at random.

`make_input` makes the same bytes of the same seed and number.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fuzz.mutation import Mutator
from tests.fuzz.pixel_writer import PIXEL_DATA, Elements, Encapsulated, Writer
from tests.native_pixels import BIG, DEFLATED, EXPLICIT, GE, IMPLICIT, Native, ramp, ybr_pairs
from tests.pixel_files import (
    BASELINE,
    ENCODERS,
    EXACT,
    EXTENDED,
    HTJ2K,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS_NEAR,
    JPEG_XL,
    RLE,
    color,
    gray,
    offsets,
)

COMPRESSED: Final = (*EXACT, BASELINE, EXTENDED, JPEG_LS_NEAR, J2K, JPEG_XL)
UNCOMPRESSED: Final = (EXPLICIT, IMPLICIT, BIG, DEFLATED, GE)

SAMPLES, LABEL, PLANAR, FRAMES, ROWS, COLUMNS = 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011
ALLOCATED, STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
WINDOW_CENTER, WINDOW_WIDTH, INTERCEPT, SLOPE, FUNCTION = 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056
MODALITY_LUT, VOI_LUT, LUT_DESCRIPTOR, LUT_DATA = 0x00283000, 0x00283010, 0x00283002, 0x00283006
PER_FRAME, SHARED, FRAME_VOI, PIXEL_VALUES = 0x52009230, 0x52009229, 0x00289132, 0x00289145
PALETTES: Final = tuple((0x00281101 + at, 0x00281201 + at, 0x00281221 + at) for at in range(3))

_LABELS: Final = (
    *(b"MONOCHROME1", b"MONOCHROME2", b"RGB", b"YBR_FULL", b"YBR_FULL_422", b"YBR_PARTIAL_422", b"YBR_RCT", b"YBR_ICT"),
    *(b"PALETTE COLOR", b"ARGB", b"", b"?", b"\xff\0"),
)
_NUMBERS: Final = (0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 64, 255, 0x7FFF, 0x8000, 0xFFFF)
_COUNTS: Final = (
    *(b"0", b"1", b"2", b"3", b"4", b"1000000", b"2147483647", b"4294967296", b"99999999999", b"", b"-1", b"x"),
    *(b"+2", b"1e3", b"2\\3", b"\xd9\xa3"),
)
_DECIMALS: Final = (
    *(b"0", b"1", b"-1", b"0.5", b"1e-300", b"1e308", b"-1e308", b"1e400", b"nan", b"inf", b"-inf", b"", b"x", b"\\1"),
    *(b"1\\2\\3", b"16777217", b"1" * 200, b"1" * 400),
)
_TOKENS: Final = (
    *(b"\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\0\xe0", b"\xe0\x7f\x10\0", b"\x28\0\x10\0US\2\0"),
    *(b"\x28\0\x08\0IS\4\x009999", b"\x28\0\2\x11US\6\0\0\0\0\0\x10\0", b"\x00\x52\x30\x92SQ\0\0\0\0\0\0"),
)


@dataclass(slots=True)
class Input:
    """One file in the making."""

    syntax: str
    elements: Elements
    instance: int = 1
    is_only_cut: bool = True  # nothing was done but taking bytes away from the end of pixels
    has_right_vrs: bool = True  # bytes of numbers whose VR says that they are none are in nobody's order
    spoiled: list[Callable[[bytes], bytes]] = field(default_factory=list)  # what is done to the bytes of the file

    def encode(self) -> bytes:
        made = Writer(self.syntax).file(self.elements, self.instance)
        for spoil in self.spoiled:
            made = spoil(made)
        return made

    @property
    def pixels(self) -> Encapsulated | bytes:
        found = next(
            (self.elements[tag][1] for tag in (PIXEL_DATA, 0x7FE00008, 0x7FE00009) if tag in self.elements), b""
        )
        assert isinstance(found, Encapsulated | bytes)
        return found

    def set_pixels(self, value: bytes) -> None:
        for tag in (PIXEL_DATA, 0x7FE00008, 0x7FE00009):
            if tag in self.elements:
                self.elements[tag] = (self.elements[tag][0], value)


def make_input(seed: int, number: int) -> tuple[Input, bytes]:
    """Return a mutated file and the one it was made from."""
    chance = random.Random(f"{seed}/{number}")
    made = _sound_input(chance)
    made.instance = 1 + number % 65_536
    sound = made.encode()
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        mutate = chance.choice(_MUTATIONS)
        # What closes a frame of other codings are samples in RLE.
        is_cut = mutate in _CUTS and (mutate is not _cut_and_close or made.syntax != RLE)
        made.is_only_cut = made.is_only_cut and is_cut
        made.has_right_vrs = made.has_right_vrs and mutate not in {_change_vr, _spoil_bytes}
        mutate(chance, made)
    return made, sound


def _sound_input(chance: random.Random) -> Input:
    made = _compressed(chance) if chance.random() < 0.55 else _uncompressed(chance)
    if chance.random() < 0.5:
        _add_tones(chance, made)
    if made.elements[LABEL][1] == b"PALETTE COLOR":
        _add_palette(chance, made)
    return made


def _described(samples: Any, count: int, label: str, bits: int, planar: int | None = None) -> Elements:
    found: Elements = {
        SAMPLES: ("US", samples.shape[2] if samples.ndim == 3 else 1),
        LABEL: ("CS", label.encode()),
        ROWS: ("US", samples.shape[0]),
        COLUMNS: ("US", samples.shape[1]),
        ALLOCATED: ("US", 1 if bits == 1 else samples.itemsize * 8),
        STORED: ("US", bits),
        HIGH_BIT: ("US", bits - 1),
        SIGNED: ("US", int(samples.dtype.kind == "i")),
    }
    if planar is not None:
        found[PLANAR] = ("US", planar)
    if count > 1:
        found[FRAMES] = ("IS", str(count).encode())
    return found


def _compressed(chance: random.Random) -> Input:
    syntax = chance.choice(COMPRESSED)
    rows, columns = chance.choice(((9, 7), (24, 30), (33, 64)))
    count = chance.choice((1, 1, 2, 3))
    if syntax != EXTENDED and chance.random() < 0.3:
        samples, bits = [color(rows, columns) for _ in range(count)], 8
        label = {J2K_LOSSLESS: "YBR_RCT", J2K: "YBR_ICT", HTJ2K: "YBR_RCT", BASELINE: "YBR_FULL_422"}.get(syntax, "RGB")
    else:
        bits = {EXTENDED: 12, BASELINE: 8}.get(syntax) or chance.choice((8, 16))
        samples = [gray(bits, rows, columns, seed=place) for place in range(count)]
        label = chance.choice(("MONOCHROME2", "MONOCHROME2", "MONOCHROME1", "PALETTE COLOR"))
        label = "MONOCHROME2" if syntax in {BASELINE, EXTENDED, JPEG_LS_NEAR, J2K} else label
    elements = _described(samples[0], count, label, bits, 0 if samples[0].ndim == 3 else None)
    elements[PIXEL_DATA] = ("OB", Encapsulated([[ENCODERS[syntax](each)] for each in samples]))
    return Input(syntax, elements)


def _uncompressed(chance: random.Random) -> Input:
    frames, rows, columns = chance.choice(((1, 5, 6), (3, 9, 7), (2, 24, 30)))
    kind, bits, label, planar = chance.choice(_LAYOUTS)
    if label.endswith("_422"):
        columns += columns & 1
        array = ybr_pairs(frames, rows, columns)
    else:
        array = ramp("u1" if bits == 1 else kind, frames, rows, columns, 1 if planar is None else 3)
        array = array // 3 & 1 if bits == 1 else array
    floating = {"<f4": ("OF", 0x7FE00008), "<f8": ("OD", 0x7FE00009)}
    vr, tag = floating.get(kind, (chance.choice(("OW", "OB")) if bits <= 8 else "OW", PIXEL_DATA))
    native = Native(samples=array, bits=bits, label=label, planar=planar, vr=vr)
    elements = _described(array[0, ..., 0] if planar is None else array[0], frames, label, bits, planar)
    elements[tag] = (vr, native.stream())
    syntax = chance.choice(UNCOMPRESSED)
    return Input(EXPLICIT if syntax == GE and tag != PIXEL_DATA else syntax, elements)


_LAYOUTS: Final = (  # numpy's type, bits, label, planar configuration
    *(("bit", 1, "MONOCHROME2", None), ("bit", 1, "MONOCHROME1", None), ("u1", 8, "MONOCHROME2", None)),
    *(("i1", 8, "MONOCHROME2", None), ("<u2", 16, "MONOCHROME2", None), ("<u2", 16, "MONOCHROME1", None)),
    *(("<i2", 16, "MONOCHROME2", None), ("<u4", 32, "MONOCHROME2", None), ("<i4", 32, "MONOCHROME2", None)),
    *(("<f4", 32, "MONOCHROME2", None), ("<f8", 64, "MONOCHROME2", None), ("u1", 8, "RGB", 0), ("u1", 8, "RGB", 1)),
    *(("<u2", 16, "RGB", 0), ("<u2", 16, "RGB", 1), ("u1", 8, "YBR_FULL", 0), ("u1", 8, "YBR_FULL", 1)),
    *(("u1", 8, "YBR_FULL_422", 0), ("u1", 8, "PALETTE COLOR", None), ("<u2", 16, "PALETTE COLOR", None)),
)


# --- how samples are to be shown ---


def _add_tones(chance: random.Random, made: Input) -> None:
    made.elements |= {SLOPE: ("DS", b"2.5"), INTERCEPT: ("DS", b"-100")}
    chance.choice((_add_window, _add_tables, _add_groups))(chance, made)


def _add_window(chance: random.Random, made: Input) -> None:
    made.elements[WINDOW_CENTER] = ("DS", chance.choice((b"40", b"40\\300", b"-1e3")))
    made.elements[WINDOW_WIDTH] = ("DS", chance.choice((b"400", b"400\\2000")))
    if chance.random() < 0.5:
        made.elements[FUNCTION] = ("CS", chance.choice((b"LINEAR", b"LINEAR_EXACT", b"SIGMOID")))


def _table(chance: random.Random) -> Elements:
    count, bits = chance.choice(((16, 8), (256, 8), (300, 12), (1024, 16)))
    entries = [at * ((1 << bits) - 1) // count for at in range(count)]
    return {LUT_DESCRIPTOR: ("US", (count, 0, bits)), LUT_DATA: ("US", entries)}


def _add_tables(chance: random.Random, made: Input) -> None:
    for tag in chance.choice(((MODALITY_LUT,), (VOI_LUT,), (MODALITY_LUT, VOI_LUT))):
        made.elements[tag] = ("SQ", [_table(chance)])
    if MODALITY_LUT in made.elements:
        made.elements.pop(SLOPE, None)
        made.elements.pop(INTERCEPT, None)


def _add_groups(chance: random.Random, made: Input) -> None:
    told = made.elements.get(FRAMES, ("IS", b"1"))[1]
    count = int(told) if told in {b"2", b"3"} else 1
    items = [
        {
            FRAME_VOI: ("SQ", [{WINDOW_CENTER: ("DS", b"%d" % (40 + at)), WINDOW_WIDTH: ("DS", b"300")}]),
            PIXEL_VALUES: ("SQ", [{INTERCEPT: ("DS", b"%d" % at), SLOPE: ("DS", b"1.5")}]),
        }
        for at in range(count)
    ]
    made.elements[PER_FRAME] = ("SQ", items)
    if chance.random() < 0.5:
        made.elements[SHARED] = ("SQ", [dict(items[0])])


def _add_palette(chance: random.Random, made: Input) -> None:
    count, bits = chance.choice(((256, 16), (256, 8), (64, 16), (0, 16)))
    total = count or 65_536
    entries = [at * ((1 << bits) - 1) // total for at in range(total)]
    for describing, plain, segmented in PALETTES:
        made.elements[describing] = ("US", (count, 0, bits))
        if bits == 16 and chance.random() < 0.2:
            half = total // 2
            made.elements[segmented] = ("OW", _words(0, 1, 0, 1, half, 99, 1, total - half - 1, 7))
        else:
            made.elements[plain] = ("OW", _words(*entries))


def _words(*numbers: int) -> bytes:
    return b"".join((number & 0xFFFF).to_bytes(2, "little") for number in numbers)


# --- mutations of pixels ---


def _change_bytes(chance: random.Random, made: Input, change: Callable[[bytearray], object]) -> None:
    pixels = made.pixels
    if isinstance(pixels, bytes):
        data = bytearray(pixels)
        change(data)
        made.set_pixels(bytes(data))
        return
    parts = chance.choice(pixels.frames or [[b""]])
    if parts:
        place = chance.randrange(len(parts))
        data = bytearray(parts[place])
        change(data)
        parts[place] = bytes(data)


def _flip_bits(chance: random.Random, made: Input) -> None:
    def flip(data: bytearray) -> None:
        for _ in range(chance.choice((1, 1, 4, 30))):
            if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)

    _change_bytes(chance, made, flip)


def _flip_header(chance: random.Random, made: Input) -> None:
    def flip(data: bytearray) -> None:
        for _ in range(chance.choice((1, 2, 5))):
            if data:
                data[chance.randrange(min(len(data), 120))] = chance.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
                )

    _change_bytes(chance, made, flip)


def _enlarge(chance: random.Random, made: Input) -> None:
    """Let dataset and codestream agree on 65,535 rows, or columns, or both."""
    sides = chance.choice(((ROWS,), (COLUMNS,), (ROWS, COLUMNS)))
    before = {side: made.elements.get(side, ("US", 0))[1] for side in sides}

    def enlarge(data: bytearray) -> None:
        for number in before.values():
            if isinstance(number, int) and number:
                at = data.find(number.to_bytes(2, "big"), 0, 200)
                data[at : at + 2] = b"\xff\xff" if at >= 0 else data[at : at + 2]

    for side in sides:
        made.elements[side] = ("US", 0xFFFF)
    if isinstance(made.pixels, Encapsulated):
        _change_bytes(chance, made, enlarge)


def _cut(chance: random.Random, made: Input) -> None:
    def cut(data: bytearray) -> None:
        del data[
            chance.randrange(len(data) + 1) & ~1 :
        ]  # of an odd length, it would get a zero instead of what was cut

    _change_bytes(chance, made, cut)


def _cut_and_close(chance: random.Random, made: Input) -> None:
    def cut(data: bytearray) -> None:
        del data[chance.randrange(len(data) + 1) :]
        data += b"\xff\xd9"

    if isinstance(made.pixels, Encapsulated):
        _change_bytes(chance, made, cut)


def _take_out(chance: random.Random, made: Input) -> None:
    def take(data: bytearray) -> None:
        at = chance.randrange(len(data) + 1)
        del data[at : at + chance.choice((1, 2, 16, 200))]

    _change_bytes(chance, made, take)


def _put_in(chance: random.Random, made: Input) -> None:
    def put(data: bytearray) -> None:
        at = chance.randrange(len(data) + 1)
        data[at:at] = chance.choice(
            (b"\0", b"\xff", b"\xff\xd8\xff", b"\xff\xd9", b"\xff\x90", data[: chance.randrange(50)])
        )

    _change_bytes(chance, made, put)


def _split(chance: random.Random, made: Input) -> None:
    pixels = made.pixels
    if isinstance(pixels, Encapsulated):
        for parts in pixels.frames:
            whole = b"".join(parts)
            at = chance.randrange(len(whole) + 1) & ~1
            parts[:] = [whole[:at], whole[at:]]
        pixels.table = offsets(pixels.frames) if chance.random() < 0.5 else ()


def _shuffle(chance: random.Random, made: Input) -> None:
    pixels = made.pixels
    if isinstance(pixels, Encapsulated) and pixels.frames:
        chance.choice((chance.shuffle, lambda frames: frames.append(frames[0]), lambda frames: frames.pop()))(
            pixels.frames
        )


def _change_table(chance: random.Random, made: Input) -> None:
    pixels = made.pixels
    if isinstance(pixels, Encapsulated):
        pixels.table = [
            chance.choice((0, 8, 100, 0xFFFFFFFF, chance.randrange(3000))) for _ in range(chance.randrange(5))
        ]


# --- mutations of what is said of them ---


def _change_attribute(chance: random.Random, made: Input) -> None:
    tag = chance.choice((ROWS, COLUMNS, SAMPLES, ALLOCATED, STORED, HIGH_BIT, SIGNED, PLANAR, LABEL, FRAMES))
    if chance.random() < 0.05:
        made.elements.pop(tag, None)
    elif tag == LABEL:
        made.elements[tag] = ("CS", chance.choice(_LABELS))
    elif tag == FRAMES:
        made.elements[tag] = ("IS", chance.choice(_COUNTS))
    else:
        made.elements[tag] = ("US", chance.choice((*_NUMBERS, b"", b"\1", b"\1\0\2\0")))


def _change_tones(chance: random.Random, made: Input) -> None:
    """Change numbers of the window and the rescaling, in whatever sequence they stand."""
    if not any(tag in made.elements for tag in (SLOPE, WINDOW_CENTER, PER_FRAME)):
        _add_tones(chance, made)
    for holder in _holders(made.elements):
        for tag in (WINDOW_CENTER, WINDOW_WIDTH, INTERCEPT, SLOPE):
            if tag in holder and chance.random() < 0.5:
                holder[tag] = ("DS", chance.choice(_DECIMALS))


def _change_lut(chance: random.Random, made: Input) -> None:
    """Change a descriptor or the entries of a table or a palette."""
    if not any(tag in made.elements for tag in (MODALITY_LUT, VOI_LUT, PALETTES[0][0])):
        _add_tables(chance, made)
    for holder in _holders(made.elements):
        for tag in (LUT_DESCRIPTOR, LUT_DATA, *(tag for places in PALETTES for tag in places)):
            if tag in holder and chance.random() < 0.4:
                vr = holder[tag][0]
                holder[tag] = (vr, _nonsense(chance, is_descriptor=vr == "US" and tag != LUT_DATA))


def _nonsense(chance: random.Random, *, is_descriptor: bool) -> Any:
    if is_descriptor:
        return chance.choice(
            (
                *((0, 0, 16), (0, 0, 8), (256, 0, 8), (65_535, 0xFFFF, 16), (1, 0x8000, 1), (256, 0, 0)),
                *((256, 0, 17), (256, 65_535), (), b"\0\1\0", (256, 0, 16, 9)),
            )
        )
    return chance.choice((b"", b"\1", bytes(256), bytes(131_072), _words(2, 1, 0, 0), _words(0, 0) * 100, _words(1, 9)))


def _holders(elements: Elements) -> list[Elements]:
    found = [elements]
    for vr, value in list(elements.values()):
        if vr == "SQ" and isinstance(value, list):
            for item in value:
                found += _holders(item)
    return found


def _change_groups(chance: random.Random, made: Input) -> None:
    if not isinstance(made.elements.get(PER_FRAME, ("SQ", b""))[1], list):
        _add_groups(chance, made)
    items = list(made.elements[PER_FRAME][1])
    changed: Any = chance.choice((items[:-1], [], items * 3, [{}] * len(items), b"\0" * 8, items[::-1]))
    made.elements[PER_FRAME] = ("SQ", changed)


def _change_syntax(chance: random.Random, made: Input) -> None:
    if isinstance(made.pixels, bytes):
        made.syntax = chance.choice((*UNCOMPRESSED, *COMPRESSED))
    else:
        made.syntax = chance.choice((*COMPRESSED, *COMPRESSED, EXPLICIT))


def _change_vr(chance: random.Random, made: Input) -> None:
    tag = chance.choice([tag for tag in made.elements if tag >= SAMPLES])
    vr = chance.choice(("OB", "OW", "US", "SS", "UN", "OF", "SQ", "LO"))
    value = made.elements[tag][1]
    if isinstance(value, bytes | Encapsulated) or (isinstance(value, int) and vr in {"US", "SS", "LO", "UN"}):
        made.elements[tag] = (vr, value)


def _move_pixels(chance: random.Random, made: Input) -> None:
    """Let the pixels stand in another element, or in several."""
    tag, vr = chance.choice(((0x7FE00008, "OF"), (0x7FE00009, "OD"), (PIXEL_DATA, "OW")))
    found = made.pixels
    if chance.random() < 0.5:
        for other in (PIXEL_DATA, 0x7FE00008, 0x7FE00009):
            made.elements.pop(other, None)
    made.elements[tag] = (vr, found)


def _spoil_bytes(chance: random.Random, made: Input) -> None:
    """Change the file itself, behind its meta information."""
    mutator = Mutator(chance.randrange(1 << 30), _TOKENS)
    made.spoiled.append(lambda file: file[:400] + mutator.mutate(file[400:]))


_CUTS: Final = frozenset({_cut, _cut_and_close, _change_table})
_MUTATIONS: Final = (
    *(_flip_bits, _flip_bits, _flip_header, _flip_header, _cut, _cut_and_close, _take_out, _put_in, _split, _shuffle),
    *(_change_table, _change_attribute, _change_attribute, _change_attribute, _change_syntax, _change_tones),
    *(_change_tones, _change_lut, _change_lut, _change_groups, _change_vr, _move_pixels, _enlarge, _spoil_bytes),
)
