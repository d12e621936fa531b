"""A second look at quality control: a type that limits take is flagged."""

import numpy as np
import pytest
from brainmet.core.counts import open_counts, write_counts
from brainmet.core.tables import conform
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.qc.dropped import dropped

from tests.annotation_toy import TYPES, options, toy

LIMITS = {"options": options("markers"), "flag_type": 0.2, "min_cells": 20}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    X, cells, genes, kind = toy(gain=(), seed=3)
    path = tmp_path_factory.mktemp("sample") / "counts.h5ad"
    write_counts(path, X, cells[["sample"]], genes, {"values": "counts"})
    return open_counts(path), cells.assign(keep=True, reason=""), kind


def test_a_type_that_was_dropped_is_flagged(sample):
    counts, cells, kind = sample
    myeloid, fibroblast = (np.flatnonzero(kind == name) for name in ("myeloid", "fibroblast"))
    reason = cells["reason"].to_numpy(object).copy()
    reason[myeloid[:20]] = "low_genes;high_mt"
    reason[myeloid[20:24]] = "high_mt"
    reason[fibroblast[:6]] = "low_genes"
    reason[kind == "t_cell"] = "doublet"
    cells = cells.assign(reason=reason, keep=reason == "")
    table = dropped(counts, cells, types=load_cell_types([TYPES]), **LIMITS)
    rows = conform(table, "dropped").set_index("provisional_type")
    assert rows.index[0] == "myeloid" and rows.flagged.to_dict() == {n: n == "myeloid" for n in rows.index}
    assert rows.n_dropped["myeloid"] == 24 and rows.share_dropped["myeloid"] == pytest.approx(0.6, abs=0.02)
    assert rows.main_reason["myeloid"] == "high_mt" and rows.main_reason["epithelial"] == ""
    assert rows.share_dropped["fibroblast"] == pytest.approx(0.15, abs=0.02)
    assert "t_cell" not in rows.index, "doublets are dropped for what they are"


def test_empty_barcodes_are_no_cells(sample):
    counts, cells, _ = sample
    assert dropped(counts, cells.assign(reason="empty", keep=False), types=load_cell_types([TYPES]), **LIMITS).empty
