"""The options about CORS, and what they may be. Orthanc has none; its users set the same headers in a proxy."""

import re
from dataclasses import dataclass
from typing import Any, Final

from events.options import Boolean, Option, Plain, Whole, filled_by

ANY: Final = "*"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class _Texts(Plain):
    """A list of texts of one form."""

    words: str
    form: re.Pattern[str]
    example: str

    def problem(self, value: object) -> str | None:
        if not isinstance(value, list):
            return "must be a list of texts"
        wrong = [item for item in value if not isinstance(item, str) or not self.form.fullmatch(item)]
        return f"{wrong[0]!r:.60}: {self.example}" if wrong else None

    def read(self, value: Any, _folder: Any) -> tuple[str, ...]:
        return tuple(value)


_ORIGINS: Final = _Texts(
    'list of origins, or `["*"]` for all',
    re.compile(rf"\*|{_ORIGIN.pattern}"),
    "write * or an origin as browsers send it, such as https://viewer.example:8443: small letters, no path, no slash at its end",
)
_HEADERS: Final = _Texts('list of names of headers, or `["*"]` for all', TOKEN, "no name of a header")
_METHODS: Final = _Texts(f"list of {', '.join(METHODS)}", re.compile("|".join(METHODS)), f"write {', '.join(METHODS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsSettings:
    """What pages of other origins may do."""

    origins: tuple[str, ...] = filled_by(Option("CorsAllowedOrigins", _ORIGINS, []))
    methods: tuple[str, ...] = filled_by(Option("CorsAllowedMethods", _METHODS, ["GET", "HEAD", "POST"]))
    # Accept is one that browsers ask about where it has quotation marks, as those of DICOMweb have.
    headers: tuple[str, ...] = filled_by(
        Option("CorsAllowedHeaders", _HEADERS, ["Accept", "Authorization", "Content-Type", "If-None-Match", "Range"])
    )
    exposed_headers: tuple[str, ...] = filled_by(
        Option(
            "CorsExposedHeaders",
            _HEADERS,
            ["Content-Length", "Content-Location", "Content-Range", "ETag", "Location", "Warning"],
        )
    )
    # Whether answers to requests with a password of the browser's, or a client certificate, may be read.
    allows_credentials: bool = filled_by(Option("CorsAllowCredentials", Boolean(), default=False))
    preflight_kept_s: int = filled_by(Option("CorsMaxAge", Whole(0, 86_400, unit="s"), 600))
