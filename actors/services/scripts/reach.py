"""The way to an interpreter in another process. While that process is started again, callers wait for it."""

import time
from pathlib import Path
from typing import Any, Final

from actors.messages.scripts import SCRIPTS, ScriptRequest
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.wire.bridge.client import Requests
from events.errors import Busy

_PAUSE_S: Final = 0.05  # between two looks whether the process is there again


def reach(folder: Path, name: str, board: Board) -> ScriptsClient:
    """Return a client of the process `name`, which serves a bridge in `folder`."""
    requests = Requests(folder, socket_name(name))

    def ask(request: ScriptRequest, timeout_s: float) -> Any:
        values = SCRIPTS.write(request)
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            try:
                pending = requests.begin(SCRIPTS.actor, values, timeout_s=max(left_s, _PAUSE_S))
                break
            except Busy:  # it was not asked: the connection led to the process before it, or no process runs now
                if left_s <= 0:
                    raise
                time.sleep(_PAUSE_S)
        return pending.result()

    return ScriptsClient(board, ask)


def socket_name(process: str) -> str:
    return f"{process}.sock"
