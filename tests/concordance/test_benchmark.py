"""The benchmark of methods, optional references and the mapping of their labels."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from brainmet.annotate import celltypist, labels, run, sctype
from brainmet.concordance.benchmark import alone, annotation_benchmark
from brainmet.core.counts import open_counts, write_counts
from brainmet.core.tables import conform
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES, options, toy
from tests.conftest import HOME

MODEL = HOME.parent / "shared/reference/celltypist/Immune_All_High.pkl"


@pytest.fixture(scope="module")
def types():
    return load_cell_types([TYPES])


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    X, cells, genes, kind = toy(gain=(), seed=3)
    path = tmp_path_factory.mktemp("sample") / "counts.h5ad"
    write_counts(path, X, cells[["sample"]], genes, {"values": "counts"})
    return open_counts(path), cells.assign(keep=True), kind


def _annotation(cells, kind):
    table = cells.assign(cluster="0", cell_type=kind, confidence=np.float32(1), malignancy="normal")
    return table.drop(columns="keep")


def test_the_whole_stands_first_and_each_method_is_measured(sample, types):
    counts, cells, kind = sample
    wrong = kind.copy()
    wrong[:40] = "unknown"  # all epithelial cells
    table = annotation_benchmark(
        [(counts, cells)], {"cells": cells}, _annotation(cells, wrong), types=types, methods=["markers"],
        options={"markers": options("markers")}, n_bootstrap=20, n_bins=5, seed=1,
    )  # fmt: skip
    conform(table, "annotation_benchmark")
    rows = table.set_index("method")
    assert table["method"].iloc[0] == "brainmet" and rows.at["brainmet", "accuracy"] == 0.75
    assert rows.at["brainmet", "unknown"] == 0.25 and rows.at["brainmet", "macro_f1"] == 0.75
    assert rows.at["brainmet", "accuracy_low"] < 0.75 < rows.at["brainmet", "accuracy_high"]
    assert rows.at["markers", "accuracy"] > 0.95 and rows.at["markers", "cpu_seconds"] > 0
    assert np.isnan(rows.at["markers", "malignant_false"]) and rows.at["brainmet", "malignant_false"] == 0
    assert rows.at["singler", "status"] == "not_run" and "needs reference, labels" in rows.at["singler", "reason"]


def test_no_labels_is_an_error(sample, types):
    counts, cells, kind = sample
    table = _annotation(cells.assign(author_cell_type=""), kind)
    with pytest.raises(BrainmetError, match="no cell of the run has an author's label"):
        annotation_benchmark(
            [(counts, cells)], {}, table, types=types, methods=["markers"], options={}, n_bootstrap=0, n_bins=5, seed=1
        )


def test_sctype_names_clusters(sample, types):
    counts, cells, kind = sample
    table = sctype.annotate(counts, cells, types=types)
    called = table.drop(columns="note").idxmax(axis=1).str.removeprefix("vote_")
    assert (called == kind).mean() > 0.9


def test_a_method_without_votes_calls_nothing(sample, types):
    _, cells, kind = sample
    assert alone(pd.DataFrame({"near_1": -1}, index=cells.index), _annotation(cells, kind), types) is None


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Tem/Effector helper T cells", "t_cell"), ("NK cells", "nk"), ("Plasma cells", "plasma"), ("pDC", "pdc"),
        ("Classical monocytes", "myeloid"), ("OPC", "opc"), ("Oligodendrocytes", "oligodendrocyte"),
        ("microglia", "myeloid"), ("Luminal epithelial cell of mammary gland", "epithelial"), ("NKT cells", "t_cell"),
        ("Excitatory neurons", "neuron"), ("Naive B cells", "b_cell"), ("Endothelial cells", "endothelial"),
    ],
)  # fmt: skip
def test_words_of_labels(types, label, kind):
    assert labels.as_types([label], types, {}) == {label: kind}


def test_a_given_map_goes_first_and_is_checked(types):
    assert labels.as_types(["T cells", "x"], types, {"T cells": "mast"}) == {"T cells": "mast"}
    with pytest.raises(BrainmetError, match="type 'nobody' is not known"):
        labels.as_types(["x"], types, {"x": "nobody"})


def test_votes_are_shares_among_known_types(types):
    shares = pd.DataFrame({"a": [0.2, 0.0], "b": [0.2, 0.0], "c": [0.1, 0.0], "?": [0.9, 1.0]}, index=["x", "y"])
    table = labels.votes(shares, {"a": "nk", "b": "nk", "c": "t_cell"}, source="R")
    assert table["vote_nk"].tolist() == pytest.approx([0.8, 0]) and table["vote_t_cell"].tolist() == pytest.approx(
        [0.2, 0]
    )
    assert table["note"].tolist() == ["R: ?", "R: ?"]


def test_a_missing_library_and_missing_options_are_sentences(sample, types):
    counts, cells, _ = sample
    with pytest.raises(BrainmetError, match=r"no_such_library, which is not installed .*uv sync --extra references"):
        labels.library("no_such_library", "celltypist")
    with pytest.raises(BrainmetError, match=r"annotate\.celltypist: needs model"):
        run("celltypist", {"counts": counts, "cells": cells, "types": types})


@pytest.mark.skipif(not importlib.util.find_spec("celltypist"), reason="optional: uv sync --extra references")
@pytest.mark.skipif(not MODEL.is_file(), reason=f"no model at {MODEL}")
def test_celltypist_votes_like_the_library(tmp_path, types):
    """Blood cells of one model, against what CellTypist itself says of them."""
    import anndata
    import celltypist as library

    model = library.models.Model.load(str(MODEL))
    rng = np.random.default_rng(0)
    genes = pd.DataFrame({"symbol": model.features, "chromosome": "1", "start": 1, "end": 2})
    genes.index = pd.Index([f"ENSG{i:011d}" for i in range(len(genes))], name="ensembl_id")
    X = rng.poisson(rng.lognormal(-1, 1, (30, len(genes)))).astype(np.float32)
    cells = pd.DataFrame({"sample": "S"}, index=pd.Index([f"S:{i}" for i in range(30)], name="cell_id", dtype=object))
    write_counts(tmp_path / "c.h5ad", X, cells, genes, {"values": "counts"})
    table = celltypist.annotate(
        open_counts(tmp_path / "c.h5ad"), cells.assign(keep=True), types=types, model=str(MODEL)
    )
    logs = anndata.AnnData(np.log1p(X / X.sum(axis=1, keepdims=True) * 1e4), var=pd.DataFrame(index=model.features))
    theirs = library.annotate(logs, model=model).predicted_labels["predicted_labels"].to_numpy(str)
    assert table["note"].str.removeprefix("CellTypist: ").tolist() == theirs.tolist()
