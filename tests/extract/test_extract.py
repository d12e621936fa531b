"""Parts of the atlas: the right cells, the names CELLxGENE keeps for itself, what R reads, pseudobulk as text."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet import extract
from brainmet.errors import BrainmetError
from brainmet.extract import by_cell_type, for_cellxgene, for_seurat, of_sample, pseudobulk_text, write_pseudobulk

from tests.running import HOME, mini, snakemake

VALIDATOR = ["uv", "run", "-q", "--isolated", "--no-project", "--with", "cellxgene-schema", "cellxgene-schema"]


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    obs = pd.DataFrame(
        {"sample": pd.Categorical(list("aabb")), "cell_type": pd.Categorical(["t_cell", "nk", "t_cell", "neuron"])},
        index=list("wxyz"),
    )
    obs["doublet"] = [True, False, False, False]
    genes = pd.DataFrame({"symbol": ["A", "B", "A"]}, index=pd.Index(["E1", "E2", "E3"], name="ensembl_id"))
    data = anndata.AnnData(sp.csr_matrix(np.eye(4, 3, dtype=np.float32)), obs=obs, var=genes)
    data.raw = data
    data.layers["corrected"] = data.X * 0.5
    data.obsm = {"X_umap": np.arange(8.0).reshape(4, 2), "scores": np.array([[0.5], [np.nan], [1], [2]], np.float32)}
    data.uns["scores"] = ["hypoxia"]
    data.write_h5ad(tmp_path / "atlas.h5ad")
    return tmp_path / "atlas.h5ad"


def test_a_sample_has_its_cells_and_no_other_categories(atlas):
    part = of_sample(atlas, "a")
    assert list(part.obs_names) == ["w", "x"] and list(part.obs["cell_type"].cat.categories) == ["nk", "t_cell"]
    assert part.raw.X.toarray().tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(BrainmetError, match=r"no cell is of sample c; there are: a, b"):
        of_sample(atlas, "c")


@pytest.mark.parametrize("at_once", [1, 5_000])
def test_one_file_a_type(atlas, tmp_path, monkeypatch, at_once):
    """Each is that part of the atlas, whether its matrices are copied in one block or in several."""
    monkeypatch.setattr(extract, "ROWS", at_once)
    by_cell_type(atlas, tmp_path / "types")
    whole = anndata.read_h5ad(atlas)
    parts = {p.stem: anndata.read_h5ad(p) for p in (tmp_path / "types").iterdir()}
    assert {name: part.n_obs for name, part in parts.items()} == {"neuron": 1, "nk": 1, "t_cell": 2}
    for name, part in parts.items():
        expected = whole[whole.obs["cell_type"] == name].copy()
        for ours, theirs in ((part, expected), (part.raw, expected.raw)):
            assert ours.X.toarray().tolist() == theirs.X.toarray().tolist() and ours.var.equals(theirs.var)
        assert part.obs.equals(expected.obs) and part.layers["corrected"].sum() == expected.layers["corrected"].sum()
        assert part.obsm["X_umap"].tolist() == expected.obsm["X_umap"].tolist()
        assert list(part.uns["scores"]) == list(expected.uns["scores"])


def test_reserved_names_are_renamed_in_the_copy_alone(atlas, tmp_path):
    for_cellxgene(atlas, tmp_path / "c.h5ad")
    copy, own = anndata.read_h5ad(tmp_path / "c.h5ad"), anndata.read_h5ad(atlas)
    assert list(copy.obs) == ["sample", "brainmet_cell_type", "doublet"]
    assert list(own.obs) == ["sample", "cell_type", "doublet"]
    assert copy.obs["brainmet_cell_type"].tolist() == own.obs["cell_type"].tolist()


def test_counts_and_cells_for_r(atlas, tmp_path):
    import scanpy

    for_seurat(atlas, tmp_path / "m.h5", tmp_path / "c.tsv.gz")
    with pytest.warns(UserWarning, match="Variable names are not unique"):
        read, own = scanpy.read_10x_h5(tmp_path / "m.h5"), anndata.read_h5ad(atlas)
    assert (read.X != own.raw.X).nnz == 0 and list(read.obs_names) == list("wxyz")
    assert list(read.var_names) == list("ABA") and list(read.var["gene_ids"]) == ["E1", "E2", "E3"]
    assert set(read.var["feature_types"]) == {"Gene Expression"}
    cells = pd.read_csv(tmp_path / "c.tsv.gz", sep="\t", index_col="cell_id", dtype=str, keep_default_na=False)
    assert cells.loc["w"].to_dict() == {
        "sample": "a", "cell_type": "t_cell", "doublet": "TRUE", "umap_1": "0", "umap_2": "1", "score_hypoxia": "0.5",
    }  # fmt: skip
    assert cells["score_hypoxia"].tolist() == ["0.5", "NA", "1", "2"]


def test_pseudobulk_as_text_keeps_large_sums_and_what_was_not_measured_apart(tmp_path):
    bulk = anndata.AnnData(
        np.array([[3, np.nan], [1, 12_345_678]]),
        obs=pd.DataFrame({"sample": "a", "donor": ["d", "e"], "condition": "csf", "cell_type": "nk"}, index=["1", "2"]),
        var=pd.DataFrame({"symbol": ["X", "Y"]}, index=["E1", "E2"]),
    )
    table = pseudobulk_text(bulk)
    assert list(table.columns) == ["ensembl_id", "symbol", "a|d|csf|nk", "a|e|csf|nk"]
    assert table["a|d|csf|nk"].tolist() == pytest.approx([3, np.nan], nan_ok=True)
    write_pseudobulk(bulk, tmp_path / "p.tsv.gz")
    lines = gzip.decompress((tmp_path / "p.tsv.gz").read_bytes()).decode().splitlines()
    assert lines[1:] == ["E1\tX\t3\t1", "E2\tY\tNA\t12345678"]


def test_every_named_target_is_known(tmp_path):
    targets = ["ingested", "quality", "scored", "annotated", "compared", "atlas", "by_cell_type", "cellxgene"]
    files = ["results/samples/demoA_M1/atlas.h5ad", "results/tables/claims.tsv", "results/pseudobulk.tsv.gz"]
    said = snakemake(tmp_path, "-n", "--quiet", "rules", "--cores", "1", *targets, "seurat", "pseudobulk_tsv", *files)
    assert "by_cell_type" in said


def test_parts_of_a_finished_atlas_through_the_workflow(mini_run, tmp_path):
    """Every target that takes the atlas apart, asked for by name; nothing else is run for them."""
    folder = shutil.copytree(mini_run, tmp_path / "run")
    part = "results/samples/demoA_M1/atlas.h5ad"
    targets = ["by_cell_type", "pseudobulk_tsv", "cellxgene", "seurat", part]
    said = snakemake(folder, "--cores", "2", *targets, config=mini())
    assert set(re.findall(r"^(?:local)?rule (\w+):", said, re.M)) == {*targets[:-1], "sample_atlas"}
    whole, results = anndata.read_h5ad(folder / "results/atlas.h5ad"), folder / "results"
    kinds = whole.obs["cell_type"].value_counts()
    assert {p.stem: _cells(p) for p in (results / "by_cell_type").glob("*.h5ad")} == kinds[kinds > 0].to_dict()
    assert _cells(folder / part) == (whole.obs["sample"] == "demoA_M1").sum()
    bulk, sums = pd.read_csv(results / "pseudobulk.tsv.gz", sep="\t"), whole.raw.X.sum()
    assert bulk.filter(regex=r"\|").sum().sum() == pytest.approx(sums)
    assert "brainmet_cell_type" in anndata.read_h5ad(results / "atlas_cellxgene.h5ad", backed="r").obs
    told = pd.read_csv(results / "atlas_obs.tsv.gz", sep="\t", index_col=0)
    assert list(told.index) == list(whole.obs_names) and (results / "atlas_10x.h5").exists()


def _cells(path: Path) -> int:
    return anndata.read_h5ad(path, backed="r").n_obs


@pytest.mark.slow
@pytest.mark.ci
def test_seurat_opens_the_atlas_by_the_lines_of_the_readme(mini_run, tmp_path):
    asked = """
    counts <- Seurat::GetAssayData(seurat, slot = "counts")
    cells <- data.frame(counts = Matrix::colSums(counts), gapdh = counts["GAPDH", ], Seurat::Embeddings(seurat, "umap"),
                        harmony = Seurat::Embeddings(seurat, "harmony")[, 3],
                        seurat[[c("sample", "cell_type", "score_proliferation")]], ident = Seurat::Idents(seurat))
    seurat <- Seurat::NormalizeData(seurat)
    cells$log_gapdh <- Seurat::GetAssayData(seurat)["GAPDH", ]
    Seurat::Idents(seurat) <- "cell_type"
    ggplot2::ggsave("map.pdf", Seurat::DimPlot(seurat))
    markers <- Seurat::FindMarkers(seurat, names(which.max(table(Seurat::Idents(seurat)))))
    stopifnot(nrow(markers) > 0)
    write.csv(cells, "seen.csv")
    """
    seen, atlas = _in_r(0, asked, mini_run, tmp_path, needs=("Seurat", "hdf5r"))
    assert list(seen.index) == list(atlas.obs_names) and (seen["ident"] == atlas.obs["sample"]).all()
    assert (seen["cell_type"] == atlas.obs["cell_type"]).all()
    gapdh = list(atlas.raw.var["symbol"]).index("GAPDH")
    expected = {
        "counts": atlas.raw.X.sum(axis=1).A1,
        "gapdh": atlas.raw.X[:, gapdh].toarray().ravel(),
        "log_gapdh": atlas.X[:, gapdh].toarray().ravel(),
        "umap_1": atlas.obsm["X_umap"][:, 0],
        "harmony": atlas.obsm["X_harmony"][:, 2],
        "score_proliferation": atlas.obsm["scores"][:, list(atlas.uns["scores"]).index("proliferation")],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(seen[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.slow
def test_a_single_cell_experiment_by_the_lines_of_the_readme(mini_run, tmp_path):
    asked = """
    library(SingleCellExperiment)
    cells <- data.frame(counts = colSums(counts(sce)), gapdh = as.vector(counts(sce)["ENSG00000111640", ]),
                        cell_type = sce$cell_type)
    rownames(cells) <- colnames(sce)
    write.csv(cells, "seen.csv")
    """
    seen, atlas = _in_r(1, asked, mini_run, tmp_path, needs=("DropletUtils", "SingleCellExperiment"))
    assert list(seen.index) == list(atlas.obs_names) and (seen["cell_type"] == atlas.obs["cell_type"]).all()
    np.testing.assert_allclose(seen["counts"], atlas.raw.X.sum(axis=1).A1, rtol=1e-4)
    gapdh = list(atlas.raw.var_names).index("ENSG00000111640")
    np.testing.assert_allclose(seen["gapdh"], atlas.raw.X[:, gapdh].toarray().ravel(), rtol=1e-4)


def _in_r(block: int, asked: str, run: Path, folder: Path, *, needs: tuple[str, ...]) -> tuple[pd.DataFrame, Any]:
    """What R writes to `seen.csv` after the lines of that block of the README, and the atlas that they open."""
    if not shutil.which("Rscript"):
        pytest.skip("Rscript is not installed")
    libraries = "; ".join(f"library({name})" for name in needs)
    if (found := subprocess.run(["Rscript", "-e", libraries], capture_output=True)).returncode:
        pytest.skip(f"R lacks one of {', '.join(needs)}: {found.stderr[-200:]!r}")
    lines = re.findall(r"```r\n(.*?)```", (HOME / "README.md").read_text(), re.S)[block]
    results = folder / "results"
    results.mkdir()
    own = results / "atlas.h5ad"
    own.symlink_to(run / "results/atlas.h5ad")
    for_seurat(own, results / "atlas_10x.h5", results / "atlas_obs.tsv.gz")
    (folder / "open.R").write_text(lines + asked)
    done = subprocess.run(["Rscript", "open.R"], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return pd.read_csv(folder / "seen.csv", index_col=0), anndata.read_h5ad(own)


@pytest.mark.slow
@pytest.mark.parametrize("run", [pytest.param("mini_run", marks=pytest.mark.ci), "real_run"])
def test_cellxgene_accepts_the_atlas_and_its_copy(run, request, tmp_path):
    """The current validator, in an environment of its own; simulated cells and real ones. Half a minute per file.

    The atlas is what CELLxGENE gives out, a file that has labels already: as an upload it has one error, the reserved
    name of the column `cell_type`. The copy is what one uploads there.
    """
    help_ = subprocess.run([*VALIDATOR, "--help"], capture_output=True, text=True, timeout=600)
    if help_.returncode:
        pytest.skip(f"cellxgene-schema cannot be installed here: {help_.stderr[-200:]}")
    own = request.getfixturevalue(run) / "results/atlas.h5ad"
    for_cellxgene(own, tmp_path / "c.h5ad")
    for words in (["--ignore-labels", str(own)], [str(tmp_path / "c.h5ad")]):
        done = subprocess.run([*VALIDATOR, "validate", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    plain = subprocess.run([*VALIDATOR, "validate", str(own)], capture_output=True, text=True)
    (error,) = [line for line in plain.stderr.splitlines() if line.startswith("ERROR")]
    assert plain.returncode and "Column 'cell_type' is a reserved column name of 'obs'" in error
