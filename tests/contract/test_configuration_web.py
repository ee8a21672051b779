"""The options of web pages: folders that are served, CORS. What Orthanc does with bad ones was observed on 1.12.7: it goes on without the plugin."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from falcon.routing import CompiledRouter

from actors.messages.worklist_settings import WorklistSettings
from api import app
from api.rest.serving.cors_settings import CorsSettings
from api.rest.serving.folder_settings import NAMES_OF_ROUTES
from api.rest.serving.router import Router
from events.errors import BadConfiguration
from tests.contract.rest_stage import rest_stage
from tools.configuration import load
from tools.server.composition import server_settings
from tools.server.core import Core
from tools.server.logging_setup import LogOptions


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "viewer").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def configure(place: Path, **options: Any) -> Any:
    (place / "c.json").write_text(json.dumps(options))
    return server_settings(load([place / "c.json"], {}), LogOptions()).rest


def refusal(place: Path, **options: Any) -> str:
    with pytest.raises(BadConfiguration) as caught:
        configure(place, **options)
    return str(caught.value).removeprefix(f"{place}/c.json: ")


@pytest.mark.parametrize("name", ["viewer", "/viewer", "viewer/", "/viewer/"])
def test_both_forms_of_the_section_name_folders(place: Path, name: str) -> None:
    for section in ({name: "viewer"}, {"Folders": {name: "viewer"}}):
        assert configure(place, ServeFolders=section).serve_folders.folders == {"/viewer": place / "viewer"}


def test_options_of_the_section(place: Path) -> None:
    plain = configure(place, ServeFolders={"/a/b": str(place / "viewer")}).serve_folders
    assert (plain.allows_cache, plain.makes_etags, plain.with_fallback) == (False, True, frozenset())
    section = {
        "Folders": {"/ohif": "viewer"},
        "AllowCache": True,
        "GenerateETag": False,
        "Extensions": {".Foo": "a/b", "js": ""},
        "FallbackToIndex": ["ohif/"],
    }
    full = configure(place, ServeFolders=section).serve_folders
    assert (full.allows_cache, full.makes_etags, full.with_fallback) == (True, False, {"/ohif"})
    assert full.types == {"foo": "a/b", "js": ""}


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ([], "must be an object"),
        ({"": "viewer"}, "no URI for a folder"),
        ({"/": "viewer"}, "no URI for a folder"),
        ({"/a//b": "viewer"}, "no URI for a folder"),
        ({"/a/../b": "viewer"}, "no URI for a folder"),
        ({"/a?b": "viewer"}, "no URI for a folder"),
        ({"/a%20b": "viewer"}, "no URI for a folder"),
        ({"/x": 5}, "'/x': must be the path of a folder"),
        ({"/x": ""}, "'/x': must be the path of a folder"),
        ({"/x": "gone"}, "gone is no folder"),
        ({"/x": "file"}, "file is no folder"),
        ({"/x": "viewer", "x/": "viewer"}, "'x/': stands there twice"),
        ({"/instances": "viewer"}, "the REST API has routes under /instances"),
        ({"/tools/mine": "viewer"}, "the REST API has routes under /tools"),
        ({"/dicom-web": "viewer"}, "DICOMweb is served there"),
        ({"/dicom-web/app": "viewer"}, "DICOMweb is served there"),
        ({"/wado": "viewer"}, "DICOMweb is served there"),
        ({"Folders": []}, "Folders: must be an object"),
        ({"Folders": {}, "/y": "viewer"}, "'/y': no option of this section"),
        ({"Folders": {}, "AllowCache": "yes"}, "AllowCache: must be true or false"),
        ({"Folders": {}, "GenerateETag": 1}, "GenerateETag: must be true or false"),
        ({"Folders": {}, "Extensions": []}, "Extensions: must be an object"),
        ({"Folders": {}, "Extensions": {"md": 5}}, "Extensions: 'md': must be a MIME type"),
        ({"Folders": {}, "Extensions": {"md": "text"}}, "Extensions: 'md': must be a MIME type"),
        ({"Folders": {}, "Extensions": {"md": "text/plain\r\nX: y"}}, "Extensions: 'md': must be a MIME type"),
        ({"Folders": {}, "FallbackToIndex": True}, "FallbackToIndex: must be a list of URIs"),
        ({"Folders": {"/x": "viewer"}, "FallbackToIndex": ["/y"]}, "FallbackToIndex: '/y': no folder has this URI"),
    ],
)
def test_a_section_that_cannot_be_served_stops_the_start(place: Path, section: Any, reason: str) -> None:
    message = refusal(place, ServeFolders=section)
    assert message.startswith("ServeFolders: ")
    assert reason in message


def test_a_folder_may_lie_where_dicomweb_was_by_default(place: Path) -> None:
    served = configure(place, ServeFolders={"/dicom-web": "viewer"}, DicomWeb={"Root": "/pacs/"}).serve_folders
    assert set(served.folders) == {"/dicom-web"}


def test_names_that_are_refused_are_those_of_the_routes(archive: Core) -> None:
    with rest_stage(archive, worklists=WorklistSettings(is_enabled=True)) as stage:
        settings = stage.deps.settings
        routes = app.list_routes(stage.deps)
    dicom_web = {root.strip("/").split("/")[0] for root in (settings.dicom_web.root, settings.dicom_web.wado_root)}
    assert {route.split("/")[1] for route in routes} - {"", "app"} - dicom_web == NAMES_OF_ROUTES


def test_every_address_is_found_as_by_the_router_of_falcon(archive: Core) -> None:
    with rest_stage(archive, worklists=WorklistSettings(is_enabled=True)) as stage:
        routes = app.list_routes(stage.deps)
    ours, theirs = Router(), CompiledRouter()
    for template, resource in routes.items():
        ours.add_route(template, resource)
        theirs.add_route(template, resource)
    words = {word for template in routes for word in template.split("/") if "{" not in word}
    for template in routes:
        for word in ("1.2.3", "", *sorted(words)):
            for end in ("", "/", f"/{word}", "/a/b"):
                path = re.sub(r"\{[^}]*\}", word, template) + end
                found, right = ours.find(path), theirs.find(path)
                assert (found and (found[0], found[2:])) == (right and (right[0], right[2:])), path


def test_cors_is_off_until_origins_are_named(place: Path) -> None:
    assert configure(place).cors.origins == ()
    named = configure(place, CorsAllowedOrigins=["http://localhost:3000", "https://[::1]"], CorsAllowCredentials=True)
    assert named.cors == CorsSettings(origins=("http://localhost:3000", "https://[::1]"), allows_credentials=True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"CorsAllowedOrigins": "*"}, "CorsAllowedOrigins: must be a list of texts"),
        ({"CorsAllowedOrigins": ["null"]}, "CorsAllowedOrigins: 'null': write * or an origin"),
        ({"CorsAllowedOrigins": ["viewer.example"]}, "CorsAllowedOrigins: 'viewer.example': write * or an origin"),
        ({"CorsAllowedOrigins": ["https://viewer.example/"]}, "write * or an origin"),
        ({"CorsAllowedOrigins": ["https://Viewer.example"]}, "write * or an origin"),
        ({"CorsAllowedOrigins": ["https://*.example"]}, "write * or an origin"),
        ({"CorsAllowedOrigins": [5]}, "write * or an origin"),
        ({"CorsAllowedMethods": ["get"]}, "CorsAllowedMethods: 'get': write GET, HEAD, POST, PUT, DELETE"),
        ({"CorsAllowedHeaders": ["X: y"]}, "CorsAllowedHeaders: 'X: y': no name of a header"),
        ({"CorsExposedHeaders": ["a\r\nb"]}, "CorsExposedHeaders: 'a\\r\\nb': no name of a header"),
        ({"CorsAllowCredentials": "yes"}, "CorsAllowCredentials: must be true or false"),
        ({"CorsMaxAge": -1}, "CorsMaxAge: must be between 0 and 86400"),
        ({"CorsAllowedOrigins": ["*"], "CorsAllowCredentials": True}, "CorsAllowedOrigins: must name the origins"),
    ],
)
def test_a_wrong_option_of_cors_stops_the_start(place: Path, options: dict[str, Any], reason: str) -> None:
    assert reason in refusal(place, **options)
