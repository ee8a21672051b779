"""A structured report as text: every content item in its place, by what pydicom reads."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from store.dicom.dicom_json import render_dicom_json
from store.dicom.report import Report, read_report, render_html, render_plain

NAMES = ("test-SR.dcm", "reportsi.dcm")


def report_of(name: str) -> tuple[Report, Dataset]:
    path = Path(str(get_testdata_file(name)))
    return read_report(render_dicom_json(path.read_bytes())), dcmread(path)


def walk(holder: Dataset, depth: int = 0) -> Iterator[tuple[int, Dataset]]:
    for item in holder.get("ContentSequence") or []:
        yield depth, item
        yield from walk(item, depth + 1)


def name_of(item: Dataset) -> str:
    codes = item.get("ConceptNameCodeSequence") or []
    return str(codes[0].get("CodeMeaning", "")) if codes else ""


def value_of(item: Dataset) -> str | None:
    match item.get("ValueType"):
        case "TEXT":
            return str(item.TextValue).strip()
        case "CODE":
            return str(item.ConceptCodeSequence[0].CodeMeaning)
        case "NUM":
            (measured,) = item.MeasuredValueSequence
            return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeMeaning}"
        case "DATE":
            return str(item.Date)
        case "UIDREF":
            return str(item.UID)
        case "CONTAINER":
            return ""
    return None  # shown by a name alone


@pytest.mark.parametrize("name", NAMES)
def test_items_stand_in_their_order_at_their_depth(name: str) -> None:
    report, made = report_of(name)
    wanted = list(walk(made))
    assert [(each.depth, each.name) for each in report.items] == [(depth, name_of(item)) for depth, item in wanted]
    told = [(each.value, value_of(item)) for each, (_, item) in zip(report.items, wanted, strict=True)]
    assert all(value == own for value, own in told if own is not None), told
    assert report.title == name_of(made)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_on_a_page_or_in_lines(name: str) -> None:
    report, _ = report_of(name)
    page, lines = unescape(render_html(report)), render_plain(report)
    for each in report.items:
        assert each.value in page
        assert all(line in lines for line in each.value.splitlines())


def test_no_text_becomes_markup() -> None:
    item = {"0040A040": {"Value": ["TEXT"]}, "0040A160": {"Value": ["<script>alert('&')</script>"]}}
    page = render_html(read_report({"0040A730": {"vr": "SQ", "Value": [item]}, "00100010": {"Value": [{"A": "<i>"}]}}))
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page


def test_what_is_not_as_it_should_be_is_left_out() -> None:
    odd = {"0040A730": {"vr": "SQ", "Value": [{}, None, 5, {"0040A040": {"Value": ["NUM"]}}, {"0040DB73": {"Value": [1, 2]}}, {"0040A040": {"vr": "CS"}}]}}  # fmt: skip
    report = read_report(odd)
    assert report.title == "Report"
    assert [each.value for each in report.items] == ["", "", "(see 1.2)", ""]
