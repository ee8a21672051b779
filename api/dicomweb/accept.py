"""What a client wants to get: the header `Accept` and the query parameter `accept` (PS3.18 §8.3.3.1, §8.7; RFC 9110 §12.5.1)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import falcon

from actors.wire.multipart import RELATED, media_type, parse_parameters

# A comma between quotation marks separates nothing.
_RANGE = re.compile(r'(?:"[^"]*"|[^,"])+')
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One type that a client takes, such as `multipart/related; type="application/dicom"; transfer-syntax=*`.

    `type` is what it wants: of a multipart, the type of the parts. All in lower case but values of parameters.
    """

    type: str
    is_multipart: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def transfer_syntax(self) -> str | None:
        """The UID that is asked for, `*` for that in which it lies here, None where nothing is said."""
        return self.parameters.get("transfer-syntax")

    def takes(self, kind: str) -> bool:
        """Tell whether a type, such as `image/jpeg`, is what this names or a kind of it (`image/*`, `*/*`)."""
        whole, _, part = self.type.partition("/")
        return self.type in {kind, "*/*"} or (part == "*" and whole == kind.partition("/")[0])


def parse_accept(req: falcon.Request) -> Sequence[Wanted]:
    """Return what a request takes, the best first; nothing said is `*/*`.

    The query parameter `accept` replaces the header (PS3.18 §8.3.3.1). What is refused by a weight of 0 is left out.
    """
    return parse_types(accepted_text(req))


def accepted_text(req: falcon.Request) -> str:
    """Return what a request takes as it stands there, see `parse_accept`."""
    told: str = req.get_param("accept") or req.env.get("HTTP_ACCEPT", "") or "*/*"
    return told


@lru_cache(maxsize=256)  # a viewer asks for each of its frames with the same
def parse_types(text: str) -> Sequence[Wanted]:
    """Return what a list of types takes, the best first."""
    wanted = [_parse(each) for each in _RANGE.findall(text) if each.strip()]
    return tuple(sorted((each for each in wanted if each.weight), key=lambda each: -each.weight))


def _parse(text: str) -> Wanted:
    kind, parameters = media_type(text), parse_parameters(text)
    weight = parameters.pop("q", "1")
    value = float(weight) if _WEIGHT.match(weight) else 1.0
    if kind == RELATED:
        return Wanted(
            parameters.get("type", "*/*").strip().lower(), is_multipart=True, parameters=parameters, weight=value
        )
    return Wanted(kind, parameters=parameters, weight=value)
