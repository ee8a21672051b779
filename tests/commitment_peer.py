"""A modality that asks for storage commitment, and vouches itself, made with pynetdicom: it writes down what it is told."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_role

from tests.pynetdicom_server import serving_entity

PUSH_MODEL = "1.2.840.10008.1.20.1"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]
ANSWER_S = 30.0

Pair = tuple[str, str]  # SOP class, SOP instance


@dataclass(frozen=True, slots=True)
class Message:
    """An N-ACTION or N-EVENT-REPORT as it arrived."""

    kind: int  # its action type or event type
    classes: Pair  # SOP class and SOP instance of the command
    transaction: str
    succeeded: list[Pair]  # or what is asked for
    failed: list[tuple[str, str, int]]
    titles: Pair  # who calls whom
    roles: list[tuple[str, bool, bool]]  # SOP class, SCU, SCP
    proposed: list[tuple[str, tuple[str, ...]]]  # syntaxes in no order: Orthanc 1.10 has another one than 1.12
    lists: tuple[bool, bool]  # whether the sequences are there


@dataclass(slots=True)
class CommitmentPeer:
    """What has arrived; the statuses may be replaced while it runs."""

    aet: str
    port: int = 0
    requests: list[Message] = field(default_factory=list)
    reports: list[Message] = field(default_factory=list)
    status_of_request: int = 0
    status_of_report: int = 0
    sockets: list[socket.socket] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def _on_open(self, event: Any) -> None:
        self.sockets.append(event.assoc.dul.socket.socket)  # pynetdicom forgets it unclosed where the peer was first

    def _on_request(self, event: Any) -> tuple[int, None]:
        self.may_answer.wait(ANSWER_S)
        named = event.request.RequestedSOPClassUID, event.request.RequestedSOPInstanceUID
        self.requests.append(_read(event, event.action_type, named, event.action_information))
        return self.status_of_request, None

    def _on_report(self, event: Any) -> tuple[int, None]:
        self.may_answer.wait(ANSWER_S)
        named = event.request.AffectedSOPClassUID, event.request.AffectedSOPInstanceUID
        self.reports.append(_read(event, event.event_type, named, event.event_information))
        return self.status_of_report, None

    # -- as a client ------------------------------------------------------------------------------------------------

    def request(self, port: int, transaction: str, pairs: Sequence[Pair] | None, **options: Any) -> int | None:
        """Ask for commitment; returns the status, None for an abort. `dataset` replaces what is sent."""
        dataset = Dataset()
        if transaction:
            dataset.TransactionUID = transaction
        if pairs is not None:
            dataset.ReferencedSOPSequence = [_item(*pair) for pair in pairs]
        return self._send(port, "send_n_action", options.pop("dataset", dataset), options.pop("kind", 1), **options)

    def report(
        self,
        port: int,
        transaction: str,
        pairs: Sequence[Pair] | None,
        failed: Sequence[tuple[str, str, int]] = (),
        **options: Any,
    ) -> int | None:
        """Report what is kept; returns the status, None for an abort."""
        dataset = Dataset()
        if transaction:
            dataset.TransactionUID = transaction
        if pairs is not None:
            dataset.ReferencedSOPSequence = [_item(*pair) for pair in pairs]
        if failed:
            dataset.FailedSOPSequence = [_item(*each) for each in failed]
        kind = options.pop("kind", 2 if failed else 1)
        return self._send(port, "send_n_event_report", dataset, kind, is_scp=True, **options)

    def _send(
        self, port: int, method: str, dataset: Dataset, kind: int, *, instance: str = WELL_KNOWN, is_scp: bool = False
    ) -> int | None:
        asker = ApplicationEntity(self.aet)
        asker.add_requested_context(PUSH_MODEL, SYNTAXES)
        roles: Any = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)] if is_scp else []
        association = asker.associate("127.0.0.1", port, ext_neg=roles)
        assert association.is_established
        try:
            status, _ = getattr(association, method)(dataset, kind, PUSH_MODEL, instance)
            return getattr(status, "Status", None)
        finally:
            if association.is_established:
                association.release()


def _item(sop_class: str, sop_instance: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


def _read(event: Any, kind: int, named: Pair, dataset: Dataset) -> Message:
    requestor = event.assoc.requestor
    succeeded, failed = dataset.get("ReferencedSOPSequence"), dataset.get("FailedSOPSequence")
    return Message(
        kind=kind,
        classes=(str(named[0]), str(named[1])),
        transaction=str(dataset.TransactionUID),
        succeeded=[_pair(item) for item in succeeded or ()],
        failed=[(*_pair(item), item.FailureReason) for item in failed or ()],
        titles=(requestor.ae_title, event.assoc.acceptor.ae_title),
        roles=[(role.sop_class_uid, role.scu_role, role.scp_role) for role in requestor.role_selection.values()],
        proposed=[
            (str(one.abstract_syntax), tuple(sorted(one.transfer_syntax))) for one in requestor.requested_contexts
        ],
        lists=(succeeded is not None, failed is not None),
    )


def _pair(item: Dataset) -> Pair:
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)


@contextmanager
def commitment_peer(aet: str = "SCANNER", port: int = 0) -> Iterator[CommitmentPeer]:
    """A peer that listens; it stores what it is sent, and forgets it."""
    peer = CommitmentPeer(aet)
    peer.may_answer.set()
    server = ApplicationEntity(aet)
    server.add_supported_context(PUSH_MODEL, SYNTAXES, scu_role=True, scp_role=True)
    server.add_supported_context(SECONDARY_CAPTURE, SYNTAXES)
    handlers: Any = [
        (evt.EVT_CONN_OPEN, peer._on_open),
        (evt.EVT_N_ACTION, peer._on_request),
        (evt.EVT_N_EVENT_REPORT, peer._on_report),
        (evt.EVT_C_STORE, lambda _event: 0),
    ]
    try:
        with serving_entity(server, handlers, port) as peer.port:
            yield peer
    finally:
        for sock in peer.sockets:
            sock.close()
