"""Files, folders and archives are uploaded, each with what became of it."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a CD has it: images in folders, and what is no DICOM file."""
    made = tmp_path / "disc"
    for number in range(12):
        path = made / f"series{number % 3}" / f"image{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_study(number))
    (made / "README.TXT").write_text("for patients")
    return made


def test_a_folder_arrives_whole_and_what_is_no_image_is_named(
    visit: Callable[..., Visit], site: Site, folder: Path
) -> None:
    made = visit("/upload")
    page = made.page
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.get_by_text("13 of 13 files · 12 instances")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="README.TXT").first).to_contain_text("invalid DICOM file")
    assert made.find_barriers() == []
    made.screenshot("upload")
    assert site.ask("/statistics")["CountInstances"] == 12
    assert all(
        "400 (Bad Request)" in complaint for complaint in made.complaints
    )  # what the browser tells of the text file
    made.complaints.clear()


def test_an_archive_is_taken_apart(visit: Callable[..., Visit], site: Site, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(20, 25):
            archive.writestr(f"images/{number}.dcm", make_study(number))
    (tmp_path / "images.zip").write_bytes(packed.getvalue())
    made = visit("/upload")
    made.page.get_by_label("Choose files").set_input_files(tmp_path / "images.zip")
    expect(made.page.get_by_text("5 instances stored")).to_be_visible()
    made.page.get_by_label("Choose files").set_input_files(tmp_path / "images.zip")
    expect(made.page.get_by_text("2 of 2 files")).to_be_visible()


_DROP = """([names, contents]) => {
    const data = new DataTransfer();
    names.forEach((name, place) => data.items.add(new File([Uint8Array.from(contents[place])], name)));
    const zone = document.querySelector('.drop');
    for (const type of ['dragover', 'drop']) zone.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_dropped_files_are_sent(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/upload")
    files = [make_study(number) for number in (30, 31)]
    expect(made.page.get_by_role("group", name="Drop")).to_be_visible()
    made.page.evaluate(_DROP, [["a.dcm", "b.dcm"], [list(file) for file in files]])
    expect(made.page.get_by_text("2 of 2 files · 2 instances")).to_be_visible()


def test_uploads_go_on_while_something_else_is_looked_at(
    visit: Callable[..., Visit], site: Site, tmp_path: Path
) -> None:
    before = site.ask("/statistics")["CountInstances"]
    for number in range(100, 140):
        (tmp_path / f"{number}").write_bytes(make_study(number))
    made = visit("/upload")
    made.page.get_by_label("Choose files").set_input_files([*tmp_path.iterdir()])
    made.page.get_by_role("link", name="Archive").click()
    expect(made.page.get_by_role("heading", name="Studies")).to_be_visible()
    made.page.get_by_role("link", name="Upload").click()
    expect(made.page.get_by_text("40 of 40 files")).to_be_visible()
    assert site.ask("/statistics")["CountInstances"] == before + 40
