"""Every option of Orthanc's configuration file (up to 1.13.0) and Sinogram's own, found where it is declared."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from actors.core.index.settings import StorageLimits
from actors.core.jobs.settings import SchedulerSettings
from actors.services.codecs.limits import CodecSettings
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.answer_limits import AnswerLimits
from actors.services.remote.target import ScuSettings
from actors.services.scripts.limits import Limits as ScriptLimits
from actors.services.scripts.settings import LuaSettings
from actors.wire.http.settings import HttpClientSettings
from actors.wire.tls import TlsSettings
from api.dicom.settings import DicomSettings, FindSettings
from api.rest.serving.cors_settings import CorsSettings
from api.rest.serving.https import HttpsSettings
from api.rest.settings import RestSettings
from events.options import Option, option_of
from store.dicom.limits import Limits
from tools.configuration import dicom_tls, lua, modalities, peers, server, tags, transfer_syntaxes, without_effect
from tools.core_settings import CoreSettings

SETTINGS: Final[tuple[Any, ...]] = (
    *(server.ListeningSettings, CoreSettings, StorageLimits, SchedulerSettings, IngestSettings, CodecSettings, Limits),
    *(RestSettings, CorsSettings, HttpsSettings, HttpClientSettings, LuaSettings, ScriptLimits),
    *(DicomSettings, FindSettings, TlsSettings, ScuSettings, AnswerLimits),
)
_MODULES: Final = (server, peers, lua, tags, transfer_syntaxes, dicom_tls, modalities, without_effect)


def declared() -> Iterator[Option]:
    """Yield every option at each place where it stands: one that fills several settings is the same object."""
    for settings in SETTINGS:
        yield from filter(None, map(option_of, fields(settings)))
    for module in _MODULES:
        yield from module.OPTIONS


OPTIONS: Final[Mapping[str, Option]] = {option.name: option for option in declared()}


def suggestion(unknown: str) -> str | None:
    """Return the option whose name is nearest to `unknown`, if one is near enough to be meant."""
    folded = {name.casefold(): name for name in OPTIONS}
    near = get_close_matches(unknown.casefold(), folded, n=1, cutoff=0.75)
    return folded[near[0]] if near else None
