"""What every script does first."""

from types import SimpleNamespace

import numpy as np
import pytest
from brainmet.errors import BrainmetError
from brainmet.files import replacing
from brainmet.job import job
from threadpoolctl import threadpool_info


@pytest.fixture
def snakemake(tmp_path):
    wildcards = SimpleNamespace(sample="S1")
    return SimpleNamespace(log=[str(tmp_path / "logs/qc/S1.log")], params={"n_mads": 3}, wildcards=wildcards)


def test_params_and_one_thread(snakemake):
    np.ones((2, 2)) @ np.ones((2, 2))
    with job(snakemake) as params:
        assert params == {"n_mads": 3}
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}


def test_an_error_is_one_sentence_with_the_line_to_add(snakemake, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped, job(snakemake):
        raise BrainmetError("x.mtx.gz: ends early; download it again")
    assert stopped.value.code == 1
    expected = (
        "sample S1: x.mtx.gz: ends early; download it again. "
        "To go on without this sample, add it to your config: exclude: [S1]"
    )
    assert capsys.readouterr().err == f"brainmet: {expected}\n"
    assert expected in (tmp_path / "logs/qc/S1.log").read_text()


def test_a_cohort_job_names_no_sample(snakemake, capsys):
    snakemake.wildcards = SimpleNamespace()
    with pytest.raises(SystemExit), job(snakemake):
        raise BrainmetError("no space")
    assert capsys.readouterr().err == "brainmet: no space\n"


def test_a_bug_keeps_its_traceback(snakemake, tmp_path):
    with pytest.raises(ZeroDivisionError), job(snakemake):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError" in (tmp_path / "logs/qc/S1.log").read_text()


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
