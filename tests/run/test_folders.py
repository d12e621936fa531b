"""The folders of a run before any job."""

import os
import shutil
from types import SimpleNamespace

import pytest
from brainmet.errors import BrainmetError
from brainmet.run import folders


def test_a_folder_to_write_to_is_fine_and_a_missing_one_is_made_later(tmp_path):
    folders.check([tmp_path, tmp_path / "later"])


def test_a_closed_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(BrainmetError, match=rf"{tmp_path}: cannot be written; make .* or .* -d FOLDER"):
        folders.check([tmp_path])


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(BrainmetError, match="results: cannot be written"):
        folders.check([tmp_path / "results"])


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    with pytest.raises(BrainmetError, match=r"its disk is full \(4 kB free\); make room"):
        folders.check([tmp_path])


def test_a_folder_is_needed_where_files_are_missing(tmp_path):
    (tmp_path / "downloads/A").mkdir(parents=True)
    (tmp_path / "downloads/A/x.tar").write_text("")
    there, beside, new = (tmp_path / "downloads" / name for name in ("A/x.tar", "A/y.tar", "B/z.tar"))
    assert folders.to_fill([there]) == []
    assert folders.to_fill([there, beside, new, new.with_name("w.tar")]) == [tmp_path / "downloads", there.parent]
