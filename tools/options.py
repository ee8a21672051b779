"""Every option of Orthanc's configuration file (up to 1.13.0) and Sinogram's own, as one table.

A row says what a value may be, what holds when it is absent and whether this release acts on it. Checks were compared
with Orthanc 1.12.7: it refuses `5.0` or `"5"` where a whole number is wanted and `1` where a Boolean is wanted, and so
does this table. Orthanc meets some bad values only when a request needs them; here all of them stop the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Protocol

from tools.transfer_syntaxes import TRANSFER_SYNTAX_SWITCHES


class Kind(Protocol):
    """What values an option may have."""

    def problem(self, value: object) -> str | None:
        """Say in words what is wrong with `value` as JSON gave it, or None; never repeats the value."""


@dataclass(frozen=True, slots=True)
class Boolean:
    def problem(self, value: object) -> str | None:
        return None if isinstance(value, bool) else "must be true or false"


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer in [low, high]."""

    low: int = 0
    high: int = 2**32 - 1

    def problem(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be a whole number"
        return None if self.low <= value <= self.high else f"must be between {self.low} and {self.high}"


@dataclass(frozen=True, slots=True)
class Text:
    def problem(self, value: object) -> str | None:
        return None if isinstance(value, str) else "must be a string"


@dataclass(frozen=True, slots=True)
class Title:
    """An application entity title: PS3.5 §6.2 allows 16 characters, Orthanc refuses an empty one."""

    def problem(self, value: object) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if not value.strip() or len(value) > 16:
            return "an application entity title has 1 to 16 characters"
        return None if value.isascii() and value.isprintable() else "holds a character no AET may have"


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of strings; `one` also takes a single string, as `AcceptedTransferSyntaxes` does in Orthanc."""

    one: bool = False

    def problem(self, value: object) -> str | None:
        if self.one and isinstance(value, str):
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return None
        return "must be a list of strings"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, or a Boolean where older files have one; `folded` compares without regard to case."""

    words: tuple[str, ...]
    boolean: bool = False
    folded: bool = False

    def problem(self, value: object) -> str | None:
        if self.boolean and isinstance(value, bool):
            return None
        if isinstance(value, str) and (value in self.words or (self.folded and self.named(value) is not None)):
            return None
        return ("must be true, false, " if self.boolean else "must be one of ") + ", ".join(self.words)

    def named(self, value: str) -> str | None:
        """Return the word `value` stands for, spelled as in the table."""
        return next((word for word in self.words if word.casefold() == value.casefold()), None)


@dataclass(frozen=True, slots=True)
class Section:
    """A JSON object whose contents are checked elsewhere, or not yet."""

    def problem(self, value: object) -> str | None:
        return None if isinstance(value, dict) else "must be an object"


@dataclass(frozen=True, slots=True)
class Users:
    """User name to password, in plain text as Orthanc has it."""

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return "must be an object of user names and passwords"
        if not all(isinstance(password, str) for password in value.values()):
            return "a password is not a string"
        if any(":" in name for name in value):
            return "a user name holds a colon, which HTTP Basic cannot carry (RFC 7617)"
        return None


@dataclass(frozen=True, slots=True)
class Option:
    """One row. `default` is what holds when the option is absent, None where another option decides."""

    name: str
    kind: Kind
    default: object = None
    honoured: bool = False
    secret: bool = False  # no message may repeat the value

    @property
    def status(self) -> str:
        """What this release makes of it: "yes", "no effect" (nothing here depends on it) or "later"."""
        return "yes" if self.honoured else "no effect" if self.name in WITHOUT_EFFECT else "later"

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, naming it where that gives no secret away."""
        reason = self.kind.problem(value)
        if reason is None or self.secret or isinstance(value, dict | list):
            return reason
        return f"{reason}, not {value!r:.60}"

    def differs(self, value: object) -> bool:
        """Tell whether `value` asks for something else than happens without it."""
        if self.name == "OverwriteInstances":
            return value not in {False, "Never"}
        return value != self.default


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ENCODINGS: Final = _words(
    "Ascii Utf8 Latin1 Latin2 Latin3 Latin4 Latin5 Cyrillic Windows1251 Arabic Greek Hebrew Thai Japanese Chinese "
    "Korean JapaneseKanji SimplifiedChinese"
)
PLUGIN_SECTIONS: Final = frozenset(
    _words(
        "AdvancedStorage Authorization AwsS3Storage AzureBlobStorage ConnectivityChecks DelayedDeletion DicomWeb Gdcm "
        "GoogleCloudStorage Housekeeper Indexer Keycloak MultitenantDicom MySQL Neuro Odbc OrthancExplorer2 Ohif PostgreSQL "
        "Python PythonScript PythonVerbose ServeFolders Stl StoneWebViewer TcIa Transfers VolView WebViewer "
        "WholeSlideImaging Worklists"
    )
)
# Sizes of caches and pools of Orthanc's own code, and what holds here whatever they say: more is hidden than any edition asks.
WITHOUT_EFFECT: Final = frozenset(
    _words(
        "MaximumStorageCacheSize StorageLoaderThreadsCount StorageMemoryCapacity MallocArenaMax LoaderThreads ZipLoaderThreads "
        "MaximumConcurrentDcmtkTranscoders DicomParserThreadsCount DicomParserMemoryCapacity DicomParserCacheSize "
        "TranscoderThreadsCount TranscoderMemoryCapacity TranscoderCacheSize SequentialDicomReaderThreadsCount "
        "SequentialDicomReaderWindowSize SequentialDicomReaderWindowCapacity DeidentifyLogsDicomVersion"
    )
)
# Who sets one of these relies on it: while it is not honoured, a value other than the default stops the start.
PROTECTING: Final = frozenset(_words("CheckRevisions MaximumPatientCount MaximumStorageSize"))
_YES, _NO, _COUNT, _TEXT, _SECTION, _PORT = Boolean(), Boolean(), Whole(), Text(), Section(), Whole(0, 65535)


def _rows(*rows: Option) -> Mapping[str, Option]:
    return {row.name: row for row in rows}


def _switches(names: str, *, default: bool | None, honoured: bool = False) -> tuple[Option, ...]:
    return tuple(Option(name, Boolean(), default, honoured) for name in names.split())


OPTIONS: Final = _rows(
    # identity, paths, storage
    Option("Name", _TEXT, "MyOrthanc", honoured=True),
    Option("StorageDirectory", _TEXT, "SinogramStorage", honoured=True),  # Orthanc: "OrthancStorage"
    Option("IndexDirectory", _TEXT, None, honoured=True),
    Option("TemporaryDirectory", _TEXT, None, honoured=True),
    Option("OverwriteInstances", Choice(("Never", "Always", "IfChanged"), boolean=True), default=False),
    Option("MaximumStorageMode", Choice(("Recycle", "Reject")), "Recycle"),
    Option("MaximumStorageSize", _COUNT, 0),
    Option("MaximumPatientCount", _COUNT, 0),
    Option("MaximumStorageCacheSize", _COUNT, 128),
    Option("StorageLoaderThreadsCount", _COUNT, 4),
    Option("StorageMemoryCapacity", _COUNT, 512),
    *_switches("StoreMD5ForAttachments SyncStorageArea", default=True, honoured=True),
    *_switches("StoreDicom PatientLevelEnabled", default=True),
    *_switches("StorageCompression CheckRevisions", default=False),
    Option("ReadOnly", _NO, default=False, honoured=True),
    Option("ExtraMainDicomTags", _SECTION, {}),
    Option("Warnings", _SECTION, {}),
    Option("UserMetadata", _SECTION, {}),
    Option("UserContentType", _SECTION, {}),
    Option("DatabaseServerIdentifier", _TEXT),
    # Lua, plugins, jobs
    Option("LuaScripts", Texts(), [], honoured=True),
    Option("LuaHeartBeatPeriod", _COUNT, 0, honoured=True),
    Option("ExecuteLuaEnabled", _NO, default=False, honoured=True),
    Option("LuaCallbackTimeout", _COUNT, 300, honoured=True),
    Option("LuaInstructionLimit", _COUNT, 0, honoured=True),
    Option("LuaMemoryLimit", _COUNT, 512, honoured=True),
    Option("LuaSandbox", _NO, default=False, honoured=True),
    Option("Plugins", Texts(), []),
    Option("ConcurrentJobs", _COUNT, 2, honoured=True),
    Option("JobsEngineThreadsCount", _SECTION, {"ResourceModification": 1}),
    Option("JobsHistorySize", _COUNT, 10, honoured=True),
    Option("SaveJobs", _YES, default=True, honoured=True),
    Option("MediaArchiveSize", _COUNT, 1),
    Option("LogExportedResources", _NO, default=False, honoured=True),
    # HTTP server
    *_switches("HttpServerEnabled HttpDescribeErrors KeepAlive TcpNoDelay", default=True, honoured=True),
    Option("HttpPort", _PORT, 8042, honoured=True),
    Option("HttpBindAddresses", Texts(), [], honoured=True),
    Option("KeepAliveTimeout", Whole(1), 1, honoured=True),
    Option("HttpThreadsCount", Whole(1, 10_000), 50, honoured=True),
    Option("HttpRequestTimeout", Whole(1), 30, honoured=True),
    Option("MaximumRequestBodySizeMB", _COUNT, 8192, honoured=True),
    Option("MaximumFileSizeInArchiveMB", _COUNT, 4096, honoured=True),
    Option("MaximumArchiveSizeMB", _COUNT, 65_536, honoured=True),  # ours
    *_switches("OrthancExplorerEnabled WebDavEnabled WebDavUploadAllowed", default=True),
    *_switches("MetricsEnabled", default=True, honoured=True),
    *_switches("SynchronousZipStream", default=True),
    Option("HttpCompressionEnabled", _NO, default=False, honoured=True),
    *_switches("WebDavDeleteAllowed RestApiWriteToFileSystemEnabled ZipUseUtf8", default=False),
    Option("ZipLoaderThreads", _COUNT, 0),
    Option("LoaderThreads", _COUNT, 0),
    # HTTP security
    Option("RemoteAccessAllowed", _NO, default=False, honoured=True),
    Option("AuthenticationEnabled", Boolean(), None, honoured=True),
    Option("RegisteredUsers", Users(), {}, honoured=True, secret=True),
    *_switches("SslEnabled SslVerifyPeers", default=False, honoured=True),
    Option("SslCertificate", _TEXT, "certificate.pem", honoured=True),
    Option("SslMinimumProtocolVersion", Whole(0, 5), 4, honoured=True),
    Option("SslCiphersAccepted", Texts(one=True), honoured=True),
    Option("SslTrustedClientCertificates", _TEXT, "trustedClientCertificates.pem", honoured=True),
    # HTTP client
    Option("OrthancPeers", _SECTION, {}, honoured=True, secret=True),
    *_switches("OrthancPeersInDatabase", default=False),
    Option("HttpVerbose", _NO, default=False, honoured=True),
    Option("HttpProxy", _TEXT, "", secret=True, honoured=True),
    Option("HttpTimeout", _COUNT, 60, honoured=True),
    Option("HttpsVerifyPeers", _YES, default=True, honoured=True),
    Option("HttpsCACertificates", _TEXT, "", honoured=True),
    Option("Pkcs11", _SECTION, {}, secret=True),
    # DICOM server
    Option("DicomServerEnabled", _YES, default=True, honoured=True),
    Option("DicomAet", Title(), "ORTHANC", honoured=True),
    Option("DicomPort", _PORT, 4242, honoured=True),
    *_switches("DicomCheckCalledAet StrictAetComparison UnknownSopClassAccepted", default=False, honoured=True),
    Option("DefaultEncoding", Choice(ENCODINGS, folded=True), "Latin1", honoured=True),
    Option("AcceptedTransferSyntaxes", Texts(one=True), ["1.2.840.10008.1.*"], honoured=True),
    *_switches(" ".join(TRANSFER_SYNTAX_SWITCHES), default=None, honoured=True),
    Option("AcceptedSopClasses", Texts(), [], honoured=True),
    Option("RejectedSopClasses", Texts(), [], honoured=True),
    Option("RejectSopClasses", Texts(), [], honoured=True),  # a misspelling Orthanc takes too
    Option("DicomScpTimeout", _COUNT, 30, honoured=True),
    Option("DicomThreadsCount", Whole(1, 10_000), 4, honoured=True),
    Option("MaximumPduLength", Whole(4096, 131072), 16384, honoured=True),
    Option("SynchronousCMove", _YES, default=True, honoured=True),
    Option("LimitFindResults", _COUNT, 0, honoured=True),
    Option("LimitFindInstances", _COUNT, 0, honoured=True),
    Option("CaseSensitivePN", _NO, default=False, honoured=True),
    Option("StorageAccessOnFind", Choice(("Always", "Answers", "Never")), "Always", honoured=True),
    Option("DeidentifyLogs", _YES, default=True, honoured=True),
    Option("DeidentifyLogsDicomVersion", Choice(("2008", "2017c", "2021b", "2023b")), "2023b"),
    # DICOM security
    *_switches("DicomAlwaysAllowEcho DicomAlwaysAllowStore", default=True, honoured=True),
    *_switches("DicomAlwaysAllowFind DicomAlwaysAllowFindWorklist DicomAlwaysAllowGet", default=False, honoured=True),
    *_switches("DicomAlwaysAllowMove DicomCheckModalityHost", default=False, honoured=True),
    Option("DicomTlsEnabled", _NO, default=False, honoured=True),
    Option("DicomTlsCertificate", _TEXT, honoured=True),
    Option("DicomTlsPrivateKey", _TEXT, honoured=True),
    Option("DicomTlsTrustedCertificates", _TEXT, honoured=True),
    Option("DicomTlsRemoteCertificateRequired", _YES, default=True, honoured=True),
    Option("DicomTlsMinimumProtocolVersion", Whole(0, 5), 0, honoured=True),
    Option("DicomTlsCiphersAccepted", Texts(one=True), honoured=True),
    # DICOM client
    Option("DicomModalities", _SECTION, {}, honoured=True),
    Option("DicomModalitiesInDatabase", _NO, default=False, honoured=True),
    Option("DicomEchoChecksFind", _NO, default=False, honoured=True),
    Option("DicomScuTimeout", _COUNT, 10, honoured=True),
    Option("DicomScuPreferredTransferSyntax", _TEXT, "1.2.840.10008.1.2.1", honoured=True),
    Option("DicomAssociationCloseDelay", _COUNT, 5, honoured=True),
    Option("DicomDefaultRetrieveMethod", Choice(("C-MOVE", "C-GET")), "C-MOVE", honoured=True),
    Option("QueryRetrieveSize", Whole(1), 100, honoured=True),
    Option("StorageCommitmentReportsSize", _COUNT, 100),
    # dictionary, stability, transcoding
    Option("StableAge", _COUNT, 60, honoured=True),
    Option("Dictionary", _SECTION, {}),
    Option("ExternalDictionaries", Texts(), []),
    Option("LoadPrivateDictionary", _YES, default=True),
    Option("TranscodeDicomProtocol", _YES, default=True, honoured=True),
    *_switches("IngestTranscodingOfUncompressed IngestTranscodingOfCompressed", default=True),
    Option("DefaultPrivateCreator", _TEXT, ""),
    Option("Locale", _TEXT),
    Option("BuiltinDecoderTranscoderOrder", Choice(("Before", "After", "Disabled")), "After"),
    Option("IngestTranscoding", _TEXT),
    Option("DicomLossyTranscodingQuality", Whole(1, 100), 90),
    # tuning of Orthanc's own code
    Option("MallocArenaMax", _COUNT, 5),
    Option("MaximumConcurrentDcmtkTranscoders", _COUNT, 0),
    Option("DicomParserThreadsCount", _COUNT, 2),
    Option("DicomParserMemoryCapacity", _COUNT, 256),
    Option("DicomParserCacheSize", _COUNT, 256),
    Option("TranscoderThreadsCount", _COUNT, 4),
    Option("TranscoderMemoryCapacity", _COUNT, 256),
    Option("TranscoderCacheSize", _COUNT, 256),
    Option("SequentialDicomReaderThreadsCount", _COUNT, 4),
    Option("SequentialDicomReaderWindowSize", _COUNT, 4),
    Option("SequentialDicomReaderWindowCapacity", _COUNT, 128),
    # Sinogram's own
    Option("MaximumDatasetElements", Whole(1000), 500_000, honoured=True),
    Option("MaximumInflatedSizeMB", Whole(1, 1 << 20), 1024, honoured=True),
    Option("GatewayProcesses", Whole(0, 64), 0, honoured=True),  # 0: one per core, at most 4
    Option("CodecProcesses", Whole(1, 64), 2, honoured=True),  # of each process that decodes
    Option("CodecMemory", Whole(512, 2**20), 2048, honoured=True),  # megabytes
    Option("CodecProcessorTime", Whole(1, 86_400), 30, honoured=True),  # seconds a frame
    Option("CodecTimeout", Whole(1, 86_400), 60, honoured=True),  # seconds a frame
    Option("DicomMaximumAssociations", Whole(1, 100_000), 200, honoured=True),
    Option("MaximumQueryAnswersSizeMB", _COUNT, 256, honoured=True),
    Option("MaximumQueryFolderSizeMB", _COUNT, 2048, honoured=True),
    Option("StorageScrubRateMB", _COUNT, 2, honoured=True),  # a second; 0 reads nothing again
)


def suggestion(unknown: str) -> str | None:
    """Return the option whose name is nearest to `unknown`, if one is near enough to be meant."""
    folded = {name.casefold(): name for name in OPTIONS}
    near = get_close_matches(unknown.casefold(), folded, n=1, cutoff=0.75)
    return folded[near[0]] if near else None
