"""Files modified and anonymised without a server, and what pydicom reads of them."""

import io
import warnings
from typing import Any

import pydicom
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset

from events.identifiers import Level
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.dicom.change.request import Flags, read_anonymize, read_modify
from store.dicom.part10 import open_part10


def anonymize(data: bytes, secret: bytes = b"", **body: Any) -> bytes:
    flags = Flags(force=True, keeps_private=body.pop("KeepPrivateTags", False))
    change = read_anonymize(body, flags, "Program 1")
    return b"".join(Editor(change, Drawn(secret or new_secret()), "Latin1").edit(open_part10(data)).parts)


def modify(data: bytes, level: Level = Level.INSTANCE, **body: Any) -> bytes:
    flags = Flags(
        force=True, removes_private=body.pop("RemovePrivateTags", False), private_creator=body.pop("PrivateCreator", "")
    )
    return b"".join(
        Editor(read_modify(body, level, flags), Drawn(new_secret()), "Latin1").edit(open_part10(data)).parts
    )


def read(data: bytes) -> Dataset:
    with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(io.BytesIO(data))


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made
