"""The table of nouns: what each declares is the REST API, and none takes a URI from another."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from api import app
from api.dicomweb import services
from api.rest.deps import Deps, Routes
from api.rest.system import Listing
from api.ui import page


class Given:
    """Stands for whatever the resources are given: declaring routes asks nothing of it."""

    read_only = False
    name = "A & B"

    def __getattr__(self, _name: str) -> Any:
        return self


def declare(monkeypatch: pytest.MonkeyPatch, *nouns: Callable[[Deps], Routes]) -> Routes:
    monkeypatch.setattr(app, "NOUNS", nouns)
    return app.list_routes(cast("Deps", Given()))


def noun(*uris: str) -> Callable[[Deps], Routes]:
    return lambda _: {uri: object() for uri in uris}


def test_tools_lists_what_any_noun_has_declared_there(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = declare(monkeypatch, noun("/tools/b", "/other"), noun("/tools/a", "/toolsmith"))
    assert set(routes) == {"/tools", "/tools/a", "/tools/b", "/other", "/toolsmith"}
    assert cast("Listing", routes["/tools"])._names == ["a", "b"]


def test_two_nouns_with_one_uri_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="two nouns claim /b"):
        declare(monkeypatch, noun("/a", "/b"), noun("/b"))


def test_every_module_with_routes_is_in_the_table() -> None:
    modules = [
        path for path in (Path(app.__file__).parent / "rest").glob("*.py") if "\ndef routes(" in path.read_text()
    ]
    declared = {import_module(f"api.rest.{path.stem}").routes for path in modules}
    assert declared | {services.routes, page.routes} == set(app.NOUNS)
    assert len(app.NOUNS) == len(declared) + 2
