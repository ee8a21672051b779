"""The arguments of filters, and what their results mean; pure.

Tables of tags are Orthanc's simplified tags: members that are null are absent. Queries have keys `gggg,eeee`; a C-FIND query is flat, its
sequences are left out, a worklist query is nested. Source: observed on 1.12.7.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from actors.services.scripts.errors import ScriptFailed
from actors.services.scripts.values import number_text
from store.dicom.dictionary import format_tag, parse_tag
from store.dicom.elements import Buffer
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from store.dicom.matching import Dataset, Value
from store.dicom.rendering import render_tags
from store.records import Origin

Table = dict[str, Any]

_MAIN_TAGS: Final = frozenset(tag for tags in MAIN_DICOM_TAGS.values() for tag in tags)


class WrongOutput(ScriptFailed):
    """A filter returned something else than a table of a query (Orthanc's code 2033)."""


class NotPredicate(ScriptFailed):
    """A filter that decides returned neither true nor false (2034)."""

    def __init__(self) -> None:
        super().__init__("The Lua function is not a predicate (only true/false outputs allowed)")


class NoStatus(ScriptFailed):
    """ReceivedCStoreInstanceFilter returned no DIMSE status (2035)."""

    def __init__(self) -> None:
        super().__init__("The Lua function does not return a DIMSE status")


class UnknownTag(ScriptFailed):
    """A query that was returned has a key that names no tag (27)."""


# ------------------------------------------------------------------------------------------------------- arguments


def simplified_tags(data: Buffer, default_encoding: str) -> Mapping[str, Any]:
    """The tags of a DICOM file. Unlike those of REST, main DICOM tags have their values however long these are.

    Raises: InvalidDicom.
    """
    return render_tags(data, "simplify", default_encoding=default_encoding, ignore_length=_MAIN_TAGS)


def origin_table(origin: Origin) -> Table:
    """Who sent an instance: the fields depend on `RequestOrigin`."""
    table = {"RequestOrigin": origin.kind}
    match origin.kind:
        case "RestApi":
            table |= {"RemoteIp": origin.remote_ip, "Username": origin.username}
        case "DicomProtocol":
            table |= {"RemoteIp": origin.remote_ip, "RemoteAet": origin.remote_aet, "CalledAet": origin.called_aet}
        case "WebDav":
            table |= {"RemoteIp": origin.remote_ip}
    return table


def find_origin_table(origin: Origin, manufacturer: str) -> Table:
    """Who asks by C-FIND. `manufacturer`: of the modality that is known by this AE title, "Generic" if none is."""
    return {
        "RemoteIp": origin.remote_ip,
        "RemoteAet": origin.remote_aet,
        "CalledAet": origin.called_aet,
        "Manufacturer": manufacturer,
    }


def info_table(*, has_pixel_data: bool, transfer_syntax: str) -> Table:
    """`info` of the filters of received instances; a dataset without a transfer syntax has no such member."""
    table: Table = {"HasPixelData": has_pixel_data}
    if transfer_syntax:
        table["TransferSyntaxUID"] = transfer_syntax
    return table


def http_arguments(
    method: str, uri: str | bytes, ip: str, username: str, headers: Mapping[str, str | bytes]
) -> tuple[object, ...]:
    """Arguments of IncomingHttpRequestFilter.

    `uri`: decoded, without its query. HEAD and OPTIONS are seen as GET, as Orthanc does; names of headers are in lower case.
    """
    seen = "GET" if method in {"HEAD", "OPTIONS"} else method
    return seen, uri, ip, username, {name.lower(): value for name, value in headers.items()}


def flat_query(dataset: Mapping[int, Value]) -> dict[str, str]:
    return {format_tag(tag): value or "" for tag, value in dataset.items() if value is None or isinstance(value, str)}


def nested_query(dataset: Mapping[int, Value]) -> Table:
    return {
        format_tag(tag): (value or "")
        if value is None or isinstance(value, str)
        else [nested_query(item) for item in value]
        for tag, value in dataset.items()
    }


# --------------------------------------------------------------------------------------------------------- results


def verdict(results: Sequence[Any]) -> bool:
    """Whether a filter accepts.

    Raises:
        NotPredicate: the first result is neither true nor false

    """
    if results and isinstance(results[0], bool):
        return results[0]
    raise NotPredicate


def dimse_status(results: Sequence[Any]) -> int:
    """The status to answer a C-STORE with; 0 stores. (Orthanc 1.12.7 discards for 0 and stores for all others; later ones are like this.)

    Raises:
        NoStatus: not a whole number from 0 to 0xffff

    """
    value = results[0] if results else None
    if isinstance(value, bytes) and value.isdigit():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 and 0 <= value <= 0xFFFF:
        return int(value)
    raise NoStatus


def read_flat_query(results: Sequence[Any]) -> dict[int, str]:
    """The query to run, by tags.

    Raises:
        WrongOutput: not a table of strings and numbers
        UnknownTag

    """
    table = _table(results)
    if any(isinstance(value, bool | list | dict) or value is None for value in table.values()):
        raise WrongOutput("Lua: The script must return a table mapping names of DICOM tags to strings")
    return {_tag(name): _text(value) for name, value in table.items()}


def read_nested_query(results: Sequence[Any]) -> Dataset:
    """The worklist query to run.

    Raises:
        WrongOutput, UnknownTag

    """
    table = _table(results)
    if not table:
        raise WrongOutput("Lua: The script must return a table")
    return _dataset(table)


def _table(results: Sequence[Any]) -> dict[bytes, Any]:
    value = results[0] if results else None
    if isinstance(value, dict):
        return value
    if value == []:  # the empty table; an array that holds something is no table to Orthanc
        return {}
    raise WrongOutput("Lua: The script must return a table")


def _dataset(table: Mapping[bytes, Any]) -> Dataset:
    dataset: Dataset = {}
    for name, value in table.items():
        if isinstance(value, list):
            if not all(isinstance(item, dict) or item == [] for item in value):
                raise WrongOutput(f"{_name(name)}: a sequence holds tables")
            dataset[_tag(name)] = tuple(_dataset(item or {}) for item in value)
        elif isinstance(value, dict | bool):
            raise WrongOutput(f"{_name(name)}: neither a string nor an array of tables")
        else:
            dataset[_tag(name)] = _text(value)
    return dataset


def _tag(name: bytes) -> int:
    tag = parse_tag(_name(name))
    if tag is None:
        raise UnknownTag(_name(name))
    return tag


def _name(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _text(value: Any) -> str:
    if value is None:  # what cannot leave Lua
        raise WrongOutput("Lua: The script must return a table mapping names of DICOM tags to strings")
    return (value if isinstance(value, bytes) else number_text(value)).decode("utf-8", "replace")
