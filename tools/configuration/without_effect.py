"""Options of Orthanc that are known and checked, and change nothing in this release.

Users rely on options that protect: another value than the default stops the start. A start warns of other options that are to come,
but not of the sizes of caches and pools of Orthanc's own code, which mean nothing here.
"""

from typing import Final

from events.options import Boolean, Choice, Kind, Option, Section, Text, Texts, Whole


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PLUGIN_SECTIONS: Final = frozenset(
    _words(
        "AdvancedStorage Authorization AwsS3Storage AzureBlobStorage ConnectivityChecks DelayedDeletion Gdcm "
        "GoogleCloudStorage Housekeeper Indexer Keycloak MultitenantDicom MySQL Neuro Odbc OrthancExplorer2 Ohif PostgreSQL "
        "Python PythonScript PythonVerbose Stl StoneWebViewer TcIa Transfers VolView WebViewer "
        "WholeSlideImaging"
    )
)


def _later(name: str, kind: Kind, default: object = None, *, protects: bool = False, is_secret: bool = False) -> Option:
    return Option(name, kind, default, since=None, protects=protects, is_secret=is_secret)


def _none(name: str, kind: Kind, default: object) -> Option:
    return Option(name, kind, default, since=None, is_without_effect=True)


_COUNT, _TEXT, _SECTION, _SWITCH = Whole(), Text(), Section(), Boolean()
_ON: Final = "WebDavEnabled WebDavUploadAllowed"
_OFF: Final = "WebDavDeleteAllowed"
_SIZES: Final = {
    "MaximumStorageCacheSize": 128,
    "StorageLoaderThreadsCount": 4,
    "StorageMemoryCapacity": 512,
    "MallocArenaMax": 5,
    "MaximumConcurrentDcmtkTranscoders": 0,
    "DicomParserThreadsCount": 2,
    "DicomParserMemoryCapacity": 256,
    "DicomParserCacheSize": 256,
    "TranscoderThreadsCount": 4,
    "TranscoderMemoryCapacity": 256,
    "TranscoderCacheSize": 256,
    "SequentialDicomReaderThreadsCount": 4,
    "SequentialDicomReaderWindowSize": 4,
    "SequentialDicomReaderWindowCapacity": 128,
}
OPTIONS: Final = (
    *(_later(name, _SWITCH, default=True) for name in _ON.split()),
    *(_later(name, _SWITCH, default=False) for name in _OFF.split()),
    _later("DatabaseServerIdentifier", _TEXT),
    _later("Plugins", Texts(), []),
    _later("Pkcs11", _SECTION, {}, is_secret=True),
    _later("Locale", _TEXT),
    # There are no plugins that could decode before, after or instead of what is built in.
    _none("BuiltinDecoderTranscoderOrder", Choice(("Before", "After", "Disabled")), "After"),
    *(_none(name, _COUNT, default) for name, default in _SIZES.items()),
    # Whatever edition: more is hidden than any of them asks.
    _none("DeidentifyLogsDicomVersion", Choice(("2008", "2017c", "2021b", "2023b")), "2023b"),
)
