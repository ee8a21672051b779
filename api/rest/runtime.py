"""Settings that PUT routes change for every process until the next start; the configuration holds until then.

They are kept by the index (`IndexClient.set_setting`) and read from snapshots, under the names below. Values:

- `DefaultEncoding`: str, one of `actors.services.ingest.settings.ENCODINGS`
- `UnknownSopClassAccepted`: bool
- `AcceptedTransferSyntaxes`: list[str], patterns with `*` and `?`
- `MetricsEnabled`: bool
- `LogLevel-<category>`: str (`api.log_settings`)
"""

from typing import Any, ClassVar

import falcon

from api.rest.deps import Deps
from api.rest.serving.body import read_text
from api.rest.serving.replies import send_text
from events.errors import InvalidDicom

DEFAULT_ENCODING = "DefaultEncoding"
UNKNOWN_SOP_CLASS_ACCEPTED = "UnknownSopClassAccepted"
ACCEPTED_TRANSFER_SYNTAXES = "AcceptedTransferSyntaxes"
METRICS_ENABLED = "MetricsEnabled"

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


def read(deps: Deps, name: str, configured: Any) -> Any:
    """Return a setting as it is now; `configured` where no PUT has changed it."""
    with deps.views.snapshot() as s:
        value = s.setting(name)
    return configured if value is None else value


def default_encoding(deps: Deps) -> str:
    """Return the character set of files that name none."""
    encoding: str = read(deps, DEFAULT_ENCODING, deps.settings.default_encoding)
    return encoding


def read_switch(req: falcon.Request) -> bool:
    """Return whether a body turns something on or off. Raises InvalidDicom for any other: Orthanc's code is "Bad file format"."""
    is_on = _BOOLEANS.get(read_text(req).strip(" \t\n\v\f\r"))
    if is_on is None:
        raise InvalidDicom("Boolean value expected")
    return is_on


class Switch:
    """A route that turns something on and off: "0" or "1"."""

    NAME: ClassVar[str]  # of the setting

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def configured(self) -> bool:
        raise NotImplementedError

    def is_on(self) -> bool:
        return bool(read(self._deps, self.NAME, self.configured()))

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        send_text(resp, "1" if self.is_on() else "0")

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._deps.index.set_setting(self.NAME, read_switch(req))
        send_text(resp)
