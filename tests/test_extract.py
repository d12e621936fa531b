"""Parts of the atlas: the right cells, the names CELLxGENE keeps for itself, pseudobulk as text."""

import subprocess
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from brainmet.extract import by_value, for_cellxgene, pseudobulk_text, subset

from tests.running import snakemake

VALIDATOR = ["uv", "run", "-q", "--isolated", "--no-project", "--with", "cellxgene-schema", "cellxgene-schema"]


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    obs = pd.DataFrame(
        {"sample": pd.Categorical(list("aabb")), "cell_type": pd.Categorical(["t_cell", "nk", "t_cell", "neuron"])},
        index=list("wxyz"),
    )
    data = anndata.AnnData(sp.csr_matrix(np.eye(4, 3, dtype=np.float32)), obs=obs)
    data.raw = data
    data.write_h5ad(tmp_path / "atlas.h5ad")
    return tmp_path / "atlas.h5ad"


def test_a_subset_has_its_cells_and_no_other_categories(atlas):
    part = subset(atlas, "cell_type", ["t_cell"])
    assert list(part.obs_names) == ["w", "y"] and list(part.obs["cell_type"].cat.categories) == ["t_cell"]
    assert part.raw.X.toarray().tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(BrainmetError, match=r"no cell has cell_type b_cell; there are: neuron, nk, t_cell"):
        subset(atlas, "cell_type", ["b_cell"])


def test_one_file_a_type(atlas, tmp_path):
    by_value(atlas, "cell_type", tmp_path / "types")
    sizes = {p.stem: anndata.read_h5ad(p).n_obs for p in (tmp_path / "types").iterdir()}
    assert sizes == {"neuron": 1, "nk": 1, "t_cell": 2}


def test_reserved_names_are_renamed_in_the_copy_alone(atlas, tmp_path):
    for_cellxgene(atlas, tmp_path / "c.h5ad")
    copy, own = anndata.read_h5ad(tmp_path / "c.h5ad"), anndata.read_h5ad(atlas)
    assert list(copy.obs) == ["sample", "brainmet_cell_type"] and list(own.obs) == ["sample", "cell_type"]
    assert copy.obs["brainmet_cell_type"].tolist() == own.obs["cell_type"].tolist()


def test_pseudobulk_as_text_keeps_what_was_not_measured_apart():
    bulk = anndata.AnnData(
        np.array([[3, np.nan], [1, 2]]),
        obs=pd.DataFrame({"sample": "a", "donor": ["d", "e"], "condition": "csf", "cell_type": "nk"}, index=["1", "2"]),
        var=pd.DataFrame({"symbol": ["X", "Y"]}, index=["E1", "E2"]),
    )
    table = pseudobulk_text(bulk)
    assert list(table.columns) == ["ensembl_id", "symbol", "a|d|csf|nk", "a|e|csf|nk"]
    assert table["a|d|csf|nk"].tolist() == pytest.approx([3, np.nan], nan_ok=True)


def test_every_named_target_is_known(tmp_path):
    targets = ["ingested", "quality", "scored", "annotated", "compared", "atlas", "by_cell_type", "cellxgene"]
    files = ["results/samples/demoA_M1/atlas.h5ad", "results/tables/claims.tsv", "results/pseudobulk.tsv.gz"]
    said = snakemake(tmp_path, "-n", "--quiet", "rules", "--cores", "1", *targets, "pseudobulk_tsv", *files)
    assert "by_cell_type" in said


@pytest.mark.slow
@pytest.mark.parametrize("run", [pytest.param("mini_run", marks=pytest.mark.ci), "real_run"])
def test_cellxgene_accepts_the_copy(run, request, tmp_path):
    """The current validator, in an environment of its own; simulated cells and real ones. Half a minute an atlas."""
    help_ = subprocess.run([*VALIDATOR, "--help"], capture_output=True, text=True, timeout=600)
    if help_.returncode:
        pytest.skip(f"cellxgene-schema cannot be installed here: {help_.stderr[-200:]}")
    own = request.getfixturevalue(run) / "results/atlas.h5ad"
    for_cellxgene(own, tmp_path / "c.h5ad")
    done = subprocess.run([*VALIDATOR, "validate", str(tmp_path / "c.h5ad")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "is_valid=True" in done.stderr
