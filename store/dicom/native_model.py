"""A dataset as XML, the Native DICOM Model (PS3.19 Annex A.1), made from its DICOM JSON as Orthanc 1.12.7 does.

Keywords are those of Orthanc, so a retired one begins with `RETIRED_`; private elements have none and no `privateCreator`. Unlike there,
a sequence holds nothing but items, and FD is written in double precision.
"""

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, Final

from store.dicom.dicom_json import Json
from store.dicom.dictionary import UNKNOWN_NAME, tag_name
from store.dicom.xml_text import escape

_HEAD: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\n<NativeDicomModel xmlns="{0}" xsi:schemaLocation="{0}" xmlns:xsi="{1}">'
).format("http://dicom.nema.org/PS3.19/models/NativeDICOM", "http://www.w3.org/2001/XMLSchema-instance")
PIECE_LINES: Final = 10_000  # held as text at once
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


Escape = Callable[[str], str]


def render_native_model(dataset: Json, escape: Escape = escape) -> bytes:
    """Return the document for a dataset that is DICOM JSON (`store.dicom.dicom_json`)."""
    lines = chain([_HEAD], _dataset(dataset, "  ", escape), ["</NativeDicomModel>"])
    pieces = iter(lambda: "\n".join(islice(lines, PIECE_LINES)), "")
    return b"".join(f"{piece}\n".encode("utf-8", "replace") for piece in pieces)


def _dataset(dataset: Json, indent: str, escape: Escape) -> Iterator[str]:
    for tag, element in dataset.items():
        name = tag_name(int(tag, 16))
        keyword = "" if name == UNKNOWN_NAME else f' keyword="{name}"'
        yield from _node(
            f'DicomAttribute tag="{tag}" vr="{element["vr"]}"{keyword}',
            indent,
            _content(element, indent + "  ", escape),
        )


def _node(tag: str, indent: str, content: Iterator[str]) -> Iterator[str]:
    """Write a node around what it holds; one that holds nothing is closed at once."""
    first = next(content, None)
    if first is None:
        yield f"{indent}<{tag} />"
        return
    yield f"{indent}<{tag}>"
    yield first
    yield from content
    yield f"{indent}</{tag.partition(' ')[0]}>"


def _content(element: Json, indent: str, escape: Escape) -> Iterator[str]:
    if "InlineBinary" in element:
        yield f"{indent}<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    if "BulkDataURI" in element:
        yield f'{indent}<BulkData uri="{escape(element["BulkDataURI"])}" />'
    vr = element["vr"]
    for number, value in enumerate(element.get("Value", ()), 1):
        if vr == "SQ":
            yield from _node(f'Item number="{number}"', indent, _dataset(value, indent + "  ", escape))
        elif vr == "PN":
            yield from _node(f'PersonName number="{number}"', indent, _person(value or {}, indent + "  ", escape))
        elif value is None:
            yield f'{indent}<Value number="{number}" />'
        else:
            yield f'{indent}<Value number="{number}">{_text(value, vr, escape)}</Value>'


def _person(person: dict[str, str], indent: str, escape: Escape) -> Iterator[str]:
    for group in _GROUPS:
        if group in person:
            parts = zip(_COMPONENTS, person[group].split("^"), strict=False)
            yield from _node(group, indent, (f"{indent}  <{name}>{escape(part)}</{name}>" for name, part in parts))


def _text(value: Any, vr: str, escape: Escape) -> str:
    if vr == "FL" and isinstance(value, float):
        return f"{value:.9g}"  # all digits of single precision
    shown = str(value)
    return shown.lower() if vr in {"FL", "FD"} else escape(shown)  # lower: nan
