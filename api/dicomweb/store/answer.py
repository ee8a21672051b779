"""The Store Instances Response Module (PS3.18 §10.5.3, Annex I.2): what became of each instance of a request.

Failure reasons are the statuses of C-STORE (PS3.4 §B.2.3, PS3.18 Table I.2-2). What went wrong is also said in words, by `Warning` headers.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import falcon
import msgspec

from actors.wire.dicom.statuses import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, PROCESSING_FAILURE
from api.dicom.status import store_status
from api.dicomweb.accept import parse_accept
from api.dicomweb.base_url import resource_url
from api.dicomweb.datasets import JSON, XML
from api.errors import answer_for
from api.rest.deps import Identity
from events.errors import Busy, InvalidRequest, StorageFailed, StorageFull
from store.dicom.model_writer import UnfitSyntax
from store.dicom.native_model import render_native_model
from store.dicom.tags import (
    FAILED_SOP_SEQUENCE,
    FAILURE_REASON,
    OTHER_FAILURES_SEQUENCE,
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    REFERENCED_SOP_SEQUENCE,
    RETRIEVE_URL,
    SPECIFIC_CHARACTER_SET,
)

_SYNTAX_NOT_SUPPORTED: Final = 0xC122  # Referenced Transfer Syntax Not Supported
MOST_WARNINGS: Final = 3  # different ones
ITEMS_AT_ONCE: Final = 500
# Who must act is not the client, and another attempt may succeed.
_OURS: Final = (StorageFull, StorageFailed, Busy)
_NOT_QUOTABLE: Final = re.compile(r"[^ !#-\[\]-~]+")

Item = dict[str, Any]


class StudyMismatch(InvalidRequest):
    """An instance is not of the study that the address of the request names."""


class Stored(NamedTuple):
    """An instance that is in the archive."""

    sop_class: str
    sop_instance: str
    study: str
    series: str


class Failure(NamedTuple):
    """An instance that is not; without UIDs where these cannot be told."""

    sop_class: str
    sop_instance: str
    reason: int


@dataclass(slots=True)
class StoreAnswer:
    """What became of the instances so far, some 400 bytes each."""

    stored: list[Stored] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    _words: list[str] = field(default_factory=list)  # of failures, the first different ones
    _is_ours: Exception | None = None

    def __len__(self) -> int:
        return len(self.stored) + len(self.failures)

    def add(self, identity: Identity) -> None:
        self.stored.append(Stored(identity.sop_class, identity.sop_uid, identity.study_uid, identity.series_uid))

    def fail(self, error: Exception, sop_class: str = "", sop_instance: str = "") -> None:
        """Note an instance that was refused; an empty instance UID is one that is not known."""
        self._is_ours = error if isinstance(error, _OURS) else self._is_ours
        self._refuse(_reason(error), str(error) or type(error).__name__, sop_class, sop_instance)

    def filter_out(self, identity: Identity, dimse_status: int) -> None:
        """Note an instance that a filter of a script does not let in; 1.20 of Orthanc's plugin says that it is stored."""
        words = "A filter of this server does not let an instance in"
        self._refuse(dimse_status or PROCESSING_FAILURE, words, identity.sop_class, identity.sop_uid)

    def _refuse(self, reason: int, words: str, sop_class: str = "", sop_instance: str = "") -> None:
        self.failures.append(Failure(sop_class, sop_instance, reason))
        if len(self._words) < MOST_WARNINGS and words not in self._words:
            self._words.append(words)

    @property
    def status(self) -> int:
        """Source: PS3.18 Table 10.5.3-1; 507 or 503 where this server is why nothing was stored (Table 8.5-1)."""
        if self.stored:
            return HTTPStatus.ACCEPTED if self.failures else HTTPStatus.OK
        reasons = {failure.reason for failure in self.failures}
        if reasons == {OUT_OF_RESOURCES} and self._is_ours is not None:
            return answer_for(self._is_ours).status
        return HTTPStatus.BAD_REQUEST if reasons == {CANNOT_UNDERSTAND} else HTTPStatus.CONFLICT

    def send(self, req: falcon.Request, resp: falcon.Response, base: str) -> None:
        """Answer a request; `base` is what addresses begin with."""
        resp.status = falcon.code_to_http_status(self.status)
        for words in self._words:
            resp.append_header("Warning", f'299 Sinogram "{_NOT_QUOTABLE.sub("?", words[:200])}"')
        if _wants_xml(req):
            resp.content_type = XML
            resp.data = render_native_model(dict(self._elements(base)))
            return
        resp.content_type = JSON
        pieces = _encode(self._elements(base))
        if len(self) <= ITEMS_AT_ONCE:  # a piece of a stream costs a turn of the thread that sends
            resp.data = b"".join(pieces)
        else:
            resp.stream = pieces

    def _elements(self, base: str) -> Iterator[tuple[str, Item]]:
        """Yield the elements of the module in their order; items of sequences are made as they are taken."""
        named = [failure for failure in self.failures if failure.sop_instance]
        nameless = [failure for failure in self.failures if not failure.sop_instance]
        yield _element(SPECIFIC_CHARACTER_SET, "CS", ["ISO_IR 192"])
        # Of several studies it is the first, as from Orthanc.
        yield _element(RETRIEVE_URL, "UR", [resource_url(base, stored.study) for stored in self.stored[:1]])
        if named:
            yield _element(FAILED_SOP_SEQUENCE, "SQ", (_reference(each, _failed(each)) for each in named))
        if self.stored:
            yield _element(
                REFERENCED_SOP_SEQUENCE, "SQ", (_reference(each, _retrieved(each, base)) for each in self.stored)
            )
        if nameless:
            yield _element(OTHER_FAILURES_SEQUENCE, "SQ", (dict([_failed(each)]) for each in nameless))


