"""The router of our own finds what falcon's finds, for any addresses and any paths."""

import pytest
from falcon.routing import CompiledRouter
from hypothesis import example, given
from hypothesis import strategies as st

from api.rest.serving.router import Found, Router


class Resource:
    def on_get(self) -> None: ...

    def on_delete(self) -> None: ...


class Other:
    def on_post(self) -> None: ...


# Few words, so that paths fit and templates overlap. falcon wants one name for a variable at one place.
words = st.sampled_from(["a", "b", "c", "{}", "{}"])
ends = st.sampled_from(["", "", "", "/{rest:path}"])


@st.composite
def templates(draw: st.DrawFn) -> set[str]:
    shapes = draw(st.lists(st.tuples(st.lists(words, min_size=1, max_size=4), ends), min_size=1, max_size=12))
    made = set()
    for segments, end in shapes:
        named = [f"{{of_{depth}}}" if each == "{}" else each for depth, each in enumerate(segments)]
        made.add("/" + "/".join(named) + end)
    return made


paths = st.lists(st.sampled_from(["a", "b", "c", "x", "", "{of_1}"]), max_size=6).map(lambda each: "/" + "/".join(each))


def shown(found: Found | None) -> object:
    if found is None:
        return None
    resource, methods, named, template = found
    own = {name: each for name, each in methods.items() if getattr(each, "__self__", None) is resource}
    return resource, methods.keys(), own, named, template


@given(templates(), st.lists(paths, min_size=1, max_size=20))
@example({"/a/b/c", "/a/{of_1}", "/{of_0}/b"}, ["/a/b", "/a/b/c", "/a/x", "/b/b", "//a/b", "/a/b/", "/a", "/", ""])
def test_it_finds_what_that_of_falcon_finds(given_templates: set[str], asked: list[str]) -> None:
    ours, theirs = Router(), CompiledRouter()
    for number, template in enumerate(sorted(given_templates)):
        resource = Resource() if number % 2 else Other()
        try:
            theirs.add_route(template, resource)
        except ValueError:  # it lets nothing stand beside a rest
            continue
        ours.add_route(template, resource)
    for path in asked:
        assert shown(ours.find(path)) == shown(theirs.find(path)), path  # type: ignore[arg-type]  # with the types of falcon


def test_a_method_that_a_resource_lacks_has_an_answer() -> None:
    router = Router()
    router.add_route("/a", Resource())
    found = router.find("/a")
    assert found is not None
    assert {"GET", "DELETE", "POST", "OPTIONS"} <= found[1].keys()


@pytest.mark.parametrize("second", ["/a/{other}", "/a/{one}"])
def test_two_templates_for_the_same_paths_are_refused(second: str) -> None:
    router = Router()
    router.add_route("/a/{one}", Resource())
    with pytest.raises(ValueError, match="another template fits the same paths"):
        router.add_route(second, Resource())


@pytest.mark.parametrize(
    "template", ["/a/{one}.json", "/{one:int}", "/{rest:path}/more", "/{}", "/a/{one", "/a{rest:path}", "/arest:path}"]
)
def test_forms_that_it_does_not_know_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="a variable is a whole segment"):
        Router().add_route(template, Resource())
