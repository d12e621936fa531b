"""Damaged input files of every layout: whatever is wrong with the bytes, the user is told one sentence."""

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.test_fuzz import fuzz
from tests.ingest.test_ingest import BARCODES, SYMBOLS, counts, dense, run, write_h5, write_triplet
from tests.ingest.test_ingest_readers import write_loom
from tests.ingest.test_rds import OBJECTS, save, version3

SMALL = [pytest.param(20, marks=[pytest.mark.slow, pytest.mark.ci]), pytest.param(200, marks=pytest.mark.slow)]
"""Damages of each kind of file: 20 in continuous integration, 200 by hand."""


def table(folder: Path) -> bytes:
    return dense(counts(), SYMBOLS, BARCODES, sep="\t")


def packed(path: Path, data: bytes) -> list[Path]:
    path.write_bytes(data)
    return [path]


def write_zip(folder: Path) -> list[Path]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/table.tsv", table(folder))
    return packed(folder / "table.zip", buffer.getvalue())


def write_h5ad(folder: Path) -> list[Path]:
    obs, var = pd.DataFrame({"who": list("aabbaa")}, index=BARCODES), pd.DataFrame(index=SYMBOLS)
    adata = ad.AnnData(sp.csr_matrix(counts().T.astype(np.float32)), obs=obs, var=var)
    adata.write_h5ad(folder / "a.h5ad", compression="gzip")
    return [folder / "a.h5ad"]


def write_sheet(folder: Path) -> list[Path]:
    pd.DataFrame(counts(), index=SYMBOLS, columns=BARCODES).to_excel(folder / "a.xlsx")
    return [folder / "a.xlsx"]


KINDS: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "mtx": ("tenx_triplet", lambda folder: write_triplet(folder, counts(), gz=False)),
    "mtx.gz": ("tenx_triplet", lambda folder: write_triplet(folder, counts())),
    "tsv": ("dense_text", lambda folder: packed(folder / "table.tsv", table(folder))),
    "tsv.gz": ("dense_text", lambda folder: packed(folder / "table.tsv.gz", gzip.compress(table(folder)))),
    "zip": ("dense_text", write_zip),
    "xlsx": ("dense_text", write_sheet),
    "h5": ("tenx_h5", lambda folder: [write_h5(folder / "a.h5", counts(), version=3)]),
    "h5ad": ("h5ad", write_h5ad),
    "loom": ("loom", lambda folder: [write_loom(folder / "a.loom")]),
    "rds": ("rds", lambda folder: [save(version3(), folder / "a.rds")]),
    "rds, not packed": ("rds", lambda folder: [Path(shutil.copy(OBJECTS / "seurat_unpacked.rds", folder / "a.rds"))]),
}
"""Kind of file to its layout and what writes it."""
HDF5 = b"\x89HDF"


@st.composite
def damaged(draw, data: bytes) -> bytes:
    """The bytes cut, with a hole, with some changed, with junk between, or not those of such a file at all.

    HDF5 is cut or another file only: on a tree of objects whose bytes were changed the HDF5 library itself may loop for
    ever, which nothing above it can end.
    """
    acts = ["cut", "replace"] if data.startswith(HDF5) else ["cut", "hole", "change", "insert", "replace"]
    act = draw(st.sampled_from(acts))
    at = draw(st.integers(0, len(data) - 1))
    if act == "cut":
        return data[:at]
    if act == "hole":
        size = draw(st.integers(1, 600))
        return data[:at] + b"\0" * len(data[at : at + size]) + data[at + size :]
    if act == "insert":
        return data[:at] + draw(st.binary(min_size=1, max_size=20)) + data[at:]
    if act == "replace":
        return draw(st.sampled_from([b"", b"\n", b"<html><body>404 Not Found</body></html>", b"\xff\xfe", data[::-1]]))
    changed = bytearray(data)
    for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=8)):
        changed[place] = draw(st.integers(0, 255))
    return bytes(changed)


@pytest.mark.parametrize("n", SMALL)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind, n, tmp_path, human):
    layout, write = KINDS[kind]
    files = write(tmp_path)
    whole = [path.read_bytes() for path in files]
    told = []

    @fuzz(n)
    @given(st.data())
    def check(data):
        which = data.draw(st.integers(0, len(files) - 1))
        files[which].write_bytes(data.draw(damaged(whole[which])))
        try:
            run(layout, files, human)
        except BrainmetError as error:
            told.append(str(error))
            assert str(error) and "\n" not in str(error)
        finally:
            files[which].write_bytes(whole[which])

    check()
    assert len(told) > n / 4, "the damage is too mild to be a test"
