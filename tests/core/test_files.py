"""Files appear whole or not at all."""

import pytest
from brainmet.core.files import replacing


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "folder" / "x"
    with replacing(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["x"]


def test_what_a_killed_job_left_is_swept(tmp_path):
    left, other = tmp_path / ".x.99999.part", tmp_path / ".xy.99999.part"
    left.write_text("half")
    other.write_text("half")
    with replacing(tmp_path / "x") as partial:
        partial.write_text("whole")
    assert not left.exists() and other.exists()
