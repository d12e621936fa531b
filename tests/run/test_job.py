"""What every script does first."""

import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from brainmet.errors import BrainmetError
from brainmet.run.job import job
from threadpoolctl import threadpool_info


def test_params_and_one_thread(snakemake):
    np.ones((2, 2)) @ np.ones((2, 2))
    with job(snakemake) as params:
        assert params == {"n_mads": 3}
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}


STOPPED = """
import os, signal, sys
from types import SimpleNamespace
from brainmet.core.files import replacing
from brainmet.run.job import job
signal.signal(signal.SIGINT, signal.default_int_handler)
with job(SimpleNamespace(log=[sys.argv[1]], params={})), replacing(sys.argv[2]) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_ends_a_job_in_silence_and_leaves_nothing(tmp_path):
    words = [sys.executable, "-c", STOPPED, tmp_path / "x.log", tmp_path / "made" / "x"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    assert list((tmp_path / "made").iterdir()) == []


LATER = """
import sys
from types import SimpleNamespace
from brainmet.run.job import job
with job(SimpleNamespace(log=[sys.argv[1]], params={})):
    import scipy.linalg
    from threadpoolctl import threadpool_info
    found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert len(found) == 2, "numpy and scipy each bring a library of their own"
    print(max(found))
"""


def test_libraries_loaded_inside_a_job_get_one_thread(tmp_path):
    """Two threads of BLAS add in another order, and Snakemake asks for as many as the rule has."""
    given = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "GOTO_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", LATER, tmp_path / "x.log"], capture_output=True, text=True, env={**os.environ, **given}
    )
    assert done.stdout == "1\n", done.stderr


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
    vars(snakemake.wildcards).clear()
    with pytest.raises(SystemExit), job(snakemake):
        raise BrainmetError("no space")
    assert capsys.readouterr().err == "brainmet: no space\n"


def test_a_bug_keeps_its_traceback(snakemake, tmp_path):
    with pytest.raises(ZeroDivisionError), job(snakemake):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError" in (tmp_path / "logs/qc/S1.log").read_text()


def test_a_log_that_cannot_be_written_is_told(snakemake, capsys, tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(OSError), job(snakemake):
        pass
    assert not logging.raiseExceptions
