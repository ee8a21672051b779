"""Which presentation contexts are proposed, for what is held and for what may come."""

from actors.services.remote.get_scu import STORAGE_LIMIT, storage_contexts
from actors.services.remote.requestor import MOST_CONTEXTS, Proposal
from actors.services.remote.store_scu import Kind, plan_contexts
from actors.services.transcoding.targets import UNCOMPRESSED
from store.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
RLE, VIDEO = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102"


def _proposals(*kinds: Kind, fallbacks: tuple[str, ...] = UNCOMPRESSED) -> list[tuple[str, ...]]:
    proposals, planned = plan_contexts(kinds, fallbacks)
    assert planned == set(kinds)
    return [(proposal.abstract_syntax, *proposal.transfer_syntaxes) for proposal in proposals]


def test_the_stored_syntax_is_proposed_alone_behind_the_others() -> None:
    assert _proposals(Kind(MR, EXPLICIT_LE)) == [(MR, IMPLICIT_LE), (MR, EXPLICIT_LE)]
    assert _proposals(Kind(MR, IMPLICIT_LE)) == [(MR, EXPLICIT_LE), (MR, IMPLICIT_LE)]
    assert _proposals(Kind(MR, RLE)) == [(MR, EXPLICIT_LE), (MR, IMPLICIT_LE), (MR, RLE)]
    assert _proposals(Kind(MR, EXPLICIT_BE)) == [(MR, EXPLICIT_LE), (MR, IMPLICIT_LE), (MR, EXPLICIT_BE)]


def test_syntaxes_are_offered_in_the_order_of_preference() -> None:
    proposed = _proposals(Kind(MR, RLE), fallbacks=(IMPLICIT_LE, EXPLICIT_LE))
    assert proposed == [(MR, IMPLICIT_LE), (MR, EXPLICIT_LE), (MR, RLE)]


def test_no_context_leaves_the_peer_a_choice() -> None:
    kinds = [Kind(sop_class, syntax) for sop_class in (CT, MR) for syntax in (RLE, EXPLICIT_BE, VIDEO, IMPLICIT_LE)]
    for fallbacks in (UNCOMPRESSED, UNCOMPRESSED[::-1], UNCOMPRESSED[:1], ()):
        assert {len(proposal) for proposal in _proposals(*kinds, fallbacks=fallbacks)} == {2}


def test_a_class_in_several_syntaxes_is_offered_the_rest_once() -> None:
    kinds = (Kind(MR, RLE), Kind(CT, IMPLICIT_LE), Kind(MR, EXPLICIT_LE), Kind(MR, RLE))
    assert _proposals(*kinds) == [
        (MR, IMPLICIT_LE),
        (MR, RLE),
        (MR, EXPLICIT_LE),
        (CT, EXPLICIT_LE),
        (CT, IMPLICIT_LE),
    ]


def test_nothing_is_offered_that_cannot_be_made() -> None:
    assert _proposals(Kind(MR, VIDEO)) == [(MR, VIDEO)]
    assert _proposals(Kind(MR, RLE), fallbacks=()) == [(MR, RLE)]


def test_an_association_takes_the_first_kinds_that_fit() -> None:
    kinds = [Kind(f"1.2.{number}", EXPLICIT_LE) for number in range(100)]
    proposals, planned = plan_contexts(kinds, UNCOMPRESSED)
    assert len(proposals) == MOST_CONTEXTS
    assert planned == set(kinds[:64])
    assert plan_contexts(kinds, ())[1] == set(kinds)


def test_compressed_kinds_take_three_contexts_each_and_what_is_held_besides_no_more() -> None:
    compressed = [Kind(f"1.2.{number}", RLE) for number in range(100)]
    proposals, planned = plan_contexts(compressed, UNCOMPRESSED)
    assert (len(proposals), set(planned)) == (126, set(compressed[:42]))
    both = [kind for number in range(100) for kind in (Kind(f"1.2.{number}", RLE), Kind(f"1.2.{number}", EXPLICIT_LE))]
    proposals, planned = plan_contexts(both, UNCOMPRESSED)
    assert (len(proposals), set(planned)) == (126, set(both[:84]))


def test_nothing_held_is_nothing_proposed() -> None:
    assert plan_contexts([], UNCOMPRESSED) == ([], frozenset())


def test_a_get_proposes_as_much_as_an_association_takes() -> None:
    contexts = storage_contexts()
    assert len(contexts) == STORAGE_LIMIT
    assert len({name for name, _ in contexts}) == 105
    plain = [syntaxes for _, syntaxes in contexts[:105]]
    assert plain == [(EXPLICIT_LE, IMPLICIT_LE)] * 105


def test_a_get_of_known_classes_proposes_each_compressed_syntax_for_them_alone() -> None:
    contexts = storage_contexts([MR, CT, MR])
    assert contexts[:2] == [(MR, (EXPLICIT_LE, IMPLICIT_LE)), (CT, (EXPLICIT_LE, IMPLICIT_LE))]
    assert (CT, (RLE,)) in contexts
    assert {name for name, _ in contexts} == {MR, CT}
    assert len(storage_contexts([f"1.2.{number}" for number in range(500)])) == STORAGE_LIMIT


def test_proposals_are_of_a_user() -> None:
    proposals, _ = plan_contexts([Kind(MR, RLE)], ())
    assert proposals == [Proposal(MR, (RLE,), we_serve=False, we_use=True)]
