"""Asks the filters of scripts, for the code whose work they filter.

A filter that no script defines costs a look at one byte: no tags are rendered and no process is asked. Every failure refuses: an
error in the script, a result of the wrong type, an interpreter that has no time (Busy). Thread-safe.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from actors.services.scripts import callbacks
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.filter_values import (
    dimse_status,
    find_origin_table,
    flat_query,
    http_arguments,
    info_table,
    nested_query,
    origin_table,
    read_flat_query,
    read_nested_query,
    simplified_tags,
    verdict,
)
from actors.services.scripts.settings import PATIENCE_S
from store.dicom.elements import Buffer
from store.dicom.matching import Dataset
from store.records import Origin

_PIXEL_DATA: Final = "PixelData"


class Judgement(NamedTuple):
    """Whether a received instance is stored; if not, what a C-STORE is answered: success, unless a script says otherwise."""

    is_accepted: bool
    dimse_status: int = 0


class ReceivedFile(NamedTuple):
    """A DICOM file that is not stored yet."""

    data: Buffer
    transfer_syntax: str
    default_encoding: str  # of text that declares none


class ScriptFilters:
    """All filters; those of interpreters that are not there are not defined. Every method raises ScriptFailed, Busy."""

    def __init__(self, received: ScriptsClient | None = None, main: ScriptsClient | None = None) -> None:
        """`received`: the interpreter of the two filters of received instances; `main`: of all others."""
        self._received = received
        self._main = main

    @property
    def has_received_filters(self) -> bool:
        client = self._received
        return client is not None and (
            client.defines(callbacks.RECEIVED_INSTANCE) or client.defines(callbacks.RECEIVED_C_STORE)
        )

    @property
    def hears_of_duplicates(self) -> bool:
        """Tell whether a script wants to hear of an instance again that is there already."""
        return self._defining("OnStoredInstance") is not None

    def judge_received(self, file: ReceivedFile, origin: Origin, correlation: bytes = b"") -> Judgement:
        """Ask ReceivedInstanceFilter and, of what came by DICOM and was accepted, ReceivedCStoreInstanceFilter.

        Raises InvalidDicom besides.
        """
        client = self._received
        if client is None or not self.has_received_filters:
            return Judgement(is_accepted=True)
        arguments = _received_arguments(file, origin)
        if client.defines(callbacks.RECEIVED_INSTANCE):
            results = client.call(callbacks.RECEIVED_INSTANCE, *arguments, correlation=correlation)
            if not verdict(results):
                return Judgement(is_accepted=False)
        if origin.kind == "DicomProtocol" and client.defines(callbacks.RECEIVED_C_STORE):
            results = client.call(callbacks.RECEIVED_C_STORE, *arguments, correlation=correlation)
            status = dimse_status(results)
            return Judgement(is_accepted=status == 0, dimse_status=status)
        return Judgement(is_accepted=True)

    def admits_sending(self, file: ReceivedFile, remote_ip: str, remote_aet: str, correlation: bytes = b"") -> bool:
        """Ask OutgoingCStoreInstanceFilter about an instance that is about to be sent. Raises InvalidDicom besides."""
        client = self._defining(callbacks.OUTGOING_C_STORE)
        if client is None:
            return True
        destination = {"RemoteIp": remote_ip, "RemoteAet": remote_aet}
        return verdict(client.call(callbacks.OUTGOING_C_STORE, _tags(file), destination, correlation=correlation))

    @property
    def filters_sending(self) -> bool:
        return self._defining(callbacks.OUTGOING_C_STORE) is not None

    @property
    def filters_requests(self) -> bool:
        return self._defining(callbacks.INCOMING_HTTP) is not None

    def admits_request(
        self,
        method: str,
        uri: str | bytes,
        ip: str,
        username: str,
        headers: Mapping[str, str | bytes],
        correlation: bytes = b"",
        *,
        timeout_s: float = PATIENCE_S,
    ) -> bool:
        """Ask IncomingHttpRequestFilter; `uri` is decoded and has no query."""
        client = self._defining(callbacks.INCOMING_HTTP)
        if client is None:
            return True
        arguments = http_arguments(method, uri, ip, username, headers)
        return verdict(client.call(callbacks.INCOMING_HTTP, *arguments, correlation=correlation, timeout_s=timeout_s))

    def main_activity(self) -> tuple[str, float, bool]:
        """Return what the main interpreter does, since when, and whether its process has shown that it lives."""
        if self._main is None:
            return "", 0.0, False
        heartbeat = self._main.board.heartbeat
        activity = heartbeat.read()
        return activity.name, activity.started_s, heartbeat.ticks() > 0

    def filter_find(
        self, query: Dataset, origin: Origin, manufacturer_of: Callable[[str], str], correlation: bytes = b""
    ) -> Dataset:
        """Return what IncomingFindRequestFilter makes of a C-FIND; what it returns replaces the query, sequences and all.

        `manufacturer_of` tells whose software has an AE title.
        """
        client = self._defining(callbacks.INCOMING_FIND)
        if client is None:
            return query
        asker = find_origin_table(origin, manufacturer_of(origin.remote_aet))
        results = client.call(callbacks.INCOMING_FIND, flat_query(query), asker, correlation=correlation)
        return dict(read_flat_query(results))

    def filter_worklist(
        self, query: Dataset, origin: Origin, manufacturer_of: Callable[[str], str], correlation: bytes = b""
    ) -> Dataset:
        """Return what IncomingWorklistRequestFilter makes of a query for worklists, sequences included."""
        client = self._defining(callbacks.INCOMING_WORKLIST)
        if client is None:
            return query
        asker = find_origin_table(origin, manufacturer_of(origin.remote_aet))
        results = client.call(callbacks.INCOMING_WORKLIST, nested_query(query), asker, correlation=correlation)
        return read_nested_query(results)

    def filter_question(self, query: Dataset, remote_aet: str, correlation: bytes = b"") -> Dataset:
        """Return what OutgoingFindRequestFilter makes of a query that is about to be sent; a sequence in it is lost."""
        client = self._defining(callbacks.OUTGOING_FIND)
        if client is None:
            return query
        results = client.call(callbacks.OUTGOING_FIND, flat_query(query), remote_aet, correlation=correlation)
        return dict(read_flat_query(results))

    def _defining(self, name: str) -> ScriptsClient | None:
        """The main interpreter, if it has a callback."""
        return self._main if self._main is not None and self._main.defines(name) else None


NO_FILTERS: Final = ScriptFilters()  # of a server without scripts


def _received_arguments(file: ReceivedFile, origin: Origin) -> tuple[Any, ...]:
    tags = _tags(file)
    info = info_table(has_pixel_data=_PIXEL_DATA in tags, transfer_syntax=file.transfer_syntax)
    return tags, origin_table(origin), info


def _tags(file: ReceivedFile) -> Mapping[str, Any]:
    """Those that are null are absent in Lua."""
    return simplified_tags(file.data, file.default_encoding)
