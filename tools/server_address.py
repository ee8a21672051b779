"""Where a running server listens, and as whom to ask it, by its configuration: for commands that are its clients."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from events.errors import BadConfiguration

DEFAULT_URL: Final = "http://127.0.0.1:8042"


def read_address(
    configuration: Sequence[Path], url: str | None, user: tuple[str, str] | None
) -> tuple[str, tuple[str, str] | None]:
    """Return address and user: those given, else those of the configuration, if there is one. Raises BadConfiguration.

    Of `RegisteredUsers` the first is taken.
    """
    if not configuration:
        return url or DEFAULT_URL, user
    from tools.configuration import load

    http = load(configuration).http
    if not http.enabled:
        raise BadConfiguration("HttpServerEnabled is false: such a server cannot be asked")
    if user is None and http.authentication_enabled:
        user = next(iter(http.registered_users.items()), None)
    host = http.bind_addresses[0]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # all interfaces
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return url or f"{'https' if http.https else 'http'}://{shown}:{http.port}", user
