"""C-FIND from an asker that is never the bottleneck: every query is made before the clock starts, answers are only counted."""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from actors.wire.dicom.command import Element, Field, decode_command, encode_command
from actors.wire.dicom.statuses import PENDING, SUCCESS
from events.errors import PeerFailed
from store.dicom.identifier import encode_dataset
from store.dicom.uids import EXPLICIT_LE, STUDY_ROOT_FIND
from tools.bench.cstore_load import Association
from tools.bench.senders import Sender

Keys = Mapping[int, str]

_COMMAND_FLAG: Final = 1
_LAST_FLAG: Final = 2


class FindAssociation(Association):
    """An association as C-FIND SCU, for Study Root."""

    def __init__(self, host: str, port: int, aet: str) -> None:
        super().__init__(host, port, aet, [(STUDY_ROOT_FIND, EXPLICIT_LE)])
        if not self._accepted:
            raise PeerFailed("the peer does not accept C-FIND")

    def encode_query(self, keys: Keys, message_id: int) -> bytes:
        """Make the PDUs of one query; all of it is small."""
        command = encode_command(
            {
                Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_FIND,
                Element.COMMAND_FIELD: Field.C_FIND,
                Element.MESSAGE_ID: message_id,
                Element.PRIORITY: 0,
                Element.DATA_SET_TYPE: 1,
            }
        )
        parts = ((_COMMAND_FLAG | _LAST_FLAG, command), (_LAST_FLAG, encode_dataset(keys, EXPLICIT_LE, "Latin1")))
        return b"".join(
            struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, next(iter(self._accepted)), control) + part
            for control, part in parts
        )

    def find(self, pdus: bytes) -> None:
        """Ask and take all answers. Raises: PeerFailed unless the query succeeds and there are some; OSError."""
        self._socket.sendall(pdus)
        answers, status = 0, PENDING
        command = bytearray()
        while status == PENDING:
            for control, data in self._fragments():
                if not control & _COMMAND_FLAG:
                    continue
                command += data
                if control & _LAST_FLAG:
                    status = decode_command(bytes(command)).number(Element.STATUS)
                    answers += status == PENDING
                    command.clear()
        if status != SUCCESS or not answers:
            raise PeerFailed(f"status 0x{status:04X} after {answers} answers")

    def _fragments(self) -> Iterator[tuple[int, bytes]]:
        kind, body = self._read_pdu()
        if kind != 4:
            raise ConnectionAbortedError(f"PDU type {kind} instead of an answer")
        place = 0
        while place < len(body):
            (length,) = struct.unpack_from(">I", body, place)
            yield body[place + 5], body[place + 6 : place + 4 + length]
            place += 4 + length


def finds(host: str, port: int, aet: str, queries: Sequence[Keys]) -> list[Sender]:
    """Ask one query after another over one association."""
    return [Sender(partial(_prepare, host, port, aet, queries))]


def _prepare(host: str, port: int, aet: str, queries: Sequence[Keys]) -> Iterator[Callable[[], None]]:
    association = FindAssociation(host, port, aet)
    messages = [association.encode_query(keys, 1 + number % 65535) for number, keys in enumerate(queries)]
    return _finds(association, messages)


def _finds(association: FindAssociation, messages: Sequence[bytes]) -> Iterator[Callable[[], None]]:
    for message in messages:
        yield partial(association.find, message)
    association.release()
