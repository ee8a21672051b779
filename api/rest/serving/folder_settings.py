"""The section `ServeFolders` of the configuration, as Orthanc's plugin of that name reads it: which folders are served, and how.

Either `{"/uri": "/path", …}`, or the same as `Folders` beside the options `AllowCache`, `GenerateETag`, `Extensions`, and one of ours,
`FallbackToIndex`. Observed on Orthanc 1.12.7: a slash before or behind a URI makes no difference, the URI of the root is refused, and an extension
may be written with its dot. What disables the plugin there, such as a folder that is missing, stops the start here.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from events.options import Option

# What the addresses of the REST API begin with, but for /app, which is for pages. A folder of such a name would hide routes, which Orthanc
# lets happen.
NAMES_OF_ROUTES: Final = frozenset(
    {
        *(
            "changes",
            "events",
            "exports",
            "favicon.ico",
            "instances",
            "jobs",
            "lua",
            "modalities",
            "patients",
            "peers",
            "plugins",
        ),
        *(
            "queries",
            "remotes",
            "series",
            "statistics",
            "storage",
            "storage-commitment",
            "studies",
            "system",
            "tools",
            "ui",
            "worklists",
        ),
    }
)
_SEGMENT: Final = re.compile(r"[^\x00-\x1f\x7f/\\?#%+]+\Z")
_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;\s*[\x20-\x7e]+)?\Z", re.ASCII)
_SWITCHES: Final = ("AllowCache", "GenerateETag")
_KNOWN: Final = frozenset(("Folders", "Extensions", "FallbackToIndex", *_SWITCHES))


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """What is served."""

    folders: Mapping[str, Path] = field(default_factory=dict)  # "/uri" -> folder
    allows_cache: bool = False
    makes_etags: bool = True
    types: Mapping[str, str] = field(
        default_factory=dict
    )  # extension, in lower case and without a dot -> MIME type; "" is none
    with_fallback: frozenset[str] = frozenset()  # URIs of folders whose index.html answers for pages that are no files

    def find(self, path_info: str) -> tuple[str, str] | None:
        """Return the URI of the folder that a PATH_INFO lies in, the innermost one, and the rest of the path; None if there is none."""
        if not self.folders:
            return None
        uri = path = os.fsdecode(path_info.encode("latin-1"))  # PEP 3333's form; names of files are bytes
        while uri:
            if uri in self.folders:
                return uri, path[len(uri) :]
            uri = uri.rpartition("/")[0]
        return None


@dataclass(frozen=True, slots=True)
class Folders:
    """The kind of the option; see the module's text."""

    words = "object of URIs and folders, or of options (see below)"

    def problem(self, value: object) -> str | None:
        return next(_problems(value), None)

    def read(self, value: Any, folder: Path) -> FolderSettings:
        folders, options = _parted(value)
        return FolderSettings(
            folders={_uri(uri): folder / path for uri, path in folders.items()},
            allows_cache=options.get("AllowCache", False),
            makes_etags=options.get("GenerateETag", True),
            types={name.removeprefix(".").lower(): type_ for name, type_ in options.get("Extensions", {}).items()},
            with_fallback=frozenset(map(_uri, options.get("FallbackToIndex", []))),
        )


SERVE_FOLDERS: Final = Option("ServeFolders", Folders(), {})


def _parted(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return folders and options."""
    return (value["Folders"], value) if "Folders" in value else (value, {})


def _uri(name: str) -> str:
    return "/" + name.strip("/")


def _problems(value: object) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "must be an object"
        return
    folders, options = _parted(value)
    if not isinstance(folders, dict):
        yield "Folders: must be an object of URIs and folders"
        return
    yield from _folder_problems(folders)
    for name in sorted(options.keys() - _KNOWN):
        yield f"{name!r:.60}: no option of this section; where Folders stands, folders belong into it"
    for name in _SWITCHES:
        if not isinstance(options.get(name, False), bool):
            yield f"{name}: must be true or false"
    yield from _type_problems(options.get("Extensions", {}))
    fallback = options.get("FallbackToIndex", [])
    if not isinstance(fallback, list) or not all(isinstance(uri, str) for uri in fallback):
        yield "FallbackToIndex: must be a list of URIs"
    elif unknown := set(map(_uri, fallback)) - set(map(_uri, folders)):
        yield f"FallbackToIndex: {min(unknown)!r:.60}: no folder has this URI"


def _folder_problems(folders: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for name, path in folders.items():
        uri = _uri(name)
        segments = uri[1:].split("/")
        if not all(_SEGMENT.match(segment) for segment in segments) or not {".", ".."}.isdisjoint(segments):
            yield f"{name!r:.60}: no URI for a folder; write one such as /viewer, without ? # % + or empty parts"
        elif segments[0] in NAMES_OF_ROUTES:
            yield f"{name!r:.60}: the REST API has routes under /{segments[0]}; choose another name"
        elif uri in seen:
            yield f"{name!r:.60}: stands there twice"
        elif not isinstance(path, str) or not path:
            yield f"{name!r:.60}: must be the path of a folder, a text"
        seen.add(uri)


def _type_problems(types: object) -> Iterator[str]:
    if not isinstance(types, dict):
        yield "Extensions: must be an object of extensions and MIME types"
        return
    for name, type_ in types.items():
        if not isinstance(type_, str) or (type_ and not _TYPE.match(type_)):
            yield f"Extensions: {name!r:.60}: must be a MIME type such as text/plain, or empty for none"
