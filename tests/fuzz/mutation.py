"""Inputs that are nearly right: what a good one becomes when bits, lengths, pieces and ends are changed at random.

The same seed gives the same inputs, so a failure names what has to be run again: the test, the seed and the number.
"""

import os
import random
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SEED = int(os.environ.get("SINOGRAM_FUZZ_SEED", "1"))
INPUTS = int(os.environ.get("SINOGRAM_FUZZ_INPUTS", "0"))  # of each fuzzer; 0: its own short run

_LENGTHS = (0, 1, 2, 7, 8, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def count(short: int) -> int:
    """Return how many inputs a fuzzer is to try."""
    return INPUTS or short


class Mutator:
    """Changes inputs. `tokens` are pieces with a meaning, which are put in now and then."""

    def __init__(self, seed: int, tokens: Sequence[bytes]) -> None:
        self._random = random.Random(seed)
        self._tokens = tokens
        self._ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._flip,
            self._set_byte,
            self._set_length,
            self._set_length,
            self._cut_out,
            self._repeat,
            self._insert_token,
            self._overwrite_with_token,
            self._swap,
            self._end,
        )

    def mutate(self, good: bytes) -> bytes:
        data = bytearray(good)
        for _ in range(self._random.choice((1, 1, 1, 2, 3, 5, 8))):
            if data:
                self._random.choice(self._ways)(data)
        return bytes(data)

    def choose(self, inputs: Sequence[bytes]) -> bytes:
        return self._random.choice(inputs)

    def _place(self, data: bytearray) -> int:
        return self._random.randrange(len(data))

    def _flip(self, data: bytearray) -> None:
        data[self._place(data)] ^= 1 << self._random.randrange(8)

    def _set_byte(self, data: bytearray) -> None:
        data[self._place(data)] = self._random.choice(
            (0, 1, 0x20, 0x5C, 0x7F, 0x80, 0xFE, 0xFF, self._random.randrange(256))
        )

    def _set_length(self, data: bytearray) -> None:
        size = self._random.choice((2, 4))
        order = self._random.choice(("little", "big"))
        value = self._random.choice((*_LENGTHS, self._random.randrange(2 * len(data) + 1)))
        place = self._place(data)
        data[place : place + size] = (value & (1 << 8 * size) - 1).to_bytes(
            size, "little" if order == "little" else "big"
        )

    def _cut_out(self, data: bytearray) -> None:
        place = self._place(data)
        del data[place : place + self._random.choice((1, 2, 4, 8, self._random.randrange(1, 64)))]

    def _repeat(self, data: bytearray) -> None:
        place = self._place(data)
        piece = data[place : place + self._random.randrange(1, 64)]
        data[place:place] = piece * self._random.choice((1, 1, 2, 20))

    def _insert_token(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = self._random.choice(self._tokens)

    def _overwrite_with_token(self, data: bytearray) -> None:
        token = self._random.choice(self._tokens)
        place = self._place(data)
        data[place : place + len(token)] = token

    def _swap(self, data: bytearray) -> None:
        one, other = sorted((self._place(data), self._place(data)))
        size = self._random.randrange(1, 16)
        data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]

    def _end(self, data: bytearray) -> None:
        del data[self._place(data) :]


def inputs(good: Sequence[bytes], tokens: Sequence[bytes], short: int) -> Iterator[bytes]:
    """Yield mutated inputs, the good ones among them."""
    mutator = Mutator(SEED, tokens)
    yield from good
    for _ in range(count(short)):
        yield mutator.mutate(mutator.choose(good))


@contextmanager
def told(data: bytes) -> Iterator[None]:
    """Let a failure say with which input it came."""
    try:
        yield
    except BaseException as exc:
        exc.add_note(f"input: {data!r}" if len(data) < 4096 else f"input of {len(data)} bytes, begins {data[:256]!r}")
        raise


@contextmanager
def nothing_left(memory_bytes: int = 64 << 20) -> Iterator[None]:
    """Check that no thread, no descriptor and no memory worth speaking of is left behind."""
    threads, descriptors = threading.active_count(), _descriptors()
    before = _resident_bytes()
    yield
    assert threading.active_count() <= threads, [thread.name for thread in threading.enumerate()]
    assert _descriptors() <= descriptors
    grown = _resident_bytes() - before
    assert grown < memory_bytes, (
        f"{grown >> 20} MiB more; at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB in all"
    )


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
