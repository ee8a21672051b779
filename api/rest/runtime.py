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
        is_on = _BOOLEANS.get(read_text(req).strip())
        if is_on is None:
            raise InvalidDicom("Boolean value expected")  # Orthanc's code for it is "Bad file format"
        self._deps.index.set_setting(self.NAME, is_on)
        send_text(resp)
