"""Settings that PUT routes change for every process until the next start; the configuration holds until then.

They are kept by the index (`IndexClient.set_setting`) and read from snapshots, under the names below. Values:

- `DefaultEncoding`: str, one of `api.rest.encodings`
- `UnknownSopClassAccepted`: bool
- `AcceptedTransferSyntaxes`: list[str], patterns with `*` and `?`
- `LogLevel-<category>`: str (`api.log_settings`)
"""

from typing import Any

from api.rest.deps import Deps

DEFAULT_ENCODING = "DefaultEncoding"
UNKNOWN_SOP_CLASS_ACCEPTED = "UnknownSopClassAccepted"
ACCEPTED_TRANSFER_SYNTAXES = "AcceptedTransferSyntaxes"


def read(deps: Deps, name: str, configured: Any) -> Any:
    """Return a setting as it is now; `configured` where no PUT has changed it."""
    with deps.views.snapshot() as s:
        value = s.setting(name)
    return configured if value is None else value


def default_encoding(deps: Deps) -> str:
    """Return the character set of files that name none."""
    encoding: str = read(deps, DEFAULT_ENCODING, deps.settings.default_encoding)
    return encoding
