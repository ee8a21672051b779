"""Good DICOM inputs and pieces with a meaning, for the fuzzers to change."""

import struct

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from tests.dicom_bytes import MR, add_pixels, dataset, element, encode, handmade, item
from tests.fault import raw_association as raw
from tests.handmade_files import handmade_files

PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
COMMITMENT = "1.2.840.10008.1.20.1"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
PATIENT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
_DEFLATED = "1.2.840.10008.1.2.1.99"


def files() -> list[bytes]:
    """DICOM files in every uncompressed syntax, deflated, encapsulated, nested, and the odd ones made by hand."""
    plain = dataset(CodeValue="1", PatientComments="x" * 300)
    pixels = add_pixels(dataset(2), frames=2)
    fragments = b"".join((item(), item(b"\xff\xd8\xff\xd9"), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)))
    encapsulated = handmade(5, (0x7FE00010, "OB", b"")).removesuffix(element(0x7FE00010, "OB", b""))
    encapsulated += element(0x7FE00010, "OB", fragments, 0xFFFFFFFF)
    return [
        encode(plain),
        encode(plain, ImplicitVRLittleEndian),
        encode(plain, ExplicitVRBigEndian),
        encode(plain, _DEFLATED),
        encode(pixels),
        encapsulated.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"),
        *(sample.data for sample in handmade_files()),
    ]


def datasets() -> list[bytes]:
    """The same without what stands before the dataset."""
    return [file[file.index(b"\x08\0", 132) :] for file in files() if b"\x08\0" in file[132:]]


ELEMENT_TOKENS = (
    struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
    struct.pack("<HHI", 0xFFFE, 0xE000, 0),
    struct.pack("<HHI", 0xFFFE, 0xE00D, 0),
    struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
    element(0x00081140, "SQ", b"", 0xFFFFFFFF),
    element(0x00081140, "UN", b"", 0xFFFFFFFF),
    element(0x7FE00010, "OW", b"", 0xFFFFFFFF),
    element(0x00080005, "CS", b"ISO 2022 IR 87"),
    element(0x00080005, "CS", b"\\ISO 2022 IR 149"),
    element(0x00080018, "UI", b"1.2.3\\4.5"),
    element(0x00020010, "UI", b"1.2.840.10008.1.2\0"),
    element(0xFFFCFFFC, "OB", bytes(8)),
    b"\x1b$B",
    b"\x1b$)C",
    b"\xff\xff\xff\xff",
    b"SQ\0\0",
    b"UN\0\0",
    b"\\",
)


def requests() -> list[bytes]:
    """The bytes of whole conversations with a server, from the request for an association to its release."""
    store = raw.store_rq(MR, "2.25.7305.1.1.1.1")
    data = datasets()[0]
    find = raw.command(
        (0x0002, PATIENT_FIND.encode() + b"\0"),
        (0x0100, b"\x20\0"),
        (0x0110, b"\1\0"),
        (0x0700, b"\0\0"),
        (0x0800, b"\1\0"),
    )
    identifier = struct.pack("<HHI", 8, 0x52, 8) + b"PATIENT " + struct.pack("<HHI", 0x10, 0x20, 0)
    worklist = find.replace(PATIENT_FIND.encode() + b"\0", WORKLIST_FIND.encode().ljust(len(PATIENT_FIND) + 1, b"\0"))
    within = struct.pack("<HHI", 0x40, 2, 18) + b"20240115-20240116 " + struct.pack("<HHI", 0x40, 3, 10) + b"0800-1200 "
    step = struct.pack("<HHI", 0xFFFE, 0xE000, len(within)) + within
    scheduled = struct.pack("<HHI", 0x10, 0x10, 4) + b"DOE*" + struct.pack("<HHI", 0x40, 0x100, len(step)) + step
    echo = raw.command(
        (0x0002, raw.VERIFICATION.encode() + b"\0"), (0x0100, b"\x30\0"), (0x0110, b"\7\0"), (0x0800, b"\1\1")
    )
    action = raw.command(
        (0x0003, COMMITMENT.encode()), (0x0100, b"\x30\1"), (0x0110, b"\1\0"), (0x0800, b"\1\0"),
        (0x1001, WELL_KNOWN.encode()), (0x1008, b"\1\0"),
    )  # fmt: skip
    reference = struct.pack("<HHI", 8, 0x1150, 4) + b"1.2\0" + struct.pack("<HHI", 8, 0x1155, 6) + b"1.2.3\0"
    reference = struct.pack("<HHI", 0xFFFE, 0xE000, len(reference)) + reference
    committed = (
        struct.pack("<HHI", 8, 0x1195, 4) + b"1.9\0" + struct.pack("<HHI", 8, 0x1199, len(reference)) + reference
    )
    cancel = raw.command((0x0100, b"\xff\x0f"), (0x0120, b"\1\0"), (0x0800, b"\1\1"))
    release = raw.pdu(raw.RELEASE_RQ, bytes(4))
    conversations = [
        (raw.associate_rq(), raw.p_data(store, 3), raw.p_data(data, raw.LAST_DATA)),
        (
            raw.associate_rq(),
            raw.p_data(store[:30], 1),
            raw.p_data(store[30:], 3),
            raw.p_data(data[:99], 0),
            raw.p_data(data[99:], 2),
        ),
        (
            raw.associate_rq(abstract=PATIENT_FIND, syntax=raw.IMPLICIT),
            raw.p_data(find, 3),
            raw.p_data(identifier, 2),
            raw.p_data(cancel, 3),
        ),
        (
            raw.associate_rq(abstract=WORKLIST_FIND, syntax=raw.IMPLICIT),
            raw.p_data(worklist, 3),
            raw.p_data(scheduled, 2),
        ),
        (
            raw.associate_rq(abstract=COMMITMENT, syntax=raw.IMPLICIT),
            raw.p_data(action, 3),
            raw.p_data(committed, 2),
        ),
        (raw.associate_rq(abstract=raw.VERIFICATION, syntax=raw.IMPLICIT), raw.p_data(echo, 3), raw.p_data(echo, 3)),
        (raw.pdu(raw.ABORT, bytes(4)),),
    ]
    return [b"".join((*parts, release)) for parts in conversations]


NETWORK_TOKENS = (
    *(raw.pdu(kind, bytes(4)) for kind in range(9)),
    raw.pdu(raw.P_DATA, struct.pack(">IBB", 2, 1, 3)),
    raw.pdu(raw.P_DATA, b"", 0xFFFFFFFF),
    raw.item(0x50, b""),
    raw.item(0x20, b"\1\0\0\0"),
    raw.item(0x54, b"\0\x05aaaaa\1\1"),
    raw.item(0x58, b"\1\0\0\2xx\0\0"),
    struct.pack("<HHI", 0, 0x900, 2) + b"\0\0",
    struct.pack("<HHI", 0, 0x800, 2) + b"\1\1",
    struct.pack("<HHI", 0, 0x100, 2) + b"\xff\x0f",
    struct.pack("<HHI", 0, 0x1000, 0xFFFFFFFF),
)
