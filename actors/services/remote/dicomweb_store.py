"""One request of STOW-RS: its body, and what the answer says of each instance (PS3.18 §10.5)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from actors.wire.errors import RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from actors.wire.multipart import PartHeaders, draw_boundary, write_parts
from store.dicom.elements import Buffer

ACCEPTED: Final = frozenset({409})  # all were refused, and the answer says why
PIECE_BYTES: Final = 1 << 18
_TOLD: Final = 5  # of the instances that are not stored
_FAILED, _OTHERS, _STORED = "00081198", "0008119A", "00081199"  # Failed SOP, Other Failures, Referenced SOP Sequence
_UID, _REASON = "00081155", "00081197"  # Referenced SOP Instance UID, Failure Reason
_NO_RESOURCES: Final = range(0xA700, 0xA800)
# PS3.18 Table I.2-2; those that end with zeros stand for all that begin like them.
_REASONS: Final[Mapping[int, str]] = {
    0x0110: "processing failure",
    0x0111: "there already",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0xA700: "out of resources",
    0xA900: "dataset does not match SOP class",
    0xC000: "cannot understand",
    0xC122: "transfer syntax not supported",
}


@dataclass(frozen=True, slots=True)
class SentFiles:
    """The body of one request. It can be made again after a redirect."""

    files: Sequence[tuple[str, Buffer]]  # SOP Instance UIDs, DICOM files
    boundary: bytes = field(default_factory=draw_boundary)

    def pieces(self, interruption: Interruption) -> "_Pieces":
        return _Pieces(self, interruption)

    def size_bytes(self) -> int:
        around = sum(len(piece) for piece in self.written(lambda _: ()))
        return around + self.content_bytes

    @property
    def content_bytes(self) -> int:
        return sum(len(file) for _, file in self.files)

    def written(self, content: Callable[[Buffer], Iterable[bytes]]) -> Iterator[bytes]:
        return write_parts(((_headers(file), content(file)) for _, file in self.files), self.boundary)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What `SentFiles` has, as often as it is iterated over. Raises Interrupted in the midst of it."""

    files: SentFiles
    interruption: Interruption

    def __iter__(self) -> Iterator[bytes]:
        return self.files.written(self._cut)

    def _cut(self, file: Buffer) -> Iterator[bytes]:
        with memoryview(file) as view:
            for start in range(0, len(view), PIECE_BYTES):
                self.interruption.check()
                yield bytes(view[start : start + PIECE_BYTES])


def _headers(file: Buffer) -> PartHeaders:
    return PartHeaders({"Content-Type": "application/dicom", "Content-Length": str(len(file))})


class NotStored(RemoteFailed):
    """A server has not stored all that was sent to it. `failures` are the others, with the reason of each."""

    def __init__(self, server: str, failures: Mapping[str, str], sent: int, trouble: Trouble) -> None:
        named = [f"{uid or 'an instance'} ({reason})" for uid, reason in failures.items()]
        more = ", …" if len(named) > _TOLD else ""
        count = f"{len(named)} of {sent} instances"
        super().__init__(
            f"DICOMweb server {server} has not stored {count}: {', '.join(named[:_TOLD])}{more}", trouble=trouble
        )
        self.failures = failures


def check_stored(server: str, files: SentFiles, body: bytes) -> None:
    """Believe an answer that names each instance as stored; raises NotStored, and RemoteFailed for what is no answer of STOW-RS."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
        reasons = {str(_value(item, _UID)): _value(item, _REASON) for item in _items(answer, _FAILED)}
        if others := _items(answer, _OTHERS):
            reasons[""] = _value(others[0], _REASON)
        stored = {_value(item, _UID) for item in _items(answer, _STORED)}
    except (msgspec.DecodeError, RecursionError, AttributeError, TypeError) as exc:
        raise RemoteFailed(f"DICOMweb server {server} does not say in DICOM JSON what it has stored") from exc
    silent = [uid for uid, _ in files.files if uid not in stored and uid not in reasons]
    failures = {uid: _words(reason) for uid, reason in reasons.items()} | dict.fromkeys(silent, "not in the answer")
    if failures:
        passes = not silent and all(reason in _NO_RESOURCES for reason in reasons.values())
        raise NotStored(server, failures, len(files.files), Trouble.BUSY if passes else Trouble.FINAL)


def _items(answer: Mapping[str, Any], tag: str) -> Sequence[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = (answer.get(tag) or {}).get("Value") or []
    return items


def _value(item: Mapping[str, Any], tag: str) -> Any:
    values = (item.get(tag) or {}).get("Value") or [None]
    return values[0]


def _words(reason: object) -> str:
    if not isinstance(reason, int):
        return "without a reason"
    for known in (reason, reason & 0xFF00, reason & 0xF000):
        if known in _REASONS:
            return f"{reason:04X}, {_REASONS[known]}"
    return f"{reason:04X}"
