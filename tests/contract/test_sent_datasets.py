"""However an instance leaves for a peer: what a receiver may take offence at is put right, the rest leaves as it is stored."""

from collections.abc import Iterator

import pytest

from actors.services.codecs.pool import CodecPool
from actors.services.remote.sent_file import send_file
from actors.services.remote.store_scu import Originator
from actors.services.remote.stored_sender import StoredSender, StorePool
from actors.wire.interruption import Interruption
from api.dicom.get_scp import create_get_service
from events.identifiers import Level
from store.dicom.elements import read_elements
from store.dicom.part10 import find_dataset
from store.dicom.regular import are_regular
from store.dicom.syntax import read_syntax
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE, STUDY_ROOT_GET
from tests.contract.destination import destination
from tests.contract.retrieve_stage import fill, get, serving
from tests.dicom_bytes import MR, Element, element, handmade, item, uid
from tools.server.core import Core

IRREGULAR: dict[str, tuple[Element, ...]] = {
    "a name of odd length": ((0x00100010, "PN", b"ODD"),),
    "pixels of odd length": ((0x7FE00010, "OB", b"abcdefg"),),
    "an odd length in an item": ((0x00400275, "SQ", item(element(0x00400009, "SH", b"odd"))),),
    "an element twice": ((0x00100010, "PN", b"First "), (0x00100010, "PN", b"Second")),
    "a second SOP instance": ((0x7FE00010, "OW", bytes(4)), (0x00080018, "UI", uid(9, 9, 9).encode() + b"\0")),
    "an element of a file's head": ((0x00200013, "IS", b"1 "), (0x00020010, "UI", b"1.2.840.10008.1.2.4.70")),
}
REGULAR = handmade(7, (0x00100010, "PN", b"Even"), (0x7FE00010, "OB", b"abcdef"))


def irregular(kind: str) -> bytes:
    """A file with these elements behind its identifiers, in this very order."""
    regular = handmade(7)
    return regular + b"".join(element(*each) for each in IRREGULAR[kind])


@pytest.fixture
def pool() -> Iterator[StorePool]:
    made = StorePool(60)
    yield made
    made.close()


def must_be_regular(sent: bytes, syntax: str, sop_instance: str) -> None:
    form = read_syntax(syntax)
    assert form is not None
    elements = read_elements(sent, 0, form)
    assert are_regular(elements)
    assert not len(sent) & 1
    (name,) = [sent[each.value : each.value + each.length] for each in elements if each.tag == 0x00080018]
    assert name.rstrip(b"\0").decode() == sop_instance == uid(8, 1, 1, 7)


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE])
def test_to_a_destination(archive: Core, pool: StorePool, syntax: str, kind: str) -> None:
    """Of a C-STORE job, and of a C-MOVE; as it is stored, and written again in another form."""
    fill(archive, irregular(kind))
    with archive.views.snapshot() as snapshot:
        instances = list(snapshot.list_ids(Level.INSTANCE))
    with destination(syntax) as there:
        sender = StoredSender(
            archive.views, archive.blobs, pool, there.target(), instances, CodecPool(),
            fallbacks=(IMPLICIT_LE,), interruption=Interruption(), originator=Originator("MOVER", 1),
        )  # fmt: skip
        assert sender.check(sender.send(0)) == 0
        sender.close()
        (sent,) = there.sent
    must_be_regular(sent.dataset, syntax, sent.sop_instance)


@pytest.mark.parametrize("kind", IRREGULAR)
def test_by_c_get(archive: Core, codecs: CodecPool, kind: str) -> None:
    fill(archive, irregular(kind))
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        told = get(port, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(8, 1)})
    ((sop_instance, _, dataset),) = told.received
    must_be_regular(dataset, EXPLICIT_LE, sop_instance)
    assert told.status == 0


@pytest.mark.parametrize("kind", IRREGULAR)
def test_of_a_file_that_is_not_in_the_archive(codecs: CodecPool, kind: str) -> None:
    with destination() as there:
        send_file(there.target(), irregular(kind), (), Interruption(), codecs)
        (sent,) = there.sent
    must_be_regular(sent.dataset, EXPLICIT_LE, sent.sop_instance)
    assert sent.sop_class == MR


def test_what_is_regular_leaves_as_it_is_stored(archive: Core, codecs: CodecPool) -> None:
    fill(archive, REGULAR)
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        told = get(port, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(8, 1)})
    assert [dataset for _, _, dataset in told.received] == [REGULAR[find_dataset(REGULAR) :]]
