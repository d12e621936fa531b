"""What the machine denied a job is told in one sentence, and no whole file is called damaged for it."""

import errno
import os
import pickle
import re

import pytest
from brainmet.errors import BrainmetError
from brainmet.run.job import job


def stopped(snakemake, capsys, error: BaseException) -> str:
    with pytest.raises(SystemExit) as raised, job(snakemake):
        raise error
    assert raised.value.code == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "x.tsv"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "x.tsv"),
        OSError("Can't synchronously write data (file write failed: errno = 28, error message = 'No space left')"),
        RuntimeError("Can't decrement id ref count (unable to extend file properly, errno = 28)"),
    ],
)
def test_a_full_disk_is_told_with_what_is_free(snakemake, capsys, error):
    printed = stopped(snakemake, capsys, error)
    assert "no space left on the disk (" in printed and "MB free) in rule qc; make room and run the same" in printed


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_named(snakemake, capsys, tmp_path, code):
    place = tmp_path / "x.tsv"
    printed = stopped(snakemake, capsys, OSError(code, "", str(place)))
    assert printed.startswith(f"brainmet: {place}: cannot be written (") and "-d FOLDER" in printed


def test_a_whole_file_is_not_called_damaged_when_there_is_no_room_to_unpack_it(snakemake, capsys, tmp_path):
    error = BrainmetError("raw.rds.gz: the file is truncated or damaged; delete it and fetch it again")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x.rds"))
    printed = stopped(snakemake, capsys, error)
    assert re.match(
        rf"brainmet: {tmp_path}/x.rds: no space left on the disk \(\d+ MB free\) in rule qc; make room", printed
    )


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_others_that_cannot_be_read_is_not_called_damaged(snakemake, capsys, tmp_path, monkeypatch, wrapped):
    (tmp_path / "raw.tar").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.F_OK or not str(path).endswith("raw.tar"))
    error = OSError(errno.EACCES, "", str(tmp_path / "raw.tar"))
    if wrapped:
        damaged = BrainmetError("raw.tar: the file is truncated or damaged; delete it and fetch it again")
        damaged.__cause__ = error
        error = damaged
    printed = stopped(snakemake, capsys, error)
    assert "raw.tar: cannot be read (Permission denied) in rule qc; get the right to read it" in printed


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("std::bad_alloc"),
     ImportError("libx.so: failed to map segment from shared object")],
)  # fmt: skip
def test_too_little_memory_is_named_with_the_remedy(snakemake, capsys, error):
    printed = stopped(snakemake, capsys, error)
    assert printed.startswith("brainmet: out of memory in rule qc of sample S1, which asks for 1500 MB; ")
    assert "--set-resources qc:mem_mb=3000" in printed


def test_a_file_that_memory_was_too_short_to_read_is_not_called_damaged(snakemake, capsys):
    said = "x.h5ad: cannot be read as counts (Can't synchronously read data (memory allocation failed for chunk))"
    printed = stopped(snakemake, capsys, BrainmetError(f"{said}; delete it and run again"))
    assert printed.startswith("brainmet: out of memory in rule qc of sample S1") and "delete" not in printed


def test_too_few_threads_may_be_a_limit_of_processes(snakemake, capsys):
    printed = stopped(snakemake, capsys, RuntimeError("can't start new thread"))
    assert printed.startswith("brainmet: out of memory, or of processes and threads in rule qc of sample S1")
    assert "lift the limit (ulimit -v, ulimit -u)" in printed


def test_a_mac_without_openmp_is_told_what_to_install(snakemake, capsys):
    loader = "['dlopen(libxgboost.dylib, 0x0006): Library not loaded: @rpath/libomp.dylib\n  Referenced from: ...']"
    printed = stopped(snakemake, capsys, RuntimeError(f"XGBoost could not be loaded.\n{loader}"))
    assert "XGBoost finds no OpenMP in rule qc; install it (brew install libomp) and run the same command" in printed


def test_the_cause_behind_an_error_counts(snakemake, capsys):
    error = RuntimeError("while writing")
    error.__cause__ = OSError(errno.ENOSPC, "")
    assert "no space left" in stopped(snakemake, capsys, error)


@pytest.mark.parametrize(
    ("place", "kept", "told"),
    [
        ("work/.cache/numba", False, "the cache of compiled kernels was damaged and is deleted now"),
        ("shared", True, "shared (NUMBA_CACHE_DIR): the cache of compiled kernels is damaged; delete it, or unset"),
    ],
)
@pytest.mark.parametrize("kind", [pickle.UnpicklingError, EOFError])
def test_a_damaged_cache_is_deleted_where_it_is_our_own(
    snakemake, capsys, tmp_path, monkeypatch, place, kept, told, kind
):
    cache = tmp_path / place
    cache.mkdir(parents=True)
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    code = compile("def load(): raise kind('truncated')", "/x/numba/core/caching.py", "exec")
    names: dict = {"kind": kind}
    exec(code, names)
    with pytest.raises(SystemExit), job(snakemake):
        try:
            names["load"]()
        except EOFError as error:  # as a reader that called the kernel
            raise BrainmetError("x.mtx.gz: the file is truncated; fetch it again") from error
    assert told in capsys.readouterr().err
    assert cache.exists() == kept
