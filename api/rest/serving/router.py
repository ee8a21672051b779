"""Which resource answers a path: falcon's rules, found by a walk through a tree of segments.

falcon's own router checks each template against all others and compiles them to a program: 34 ms of processor time for our 300
addresses, in each process that answers REST, of which 14 ms came with the first request. This one takes 2 ms, and as long for a path.

Of templates it knows what ours need: `{name}` is one segment, `{name:path}` at the end is all that follow. Literal segments go before
variable ones, and these before the rest.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from falcon.routing import map_http_methods, set_default_responders

Found = tuple[
    object, dict[str, Any], dict[str, str], str
]  # resource, its methods, what the template names, the template

_ONE = re.compile(r"\{([^\W\d]\w*)\}")
_REST = re.compile(r"\{([^\W\d]\w*):path\}")


class Route:
    """A template and who answers there."""

    __slots__ = ("_methods", "_names", "_rest", "resource", "template")

    def __init__(self, template: str, resource: object) -> None:
        self.template = template
        self.resource = resource
        self._methods: dict[str, Any] | None = None
        segments = _split(template)
        self._names = [(one[1], at) for at, each in enumerate(segments) if (one := _ONE.fullmatch(each))]
        rest = _REST.fullmatch(segments[-1])
        self._rest = (rest[1], len(segments) - 1) if rest else None

    def found_by(self, segments: list[str]) -> Found:
        """Return what falcon wants to know, for a path that fits."""
        methods = self._methods
        if methods is None:  # two threads may both make it; then they are equal
            methods = map_http_methods(self.resource)
            set_default_responders(methods)
            self._methods = methods
        named = {name: segments[at] for name, at in self._names}
        if self._rest is not None:
            name, at = self._rest
            named[name] = "/".join(segments[at:])
        return self.resource, methods, named, self.template


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None  # below any one segment
    route: Route | None = None  # that ends here
    rest: Route | None = None  # that takes all that follows


class Router:
    """The addresses of an application; see "Custom Routers" in falcon's documentation."""

    def __init__(self) -> None:
        self._root = _Node()

    def add_route(self, template: str, resource: object) -> None:
        """Raises: ValueError if another template fits the same paths, or has a form that is not known here."""
        node, route = self._root, Route(template, resource)
        segments = _split(template)
        takes_rest = _REST.fullmatch(segments[-1]) is not None
        for segment in segments[:-1] if takes_rest else segments:
            if _ONE.fullmatch(segment):
                node.any = node.any or _Node()
                node = node.any
            elif "{" in segment or "}" in segment:
                raise ValueError(f"{template}: a variable is a whole segment, {{name}}, or the rest, {{name:path}}")
            else:
                node = node.literals.setdefault(segment, _Node())
        if (node.rest if takes_rest else node.route) is not None:
            raise ValueError(f"{template}: another template fits the same paths")
        if takes_rest:
            node.rest = route
        else:
            node.route = route

    def find(self, uri: str, req: object = None) -> Found | None:  # noqa: ARG002  # falcon gives the request, too
        segments = _split(uri)
        route = _find(self._root, segments, 0)
        return None if route is None else route.found_by(segments)


def _find(node: _Node, segments: list[str], at: int) -> Route | None:
    if at == len(segments):
        return node.route
    literal = node.literals.get(segments[at])
    if literal is not None and (found := _find(literal, segments, at + 1)) is not None:
        return found
    if node.any is not None and (found := _find(node.any, segments, at + 1)) is not None:
        return found
    return node.rest


def _split(path: str) -> list[str]:
    return path.lstrip("/").split("/")
