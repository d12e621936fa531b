"""The kernel that every job computes with is named only where the processor has its instructions."""

import pytest
from brainmet.run.processor import has_avx2


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu sse4_2 avx avx2 fma", True), ("fpu sse4_2 avx", False), ("fpu asimd", False)]
)
def test_avx2_is_read_from_the_flags(tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert has_avx2(tmp_path / "cpuinfo") is expected


def test_without_a_description_there_is_no_answer(tmp_path):
    assert not has_avx2(tmp_path / "cpuinfo")
