"""The JSON dialect of Orthanc's configuration files, as Orthanc 1.12.7 reads it.

First `${NAME}` and `${NAME:-default}` are replaced in the raw text, strings, keys, comments and all: an unset variable
without a default becomes nothing, a set but empty one stays empty, what was inserted is not looked at again. Then
`//` and `/* */` comments and a comma before a closing bracket are dropped. A name given twice in one object: the last
one counts. Text after the closing brace is ignored. These last two and a file that is not UTF-8 draw a warning.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from events.errors import BadConfiguration

_VARIABLE: Final = re.compile(r"""\$\{([^}:"'{\n]*)(?::-([^}"']*))?\}""")
_STRING: Final = r'"(?:\\.|[^"\\])*"'
_COMMENT: Final = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA: Final = re.compile(
    rf"{_STRING}|[\[{{,]\s*,|,(?=\s*[}}\]])", re.DOTALL
)  # the middle one: nothing before it


def read(path: Path, environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the top-level object of a configuration file (JSON: any value) and warnings about its form.

    Raises: BadConfiguration, which names the file and the place in it.
    """
    warnings: list[str] = []
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise BadConfiguration(f"{path}: cannot be read: {exc.strerror}") from exc
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        warnings.append(f"{path}: is not UTF-8; read as Latin-1")
    value, rest = _parse(plain(substitute(text, environment, path)), path, warnings)
    if not isinstance(value, dict):
        raise BadConfiguration(f"{path}: must hold one JSON object")
    if rest:
        warnings.append(f"{path}: text after the closing brace is ignored")
    return value, warnings


def substitute(text: str, environment: Mapping[str, str], path: Path) -> str:
    """Replace the variables in `text`."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if not name:
            raise BadConfiguration(f"{path}: line {text.count(chr(10), 0, match.start()) + 1}: a variable has no name")
        return environment.get(name, default or "")

    return _VARIABLE.sub(value, text)


def plain(text: str) -> str:
    """Blank out comments and last commas; every other character keeps its line and column."""

    def blank_comment(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else re.sub(r"[^\n]", " ", match[0])

    def blank_comma(match: re.Match[str]) -> str:
        return " " if match[0] == "," else match[0]

    return _LAST_COMMA.sub(blank_comma, _COMMENT.sub(blank_comment, text))


def _parse(text: str, path: Path, warnings: list[str]) -> tuple[Any, str]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            warnings.append(f"{path}: given more than once, the last one counts: {', '.join(twice)}")
        return result

    def refuse(word: str) -> NoReturn:
        raise BadConfiguration(f"{path}: {word} is not JSON")

    start = len(text) - len(text.lstrip())
    decoder = json.JSONDecoder(object_pairs_hook=unique, parse_constant=refuse, strict=False)
    try:
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as exc:
        hint = "" if "${" not in text else " (after variables were replaced)"
        raise BadConfiguration(f"{path}: line {exc.lineno}, column {exc.colno}: {exc.msg}{hint}") from exc
    except RecursionError as exc:
        raise BadConfiguration(f"{path}: brackets nest too deeply") from exc
    return value, text[end:].strip()
