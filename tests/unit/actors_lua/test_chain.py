"""What a callback asks for becomes one plan; the seed page's auto-routing scripts are among the scripts."""

import re
from typing import Any

import pytest

from actors.services.lua import chain as chain_module
from actors.services.lua.chain import BadOperation, Chain, check, plan
from actors.services.lua.runtime import Interpreter
from actors.services.scripts.errors import ScriptFailed

ID = "01d401f4-8a90f18e-4744335e-ff9619ea-03c17671"


def run(body: str, tags: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The operations of the plan of OnStoredInstance with this body."""
    chain = Chain()
    interpreter = Interpreter(chain.functions())
    interpreter.load(f"function OnStoredInstance(instanceId, tags, metadata)\n{body}\nend".encode(), "f.lua")
    with chain.collecting() as operations:
        interpreter.call("OnStoredInstance", ID, tags or {}, metadata or {})
    check(operations, {"sample", "b"}, {"peer"})
    steps: list[dict[str, Any]] = plan(operations)["operations"]
    return steps


def brief(steps: list[dict[str, Any]]) -> list[tuple[str, Any, list[int]]]:
    return [(step["operation"], step["resource"] or step["input"], step["needs"]) for step in steps]


def test_send_and_delete() -> None:
    steps = run("Delete(SendToModality(instanceId, 'sample'))")
    assert steps == [
        {"operation": "store-scu", "resource": ID, "input": None, "needs": [], "modality": "sample", "local_aet": ""},
        {"operation": "delete", "resource": ID, "input": None, "needs": [0]},
    ]


CONDITIONAL = """
local patientName = string.lower(tags['PatientName'])
if string.find(patientName, 'david') ~= nil then
  Delete(SendToModality(instanceId, 'sample'))
else
  Delete(instanceId)
end
"""


def test_conditional_routing() -> None:
    assert len(run(CONDITIONAL, {"PatientName": "Bowman^David"})) == 2
    assert brief(run(CONDITIONAL, {"PatientName": "Poole^Frank"})) == [("delete", ID, [])]


MODIFY = """
if (metadata['ModifiedFrom'] == nil and metadata['AnonymizedFrom'] == nil) then
  local replace = {}
  replace['StationName'] = 'My Medical Device'
  local remove = { 'MilitaryRank' }
  Delete(SendToModality(ModifyInstance(instanceId, replace, remove, true), 'sample'))
  Delete(instanceId)
end
"""


def test_modification_and_routing() -> None:
    steps = run(MODIFY)
    assert brief(steps) == [("modify", ID, []), ("store-scu", 0, [0]), ("delete", 0, [0, 1]), ("delete", ID, [0])]
    assert steps[0]["replace"] == {"StationName": "My Medical Device"}
    assert steps[0]["remove"] == ["MilitaryRank"]
    assert steps[0]["remove_private"] is True
    assert run(MODIFY, metadata={"ModifiedFrom": "x"}) == []


def test_two_modifications_are_told_apart() -> None:
    body = "local a, b = ModifyInstance(instanceId, {StationName = '1'}), ModifyInstance(instanceId, {StationName = '2'}) Delete(SendToPeer(a, 'peer')) Delete(b)"
    steps = run(body)
    assert brief(steps) == [
        ("modify", ID, []),
        ("modify", ID, []),
        ("store-peer", 0, [0]),
        ("delete", 0, [0, 2]),
        ("delete", 1, [1]),
    ]
    assert steps[0]["replace"] == {"StationName": "1"}  # a string


def test_the_token_of_a_modification_is_printed_as_orthanc_prints_it() -> None:
    chain = Chain()
    interpreter = Interpreter(chain.functions())
    with chain.collecting():
        printed = interpreter.execute(
            b"print(ModifyInstance('id', {}), Delete('id')) print(SendToPeer('id', 'p'), CallSystem('id', 'true', {}))"
        )
    assert printed == b"nil\nid, id\n"


def test_nothing_names_the_last_modification() -> None:
    assert brief(run("ModifyInstance(instanceId, {}) Delete('')"))[1] == ("delete", 0, [0])
    with pytest.raises(BadOperation, match="no resource"):
        run("Delete('')")


def test_everything_in_one_chain() -> None:
    body = "Delete(CallSystem(SendToPeer(SendToModality(instanceId, 'b', 'LOCAL'), 'peer'), 'echo', {'a', 5}))"
    steps = run(body)
    assert brief(steps) == [
        ("store-scu", ID, []),
        ("store-peer", ID, []),
        ("call-system", ID, []),
        ("delete", ID, [0, 1, 2]),
    ]
    assert steps[0]["local_aet"] == "LOCAL"
    assert steps[2]["arguments"] == ["a", "5"]


def test_sequences_are_replaced() -> None:
    assert run(
        "ModifyInstance(instanceId, {ProcedureCodeSequence = {{CodeValue = 'X', Rows = 2}}, ['0031-1020'] = 'p'})"
    )[0]["replace"] == {
        "ProcedureCodeSequence": [{"CodeValue": "X", "Rows": "2"}],
        "0031-1020": "p",
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("SendToModality(nil, 'b')", "f.lua:2: Cannot send a nonexistent resource"),
        ("Delete()", "f.lua:2: Cannot delete a nonexistent resource"),
        ("ModifyInstance()", "f.lua:2: Cannot modify a nonexistent resource"),
        ("CallSystem(instanceId, 'touch', 'file')", "f.lua:2: an array of strings is expected"),
        (
            "CallSystem('touch', {'file'}, instanceId)",
            "f.lua:2: CallSystem() takes a resource, a command and an array of arguments",
        ),
        ("SendToModality(instanceId, 'nope') Delete(instanceId)", "No modality with symbolic name: nope"),
        ("SendToModality(instanceId)", "No modality with symbolic name: "),
        ("SendToPeer(instanceId, 'sample')", "No peer with symbolic name: sample"),
        ("SendToModality(instanceId, 'b') error('later')", "f.lua:2: later"),
    ],
)
def test_nothing_is_done_if_anything_is_wrong(body: str, message: str) -> None:
    with pytest.raises(ScriptFailed) as failure:
        run(body)
    assert failure.value.message == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (b"{NoTag = 'x'}", "ModifyInstance(): no DICOM tag is called NoTag"),
        (
            b"{PatientID = 'x'}",
            'ModifyInstance(): Marking tag "PatientID" as to be replaced requires the "Force" option',
        ),
        (b"{}, {'StudyInstanceUID'}", 'Marking tag "StudyInstanceUID" as to be removed requires'),
    ],
)
def test_a_modification_that_cannot_be_is_refused_before_anything_is_done(changes: bytes, message: str) -> None:
    chain = Chain()
    with chain.collecting() as operations:
        Interpreter(chain.functions()).execute(b"Delete('x') ModifyInstance('x', " + changes + b")")
    with pytest.raises(BadOperation, match=re.escape(message)):
        check(operations, (), ())


def test_what_was_asked_for_can_be_looked_at_and_forgotten() -> None:
    """As in Orthanc 1.12.7, with its names; outside of callbacks nothing comes of it."""
    chain = Chain()
    interpreter = Interpreter(chain.functions())
    script = b"""_InitializeJob()
    Delete(SendToModality(ModifyInstance('a', {PatientName = 'x'}, {'A'}, true), 'm', 'LOCAL'))
    SendToPeer('b', 'p') CallSystem('c', 'true', {'y'})
    local asked = _AccessJob()
    local m, s, d, p, c = asked[1], asked[2], asked[3], asked[4], asked[5]
    print(m.Operation, m.Resource, m.Replace.PatientName, m.Remove[1], m.RemovePrivateTags)
    print(s.Operation, s.Resource == '', s.Modality, s.LocalAet, d.Operation, d.Resource == '')
    print(p.Operation, p.Resource, p.Peer, c.Operation, c.Command, c.Arguments[1], #asked)
    _InitializeJob() print(#_AccessJob())"""
    printed = interpreter.execute(script).decode().splitlines()
    assert [line.split(", ") for line in printed if line] == [
        ["modify", "a", "x", "A", "true"],
        ["store-scu", "true", "m", "LOCAL", "delete", "true"],
        ["store-peer", "b", "p", "call-system", "true", "y", "5"],
        ["0"],
    ]


def test_outside_of_callbacks_there_is_no_chain() -> None:
    with pytest.raises(ScriptFailed, match="delete: only the callback of an event can ask for this"):
        Interpreter(Chain().functions()).execute(b"Delete('x')")


def test_a_callback_within_a_callback_has_a_chain_of_its_own() -> None:
    chain = Chain()
    inner: list[Any] = []

    def nested() -> None:
        with chain.collecting() as operations:
            interpreter.execute(b"Delete('inner')")
        inner.extend(operations)

    interpreter = Interpreter(chain.functions() | {"Nested": nested})
    with chain.collecting() as outer:
        interpreter.execute(b"Delete('before') Nested() Delete('after')")
    assert [operation.resource for operation in outer] == ["before", "after"]
    assert [operation.resource for operation in inner] == ["inner"]


def test_the_sandbox_calls_no_system() -> None:
    assert (
        Interpreter(Chain(sandbox=True).functions(), sandbox=True).execute(b"print(CallSystem, type(Delete))")
        == b"nil, function\n"
    )


def test_a_script_that_asks_for_ever_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "MAX_OPERATIONS", 3)
    operations = Chain()
    interpreter = Interpreter(operations.functions())
    interpreter.load(b"function f() while true do Delete('a') end end", "test.lua")
    with operations.collecting() as collected, pytest.raises(ScriptFailed, match="3 operations at most"):
        interpreter.call("f")
    assert len(collected) == 3
