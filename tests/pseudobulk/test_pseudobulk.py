"""Sums by donor and type against pandas; genes that a sample does not measure stay unknown."""

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet import pseudobulk as stage
from brainmet.core.counts import Counts, open_counts, write_counts
from brainmet.errors import BrainmetError
from brainmet.pseudobulk import type_profiles


def sample(path: Path, name: str, genes: list[str], seed: int = 0) -> tuple[Counts, pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.poisson(0.7, (40, len(genes)))
    cells = pd.DataFrame(
        {"dataset": "d", "study": "st", "sample": name, "donor": rng.choice(["p", "q"], 40), "condition": "primary"}
    )
    cells.index = pd.Index([f"{name}:{i}" for i in range(40)], name="cell_id")
    table = pd.DataFrame(
        {"symbol": genes, "chromosome": "1", "start": 1, "end": 2}, index=pd.Index(genes, name="ensembl_id")
    )
    write_counts(path / f"{name}.h5ad", sp.csr_matrix(x), cells, table, {})
    annotation = cells[["donor", "condition"]].assign(cell_type=rng.choice(["t_cell", "microglia"], 40))
    return open_counts(path / f"{name}.h5ad"), annotation[rng.random(40) < 0.8], x


def test_sums_equal_a_group_by(tmp_path: Path) -> None:
    counts, annotation, x = sample(tmp_path, "S", ["g1", "g2", "g3"])
    bulk = stage.pseudobulk(counts, annotation, covariates={"er": "pos", "pr": "neg", "her2": "0"})
    frame = pd.DataFrame(x, counts.cells.index).loc[annotation.index]
    keys = [annotation["donor"], annotation["cell_type"]]
    np.testing.assert_array_equal(bulk.X, frame.groupby(keys).sum())
    np.testing.assert_array_equal(bulk.layers["n_cells_detected"], (frame > 0).groupby(keys).sum())
    np.testing.assert_array_equal(bulk.obs["n_cells"], frame.groupby(keys).size())
    assert set(bulk.obs["subtype"]) == {"HR_pos"}


def test_logs_are_undone_before_they_are_summed(tmp_path: Path) -> None:
    counts, annotation, x = sample(tmp_path, "S", ["g1", "g2", "g3"])
    write_counts(tmp_path / "L.h5ad", sp.csr_matrix(np.log1p(x)), counts.cells, counts.genes, {"values": "log"})
    logs = stage.pseudobulk(open_counts(tmp_path / "L.h5ad"), annotation, covariates={})
    plain = stage.pseudobulk(counts, annotation, covariates={})
    np.testing.assert_allclose(logs.X, plain.X, rtol=1e-5)
    np.testing.assert_array_equal(logs.layers["n_cells_detected"], plain.layers["n_cells_detected"])


def test_what_the_matrix_was_found_to_hold_counts_not_what_was_declared(tmp_path: Path) -> None:
    counts, annotation, _ = sample(tmp_path, "S", ["g1", "g2"])
    found = replace(counts, uns={"values": "counts"})
    assert set(stage.pseudobulk(found, annotation, covariates={"values": "log"}).obs["values"]) == {"counts"}


def test_an_unmeasured_gene_is_unknown_not_zero(tmp_path: Path) -> None:
    parts = [
        stage.pseudobulk(*sample(tmp_path, name, genes, seed)[:2], covariates={})
        for seed, (name, genes) in enumerate({"A": ["g1", "g2"], "B": ["g3", "g1"]}.items())
    ]
    bulk = stage.collect(parts)
    assert bulk.var.index.tolist() == ["g1", "g2", "g3"]
    frame = pd.DataFrame(bulk.X).groupby(bulk.obs["sample"].to_numpy()).agg(lambda v: v.isna().mean())
    assert frame.to_numpy().tolist() == [[0, 0, 1], [0, 1, 0]]


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    bulk = stage.pseudobulk(*sample(tmp_path, "S", ["g1", "g2"])[:2], covariates={})
    stage.write(bulk, tmp_path / "x.h5ad")
    back = stage.read(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(stage.read_profiles(tmp_path / "x.h5ad"), back.obs)
    pd.testing.assert_frame_equal(back.obs, bulk.obs)
    np.testing.assert_array_equal(back.X, bulk.X)
    other = anndata.read_h5ad(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(other.to_df(), pd.DataFrame(bulk.X, bulk.obs.index, bulk.var.index))
    with pytest.raises(BrainmetError, match="cannot be read as pseudobulk"):
        (tmp_path / "bad.h5ad").write_text("no")
        stage.read(tmp_path / "bad.h5ad")
    with pytest.raises(BrainmetError, match="delete it and run again"):
        stage.read_profiles(tmp_path / "bad.h5ad")


def test_cells_that_the_counts_lack_are_an_error(tmp_path: Path) -> None:
    counts, annotation, _ = sample(tmp_path, "S", ["g1"])
    with pytest.raises(BrainmetError, match="lacks 1 annotated cells"):
        stage.pseudobulk(counts, annotation.rename(index={annotation.index[0]: "S:none"}), covariates={})


def test_donors_of_one_name_in_two_studies_of_a_sample_are_two_people(tmp_path: Path) -> None:
    counts, annotation, x = sample(tmp_path, "S", ["g1", "g2"])
    study = np.where(np.arange(40) < 20, "one", "two")
    two = replace(counts, cells=counts.cells.assign(study=study))
    bulk = stage.pseudobulk(two, annotation, covariates={"suspension": "cell", "values": "counts"})
    keys = [pd.Series(study, counts.cells.index).loc[annotation.index], annotation["donor"], annotation["cell_type"]]
    np.testing.assert_array_equal(bulk.X, pd.DataFrame(x, counts.cells.index).loc[annotation.index].groupby(keys).sum())
    assert bulk.obs.index.is_unique and set(bulk.obs["study"]) == {"one", "two"}
    found = type_profiles.samples(bulk, suspensions=["cell"], values=["counts"])
    assert [(p.about["study"], p.about["donor"]) for p in found] == [(s, d) for s in ("one", "two") for d in "pq"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(("pos", "neg", "pos"), "HER2_pos"), (("neg", "neg", "amp"), "HER2_pos"), (("neg", "neg", "low"), "TNBC"),
     (("pos", "neg", "0"), "HR_pos"), (("unknown", "neg", "0"), "unknown"), (("neg", "neg", "unknown"), "unknown")],
)  # fmt: skip
def test_subtype(status: tuple[str, str, str], expected: str) -> None:
    assert stage.subtype(*status) == expected
