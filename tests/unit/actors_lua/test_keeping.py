"""SetStableStatus() and the values that scripts keep."""

import pytest

from actors.messages.index_client import IndexClient
from actors.services.lua.keeping import keeping_functions
from actors.services.lua.runtime import Interpreter
from events.identifiers import format_resource_id
from store.views.feed import get_events
from tests.index_stage import IndexStage, chain, store_command

CALLBACK = b"callback"
STUDY = format_resource_id(chain("P", "S"))
INSTANCE = format_resource_id(chain("P", "S", "R", "I"))
NOWHERE = "-".join(["00000000"] * 5)


@pytest.fixture
def interpreter(stage: IndexStage) -> Interpreter:
    stage.ask(store_command())
    return Interpreter(keeping_functions(IndexClient(stage.ask), stage.views, lambda: CALLBACK))


def run(interpreter: Interpreter, source: str) -> str:
    return interpreter.execute(source.encode()).decode("utf-8", "backslashreplace").rstrip("\n")


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("StoreKeyValue('s', 'k', 'v') print(GetKeyValue('s', 'k'))", "v"),
        ("print(StoreKeyValue('s', 'k', 'v'))", "true"),
        ("StoreKeyValue('s', 'k', 'v') StoreKeyValue('s', 'k', 'w') print(GetKeyValue('s', 'k'))", "w"),
        ("StoreKeyValue('', 'k', '') print(GetKeyValue('', 'k') == '')", "true"),
        ("StoreKeyValue('s', 'k', '\\255\\0\\1') print(#GetKeyValue('s', 'k'))", "3"),
        ("StoreKeyValue('s', 1, 2.5) print(GetKeyValue('s', '1'))", "2.5"),
        ("print(GetKeyValue('s', 'k'))", "nil"),
        ("StoreKeyValue('s', 'k', 'v') print(GetKeyValue('t', 'k'))", "nil"),
        ("StoreKeyValue('s', 'k', 'v') print(DeleteKeyValue('s', 'k'), DeleteKeyValue('s', 'k'))", "true, false"),
        ("StoreKeyValue('s', 'k', 'v') DeleteKeyValue('s', 'k') print(GetKeyValue('s', 'k'))", "nil"),
    ],
)
def test_values_are_kept(interpreter: Interpreter, source: str, printed: str) -> None:
    assert run(interpreter, source) == printed


def test_a_counter_as_scripts_write_it(interpreter: Interpreter) -> None:
    count = "StoreKeyValue('c', 'n', (tonumber(GetKeyValue('c', 'n')) or 0) + 1)"
    assert run(interpreter, f"{count} {count} {count} print(GetKeyValue('c', 'n'))") == "3"


@pytest.mark.parametrize(
    "call",
    [
        "StoreKeyValue('s', 'k')",
        "StoreKeyValue('s', 'k', nil)",
        "StoreKeyValue('s', 'k', true)",
        "StoreKeyValue('s', {}, 'v')",
        "StoreKeyValue('s', 'k', 'v', 'x')",
        "GetKeyValue('k')",
        "GetKeyValue('s', nil)",
        "DeleteKeyValue()",
        "DeleteKeyValue('s', 'k', 'v')",
        "SetStableStatus()",
        f"SetStableStatus('{STUDY}')",
        f"SetStableStatus('{STUDY}', 1)",
        "SetStableStatus('nonsense', true)",
        "SetStableStatus(1, true)",
    ],
)
def test_wrong_arguments_are_logged_and_give_nil(
    interpreter: Interpreter, stage: IndexStage, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    before = _count(stage)
    assert run(interpreter, f"print({call})") == "nil"
    assert caplog.messages == [f"Lua: Bad parameters to {call.partition('(')[0]}()"]
    assert _count(stage) == before


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("StoreKeyValue('s', '', 'v')", "key holds 1 to 255 bytes, not 0"),
        ("DeleteKeyValue(('s'):rep(200), 'k')", "store holds at most 128 bytes, not 200"),
        (f"SetStableStatus('{NOWHERE}', true)", ""),
        (f"SetStableStatus('{INSTANCE}', true)", ""),
    ],
)
def test_what_cannot_be_done_is_logged_and_gives_nil(
    interpreter: Interpreter, caplog: pytest.LogCaptureFixture, call: str, says: str
) -> None:
    assert run(interpreter, f"print({call})") == "nil"
    (message,) = caplog.messages
    assert message.startswith(f"Lua: Error in {call.partition('(')[0]}()")
    assert says in message


def test_a_key_that_cannot_be_holds_nothing(interpreter: Interpreter) -> None:
    assert run(interpreter, "print(GetKeyValue('s', ('k'):rep(1000)))") == "nil"


def test_a_study_is_declared_stable_and_unstable(interpreter: Interpreter) -> None:
    source = f"for _, is in ipairs{{true, true, false, false}} do print(SetStableStatus('{STUDY}', is)) end"
    assert run(interpreter, source).split() == ["true", "false", "true", "false"]


def test_what_is_kept_carries_the_correlation_of_the_callback(interpreter: Interpreter, stage: IndexStage) -> None:
    before = _count(stage)
    run(interpreter, f"StoreKeyValue('s', 'k', 'v') DeleteKeyValue('s', 'k') SetStableStatus('{STUDY}', true)")
    with stage.views.snapshot() as snapshot:
        entries = get_events(snapshot, since=0, limit=100)[before:]
    assert len(entries) == 3
    assert {entry.correlation for entry in entries} == {CALLBACK}


def _count(stage: IndexStage) -> int:
    with stage.views.snapshot() as snapshot:
        return len(get_events(snapshot, since=0, limit=100))
