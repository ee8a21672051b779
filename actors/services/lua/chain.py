"""SendToModality(), SendToPeer(), ModifyInstance(), CallSystem(), Delete(): the operations one callback asks for; pure.

They do nothing while the callback runs. When it has ended well, the whole is checked, and becomes the plan of one job; if it raised,
nothing is done. An operation works on a resource the script names, or on the output of a modification: ModifyInstance() returns a token
for it, which is printed as "", what Orthanc returns (prints end at the NUL the token begins with). A plain "" is the last modification's.

Unlike Orthanc 1.12.7, which runs `Delete(SendToModality(id, 'x'))` to its end when the send has failed, a resource is deleted only
if every operation on it before has succeeded: see `needs` of the plan.
"""

import uuid
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import msgpack

from actors.messages.commands.jobs import SubmitJob
from actors.messages.job_types import SEQUENCE
from actors.services.lua.host_functions import HostFunction, Results
from actors.services.scripts.errors import HostError, ScriptFailed
from actors.services.scripts.values import number_text
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.change.drawn import new_secret
from store.dicom.change.errors import UnknownName
from store.dicom.change.modification import Modification
from store.dicom.change.request import Flags, read_modify

JOB_TYPE = SEQUENCE.name
DESCRIPTION = "Lua"
MAX_PLAN_BYTES: Final = 16 << 20  # half of what the bridge takes
MAX_OPERATIONS = (
    100_000  # of one callback: a script that loops does not fill the memory, which no limit of Lua's counts
)
_OUTPUT_OF = "\0"  # and the number of a modification: its output


class BadOperation(ScriptFailed):
    """An operation names no known target, or has arguments of the wrong type; nothing of the callback is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    NAME: ClassVar[str]
    resource: str  # an Orthanc identifier, or a token

    def arguments(self) -> dict[str, Any]:
        """What the plan holds beside the name and the input: plain values."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToModality(Operation):
    NAME = "store-scu"
    modality: str
    local_aet: str = ""

    def arguments(self) -> dict[str, Any]:
        return {"modality": self.modality, "local_aet": self.local_aet}


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToPeer(Operation):
    NAME = "store-peer"
    peer: str

    def arguments(self) -> dict[str, Any]:
        return {"peer": self.peer}


@dataclass(frozen=True, slots=True, kw_only=True)
class Modify(Operation):
    """Strings of `replace` stay strings (Orthanc 1.12.7 makes numbers of them, and fails)."""

    NAME = "modify"
    replace: dict[str, Any] = field(default_factory=dict)  # by tag; strings, or lists of such dicts for sequences
    remove: list[str] = field(default_factory=list)
    remove_private: bool = False

    def arguments(self) -> dict[str, Any]:
        return {"replace": self.replace, "remove": self.remove, "remove_private": self.remove_private}

    def change(self, level: Level) -> Modification:
        """Return the modification of a resource of a level. Raises InvalidRequest."""
        body = {"Replace": self.replace, "Remove": self.remove}
        return read_modify(body, level, Flags(removes_private=self.remove_private))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSystem(Operation):
    """Run a command; the resource's file is its last argument."""

    NAME = "call-system"
    command: str
    command_arguments: list[str]

    def arguments(self) -> dict[str, Any]:
        return {"command": self.command, "arguments": self.command_arguments}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Operation):
    NAME = "delete"


