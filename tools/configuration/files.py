"""Reads Orthanc's configuration files and checks them against the declaration of every option.

Several files and folders may be given. A folder stands for the `.json` files directly in it, in the order of their
names. An option may stand in one file only: two files that both have it stop the start, even if they agree. Relative
paths are relative to the folder of the file they stand in, and to the working directory if there is no file at all.
Every problem of every file is reported at once. Merely odd settings become lines of `Configuration.warnings`, which
the start of the server logs once.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.messages.dicomweb_settings import DICOM_WEB
from actors.services.remote.modality import Modality
from actors.wire.http.peer import Peer
from events.errors import BadConfiguration
from tools.configuration import dialect
from tools.configuration.all_options import OPTIONS, suggestion
from tools.configuration.dicom_tls import tls_problems
from tools.configuration.lua import LUA_SCRIPTS, list_scripts
from tools.configuration.modalities import MODALITIES, read_modalities
from tools.configuration.peers import PEERS, odd_peers, read_peers
from tools.configuration.server import https_problems
from tools.configuration.tags import TagSettings, read_tags
from tools.configuration.values import Values
from tools.configuration.web import web_problems
from tools.configuration.without_effect import PLUGIN_SECTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration(Values):
    """Everything a start of the server depends on."""

    modalities: tuple[Modality, ...]
    peers: tuple[Peer, ...]
    tags: TagSettings
    scripts: tuple[Path, ...]  # of LuaScripts, folders replaced by the files in them
    sources: tuple[Path, ...]  # files read, in their order; empty: the embedded default
    warnings: tuple[str, ...]


def load(paths: Sequence[Path] = (), environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read files and folders into one configuration; none at all gives the embedded default.

    Raises: BadConfiguration, which lists every problem found, one a line.
    """
    found = {path: _files(path) for path in paths}
    files = [file for path in paths for file in found[path]]
    given: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    warnings = [f"{path}: a folder without a .json file" for path in paths if not found[path]]
    problems: list[str] = []
    for file in files:
        read, notes = dialect.read(file, environment)
        warnings += notes
        problems += [f"{file}: {name}: stands in {origin[name]} too" for name in read if name in origin]
        given |= read
        origin |= dict.fromkeys(read, file)
    problems += [
        f"{origin[name]}: {name}: {reason}"
        for name, value in given.items()
        if name in OPTIONS and (reason := OPTIONS[name].problem(value))
    ]
    if problems:
        raise BadConfiguration("\n".join(problems))
    base = Path.cwd() if not paths else paths[0] if paths[0].is_dir() else paths[0].parent
    folders: dict[str | None, Path] = {None: base.resolve()}
    folders |= {name: file.parent.resolve() for name, file in origin.items()}
    values = Values(given=given, folders=folders)
    modalities, wrong, odd = read_modalities(values.value(MODALITIES))
    peers, wrong_peers = read_peers(values.value(PEERS), values.folder(PEERS.name))
    scripts, wrong_scripts = list_scripts(values.value(LUA_SCRIPTS), values.folder(LUA_SCRIPTS.name))
    tags, wrong_tags, odd_tags = read_tags(values)
    odd_remotes = odd_peers(PEERS.name, peers) + odd_peers("DicomWeb.Servers", values.value(DICOM_WEB).servers)
    for option, reasons in ((MODALITIES, wrong), (PEERS, wrong_peers), (LUA_SCRIPTS, wrong_scripts)):
        problems += [f"{origin[option.name]}: {option.name}: {reason}" for reason in reasons]
    problems += [f"{origin[option.name]}: {option.name}: {reason}" for option, reason in wrong_tags]
    problems += [f"{origin[name]}: {name}: {reason}" for name, reason in web_problems(values)]
    problems += _contradictions(given, origin) + tls_problems(given, origin) + https_problems(given, origin)
    if problems:
        raise BadConfiguration("\n".join(problems))
    return Configuration(
        given=given,
        folders=folders,
        modalities=modalities,
        peers=peers,
        tags=tags,
        scripts=tuple(scripts),
        sources=tuple(files),
        warnings=(*warnings, *odd, *odd_remotes, *odd_tags, *_notices(given, origin)),
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() == ".json" and file.is_file())
    if not path.exists():
        raise BadConfiguration(f"{path}: does not exist")
    return [path]


def _contradictions(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    problems = []
    remote = given.get("RemoteAccessAllowed", False)
    if remote and given.get("AuthenticationEnabled", True) and not given.get("RegisteredUsers"):
        reason = "must name a user, for remote access is allowed with authentication"
        problems.append(f"{origin['RemoteAccessAllowed']}: RegisteredUsers: {reason}")
    for name in sorted(given.keys() & OPTIONS.keys()):
        if OPTIONS[name].status == "refused" and OPTIONS[name].differs(given[name]):
            reason = "protects the archive, and this release cannot keep it yet; without it the server starts"
            problems.append(f"{origin[name]}: {name}: {reason}")
    if "RejectSopClasses" in given and "RejectedSopClasses" in given:
        problems.append(f"{origin['RejectSopClasses']}: RejectSopClasses: RejectedSopClasses is there too")
    return problems


def _notices(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    """Say once what has no effect and what is unsafe."""
    notices = []
    for name in given:
        if name not in OPTIONS and name not in PLUGIN_SECTIONS:
            meant = suggestion(name)
            hint = f" (did you mean {meant}?)" if meant else ""
            notices.append(f"{origin[name]}: {name}: unknown option, ignored{hint}")
    if plugins := sorted(name for name in given if name in PLUGIN_SECTIONS):
        notices.append(f"sections of plugins, ignored: {', '.join(plugins)}")
    later = [
        n for n, v in given.items() if (option := OPTIONS.get(n)) and option.status == "later" and option.differs(v)
    ]
    if later:
        notices.append(f"options this release does not honour yet: {', '.join(sorted(later))}")
    if given.get("RemoteAccessAllowed") and not given.get("AuthenticationEnabled", True):
        notices.append("remote access is allowed without authentication: anybody can read and delete everything")
    elif given.get("AuthenticationEnabled") and not given.get("RegisteredUsers"):
        notices.append("authentication is enabled and no user is registered: nobody can use the REST API")
    return notices
