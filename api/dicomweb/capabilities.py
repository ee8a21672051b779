"""What DICOMweb offers here, told to machines: the Capabilities Description (PS3.18 §8.9, Annex H), a WADL document or the same as JSON.

It is made of the table of services, so that it names what is served and nothing else. `/info` is that of Orthanc's plugin 1.20.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import falcon

from api.dicomweb.accept import parse_accept
from api.dicomweb.base_url import base_url
from api.dicomweb.search.matches import ADDRESSES as SEARCHES
from api.errors import NotAcceptable, UnknownRoute
from api.rest.serving.orthanc_json import encode
from api.rest.serving.replies import JSON, send_json
from api.rest.settings import RestSettings
from store.dicom.xml_text import escape

WADL: Final = "application/vnd.sun.wadl+xml"
_OF_STANDARD: Final = ("studies", "series", "instances")  # the first names of its addresses
_PARAMETERS: Final = ("includefield", "limit", "offset", "fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_CONVERTER: Final = re.compile(r":\w+\}")  # of falcon, which no client knows

Tree = dict[str, Any]


class Capabilities:
    """The root of DICOMweb. `methods` are those of each address below it."""

    def __init__(self, settings: RestSettings, methods: Mapping[str, list[str]]) -> None:
        self._settings = settings
        known = {below: names for below, names in methods.items() if below.partition("/")[0] in _OF_STANDARD}
        self._resources = _resources(_nest(known), "")

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        base = base_url(req, self._settings)
        resp.set_header("Allow", "OPTIONS")
        for wanted in parse_accept(req):
            if wanted.takes(WADL) or wanted.takes("application/xml"):
                resp.content_type = WADL
                resp.data = "\n".join(_document(base, self._resources)).encode()
                return
            if wanted.takes("application/json") or wanted.takes("application/wadl+json"):
                resp.content_type = JSON
                resp.data = encode({"application": {"resources": {"base": base, "resource": self._resources}}})
                return
        raise NotAcceptable(f"The description is offered as {WADL} and as application/json")

    def on_get(self, _req: falcon.Request, _resp: falcon.Response) -> None:
        raise UnknownRoute  # as by the plugin


class Info:
    """`/info`, by which pages that were served here find the REST API."""

    def __init__(self, settings: RestSettings) -> None:
        root = settings.dicom_web.route("")
        self._shown = {"DicomWebRoot": root, "OrthancApiRoot": "./" + "../" * (root.count("/") - 1)}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, self._shown)


def _nest(methods: Mapping[str, list[str]]) -> Tree:
    """Return the addresses as a tree of their parts; the methods of one stand under an empty name."""
    tree: Tree = {}
    for below, names in methods.items():
        branch = tree
        for part in _CONVERTER.sub("}", below).split("/"):
            branch = branch.setdefault(part, {})
        branch[""] = sorted(names)
    return tree


def _resources(tree: Tree, above: str) -> list[Tree]:
    shown = []
    for part in sorted(filter(None, tree)):
        below = f"{above}/{part}".lstrip("/")
        methods = [_method(name, below) for name in tree[part].get("", ())]
        inner = _resources(tree[part], below)
        shown.append({"path": part} | ({"method": methods} if methods else {}) | ({"resource": inner} if inner else {}))
    return shown


def _method(name: str, below: str) -> Tree:
    if name != "GET" or below not in SEARCHES:
        return {"name": name}
    return {"name": name, "request": {"param": [{"name": each, "style": "query"} for each in _PARAMETERS]}}


def _document(base: str, resources: list[Tree]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<application xmlns="http://wadl.dev.java.net/2009/02">'
    yield f'  <resources base="{escape(base)}">'
    for resource in resources:
        yield from _element("resource", resource, "    ")
    yield "  </resources>\n</application>\n"


def _element(name: str, content: Tree, indent: str) -> Iterator[str]:
    """Write an object: its texts are attributes, its objects elements."""
    told = "".join(f' {each}="{escape(value)}"' for each, value in content.items() if isinstance(value, str))
    inner = {each: value for each, value in content.items() if not isinstance(value, str)}
    if not inner:
        yield f"{indent}<{name}{told}/>"
        return
    yield f"{indent}<{name}{told}>"
    for each, value in inner.items():
        for item in value if isinstance(value, list) else [value]:
            yield from _element(each, item, indent + "  ")
    yield f"{indent}</{name}>"
