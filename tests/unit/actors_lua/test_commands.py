"""os.execute() and io.popen(): as in a Lua that was built for this system, which lupa's was not."""

from pathlib import Path

import pytest

from actors.services.lua.runtime import Interpreter


def printed(script: str) -> list[str]:
    lines: list[bytes] = []
    Interpreter(output=lines.append).load(script.encode(), "line")
    return [line.decode() for line in lines]


@pytest.mark.parametrize(
    ("call", "results"),
    [
        ("os.execute('exit 0')", "true, exit, 0"),
        ("os.execute('exit 3')", "nil, exit, 3"),
        ("os.execute('kill -9 $$')", "nil, signal, 9"),
        ("os.execute()", "true"),
        ("io.popen('echo one; echo two'):read('a')", "one\ntwo\n"),
        ("io.popen('echo one; echo two'):read('l', 'l', 'l')", "one, two, nil"),
        ("io.popen('cat', 'r'):close()", "true, exit, 0"),
        ("io.popen('exit 5'):close()", "nil, exit, 5"),
        ("io.popen('kill -15 $$'):close()", "nil, signal, 15"),
        ("io.close(io.popen('exit 6'))", "nil, exit, 6"),
        ("io.popen(\"echo 'it''s' # a comment\"):read('a')", "its\n"),
        ("io.popen('umask'):read('l') == io.popen('umask', nil):read('l')", "true"),
        ("io.type(io.popen('true'))", "file"),
        ("pcall(io.popen, 'x', 'x')", "false, bad argument #2 to 'popen' (invalid mode)"),
        ("pcall(io.popen)", "false, bad argument #1 to 'popen' (string expected, got nil)"),
        ("io.tmpfile():close()", "true"),
    ],
)
def test_what_a_command_gives(call: str, results: str) -> None:
    assert printed(f"print({call})") == [results]


def test_a_command_is_written_to(tmp_path: Path) -> None:
    script = f"local f = io.popen('cat > {tmp_path}/written; exit 7', 'w') f:write('a\\0b', 1) print(f:close())"
    assert printed(script) == ["nil, exit, 7"]
    assert (tmp_path / "written").read_bytes() == b"a\0b1"


def test_lines_of_a_command() -> None:
    assert printed("for line in io.popen('printf \"1\\\\n2\\\\n\"'):lines() do print(line) end") == ["1", "2"]
