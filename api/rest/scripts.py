"""`/tools/execute-script`: what REST has to do with Lua scripts."""

import falcon

from api.rest.body import read_small
from api.rest.correlation import correlation_of
from api.rest.deps import Deps
from api.rest.replies import TEXT
from events.errors import Forbidden


class ExecuteScript:
    """`POST /tools/execute-script`: runs its body in the main interpreter and answers what that printed.

    Without `ExecuteLuaEnabled` it is forbidden to everybody, scripts that call it by RestApiPost() included. Source: observed on
    Orthanc 1.12.7.
    """

    def __init__(self, deps: Deps) -> None:
        self._scripts = deps.scripts if deps.settings.execute_lua_enabled else None
        self._timeout_s = deps.settings.execute_lua_timeout_s

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        if self._scripts is None:
            raise Forbidden
        source = read_small(req).partition(b"\0")[0]  # where Orthanc's strings end
        printed = self._scripts.execute(source, correlation_of(req), timeout_s=self._timeout_s)
        resp.content_type = TEXT
        resp.data = printed
