"""A file that ends at Pixel Data shows the tags that the whole file shows."""

import pytest

from events.errors import SinogramError
from store.dicom.heads import HEADER_BYTES, can_end_at_pixels, end_at_pixels
from store.dicom.rendering import render_header, render_tags
from store.dicom.summary import summarize
from tests.data_factory import Sample, add_pixels, all_files, dataset, encode

SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def samples() -> list[Sample]:
    found = []
    for sample in all_files():
        try:
            summary = summarize(sample.data)
        except SinogramError:  # it is not stored
            continue
        if summary.pixel_data_offset is not None and can_end_at_pixels(summary.transfer_syntax):
            found.append(sample)
    return found


def head_of(data: bytes) -> bytes:
    summary = summarize(data)
    assert summary.pixel_data_offset is not None
    end = summary.pixel_data_offset
    head = end_at_pixels(data[: end + HEADER_BYTES], end, summary.transfer_syntax)
    assert len(head) <= end + HEADER_BYTES + 16
    return head


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_the_tags_are_those_of_the_whole_file(sample: Sample) -> None:
    head = head_of(sample.data)
    for form in ("full", "simplify", "short"):
        assert render_tags(head, form) == render_tags(sample.data, form)
        assert render_header(head, form) == render_header(sample.data, form)
    assert "7fe0,0010" in render_tags(head)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_of_every_byte_order_are_left_out(syntax: str) -> None:
    head = head_of(encode(add_pixels(dataset(), rows=40), syntax=syntax))
    assert render_tags(head)["7fe0,0010"] == {"Name": "PixelData", "Type": "Null", "Value": None}


def test_there_are_samples_of_both_kinds() -> None:
    syntaxes = {summarize(sample.data).transfer_syntax for sample in samples()}
    assert syntaxes >= {*SYNTAXES, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"}


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "", "1.2.3.4"])
def test_a_dataset_that_does_not_lie_open_has_no_head(syntax: str) -> None:
    assert not can_end_at_pixels(syntax)
