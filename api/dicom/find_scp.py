"""C-FIND: the hierarchy searched by Patient Root and Study Root (PS3.4 Annex C). What is observed on Orthanc 1.12.7 holds:

- both roots are searched alike, at any of the four levels, and no unique key of a level above is asked for;
- an answer holds what the query names, empty where the resource has it not, and also the query's level, the character set
  and where to retrieve from; groups 0002 and 0004 and group lengths are left out;
- text is in `DefaultEncoding`. Where that lacks a character, and the query declares a set that has it, the answer is in that;
- whatever is wrong with a query is answered by 0xC000, a script's IncomingFindRequestFilter included.

That filter may change what is searched for, but not the level, nor which tags an answer holds. The Orthanc Book says so, while
1.12.7 takes both from the filter's result.

A list that `LimitFindResults` or `LimitFindInstances` cuts off ends as if the peer had cancelled (0xFE00): it is not complete.
1.12.7 reads these options and does not act on them here.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from actors.services.remote.modality import Operation
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from actors.wire.dicom.command import Command, Field, encode_response
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.statuses import CANCELLED, PENDING, SUCCESS
from api.dicom.access import manufacturer_of
from api.dicom.answer_charset import encode_answer
from api.dicom.association import Association
from api.dicom.query_log import log_query
from api.dicom.service import FinalResponse, Service
from api.dicom.status import comment_on, find_status
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.charsets import charset_of
from store.dicom.dictionary import dictionary_vr
from store.dicom.identifier import decode_dataset
from store.dicom.level_words import level_of
from store.dicom.matching import Dataset, Value, parse_key
from store.dicom.tags import QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE, SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET_FROM_UTC
from store.dicom.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from store.views.query import Query

IDENTIFIER_LIMIT_BYTES: Final = 1 << 20  # of a query; real ones have a few hundred
_CHUNK: Final = 25  # answers sent at once, before the peer's C-CANCEL is looked for again

_NO_KEYS: Final = frozenset({SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, TIMEZONE_OFFSET_FROM_UTC})


class Finder(Protocol):
    """What this module needs of `store.views.find.Finder`."""

    def find(self, query: Query) -> Iterator[list[Dataset]]: ...


def create_find_service(finder: Finder, filters: ScriptFilters = NO_FILTERS) -> Service:
    return Service(
        field=Field.C_FIND,
        operation=Operation.FIND,
        handle=_FindScp(finder, filters).handle,
        explain=lambda error: FinalResponse(find_status(error), comment_on(error)),
        abstract_syntaxes=frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND}),
    )


class _FindScp:
    def __init__(self, finder: Finder, filters: ScriptFilters) -> None:
        self._finder = finder
        self._filters = filters

    def handle(self, association: Association, context: Context, command: Command) -> FinalResponse:
        """Send a pending response for each match."""
        data = association.read_identifier(IDENTIFIER_LIMIT_BYTES)
        settings = association.settings.find
        asked, private_vrs = decode_dataset(data, context.transfer_syntax, settings.default_encoding)
        log_query(association, command, asked)
        level = parse_level(asked.get(QUERY_RETRIEVE_LEVEL))
        keys = self._filters.filter_find(asked, association.origin, partial(manufacturer_of, association.settings))
        vr_of = vr_of_query(private_vrs)
        limit = settings.limit_instances if level == Level.INSTANCE else settings.limit_results
        query = Query(
            level=level,
            keys={
                tag: key
                for tag, value in keys.items()
                if not _is_ignored(tag)
                and (key := parse_key(vr_of(tag), value, case_sensitive_pn=settings.case_sensitive_pn, vr_of=vr_of))
            },
            wanted=tuple(tag for tag in asked if not _is_left_out(tag) and tag != QUERY_RETRIEVE_LEVEL),
            retrieve_aet=association.settings.aet,
            reads_files=settings.reads_files,
            warnings=settings.warnings,
            default_encoding=settings.default_encoding,
            limit=limit + 1 if limit else 0,  # one more tells that there are more
        )
        writer = _AnswerWriter(asked, query, context.transfer_syntax, settings.default_encoding)
        batches = self._finder.find(query)
        pending = encode_response(command, PENDING, has_dataset=True)
        sent = 0
        while True:
            with association.slots:
                batch = next(batches, None)
                encoded = [] if batch is None else [writer.write(answer) for answer in batch]
            if batch is None:
                return FinalResponse(SUCCESS)
            room = limit - sent if limit else len(encoded)
            is_cancelled = send_answers(association, context, command, pending, encoded[:room])
            if is_cancelled or len(encoded) > room:
                return FinalResponse(CANCELLED)
            sent += len(encoded)


class _AnswerWriter:
    """Turns matches into the bytes of identifiers."""

    def __init__(self, asked: Dataset, query: Query, transfer_syntax: str, default_encoding: str) -> None:
        self._transfer_syntax = transfer_syntax
        self._default = default_encoding
        declared = asked.get(SPECIFIC_CHARACTER_SET)
        declared = declared if isinstance(declared, str) else ""
        self._declared = charset_of(declared, default_encoding).written
        self._empty: Dataset = dict.fromkeys(query.wanted)
        self._empty |= {QUERY_RETRIEVE_LEVEL: asked.get(QUERY_RETRIEVE_LEVEL), RETRIEVE_AE_TITLE: query.retrieve_aet}
        self._items = {tag: value[0] for tag, value in asked.items() if isinstance(value, tuple) and value and value[0]}

    def write(self, answer: Dataset) -> bytes:
        values = self._empty | answer
        for tag in self._items.keys() & answer.keys():
            values[tag] = self._narrowed(tag, answer[tag])
        return encode_answer(values, self._transfer_syntax, self._default, (self._declared,))

    def _narrowed(self, tag: int, value: Value) -> Value:
        """Of a sequence's items only what the query's item names."""
        if not isinstance(value, tuple):
            return value
        return tuple({inner: item.get(inner) for inner in self._items[tag]} for item in value)


def parse_level(value: Value) -> Level:
    """Read QueryRetrieveLevel. Raises: InvalidRequest."""
    level = level_of(value.strip()) if isinstance(value, str) else None
    if level is None:
        raise InvalidRequest("QueryRetrieveLevel is missing or unknown")
    return level


def vr_of_query(private_vrs: dict[int, str]) -> Callable[[int], str]:
    """VRs by the dictionary; of a tag that is in none as the query has it."""
    return lambda tag: dictionary_vr(tag) or private_vrs.get(tag, "UN")


def _is_left_out(tag: int) -> bool:
    """Tags that are told of no resource: file meta information, directory records, group lengths."""
    return tag >> 16 in {2, 4} or not tag & 0xFFFF or tag == SPECIFIC_CHARACTER_SET


def _is_ignored(tag: int) -> bool:
    """Tags that are no keys."""
    return tag in _NO_KEYS or _is_left_out(tag)


def send_answers(
    association: Association, context: Context, command: Command, pending: bytes, answers: Sequence[bytes]
) -> bool:
    """Send the identifiers of matches; returns whether the peer has cancelled, and stops then. `pending` is the response of each."""
    for start in range(0, len(answers), _CHUNK):
        if association.is_cancelled(command):
            return True
        association.send_all(context, [(pending, (answer,)) for answer in answers[start : start + _CHUNK]])
    return association.is_cancelled(command)
