"""From the Native DICOM Model (XML, PS3.19 Annex A.1) to the DICOM JSON Model, whose values are all text then.

A document type is refused, and with it every entity: they can make a gigabyte of a line.
"""

from collections.abc import Mapping
from typing import Any, Final
from xml.parsers.expat import ExpatError, ParserCreate

from events.errors import InvalidDicom
from store.dicom.dicom_json import Json
from store.dicom.elements import MAX_DEPTH
from store.dicom.limits import BeyondLimits, limits

_NODES_PER_ITEM: Final = 2
_WITHIN_AN_ELEMENT: Final = 4  # PersonName, Alphabetic, FamilyName
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_MOST_ABSENT: Final = 1000  # values that are left out before one with a higher number


class BadXml(InvalidDicom):
    """The document is no Native DICOM Model; the text says where."""


def read_native_model(document: bytes) -> Json:
    """Return the dataset of a document. Raises BadXml, BeyondLimits."""
    reader = _Reader()
    parser = ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.on_document_type
    parser.StartElementHandler = reader.on_start
    parser.EndElementHandler = reader.on_end
    parser.CharacterDataHandler = reader.on_text
    try:
        parser.Parse(document, True)  # it takes no keyword
    except (ExpatError, LookupError, ValueError) as exc:  # an unknown encoding, or one of several bytes
        raise BadXml(f"The XML is malformed: {exc}") from None
    return reader.dataset


class _Reader:
    """Keeps what the open nodes have so far."""

    def __init__(self) -> None:
        self.dataset: Json = {}
        self._open: list[tuple[str, Any]] = []  # name of a node, and what its children add to
        self._text: list[str] = []
        self._left = limits().elements

    def on_document_type(self, *_: object) -> None:
        raise BadXml("The XML has a document type, which the Native DICOM Model has not")

    def on_text(self, text: str) -> None:
        self._text.append(text)

    def on_start(self, qualified: str, attributes: Mapping[str, str]) -> None:
        name = qualified.rpartition(" ")[2]
        above, into = self._open[-1] if self._open else ("", None)
        if len(self._open) > MAX_DEPTH * _NODES_PER_ITEM + _WITHIN_AN_ELEMENT:
            raise BeyondLimits("the sequences of the dataset are too deep")
        self._take(1)
        self._text.clear()
        self._open.append((name, self._begin(above, name, into, attributes)))

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BeyondLimits("the dataset has too many elements and items; MaximumDatasetElements sets the limit")

    def _begin(self, above: str, name: str, into: Any, attributes: Mapping[str, str]) -> Any:
        """Return what the children of a new node add to."""
        match above, name:
            case "", "NativeDicomModel":
                return self.dataset
            case (("NativeDicomModel" | "Item"), "DicomAttribute"):
                element: Json = {"vr": attributes.get("vr")}
                if into.setdefault(attributes.get("tag", ""), element) is not element:
                    raise BadXml("The XML has an element twice in one dataset")
                return element
            case "DicomAttribute", ("Item" | "PersonName"):
                made: Json = {}
                self._place(into, made, attributes)
                return made
            case "DicomAttribute", "Value":
                return (into, attributes)
            case "DicomAttribute", "BulkData":
                into["BulkDataURI"] = attributes.get("uri") or attributes.get("uuid") or ""
                return into
            case "DicomAttribute", "InlineBinary":
                return into
            case "PersonName", group if group in _GROUPS:
                components: dict[str, str] = {}
                into[group] = components
                return components
            case group, component if group in _GROUPS and component in _COMPONENTS:
                return into
        raise BadXml(f"The XML has a node {name:.40} within {above or 'the document':.40}")

    def on_end(self, _: str) -> None:
        name, into = self._open.pop()
        text = "".join(self._text)
        self._text.clear()
        if name == "Value":
            self._place(into[0], text or None, into[1])
        elif name == "InlineBinary":
            into["InlineBinary"] = text
        elif name in _COMPONENTS:
            into[name] = text
        elif name in _GROUPS:
            person = self._open[-1][1]
            told = max((place for place, component in enumerate(_COMPONENTS, 1) if component in into), default=0)
            person[name] = "^".join(into.get(component, "") for component in _COMPONENTS[:told])

    def _place(self, element: Json, value: object, attributes: Mapping[str, str]) -> None:
        """Put a value where its number says: those that are not there are empty, and count as if they were."""
        values = element.setdefault("Value", [])
        number = attributes.get("number", "")
        absent = int(number) - len(values) - 1 if number.isascii() and number.isdigit() and len(number) < 10 else -1
        if not 0 <= absent <= _MOST_ABSENT:
            raise BadXml("The values of an element in the XML must be numbered from 1 upwards")
        self._take(absent)
        values += [*([None] * absent), value]