def _reason(error: Exception) -> int:
    if isinstance(error, UnfitSyntax):
        return _SYNTAX_NOT_SUPPORTED
    return PROCESSING_FAILURE if isinstance(error, StudyMismatch) else store_status(error)


def _wants_xml(req: falcon.Request) -> bool:
    """Tell whether XML is liked better than JSON, in which everything else is answered, too: the instances are stored by then."""
    best = next((each for each in parse_accept(req) if each.takes(JSON) or each.takes(XML)), None)
    return best is not None and not best.takes(JSON)


def _element(tag: int, vr: str, value: Iterable[Any]) -> tuple[str, Item]:
    return f"{tag:08X}", {"vr": vr} if value == [] else {"vr": vr, "Value": value}


def _reference(each: Stored | Failure, more: tuple[str, Item]) -> Item:
    uids = ((REFERENCED_SOP_CLASS_UID, each.sop_class), (REFERENCED_SOP_INSTANCE_UID, each.sop_instance))
    return dict([*(_element(tag, "UI", [uid] if uid else []) for tag, uid in uids), more])


def _failed(failure: Failure) -> tuple[str, Item]:
    return _element(FAILURE_REASON, "US", [failure.reason])


def _retrieved(stored: Stored, base: str) -> tuple[str, Item]:
    return _element(RETRIEVE_URL, "UR", [resource_url(base, stored.study, stored.series, stored.sop_instance)])


def _encode(elements: Iterable[tuple[str, Item]]) -> Iterator[bytes]:
    """Yield an object of DICOM JSON in pieces."""
    opening = b"{"
    for tag, element in elements:
        yield b'%b"%b":{"vr":"%b"' % (opening, tag.encode(), element["vr"].encode())
        if "Value" in element:
            yield from chain([b',"Value":['], _encode_items(element["Value"]), [b"]"])
        yield b"}"
        opening = b","
    yield b"}"


def _encode_items(items: Iterable[Any]) -> Iterator[bytes]:
    source, comma = iter(items), b""
    while some := list(islice(source, ITEMS_AT_ONCE)):
        yield comma + msgspec.json.encode(some)[1:-1]
        comma = b","