class Chain:
    """The functions scripts call, and what they have asked for since `collecting` began. Callbacks may be nested."""

    def __init__(self, *, sandbox: bool = False) -> None:
        self._collections: list[list[Operation]] = []
        self._scratch: list[Operation] | None = None  # of _InitializeJob() outside of callbacks
        self._sandbox = sandbox

    @contextmanager
    def collecting(self) -> Iterator[list[Operation]]:
        """Around a callback's run; the list is complete at the end of the block, and worth nothing if the block raised."""
        operations: list[Operation] = []
        self._collections.append(operations)
        try:
            yield operations
        finally:
            self._collections.pop()

    def functions(self) -> dict[str, HostFunction]:
        functions: dict[str, HostFunction] = {
            "SendToModality": self._send_to_modality,
            "SendToPeer": self._send_to_peer,
            "ModifyInstance": self._modify,
            "ModifyResource": self._modify,
            "Delete": self._delete,
            "_InitializeJob": self._initialize,
            "_AccessJob": self._access,
        }
        return functions if self._sandbox else functions | {"CallSystem": self._call_system}

    def _send_to_modality(self, resource: Any = None, modality: Any = None, local_aet: Any = None, *_: Any) -> Any:
        target = _resource(resource, "send")
        self._add(SendToModality(resource=target, modality=_text(modality), local_aet=_text(local_aet)))
        return target

    def _send_to_peer(self, resource: Any = None, peer: Any = None, *_: Any) -> Any:
        target = _resource(resource, "send")
        self._add(SendToPeer(resource=target, peer=_text(peer)))
        return target

    def _modify(
        self, resource: Any = None, replace: Any = None, remove: Any = None, private: Any = None, *_: Any
    ) -> Any:
        target = _resource(resource, "modify")
        changes = Modify(resource=target, replace=_tags(replace), remove=_texts(remove), remove_private=private is True)
        return f"{_OUTPUT_OF}{self._add(changes)}"

    def _call_system(self, resource: Any = None, command: Any = None, arguments: Any = None, *_: Any) -> Any:
        target = _resource(resource, "execute a system call on")
        if not isinstance(command, bytes):
            raise HostError("CallSystem() takes a resource, a command and an array of arguments")
        self._add(CallSystem(resource=target, command=_text(command), command_arguments=_texts(arguments)))
        return target

    def _delete(self, resource: Any = None, *_: Any) -> Any:
        self._add(Delete(resource=_resource(resource, "delete")))
        return None

    def _initialize(self, *_: Any) -> Results:
        """Forget what was asked for. Outside of a callback the functions can be called from here on, and nothing comes of it."""
        if self._collections:
            self._collections[-1].clear()
        else:
            self._scratch = []
        return Results()

    def _access(self, *_: Any) -> list[dict[str, Any]]:
        """Return what was asked for since, as tables of Orthanc's; changing them changes nothing."""
        asked = self._collections[-1] if self._collections else self._scratch or []
        return [_shown(operation) for operation in asked]

    def _add(self, operation: Operation) -> int:
        if not self._collections and self._scratch is not None:
            return self._add_to(self._scratch, operation)
        if not self._collections:
            raise HostError(
                f"{operation.NAME}: only the callback of an event can ask for this; elsewhere use RestApiPost()"
            )
        return self._add_to(self._collections[-1], operation)

    def _add_to(self, collection: list[Operation], operation: Operation) -> int:
        if len(collection) >= MAX_OPERATIONS:
            raise HostError(f"{operation.NAME}: one callback can ask for {MAX_OPERATIONS} operations at most")
        collection.append(operation)
        return len(collection) - 1


def check(operations: list[Operation], modalities: Container[str], peers: Container[str]) -> None:
    """Raise BadOperation if one of them names a modality, a peer or a tag that is not known, or nothing to work on."""
    for index, operation in enumerate(operations):
        match operation:
            case SendToModality(modality=name) if name not in modalities:
                raise BadOperation(f"No modality with symbolic name: {name}")
            case SendToPeer(peer=name) if name not in peers:
                raise BadOperation(f"No peer with symbolic name: {name}")
            case Modify():
                _check_tags(operation)
        if _is_output(operation.resource) and _producer(operations, index) is None:
            raise BadOperation(f"{operation.NAME} has no resource to work on")


def _check_tags(operation: Modify) -> None:
    try:
        operation.change(Level.INSTANCE)
    except InvalidRequest as exc:
        unknown = "no DICOM tag is called " if isinstance(exc, UnknownName) else ""
        raise BadOperation(f"ModifyInstance(): {unknown}{exc}") from exc


