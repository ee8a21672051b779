"""What scripts print here is what they print in Orthanc 1.12.7: `tests/golden/lua/execute.jsonl` holds its answers to /tools/execute-script."""

import json
from pathlib import Path

from actors.services.lua.runtime import Interpreter
from actors.services.scripts.errors import ScriptFailed

GOLDEN = Path(__file__).parents[2] / "golden" / "lua" / "execute.jsonl"


def answer(interpreter: Interpreter, script: bytes) -> dict[str, str]:
    try:
        return {"printed": interpreter.execute(script).decode("latin-1")}
    except ScriptFailed as failure:
        return {"error": failure.message}


def test_each_script_prints_what_orthanc_prints() -> None:
    interpreter = Interpreter()
    recorded = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    assert len(recorded) > 200
    different = {
        script: (answer_there, answer_here)
        for script, answer_there in recorded
        if (answer_here := answer(interpreter, script.encode("latin-1"))) != answer_there
    }
    assert not different
