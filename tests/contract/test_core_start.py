"""What the core says when it opens its folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from events.errors import BadMedium
from tools.server.core import Core


def test_an_archive_of_orthanc_is_told_of_once(
    archive_factory: Callable[..., Core], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "index").write_bytes(b"SQLite format 3\0")
    archive_factory().stop()
    assert f"sinogram import {tmp_path / 'storage'}" in caplog.text
    caplog.clear()
    archive_factory()
    assert "Orthanc" not in caplog.text


def test_new_folders_are_nobodys(archive_factory: Callable[..., Core], caplog: pytest.LogCaptureFixture) -> None:
    archive_factory()
    assert "Orthanc" not in caplog.text


def test_a_refusal_names_the_folders(archive_factory: Callable[..., Core], tmp_path: Path) -> None:
    archive_factory()
    with pytest.raises(BadMedium, match="another server") as refused:
        archive_factory()
    assert f"(index {tmp_path / 'index'}, storage {tmp_path / 'storage'})" in str(refused.value)
