"""Questions to a modality that somebody waits for: C-ECHO, C-FIND. Each on an association of its own, or on one.

Between two C-FINDs an association is kept for a moment: to connect, to negotiate and to release costs more than a
question about a patient (1.1 of 1.6 ms on one machine, and three times the way there and back elsewhere). A peer that
serves one association at a time keeps others waiting as long, so it is no longer than `KEPT_S`.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from actors.services.remote import echo_scu
from actors.services.remote.association import Association
from actors.services.remote.association_pool import AssociationPool
from actors.services.remote.find_scu import PROPOSALS, Match, find
from actors.services.remote.query import FIND_MODEL, find_identifier
from actors.services.remote.requestor import Proposal, open_association
from actors.services.remote.target import Target
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from events.errors import Busy, InvalidDicom, PeerFailed
from events.identifiers import Level
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.matching import Dataset
from store.dicom.tags import STUDY_INSTANCE_UID
from store.dicom.uids import WORKLIST_FIND, draw_uid

KEPT_S: Final = 1.0  # and no longer than DicomAssociationCloseDelay

Find = Callable[[str, Dataset, str], Generator[Match, None, None]]  # see `_find`


@dataclass(frozen=True, slots=True, eq=False)
class FindAssociation:
    """An association for C-FIND, and what was proposed for it."""

    association: Association
    proposals: tuple[Proposal, ...]


FindPool = AssociationPool[FindAssociation]


def create_find_pool(close_delay_s: float) -> FindPool:
    """Return where associations for C-FIND are kept; `close_delay_s` is DicomAssociationCloseDelay."""
    return AssociationPool(min(close_delay_s, KEPT_S))


@contextmanager
def as_busy() -> Iterator[None]:
    """Let what a stop of the server interrupts be Busy."""
    try:
        yield
    except Interrupted as exc:
        raise Busy("the server stops") from exc


@contextmanager
def _association(target: Target, proposals: tuple[Proposal, ...], stopping: Interruption) -> Iterator[Association]:
    """Open an association; Busy if the server stops during that."""
    with as_busy(), open_association(target, proposals, stopping) as association:
        yield association


def check(target: Target, stopping: Interruption, *, checks_find: bool) -> None:
    """Ask whether a modality is there; `checks_find`: and whether it lets this server query it.

    Raises RemoteFailed, Busy.
    """
    proposals = (echo_scu.PROPOSAL, *(PROPOSALS if checks_find else ()))
    with _association(target, proposals, stopping) as association:
        echo_scu.echo(association)
        if checks_find:
            nothing = find_identifier(Level.STUDY, {STUDY_INSTANCE_UID: draw_uid()}, "Generic", "Ascii")
            with closing(_find(association, FIND_MODEL[Level.STUDY], nothing, "Ascii")) as answers:
                next(answers, None)  # one is enough, others are cancelled


def ask(
    target: Target, model: str, identifier: Dataset, encoding: str, stopping: Interruption, pool: FindPool
) -> Generator[Match, None, None]:
    """Ask one question, on an association that is kept or a new one; yields the answers as they come.

    `encoding` is that of the identifier. Answers are for `decode`. To be closed. Raises RemoteFailed, Busy.
    """
    # Nothing is proposed beside worklists: of a peer that knows other models alone it is said that it agrees to nothing.
    proposals = PROPOSALS[-1:] if model == WORKLIST_FIND else PROPOSALS
    with as_busy():
        kept = pool.take(lambda held: held.association.target == target and held.proposals == proposals, stopping)
        if kept is None or (yield from _ask_kept(kept, model, identifier, encoding, pool)):
            fresh = FindAssociation(open_association(target, proposals, stopping), proposals)
            yield from _ask_on(fresh, model, identifier, encoding, pool)


def _ask_kept(
    kept: FindAssociation, model: str, identifier: Dataset, encoding: str, pool: FindPool
) -> Generator[Match, None, bool]:
    """Return whether the question is to be asked again: the peer may have closed what we believed to be open."""
    is_answered = False
    try:
        for match in _ask_on(kept, model, identifier, encoding, pool):
            is_answered = True
            yield match
    except RemoteFailed as exc:
        if is_answered or exc.trouble is not Trouble.UNREACHABLE:
            raise
        return True
    return False


def _ask_on(
    held: FindAssociation, model: str, identifier: Dataset, encoding: str, pool: FindPool
) -> Generator[Match, None, None]:
    is_done = False
    try:
        yield from _find(held.association, model, identifier, encoding)
        is_done = True
    finally:
        if is_done:
            pool.give_back(held)
        else:
            held.association.release()  # in order if it is usable


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
