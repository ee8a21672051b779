"""Which bulk data of a request an address names."""

import time

from api.dicomweb.store.bulk_parts import BulkParts
from store.dicom.model_writer import Bulk, Extent
from store.dicom.uids import EXPLICIT_LE

MANY = 50_000


def test_many_parts_of_one_address_cost_no_more_than_as_many_addresses() -> None:
    parts = BulkParts("http://pacs/dicom-web/studies")
    began_s = time.process_time()
    for place in range(MANY):
        parts.add("bulk", EXPLICIT_LE, Extent(place, 1))
    # 0.1 s; where each part is joined to those before it, a minute.
    assert time.process_time() - began_s < 10
    assert parts.find("bulk") == Bulk([Extent(place, 1) for place in range(MANY)], EXPLICIT_LE)


def test_parts_in_two_transfer_syntaxes_are_no_pixels() -> None:
    parts = BulkParts("http://pacs/")
    parts.add("bulk", EXPLICIT_LE, Extent(0, 1))
    parts.add("bulk", None, Extent(1, 1))
    assert parts.find("bulk") == Bulk([Extent(0, 1), Extent(1, 1)], None)


def test_parts_of_a_frame_go_into_it_in_their_order() -> None:
    parts = BulkParts("http://pacs/")
    for place, location in enumerate(("a/frames/2", "a/frames/1", "a/frames/2")):
        parts.add(location, EXPLICIT_LE, Extent(place, 1))
    assert parts.find("a") == Bulk([Extent(1, 1), Extent(0, 1), Extent(2, 1)], EXPLICIT_LE)
    assert parts.find("a/frames/2") == Bulk([Extent(0, 1), Extent(2, 1)], EXPLICIT_LE)
    assert parts.find("b") is None
