"""CORS: which web pages of other origins may use this server from a browser (the Fetch standard, §3.2). Off unless `CorsAllowedOrigins` names some.

A preflight is answered here, before anybody is asked for a password: browsers send none with it, and it tells what the configuration
allows and nothing of the archive. Whatever else is answered, errors too, says that the page may read it. Who may ask is decided behind this
as ever: CORS keeps pages from reading answers, it keeps nobody out.
"""

from collections.abc import Iterable
from typing import Any

from api.rest.serving.cors_settings import ANY, TOKEN, CorsSettings
from api.rest.serving.front import Application, Headers, StartResponse


class Cors:
    """Stands in front of an application. Thread-safe."""

    def __init__(self, application: Application, settings: CorsSettings) -> None:
        self._application = application
        self._settings = settings
        self._headers = {name.lower() for name in settings.headers}
        # To whom `*` is said, origins are all the same, and a cache may give one the answer of another.
        self._is_for_all = ANY in settings.origins
        self._exposed = ", ".join(settings.exposed_headers)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if origin and environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            return self._preflight(environ, origin, start_response)

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            return start_response(
                status,
                [*headers, *self._for_origin(origin, [("Access-Control-Expose-Headers", self._exposed)])],
                exc_info,
            )

        return self._application(environ, start)

    def _for_origin(self, origin: str | None, more: Headers) -> Headers:
        """Return the headers for a request from an origin: `more` of them if it may read the answer."""
        varies = [] if self._is_for_all else [("Vary", "Origin")]
        if not origin or not (self._is_for_all or origin in self._settings.origins):
            return varies
        allowed = [("Access-Control-Allow-Origin", ANY if self._is_for_all else origin), *varies]
        if self._settings.allows_credentials:
            allowed.append(("Access-Control-Allow-Credentials", "true"))
        return allowed + [header for header in more if header[1]]

    def _preflight(self, environ: dict[str, Any], origin: str, start_response: StartResponse) -> list[bytes]:
        method = environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"]
        asked = [
            name.strip() for name in environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "").split(",") if name.strip()
        ]
        allows_headers = ANY in self._headers or all(name.lower() in self._headers for name in asked)
        is_allowed = (
            (self._is_for_all or origin in self._settings.origins)
            and method in self._settings.methods
            and allows_headers
        )
        headers = [("Content-Length", "0")]
        if is_allowed:
            answer = [
                ("Access-Control-Allow-Methods", ", ".join(self._settings.methods)),
                # Each by its name: `*` would leave Authorization out, and mean nothing with credentials (§4.9).
                ("Access-Control-Allow-Headers", ", ".join(name for name in asked if TOKEN.fullmatch(name))),
                ("Access-Control-Max-Age", str(self._settings.preflight_kept_s)),
            ]
            headers = self._for_origin(origin, answer)
        start_response("204 No Content" if is_allowed else "403 Forbidden", headers)
        return [b""]
