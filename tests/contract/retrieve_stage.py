"""An archive with a few studies behind a DICOM server, and a C-GET or C-MOVE asker that writes down what it is told."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import build_role

from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.modality import Operation
from api.dicom.server import DicomServer
from api.dicom.service import Service
from api.dicom.settings import DicomSettings
from store.records import Origin
from tests.dicom_bytes import MR, dataset, encode
from tools.server.core import Core

Keys = Mapping[str, str | Sequence[str]]
Status = int | Callable[[int], int]  # of each C-STORE, or by its place
SETTINGS = DicomSettings(aet="OURS", always_allowed=frozenset({Operation.GET, Operation.MOVE}), scp_timeout_s=10)


def fill(archive: Core, *files: bytes) -> None:
    """Store DICOM files, every other one compressed."""
    settings = IngestSettings(sync=False)
    ingest = Ingest(archive.client, archive.views, archive.blobs, "gateway-1", lambda: settings)
    for data in files:
        settings = replace(settings, compress=not settings.compress)
        with ingest.open(Origin(kind="RestApi")) as upload:
            upload.write(data)
            assert upload.store().status == "Success"
    ingest.close()


def study(patient: int = 1, number: int = 1, *, series: int = 1, instances: int = 1, **values: object) -> list[bytes]:
    """The files of a study; the last instance of each series first, so that the order of sending is one of its own."""
    return [
        encode(dataset(patient, number, place, instance, **values))
        for place in range(1, series + 1)
        for instance in range(instances, 0, -1)
    ]


@contextmanager
def serving(*services: Service, settings: DicomSettings = SETTINGS, grace_s: float = 10.0) -> Iterator[int]:
    """A DICOM server; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port: int = listener.getsockname()[1]
    server = DicomServer(listener, services, lambda: settings)
    server.start()
    try:
        yield port
    finally:
        server.stop(grace_s)


@dataclass(slots=True)
class Told:
    """The responses to one request."""

    statuses: list[int] = field(default_factory=list)
    counts: list[tuple[int | None, int | None, int | None, int | None]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    received: list[tuple[str, str, bytes]] = field(default_factory=list)  # SOP instance, transfer syntax, dataset

    def note(self, response: Dataset, identifier: Dataset | None) -> None:
        self.statuses.append(response.Status)
        self.counts.append(
            (
                response.get("NumberOfRemainingSuboperations"),
                response.get("NumberOfCompletedSuboperations"),
                response.get("NumberOfFailedSuboperations"),
                response.get("NumberOfWarningSuboperations"),
            )
        )
        if identifier is not None and "FailedSOPInstanceUIDList" in identifier:
            value = identifier.FailedSOPInstanceUIDList
            self.failed = [str(value)] if isinstance(value, str) else [str(each) for each in value]

    @property
    def status(self) -> int:
        return self.statuses[-1]

    def sums(self) -> set[int]:
        """What the counts of each response add up to."""
        return {sum(count or 0 for count in counts) for counts in self.counts}


def identifier_of(keys: Keys) -> Dataset:
    identifier = Dataset()
    with pydicom_config.disable_value_validation():
        for keyword, value in keys.items():
            setattr(identifier, keyword, list(value) if not isinstance(value, str) else value)
    return identifier


def get(
    port: int,
    root: str,
    keys: Keys,
    *,
    contexts: Sequence[tuple[str, str]] = ((MR, ExplicitVRLittleEndian),),
    has_role: bool = True,
    status: Status = 0,
    cancel_after: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Told:
    """Ask by C-GET; `contexts` are pairs of SOP class and transfer syntax."""
    told = Told()

    def on_store(event: evt.Event) -> int:
        request: Any = event.request
        told.received.append(
            (request.AffectedSOPInstanceUID, event.context.transfer_syntax, request.DataSet.getvalue())
        )
        return status(len(told.received)) if callable(status) else status

    entity = ApplicationEntity("ASKING")
    entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(root, ExplicitVRLittleEndian)
    for sop_class, syntax in contexts:
        entity.add_requested_context(sop_class, syntax)
    roles: list[Any] = (
        [build_role(sop_class, scp_role=True) for sop_class in {c for c, _ in contexts}] if has_role else []
    )
    association = entity.associate(
        "127.0.0.1",
        port,
        ae_title="OURS",
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
        tls_args=None if tls is None else (tls, "localhost"),
    )
    assert association.is_established
    responses = association.send_c_get(identifier_of(keys), root, msg_id=7)
    _read(association, responses, told, cancel_after)
    return told


def move(
    port: int,
    root: str,
    destination: str,
    keys: Keys,
    *,
    cancel_after: int = 0,
    cancel_when: threading.Event | None = None,
    tls: ssl.SSLContext | None = None,
) -> Told:
    """Ask by C-MOVE; `cancel_after` -1 cancels before there is any response, `cancel_when` is waited for before it."""
    told = Told()
    entity = ApplicationEntity("ASKING")
    entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(root, ExplicitVRLittleEndian)
    association = entity.associate(
        "127.0.0.1", port, ae_title="OURS", tls_args=None if tls is None else (tls, "localhost")
    )
    assert association.is_established
    responses = association.send_c_move(identifier_of(keys), destination, root, msg_id=7)
    _read(association, responses, told, cancel_after, cancel_when)
    return told


def _read(
    association: Association,
    responses: Any,
    told: Told,
    cancel_after: int,
    cancel_when: threading.Event | None = None,
) -> None:
    context = association.accepted_contexts[0].context_id
    if cancel_after < 0:
        association.send_c_cancel(7, context)
    for response, identifier in responses:
        told.note(response, identifier)
        if len(told.statuses) == cancel_after:
            assert cancel_when is None or cancel_when.wait(20)
            association.send_c_cancel(7, context)
    association.release()
    association.join(20)  # pynetdicom's thread
    assert association.is_released