def plan(operations: list[Operation], secret: bytes = b"") -> dict[str, Any]:
    """The job's plan, of plain values; from `secret` follow the new identifiers of what is modified.

    Each operation has `operation` (Orthanc's name), `resource` (an Orthanc identifier, or "" for the output of operation number `input`),
    its arguments, and `needs`: the numbers of the operations without whose success it is passed over. Give it what `check` accepted.
    """
    steps: list[dict[str, Any]] = []
    on_same: dict[tuple[str, int | None], list[int]] = {}  # operations that are no deletions, by what they work on
    for index, operation in enumerate(operations):
        source = _producer(operations, index) if _is_output(operation.resource) else None
        resource = "" if _is_output(operation.resource) else operation.resource
        needs = set() if source is None else {source}
        before = on_same.setdefault((resource, source), [])
        if isinstance(operation, Delete):
            needs |= set(before)
        else:
            before.append(index)
        step = {"operation": operation.NAME, "resource": resource, "input": source, "needs": sorted(needs)}
        steps.append(step | operation.arguments())
    return {"description": DESCRIPTION, "operations": steps, "secret": secret}


def job_of(
    operations: list[Operation], modalities: Container[str], peers: Container[str], correlation: bytes
) -> SubmitJob:
    """Return the command for the job of a callback. Raises BadOperation, ScriptFailed."""
    check(operations, modalities, peers)
    made = plan(operations, new_secret())
    if len(msgpack.packb(made)) > MAX_PLAN_BYTES:  # it would never arrive, and nothing that comes after it
        raise ScriptFailed(f"the callback asks for more than a job holds: {len(operations)} operations")
    return SubmitJob(
        id=uuid.uuid4().bytes,
        type=JOB_TYPE,
        priority=0,
        steps=len(operations) + 1,
        step_timeout_s=0,
        attempts=SEQUENCE.strategy.attempts,
        plan=made,
        user_data="",
        correlation=correlation,
    )


def _shown(operation: Operation) -> dict[str, Any]:
    """Return an operation as Orthanc has it in the table of a job."""
    shown: dict[str, Any] = {
        "Operation": operation.NAME,
        "Resource": "" if _is_output(operation.resource) else operation.resource,
    }
    match operation:
        case SendToModality(modality=modality, local_aet=local_aet):
            shown |= {"Modality": modality} | ({"LocalAet": local_aet} if local_aet else {})
        case SendToPeer(peer=peer):
            shown["Peer"] = peer
        case Modify(replace=replace, remove=remove, remove_private=private):
            shown |= {"Replace": replace, "Remove": remove, "RemovePrivateTags": private}
        case CallSystem(command=command, command_arguments=arguments):
            shown |= {"Command": command, "Arguments": arguments}
    return shown


def _is_output(resource: str) -> bool:
    return not resource or resource.startswith(_OUTPUT_OF)


def _producer(operations: list[Operation], index: int) -> int | None:
    """The number of the modification whose output operation `index` works on."""
    token = operations[index].resource.removeprefix(_OUTPUT_OF)
    if token:
        number = int(token) if token.isdecimal() else index
        return number if number < index and isinstance(operations[number], Modify) else None
    return next((other for other in reversed(range(index)) if isinstance(operations[other], Modify)), None)


def _resource(value: Any, verb: str) -> str:
    if value is None or isinstance(value, bool | list | dict):
        raise HostError(f"Cannot {verb} a nonexistent resource")
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        raise HostError("a string is expected")
    return (value if isinstance(value, bytes) else number_text(value)).decode("utf-8", "replace")


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise HostError("an array of strings is expected")
    return [_text(member) for member in value]


def _tags(value: Any) -> dict[str, Any]:
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise HostError("a table of tags is expected")
    return {
        _text(name): [_tags(item) for item in member] if isinstance(member, list) else _text(member)
        for name, member in value.items()
    }
