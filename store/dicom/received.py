"""An instance that a C-STORE brings: one parse finds its identity, and which of its bytes are the dataset.

The command names the instance, the association gives the transfer syntax. A dataset that names another
instance is refused. Bytes that the sender put around the dataset are not kept and decide nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from events.errors import InvalidDicom, MissingTag
from store.dicom.elements import Buffer
from store.dicom.inflating import deflate, inflate
from store.dicom.padding import begins_foreign, dataset_span
from store.dicom.part10 import file_meta, guess_syntax
from store.dicom.summary import IndexPlan, Summary, summarize
from store.dicom.syntax import read_syntax
from store.dicom.values import WHITESPACE

_PIECE_BYTES: Final = 1 << 20


class DatasetMismatch(InvalidDicom):
    """The dataset's SOP class or instance is not the one the command names."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What is known of a dataset before it comes."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str

    @property
    def is_deflated(self) -> bool:
        syntax = read_syntax(self.transfer_syntax)
        return syntax is not None and syntax.deflated

    def file_meta(self, remote_aet: str) -> bytes:
        """What stands before the dataset in a file."""
        return file_meta(_uid(self.sop_class), _uid(self.sop_instance), self.transfer_syntax, remote_aet=remote_aet)

    def must_agree(self, summary: Summary) -> None:
        """Raise DatasetMismatch if the dataset is another instance, InvalidDicom if it has no class."""
        if not summary.sop_class:
            raise InvalidDicom("the dataset does not say of which SOP class it is")
        if summary.sop_class != _uid(self.sop_class):
            raise DatasetMismatch("the dataset's SOP class is not the one that the command names")
        if summary.sop_uid != _uid(self.sop_instance):
            raise DatasetMismatch("the dataset's SOP instance is not the one that the command names")


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The parts of a file to keep: its head, and this part of it; where it is deflated, these bytes instead of the part."""

    head_bytes: int
    start: int
    end: int
    inflated_anew: bytes | None = None

    @property
    def ends_early(self) -> bool:
        """Whether the bytes to keep are the file's beginning."""
        return self.start == self.head_bytes and self.inflated_anew is None

    def parts(self, file: Buffer) -> Iterator[bytes]:
        """The bytes to keep, in pieces."""
        yield bytes(file[: self.head_bytes])
        if self.inflated_anew is not None:
            yield self.inflated_anew
            return
        for begin in range(self.start, self.end, _PIECE_BYTES):
            yield bytes(file[begin : min(begin + _PIECE_BYTES, self.end)])


def read_clean(
    file: Buffer, start: int, announced: Announced, default_encoding: str, plan: IndexPlan | None = None
) -> Summary | None:
    """Summarize a file whose dataset begins at `start`, unless something stands around the dataset: None.

    The caller trims a file that fails and asks again. So nearly all instances are parsed once, and none is trusted unparsed.
    """
    if announced.is_deflated or begins_foreign(file, start):
        return None
    try:
        summary = summarize(file, default_encoding=default_encoding, plan=plan)
    except MissingTag:
        raise
    except InvalidDicom:
        return None
    return None if summary.is_padded else summary


def trim(file: Buffer, start: int, announced: Announced) -> Trimmed | None:
    """Find the dataset of a file whose meta information ends at `start`; None if it is all that follows. Raises: InvalidDicom."""
    syntax = read_syntax(announced.transfer_syntax) or guess_syntax(file, start)
    if not syntax.deflated:
        first, end = dataset_span(file, start, syntax)
        return None if (first, end) == (start, len(file)) else Trimmed(start, first, end)
    data = inflate(file, start)
    first, end = dataset_span(data, 0, syntax)
    return None if (first, end) == (0, len(data)) else Trimmed(start, start, len(file), deflate(data, first, end))


def _uid(text: str) -> str:
    """A UID as datasets show it: a NUL ends it, and white space is no part of it."""
    return text.partition("\0")[0].translate(_NO_WHITESPACE)


_NO_WHITESPACE = dict.fromkeys(WHITESPACE)
