"""Files cut at every byte, and files with one byte changed: Sinogram takes and refuses what Orthanc takes and refuses."""

import pytest

from tests.data_factory import add_pixels, dataset, encode, made_files
from tests.peer.comparison import Difference, assert_same, unaccepted
from tests.peer.conftest import Pair
from tests.peer.exchange import Request

pytestmark = pytest.mark.peer

WHOLE_HEADER = 132  # what comes before the file meta information
# Between them: sequences and items of undefined length, fragments, implicit VR, big endian, a deflated stream, private elements.
CUT = (
    "undefined-lengths",
    "encapsulated-1.2.840.10008.1.2.4.50",
    "private-implicit",
    "syntax-big-endian",
    "syntax-deflated",
)


def verdicts(pair: Pair, bodies: list[tuple[str, bytes]]) -> list[Difference]:
    """Where the statuses, Orthanc's numbers or the identities part; the name stands for the path."""
    found = []
    for name, body in bodies:
        request = Request("/instances", "POST", body)
        ours, theirs = pair.ours.ask(request), pair.theirs.ask(request)
        ours_told, theirs_told = ours.json(), theirs.json()
        assert isinstance(ours_told, dict)
        assert isinstance(theirs_told, dict)
        pairs = {"status": (ours.status, theirs.status)} | {
            key: (ours_told.get(key), theirs_told.get(key)) for key in ("OrthancStatus", "ID", "Status", "Details")
        }
        found += [
            Difference(Request(name, "POST"), key, *values) for key, values in pairs.items() if values[0] != values[1]
        ]
    return unaccepted(found, pair.oracle.version)


@pytest.mark.parametrize("name", CUT)
def test_a_file_cut_at_any_byte(fresh: Pair, name: str) -> None:
    (data,) = [sample.data for sample in made_files() if sample.name == name]
    lengths = [*range(1, WHOLE_HEADER, 13), *range(WHOLE_HEADER, len(data) + 1)]
    assert_same(verdicts(fresh, [(f"{name} cut at {length} of {len(data)}", data[:length]) for length in lengths]))


@pytest.mark.usefixtures("modern")
def test_a_value_representation_of_any_two_letters(fresh: Pair) -> None:
    """The VR of a text element replaced by every VR there is, and by some that are none."""
    data = encode(add_pixels(dataset(88, 1, 1, 1)))
    known = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV"
    others = ["ZZ", "pn", "Pn", "??", "  ", "\0\0", "\x01\x02", "12", "--", "OX", "Q "]
    place = data.index(b"\x10\0\x10\0PN") + 4
    bodies = [(repr(vr), data[:place] + vr.encode() + data[place + 2 :]) for vr in [*known.split(), *others]]
    assert_same(verdicts(fresh, bodies))


def test_a_length_that_is_wrong(fresh: Pair) -> None:
    data = encode(add_pixels(dataset(88, 1, 1, 2)))
    place = data.index(b"\x10\0\x10\0PN") + 6
    wrong = [0, 1, 2, 9, 11, 12, 13, 100, 1000, 0x7FFF, 0xFFFE, 0xFFFF]
    bodies = [
        (f"PN length {length}", data[:place] + length.to_bytes(2, "little") + data[place + 2 :]) for length in wrong
    ]
    place = data.index(b"\xe0\x7f\x10\0OW") + 8
    wrong = [0, 1, 95, 97, 98, 1000, 2**31, 2**32 - 2, 2**32 - 1]
    bodies += [
        (f"pixels length {length}", data[:place] + length.to_bytes(4, "little") + data[place + 4 :]) for length in wrong
    ]
    assert_same(verdicts(fresh, bodies))


@pytest.mark.usefixtures("modern")
def test_a_transfer_syntax_that_does_not_fit(fresh: Pair) -> None:
    data = encode(add_pixels(dataset(88, 1, 1, 3)))
    named = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    assert named in data
    syntaxes = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1.99",
                "1.2.840.10008.1.2.77", "1.2.3", "", "nonsense", "1.2.840.10008.1.2.4.90", "1.2.840.113619.5.2", "1.2.840.10008.1.2.1.98")  # fmt: skip
    bodies = []
    for syntax in syntaxes:
        value = syntax.encode() + b"\0" * (len(syntax) % 2)
        bodies.append(
            (f"syntax {syntax!r}", data.replace(named, b"\x02\0\x10\0UI" + len(value).to_bytes(2, "little") + value))
        )
    bodies.append(("no syntax", data.replace(named, b"")))
    assert_same(verdicts(fresh, bodies))
