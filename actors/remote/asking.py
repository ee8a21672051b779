"""Questions to a modality that somebody waits for: C-ECHO, C-FIND. Each on an association of its own, or on one."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

from actors.remote import echo_scu
from actors.remote.errors import Interrupted
from actors.remote.find_scu import PROPOSALS, WORKLIST, Match, find
from actors.remote.interruption import Interruption
from actors.remote.query import FIND_MODEL, STUDY_INSTANCE_UID, find_identifier
from actors.remote.requestor import Association, Proposal, open_association
from actors.remote.target import Target
from events.errors import Busy, InvalidDicom, PeerFailed
from events.identifiers import Level
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.matching import Dataset

Find = Callable[[str, Dataset, str], Iterator[Match]]  # see `_find`


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
            for _ in _find(association, FIND_MODEL[Level.STUDY], nothing, "Ascii"):
                pass


def ask(
    target: Target, model: str, identifier: Dataset, encoding: str, stopping: Interruption
) -> Generator[Match, None, None]:
    """Ask one question on an association of its own; yields the answers as they come. Raises RemoteFailed, Busy.

    `encoding` is that of the identifier. Answers are for `decode`. To be closed.
    """
    # Nothing is proposed beside worklists: of a peer that knows other models alone it is said that it agrees to nothing.
    proposals = PROPOSALS[-1:] if model == WORKLIST else PROPOSALS
    with _association(target, proposals, stopping) as association:
        yield from _find(association, model, identifier, encoding)


def decode(match: Match, default_encoding: str) -> Dataset:
    """Return an answer as values; `default_encoding` is that of text which declares none. Raises PeerFailed."""
    try:
        return decode_dataset(match.dataset, match.transfer_syntax, default_encoding)[0]
    except InvalidDicom as exc:
        raise PeerFailed("C-FIND SCU: an answer cannot be read") from exc


@contextmanager
def open_for_finding(target: Target, stopping: Interruption) -> Iterator[Find]:
    """Open an association for several questions, one after the other. Raises RemoteFailed, Busy."""
    with _association(target, PROPOSALS, stopping) as association:
        yield lambda model, identifier, encoding: _find(association, model, identifier, encoding)


def _find(association: Association, model: str, identifier: Dataset, encoding: str) -> Generator[Match, None, None]:
    with closing(find(association, model, lambda syntax: encode_dataset(identifier, syntax, encoding))) as matches:
        yield from matches
