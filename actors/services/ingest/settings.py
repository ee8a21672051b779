"""Ingest's part of the configuration, in a module of its own so that a process which only passes it on loads no DICOM."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.messages.commands.instances import ALWAYS, IF_CHANGED, NEVER
from actors.services.transcoding.targets import MAKEABLE
from events.identifiers import Level
from events.options import Boolean, Choice, Option, filled_by

ENCODINGS: Final = (  # Orthanc's names of character sets
    *("Ascii", "Utf8", "Latin1", "Latin2", "Latin3", "Latin4", "Latin5", "Cyrillic", "Windows1251", "Arabic", "Greek"),
    *("Hebrew", "Thai", "Japanese", "Chinese", "Korean", "JapaneseKanji", "SimplifiedChinese"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """Options of the store path."""

    default_encoding: str = filled_by(Option("DefaultEncoding", Choice(ENCODINGS, folded=True), "Latin1"))
    sync: bool = filled_by(Option("SyncStorageArea", Boolean(), default=True))
    store_dicom: bool = filled_by(Option("StoreDicom", Boolean(), default=True))  # False: the index alone, no files
    hash: bool = filled_by(Option("StoreMD5ForAttachments", Boolean(), default=True))
    # What becomes of an instance that is sent again; older releases of Orthanc have a Boolean.
    overwrite: str = filled_by(
        Option(
            "OverwriteInstances",
            Choice((NEVER, ALWAYS, IF_CHANGED), boolean=True),
            default=False,
            convert=lambda value: {True: ALWAYS, False: NEVER}.get(value, value),
        )
    )
    transcodes_to: str = filled_by(
        Option("IngestTranscoding", Choice(tuple(sorted(MAKEABLE))), None, convert=lambda value: value or "")
    )
    transcodes_uncompressed: bool = filled_by(Option("IngestTranscodingOfUncompressed", Boolean(), default=True))
    transcodes_compressed: bool = filled_by(Option("IngestTranscodingOfCompressed", Boolean(), default=True))
    compress: bool = filled_by(Option("StorageCompression", Boolean(), default=False))
    read_only: bool = filled_by(Option("ReadOnly", Boolean(), default=False))
    # ExtraMainDicomTags: level -> what is indexed besides the tags that always are.
    extra_main_tags: Mapping[Level, tuple[int, ...]] = field(default_factory=dict)
