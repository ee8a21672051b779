"""Folders of the configuration over HTTP. Expected: Orthanc 1.12.7's ServeFolders plugin, and RFC 9110 where it has no answer."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_application
from api.rest.serving.folder_settings import SERVE_FOLDERS
from api.rest.serving.in_process import InProcess
from tests.contract.rest_stage import RestStage, error_of, pieces, rest_stage
from tools.core_settings import CoreSettings
from tools.server.core import Core

Stage = Callable[..., RestStage]
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """An archive for all tests: none looks at it."""
    place = tmp_path_factory.mktemp("archive")
    core = Core(CoreSettings(index_directory=place, storage_directory=place))
    yield core
    core.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture
def folder(site: Path) -> Path:
    """A folder as each test finds it, with secrets beside it."""
    for each in site.iterdir():
        each.unlink() if each.is_symlink() or each.is_file() else rmtree(each)
    made = site / "viewer"
    (made / "sub" / "empty").mkdir(parents=True)
    (made / "index.html").write_text("<p>start")
    (made / "sub" / "index.html").write_text("<p>sub")
    (made / "a.txt").write_text("0123456789")
    (site / "secret.txt").write_text("secret")
    (site / "viewer2").mkdir()
    (site / "viewer2" / "secret.txt").write_text("secret")
    return made


@pytest.fixture(scope="module")
def stages(archive: Core, site: Path) -> Iterator[Stage]:
    """Applications that serve the folder as `/web`; keywords are options of the section. Those that are alike are one."""
    made: dict[str, RestStage] = {}
    with ExitStack() as stack:

        def start(uri: str = "/web", rest: dict[str, Any] | None = None, **options: Any) -> RestStage:
            section = {"Folders": {uri: "viewer"}, **options}
            key = repr((section, rest))
            if key not in made:
                assert SERVE_FOLDERS.problem(section) is None
                served = SERVE_FOLDERS.read(section, site)
                made[key] = stack.enter_context(rest_stage(archive, serve_folders=served, **(rest or {})))
            return made[key]

        yield start


@pytest.fixture
def stage(stages: Stage, folder: Path) -> Stage:
    return stages


def test_a_file_leaves_with_its_type_and_nothing_to_cache(stage: Stage) -> None:
    answer = stage().ask("/web/a.txt")
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    assert (answer.headers["Pragma"], answer.headers["Expires"]) == ("no-cache", "0")


def test_with_allow_cache_nothing_forbids_caching(stage: Stage) -> None:
    headers = stage(AllowCache=True).ask("/web/a.txt").headers
    assert headers.keys().isdisjoint({"Cache-Control", "Pragma", "Expires"})
    assert "Etag" in headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.js", "application/javascript"),
        ("a.HTML", "text/html"),
        ("a.css", "text/css"),
        ("a.json", "application/json"),
        ("a.wasm", "application/wasm"),
        ("a.svg", "image/svg+xml"),
        ("a.woff2", "font/woff2"),
        ("a.mjs", "application/javascript"),  # Orthanc: application/octet-stream, which no browser runs
        ("a.unheard", "application/octet-stream"),
        ("a", "application/octet-stream"),
        (".css", "application/octet-stream"),
        ("a.tar.foo", "application/foo"),
        ("a.BAR", "application/bar"),
        ("a.pdf", "application/octet-stream"),  # taken away
    ],
)
def test_types_of_files(stage: Stage, folder: Path, name: str, expected: str) -> None:
    (folder / name).write_text("x")
    running = stage(Extensions={"foo": "application/foo", ".Bar": "application/bar", "pdf": ""})
    assert running.ask(f"/web/{name}").headers["Content-Type"] == expected


@pytest.mark.parametrize(
    "path",
    [
        *("/web/missing", "/web/sub/missing", "/web/a.txt/x", "/web/sub/empty", "/web/sub/empty/", f"/web/{'x' * 300}"),
        *("/web/%FF%FE", "/web/pipe", "/web/circle", "/web/out.txt", "/web/out/secret.txt", "/web/near/secret.txt"),
    ],
)
def test_what_is_no_file_in_the_folder_is_not_found(stage: Stage, folder: Path, path: str) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to("circle")
    (folder / "out.txt").symlink_to("../secret.txt")
    (folder / "out").symlink_to("..")
    (folder / "near").symlink_to("../viewer2")
    assert error_of(stage().ask(path)) == (404, 13, "")


@pytest.mark.parametrize("dots", ["..", "%2e%2e", ".%2E", "%2e%2e%2f..", "..%2f", "sub/../..", "..%5c", "%252e%252e"])
def test_no_address_leads_out_of_the_folder(stage: Stage, dots: str) -> None:
    for name in ("secret.txt", "viewer2/secret.txt"):
        answer = stage().ask(f"/web/{dots}/{name}")
        assert (answer.status, b"secret" in answer.body.replace(b"secret.txt", b"")) == (404, False)


STEPS = st.sampled_from(
    [
        "..",
        ".",
        "%2e%2e",
        "%252e%252e",
        "..%2f",
        "..\\",
        "%5c..",
        "",
        "sub",
        "empty",
        "up",
        "near",
        "a.txt",
        "%00",
        "viewer2",
        "viewer",
        "secret.txt",
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=8), separator=st.sampled_from(["/", "//", "%2f", "\\"]))
def test_however_an_address_is_put_together(escaping: RestStage, steps: list[str], separator: str) -> None:
    answer = escaping.ask("/web/" + separator.join([*steps, "secret.txt"]), headers=HTML)
    assert answer.body != b"secret"


@pytest.fixture
def escaping(stage: Stage, folder: Path) -> RestStage:
    """A folder with links that lead out of it."""
    (folder / "up").symlink_to("..")
    (folder / "near").symlink_to("../viewer2")
    return stage(FallbackToIndex=["/web"])


def test_a_script_cannot_leave_it_either(stage: Stage) -> None:
    in_process = InProcess(create_application(stage().deps))
    assert in_process.call("GET", "/web/a.txt", b"", {}) == b"0123456789"
    for path in ("/web/../secret.txt", "/web/sub/../../secret.txt", "/web/sub\\..\\../secret.txt", "//etc/passwd"):
        assert in_process.call("GET", path, b"", {}) is None


def test_links_within_the_folder_are_followed(stage: Stage, folder: Path) -> None:
    (folder / "link.txt").symlink_to("a.txt")
    (folder / "there").symlink_to("sub")
    assert stage().ask("/web/link.txt").body == b"0123456789"
    assert stage().ask("/web/there/index.html").body == b"<p>sub"


def test_the_folder_itself_may_be_a_link(archive: Core, folder: Path, site: Path) -> None:
    (site / "current").symlink_to(folder)
    with rest_stage(archive, serve_folders=SERVE_FOLDERS.read({"/web": "current"}, site)) as running:
        assert running.ask("/web/a.txt").status == 200


def test_names_beyond_ascii(stage: Stage, folder: Path) -> None:
    (folder / "ü & <ä>.txt").write_text("x")
    (folder / os.fsdecode(b"\xff.txt")).write_text("latin")
    assert stage("/wéb").ask("/w%C3%A9b/%C3%BC%20&%20%3C%C3%A4%3E.txt").body == b"x"
    assert stage("/wéb").ask("/w%C3%A9b/%FF.txt").body == b"latin"
    assert stage("/wéb").ask("/w%C3%A9b/%FF.txt", "HEAD").status == 200


def test_index_html_is_the_page_of_an_address_with_a_slash(stage: Stage) -> None:
    for path, page in (("/web/", b"<p>start"), ("/web/sub/", b"<p>sub")):
        answer = stage().ask(path)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/html", page)


@pytest.mark.parametrize(
    ("path", "place"),
    [("/web", "./web/"), ("/web?a=1&b=%20", "./web/?a=1&b=%20"), ("/web/sub", "./sub/")],
)
def test_an_address_without_its_slash_leads_there(stage: Stage, path: str, place: str) -> None:
    answer = stage().ask(path)
    assert (answer.status, answer.headers["Location"], answer.body) == (307, place, b"")


def test_a_folder_without_index_html_is_no_route(stage: Stage, folder: Path) -> None:
    (folder / "index.html").unlink()
    for path in ("/web", "/web/"):
        assert error_of(stage().ask(path)) == (404, 17, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(stage: Stage, folder: Path, method: str) -> None:
    answer = stage().ask("/web/a.txt", method, b"x")
    assert (answer.status, answer.headers["Allow"], answer.body) == (405, "GET", b"")
    assert (folder / "a.txt").read_text() == "0123456789"


def test_head_is_get_without_the_file(stage: Stage) -> None:
    running = stage()
    get, head = running.ask("/web/a.txt"), running.ask("/web/a.txt", "HEAD")
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")
    assert running.ask("/web/missing", "HEAD").status == 404
    assert running.ask("/system", "HEAD").status == 404  # as Orthanc


def test_what_a_client_has_is_not_sent_again(stage: Stage, folder: Path) -> None:
    running = stage(AllowCache=True)
    headers = running.ask("/web/a.txt").headers
    tag, date = headers["Etag"], headers["Last-Modified"]
    assert date == formatdate(int((folder / "a.txt").stat().st_mtime), usegmt=True)
    for known in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"x", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": date},
    ):
        answer = running.ask("/web/a.txt", headers=known)
        assert (answer.status, answer.body, answer.headers["Etag"]) == (304, b"", tag), known
    earlier = formatdate(int((folder / "a.txt").stat().st_mtime) - 1, usegmt=True)
    for other in (
        {"If-None-Match": '"x"'},
        {"If-None-Match": '"x"', "If-Modified-Since": date},  # RFC 9110 §13.1.3: the tag decides
        {"If-Modified-Since": earlier},
        {"If-Modified-Since": "yesterday"},
    ):
        assert running.ask("/web/a.txt", headers=other).status == 200, other


def test_a_file_that_has_changed_has_another_tag(stage: Stage, folder: Path) -> None:
    running = stage()
    tag = running.ask("/web/a.txt").headers["Etag"]
    (folder / "b.txt").write_text("9876543210")
    os.utime(folder / "b.txt", ns=((folder / "a.txt").stat().st_mtime_ns,) * 2)  # as long, as old
    (folder / "b.txt").replace(folder / "a.txt")
    assert running.ask("/web/a.txt", headers={"If-None-Match": tag}).body == b"9876543210"


def test_without_generate_etag_the_date_remains(stage: Stage) -> None:
    running = stage(GenerateETag=False)
    headers = running.ask("/web/a.txt").headers
    assert "Etag" not in headers
    assert running.ask("/web/a.txt", headers={"If-Modified-Since": headers["Last-Modified"]}).status == 304
    assert running.ask("/web/a.txt", headers={"If-None-Match": "None"}).status == 200


@pytest.mark.parametrize(
    ("asked", "body", "place"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_a_part_of_a_file(stage: Stage, asked: str, body: bytes, place: str) -> None:
    answer = stage().ask("/web/a.txt", headers={"Range": asked})
    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, body, place)


@pytest.mark.parametrize("asked", ["bytes=1-2,4-5", "bytes=5-2", "bytes=-", "bytes=x-", "lines=1-2", "bytes=1-2x"])
def test_a_range_that_says_nothing_is_passed_over(stage: Stage, asked: str) -> None:
    answer = stage().ask("/web/a.txt", headers={"Range": asked})
    assert (answer.status, answer.body) == (200, b"0123456789")


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_beyond_the_file_is_refused_with_its_size(stage: Stage, asked: str) -> None:
    answer = stage().ask("/web/a.txt", headers={"Range": asked})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_if_range_sends_the_whole_of_another_state(stage: Stage) -> None:
    running = stage()
    headers = running.ask("/web/a.txt").headers
    for condition, status in (
        (headers["Etag"], 206),
        (headers["Last-Modified"], 206),
        ('"x"', 200),
        ("yesterday", 200),
    ):
        assert running.ask("/web/a.txt", headers={"Range": "bytes=1-2", "If-Range": condition}).status == status


def test_an_empty_file(stage: Stage, folder: Path) -> None:
    (folder / "empty.txt").touch()
    answer = stage().ask("/web/empty.txt")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "0", b"")


def test_a_large_file_leaves_in_pieces(stage: Stage, folder: Path) -> None:
    data = os.urandom(1 << 20)
    (folder / "large.bin").write_bytes(data)
    parts = list(pieces(stage().app, "/web/large.bin", "GET", b""))
    assert b"".join(parts) == data
    assert max(map(len, parts)) <= 1 << 18


def test_no_file_stays_open(stage: Stage) -> None:
    running = stage()
    tag = running.ask("/web/a.txt").headers["Etag"]
    before = len(list(Path("/proc/self/fd").iterdir()))
    for headers in ({}, {"If-None-Match": tag}, {"Range": "bytes=1-2"}, {"Range": "bytes=99-"}):
        for method in ("GET", "HEAD"):
            running.ask("/web/a.txt", method, headers=headers)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("path", ["/web/viewer", "/web/viewer/1.2.840.3?StudyInstanceUIDs=1.2", "/web/sub/deep/er"])
def test_a_page_of_a_program_is_its_index_html(stage: Stage, path: str) -> None:
    running = stage(FallbackToIndex=["web/"])
    answer = running.ask(path, headers=HTML)
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/html", b"<p>start")
    assert running.ask(path).status == 404  # what a page loads asks for no HTML
    assert running.ask(path, headers={"Accept": "*/*"}).status == 404
    assert stage().ask(path, headers=HTML).status == 404


def test_a_link_out_of_the_folder_is_no_page_of_a_program(stage: Stage, folder: Path) -> None:
    (folder / "index.html").unlink()
    (folder / "index.html").symlink_to("../secret.txt")
    running = stage(FallbackToIndex=["/web"])
    for path in ("/web/", "/web/viewer"):
        assert running.ask(path, headers=HTML).status == 404


def test_a_folder_at_app_takes_the_place_of_our_page(stage: Stage, folder: Path) -> None:
    (folder / "explorer.html").write_text("<p>explorer")
    running = stage("/app")
    assert running.ask("/app/explorer.html").body == b"<p>explorer"
    assert running.ask("/").headers["Location"] == "app/explorer.html"
    assert running.ask("/app/a.txt").status == running.ask("/system").status == 200


def test_the_innermost_folder_answers(archive: Core, folder: Path, site: Path) -> None:
    section = {"/web": str(folder), "/web/sub": str(site / "viewer2")}
    with rest_stage(archive, serve_folders=SERVE_FOLDERS.read(section, site)) as running:
        assert running.ask("/web/sub/secret.txt").body == b"secret"
        assert running.ask("/web/sub/index.html").status == 404
        assert running.ask("/web/subtle").status == 404


def test_users_and_read_only_apply(stage: Stage) -> None:
    users = {"authentication_enabled": True, "registered_users": {"a": "b"}}
    running = stage(rest=users)
    assert running.ask("/web/a.txt").status == 401
    assert running.ask("/web/a.txt", "HEAD").status == 401
    assert running.ask("/web/a.txt", headers={"Authorization": "Basic YTpi"}).status == 200
    assert stage(rest={"read_only": True}).ask("/web/a.txt").status == 200


def test_a_part_of_a_text_is_not_compressed(stage: Stage, folder: Path) -> None:
    (folder / "long.css").write_text("a {} " * 2000)
    running = stage(rest={"http_compression_enabled": True})
    asked = {"Accept-Encoding": "gzip", "Range": "bytes=0-4999"}
    assert running.ask("/web/long.css", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"
    part = running.ask("/web/long.css", headers=asked)
    assert (part.status, part.body) == (206, b"a {} " * 1000)
