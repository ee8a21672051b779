"""Text of the DICOM JSON Model of a series: whatever was written before, a dataset is written as if it were alone."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from store.dicom import metadata_json
from store.dicom.additions import Addition, Additions, set_additions
from store.dicom.metadata_json import MetadataWriter
from tests.data_factory import dataset, encode, uid

OWNER: Final = "SIEMENS MR HEADER"
SEEDS: Final = range(12)
NAMED: Final = (Addition(0x00190008, "CS", "Header", OWNER), Addition(0x0019000B, "DS", "Duration", OWNER))


@pytest.fixture(autouse=True)
def owned() -> Iterator[None]:
    set_additions(Additions(NAMED))
    yield
    set_additions(Additions())


def image(number: int) -> Dataset:
    """An image of a series with private elements, a sequence and what differs in each."""
    made = dataset(1, 1, 1, number, InstanceNumber=str(number), PatientName="M\xfcller^Eva", ImageComments="same " * 9)
    made.SpecificCharacterSet = "ISO_IR 100"
    made.ImagePositionPatient = ["0", "0", str(number * 1.5)]
    block = made.private_block(0x0019, OWNER, create=True)
    block.add_new(0x08, "UN", b"IMAGE NUM 4 ")  # text, by this owner
    block.add_new(0x0B, "UN", b"%d.5 " % number)  # likewise
    item = Dataset()
    item.CodeValue, item.CodeMeaning = f"T-{number}", "Kn\xf6chel"
    made.AnatomicRegionSequence = Items([item])
    made.add_new(0x7FE00010, "OW", b"")
    return made


def alone(file: bytes) -> bytes:
    return MetadataWriter("Latin1").write(file)


def assert_same(files: Sequence[bytes]) -> None:
    writer = MetadataWriter("Latin1")
    assert [writer.write(file) for file in files] == [alone(file) for file in files]


def name(made: Dataset) -> None:
    made.PatientName = "Other^Name"


def charset(made: Dataset) -> None:
    made.SpecificCharacterSet = "ISO_IR 192"


def creator(made: Dataset) -> None:
    made[0x0019, 0x0010].value = "SOMEBODY ELSE"


def no_creator(made: Dataset) -> None:
    del made[0x0019, 0x0010]


def further_creator(made: Dataset) -> None:
    made.private_block(0x0021, "ANOTHER ONE", create=True).add_new(0x01, "UN", b"text")


def lacking(made: Dataset) -> None:
    del made.ImageComments


def additional(made: Dataset) -> None:
    made.StudyDescription = "more"


def longer(made: Dataset) -> None:
    made.ImageComments = "long " * 1500


def undefined(made: Dataset) -> None:
    made["AnatomicRegionSequence"].is_undefined_length = True


def another_vr(made: Dataset) -> None:
    del made[0x0019, 0x1008]
    made.add_new(0x00191008, "LO", "text")


def pixels(made: Dataset) -> None:
    made[0x7FE00010].VR = "OB"


CHANGES: Final[Sequence[Callable[[Dataset], None]]] = (
    name, charset, creator, no_creator, further_creator, lacking, additional, longer, undefined, another_vr, pixels,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_dataset_that_differs_is_written_as_it_is_and_so_are_those_behind_it(
    change: Callable[[Dataset], Any],
) -> None:
    made = [image(number) for number in range(8)]
    change(made[4])
    assert_same([encode(each) for each in made])


@pytest.mark.parametrize("seed", SEEDS)
def test_datasets_in_any_order_and_with_any_differences_are_written_as_if_alone(seed: int) -> None:
    random = Random(seed)
    files = []
    for _ in range(20):
        made = image(random.randrange(8))
        for change in random.sample(CHANGES, random.choice((0, 0, 0, 1, 2))):
            if change is not creator or (0x0019, 0x0010) in made:
                change(made)
        syntax = ImplicitVRLittleEndian if random.random() < 0.1 else ExplicitVRLittleEndian
        files.append(encode(made, syntax))
    assert_same(files)


def test_of_a_series_only_what_differs_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MetadataWriter("Latin1")
    for number in range(3):
        writer.write(encode(image(number)))
    monkeypatch.setattr(metadata_json, "scan", None)  # would read all of it
    for number in range(3, 9):
        assert uid(1, 1, 1, number).encode() in writer.write(encode(image(number)))


def test_bytes_behind_a_known_dataset_are_not_overlooked() -> None:
    files = [encode(image(number)) for number in range(5)]
    more = files[4] + b"\x00\x90\x10\x00LO\x04\x00more"  # an element behind the last one
    assert_same([*files[:4], more, files[4]])


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_dataset_that_is_cut_is_refused_as_if_it_were_alone(cut: int) -> None:
    writer = MetadataWriter("Latin1")
    for number in range(4):
        writer.write(encode(image(number)))
    with pytest.raises(Exception) as expected:  # whatever it is
        alone(encode(image(5))[:-cut])
    with pytest.raises(type(expected.value)):
        writer.write(encode(image(5))[:-cut])
