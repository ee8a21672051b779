"""Files and datasets that are nearly DICOM: they are read, or refused as what they are; nothing else."""

import contextlib
import json
from collections.abc import Sequence

from events.errors import InvalidDicom, InvalidRequest, NotFound
from store.dicom.content import content
from store.dicom.dicom_json import render_dicom_json
from store.dicom.elements import Element, read_elements
from store.dicom.encoding import encode_dataset
from store.dicom.identifier import decode_dataset, pick
from store.dicom.native_model import render_native_model
from store.dicom.part10 import open_part10
from store.dicom.received import Announced, read_clean, trim
from store.dicom.rendering import render_header, render_tags
from store.dicom.summary import Summary, summarize
from tests.dicom_bytes import MR
from tests.fuzz import dicom_inputs
from tests.fuzz.mutation import inputs, nothing_left, told

SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
IDENTITY = {0x00080016: "UI", 0x00080018: "UI", 0x00100020: "LO", 0x0020000D: "UI", 0x0020000E: "UI"}


def test_a_file_is_summarized_or_refused_and_what_is_accepted_can_be_shown_and_sent() -> None:
    accepted = refused = 0
    with nothing_left():
        for data in inputs(dicom_inputs.files(), dicom_inputs.ELEMENT_TOKENS, short=2_000):
            with told(data):
                try:
                    summary = summarize(data)
                except InvalidRequest:
                    refused += 1
                else:
                    accepted += 1
                    check_accepted(data, summary)
    assert accepted > 100
    assert refused > 100


def check_accepted(data: bytes, summary: Summary) -> None:
    """What the archive has taken is rendered as JSON and as XML, and is the same instance in other transfer syntaxes."""
    for form in ("full", "simplify", "short"):
        json.dumps(render_tags(data, form), allow_nan=False)
    json.dumps(render_header(data), allow_nan=False)
    model = render_dicom_json(data)
    json.dumps(model, allow_nan=False)
    assert render_native_model(model).endswith(b"</NativeDicomModel>\n")
    pick(data, (0x00080005, 0x00100010, 0x00081140), "Latin1")
    with contextlib.suppress(NotFound):
        content(data, ["0008-1140", "0"])
    file = open_part10(data)
    elements = read_elements(file.data, file.start, file.syntax)
    for explicit in (True, False):
        with contextlib.suppress(InvalidDicom):  # compressed pixels, or a value that no length can describe
            again = bytes(encode_dataset(file, elements, explicit=explicit))
            assert len(again) % 2 == 0
            if has_honest_identity(elements):
                check_same(again, SYNTAXES[explicit], summary)


def has_honest_identity(elements: Sequence[Element]) -> bool:
    """Tell whether the identifiers have the VRs of the dictionary: what a UID in a PN is differs in implicit VR."""
    return all(element.vr == IDENTITY[element.tag] for element in elements if element.tag in IDENTITY)


def check_same(dataset: bytes, transfer_syntax: str, summary: Summary) -> None:
    announced = Announced(summary.sop_class or MR, summary.sop_uid, transfer_syntax)
    meta = announced.file_meta("FUZZ")
    assert summarize(meta + dataset).ids == summary.ids


def test_a_dataset_from_the_network_is_taken_as_a_whole_or_refused() -> None:
    with nothing_left():
        for number, data in enumerate(inputs(dicom_inputs.datasets(), dicom_inputs.ELEMENT_TOKENS, short=2_000)):
            announced = Announced(MR, "2.25.7305.1.1.1.1", SYNTAXES[number % len(SYNTAXES)])
            with told(data), contextlib.suppress(InvalidRequest):
                receive(announced, data)


def receive(announced: Announced, data: bytes) -> None:
    """As an upload does; what is kept in the end must be clean when it is read back."""
    meta = announced.file_meta("FUZZ")
    file = meta + data
    if read_clean(file, len(meta), announced, "Latin1") is not None:
        return
    trimmed = trim(file, len(meta), announced)
    if trimmed is not None:
        dataset = trimmed.inflated_anew or file[trimmed.start : trimmed.end]
        file = meta + dataset
    summary = summarize(file)
    json.dumps(render_tags(file), allow_nan=False)
    assert summarize(file).ids == summary.ids


def test_identifiers_of_peers_are_read_or_refused() -> None:
    with nothing_left():
        for number, data in enumerate(inputs(dicom_inputs.datasets(), dicom_inputs.ELEMENT_TOKENS, short=2_000)):
            with told(data), contextlib.suppress(InvalidDicom):
                values, unknown = decode_dataset(data, SYNTAXES[number % len(SYNTAXES)], "Latin1")
                assert all(isinstance(tag, int) for tag in (*values, *unknown))
