"""Requests to an interpreter of scripts.

Answers: `["done", results]` (of an Execute: what was printed), or `["failed", message, cause]`. Strings of scripts are bytes.
"""

from typing import Any

from actors.wire.bridge.language import Language, Request


class Call(Request, frozen=True):
    """Call a callback. `correlation` is that of the request it is called for."""

    name: str
    arguments: list[Any]
    correlation: bytes = b""


class Execute(Request, frozen=True):
    """Run a chunk in the scripts' environment."""

    source: bytes
    correlation: bytes = b""


ScriptRequest = Call | Execute
SCRIPTS = Language[ScriptRequest]("scripts", Call, Execute)
