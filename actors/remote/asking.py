"""Questions to a modality that somebody waits for: C-ECHO, C-FIND. Each on an association of its own, or on one."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

from actors.remote import echo_scu
from actors.remote.errors import Interrupted, RemoteFailed
from actors.remote.find_scu import PROPOSALS, WORKLIST, Match, find
from actors.remote.interruption import Interruption
from actors.remote.query import FIND_MODEL, STUDY_INSTANCE_UID, find_identifier
from actors.remote.requestor import Association, Proposal, open_association
from actors.remote.target import Target
from events.errors import Busy, InvalidDicom
from events.identifiers import Level
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.matching import Dataset

Find = Callable[[str, Dataset, str, str], Iterator[Dataset]]  # see `_find`


@contextmanager
def _association(target: Target, proposals: tuple[Proposal, ...], stopping: Interruption) -> Iterator[Association]:
    """Open an association; Busy where the server stops meanwhile."""
    try:
        with open_association(target, proposals, stopping) as association:
            yield association
    except Interrupted as exc:
        raise Busy("the server stops") from exc


def check(target: Target, stopping: Interruption, *, checks_find: bool) -> None:
    """Ask whether a modality is there; `checks_find`: and whether it lets this server query it.

    Raises RemoteFailed, Busy.
    """
    proposals = (echo_scu.PROPOSAL, *(PROPOSALS if checks_find else ()))
    with _association(target, proposals, stopping) as association:
        echo_scu.echo(association)
        if checks_find:
            nothing = find_identifier(Level.STUDY, {STUDY_INSTANCE_UID: f"2.25.{uuid4().int}"}, "Generic", "Ascii")
            for _ in _find(association, FIND_MODEL[Level.STUDY], nothing, "Ascii", "Ascii"):
                pass


def ask(
    target: Target, model: str, identifier: Dataset, encoding: str, default_encoding: str, stopping: Interruption
) -> Generator[Dataset, None, None]:
    """Ask one question on an association of its own; yields the answers as they come. Raises RemoteFailed, Busy.

    `encoding` is that of the identifier, `default_encoding` that of answers which declare none. To be closed.
    """
    with _association(target, PROPOSALS, stopping) as association:
        yield from _find(association, model, identifier, encoding, default_encoding)


def ask_worklist(
    target: Target, identifier: Dataset, encoding: str, default_encoding: str, stopping: Interruption
) -> Generator[Dataset, None, None]:
    """Ask for worklists alone: of any other model nothing is said. Raises RemoteFailed, Busy."""
    with _association(target, PROPOSALS[-1:], stopping) as association:
        yield from _find(association, WORKLIST, identifier, encoding, default_encoding)


@contextmanager
def open_for_finding(target: Target, stopping: Interruption) -> Iterator[Find]:
    """Open an association for several questions, one after the other. Raises RemoteFailed, Busy."""
    with _association(target, PROPOSALS, stopping) as association:
        yield lambda model, identifier, encoding, default: _find(association, model, identifier, encoding, default)


def _find(
    association: Association, model: str, identifier: Dataset, encoding: str, default_encoding: str
) -> Generator[Dataset, None, None]:
    with closing(find(association, model, lambda syntax: encode_dataset(identifier, syntax, encoding))) as matches:
        for match in matches:
            yield _decode(match, association.target.called_aet, default_encoding)


def _decode(match: Match, peer: str, default_encoding: str) -> Dataset:
    try:
        return decode_dataset(match.dataset, match.transfer_syntax, default_encoding)[0]
    except InvalidDicom as exc:
        raise RemoteFailed(f'C-FIND SCU: an answer of AET "{peer}" cannot be read') from exc
