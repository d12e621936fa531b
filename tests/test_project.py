"""New samples on a finished atlas: exact projection, a shift taken out, types withheld are flagged."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import yaml
from brainmet import project as module
from brainmet.contract import UNKNOWN
from brainmet.core import tables
from brainmet.embed import components
from brainmet.errors import BrainmetError
from brainmet.knowledge import cell_types
from brainmet.project import corrected, load, project, reference, save, summary
from brainmet.slice import Slice

from tests.running import HOME, snakemake, tiny

HOW = {"n_centres": 20, "softness": 0.1, "n_neighbors": 10, "unlike_quantile": 0.97, "seed": 1}
MAP = {"softness": 0.1, "n_neighbors": 10, "min_confidence": 0.5, "min_measured": 0.5, "sample": "new"}
GENES = np.array([f"ENSG{i:03d}" for i in range(60)], dtype=object)
TYPES = ("astrocyte", "microglia", "neuron")


def cells(n: int, kinds: tuple[str, ...], *, seed: int, shift: float = 0.0) -> tuple[np.ndarray, list[str]]:
    """Logged values: each type is high in twenty genes of its own; a sample's shift lies on every third gene."""
    rng = np.random.default_rng(seed)
    kind = [kinds[i % len(kinds)] for i in range(n)]
    X = rng.normal(1.0, 0.25, (n, len(GENES)))
    for i, k in enumerate(kind):
        X[i, 20 * TYPES.index(k) : 20 * (TYPES.index(k) + 1)] += 1.5
    X[:, ::3] += shift
    return np.maximum(X, 0).astype(np.float32), kind


def part(X: np.ndarray, sample: str, measured: np.ndarray | None = None) -> Slice:
    measured = np.ones(len(GENES), bool) if measured is None else measured
    names = np.array([f"{sample}:{i}" for i in range(len(X))], dtype=object)
    return Slice(sp.csr_matrix(X * measured), measured, names, GENES)


def atlas(folder: Path, kinds: tuple[str, ...] = TYPES, *, left_out: int = 0) -> tuple[Path, np.ndarray]:
    """Two samples, one of which did not measure a gene; components by the workflow's own code.

    A third sample, of so many cells and with a shift, was in the embedding and is not in the atlas.
    """
    made = [cells(150, kinds, seed=s) for s in (1, 2)]
    lacks = np.arange(len(GENES)) != 7
    slices = [part(made[0][0], "a"), part(made[1][0], "b", lacks)]
    more = [part(cells(left_out, kinds, seed=3, shift=1.0)[0], "c")] if left_out else []
    scores = components([*slices, *more], n_components=5, scale=False)[0][:300]
    types = [k for _, kind in made for k in kind]
    obs = pd.DataFrame(
        {"sample": np.repeat(["a", "b"], 150), "cell_type": types, "lineage": "neuroglia", "cluster": "0"},
        index=[c for s in slices for c in s.cells],
    ).assign(malignancy="normal")
    var = pd.DataFrame({"highly_variable": True, "n_samples_measured": lacks + 1 + len(more)}, index=GENES)
    X = sp.vstack([s.X for s in slices], format="csr")
    obsm = {"X_pca": scores, "X_harmony": scores, "X_umap": scores[:, :2]}
    anndata.AnnData(X, obs=obs, var=var, obsm=obsm).write_h5ad(folder / "atlas.h5ad")
    return folder / "atlas.h5ad", scores


@pytest.mark.parametrize(("left_out", "atol"), [(0, 2e-4), (300, 2e-2)])
def test_loadings_give_the_atlas_its_components_back(tmp_path, left_out, atol):
    """Of a run that left a sample out as well: its embedding was centred on that sample's cells too."""
    path, scores = atlas(tmp_path, left_out=left_out)
    assert abs(scores.mean(axis=0)).max() > 1 or not left_out
    own = reference(path, **HOW)
    X = anndata.read_h5ad(path).X.toarray()
    assert own.mean[7] == pytest.approx(X[:150, 7].mean(), rel=1e-5)
    X[150:, 7] = own.mean[7]  # not measured in the second sample: at the mean
    np.testing.assert_allclose((X - own.mean) @ own.loadings + own.offset, scores, atol=atol)
    again = project(part(X, "new"), own, **MAP | {"n_neighbors": 1})
    assert again["distance"].max() < 0.02 and again["unlike"].mean() < 0.1


def test_a_reference_survives_its_file(tmp_path):
    own = reference(atlas(tmp_path)[0], **HOW)
    save(tmp_path / "r.npz", own)
    back = load(tmp_path / "r.npz")
    assert back.limits == own.limits and set(own.limits) == {*TYPES, ""}
    pd.testing.assert_frame_equal(back.labels, own.labels.reset_index(drop=True), check_dtype=False)
    assert all((getattr(back, n) == getattr(own, n)).all() for n in ("genes", "loadings", "points", "weights"))


def test_held_out_cells_get_their_type_and_a_shift_changes_nothing(tmp_path):
    own = reference(atlas(tmp_path)[0], **HOW)
    for shift in (0.0, 0.6):
        X, kind = cells(90, TYPES, seed=9, shift=shift)
        table = project(part(X, "new"), own, **MAP)
        assert table["cell_type"].tolist() == kind
        assert table["confidence"].min() > 0.9
    assert project(part(cells(90, TYPES, seed=9)[0], "new"), own, **MAP)["unlike"].mean() < 0.1
    tables.conform(table, "projection")
    assert table["reason"].iloc[0].startswith("10 of the 10 nearest cells of the atlas are astrocyte")
    tables.conform(summary(table), "projection_summary")
    assert summary(table)["n_cells"].tolist() == [30, 30, 30]


def test_a_shift_common_to_all_cells_is_taken_out_of_the_components(tmp_path):
    own = reference(atlas(tmp_path)[0], **HOW)
    moved = own.points + np.array([3.0, 0, 0, 0, 0], np.float32)
    assert abs(moved.mean(axis=0) - own.points.mean(axis=0))[0] == pytest.approx(3, rel=1e-3)
    back = corrected(moved, own, softness=0.1)
    assert abs(back - own.points).mean() < 0.5


def test_a_type_that_the_atlas_lacks_is_unlike_it(tmp_path):
    own = reference(atlas(tmp_path, TYPES[:2])[0], **HOW)
    X, kind = cells(90, TYPES, seed=9)
    table = project(part(X, "new"), own, **MAP)
    foreign = np.array(kind) == "neuron"
    assert not table["unlike"][~foreign].mean() > 0.15
    assert table["distance"][foreign].median() > 1.02 * table["distance"][~foreign].median(), "components lack it"


def test_divided_neighbours_give_the_lineage_or_unknown():
    votes = np.array([["t_cell", "nk", "b_cell", "b_cell"], ["t_cell", "t_cell", "t_cell", "nk"]])
    assert module._majority(votes)[0].tolist() == ["b_cell", "t_cell"]
    assert module._majority(votes)[1].tolist() == [0.5, 0.75]


def test_what_cannot_be_mapped_is_said(tmp_path):
    path, _ = atlas(tmp_path)
    few = part(cells(9, TYPES, seed=3)[0], "new", np.arange(len(GENES)) < 20)
    with pytest.raises(BrainmetError, match=r"measures 20 of the atlas' 60 variable genes"):
        project(few, reference(path, **HOW), **MAP)
    (tmp_path / "x.h5ad").write_bytes(b"no")
    with pytest.raises(BrainmetError, match=r"x\.h5ad: is not an atlas of this workflow .*project\.atlas"):
        reference(tmp_path / "x.h5ad", **HOW)


def accuracy(folder: Path, sample: str, labels: dict[str, str]) -> pd.DataFrame:
    """Cells of a new sample with the authors' type beside the transferred one."""
    cells = tables.read_table(folder / f"results/samples/{sample}/projection.parquet", "projection")
    return cells.assign(truth=[labels.get(c, "") for c in cells.index])


@pytest.mark.slow
def test_a_sample_that_the_atlas_never_saw(tiny_run, tmp_path):
    """A demo sample outside the tiny run, mapped onto it, against the planted types."""
    new = "demoB_M1"
    everything = set(tiny()["exclude"]) | {p.name for p in (tiny_run / "results/samples").iterdir()}
    config = {"datasets": ["demo"], "exclude": sorted(everything - {new}), "simulate": tiny()["simulate"]}
    config |= {"project": {"atlas": str(tiny_run / "results/atlas.h5ad")}}
    snakemake(tmp_path, "--cores", "2", "project", config=config)
    counts = anndata.read_h5ad(tmp_path / f"results/samples/{new}/counts.h5ad")
    table = accuracy(tmp_path, new, counts.obs["author_cell_type"].astype(str).to_dict())
    known = table[table["truth"].isin(set(anndata.read_h5ad(tiny_run / "results/atlas.h5ad").obs["cell_type"]))]
    assert (known["truth"] == known["cell_type"]).mean() > 0.85
    assert table["unlike"].mean() < 0.2
    assert not (tmp_path / "results/atlas.h5ad").exists(), "nothing but the new sample was computed"


def half(series: Path, folder: Path, name: str, *, first: int, without: str = "") -> pd.Series:
    """A dataset file of every second cell of the tumour, without one of the authors' types; the types of its cells."""
    known = yaml.safe_load((HOME / "tests/real/breast_cid4465.yaml").read_text())
    genes, barcodes, labels = (
        pd.read_csv(next(series.glob(f"*{end}")), sep=sep, header=head)
        for end, sep, head in (("features.tsv.gz", "\t", None), ("barcodes.tsv.gz", "\t", None), ("s.csv.gz", ",", 0))
    )
    X = sp.csr_matrix(scipy.io.mmread(next(series.glob("*matrix.mtx.gz"))).T)
    minor = labels.set_index("Barcode")["celltype_minor"].reindex(barcodes[0].str.removesuffix("-1"))
    types = minor.map(known["labels"]["map"]).fillna("")
    rows = [i for i in range(first, len(types), 2) if types.iloc[i] != without]
    obs = pd.DataFrame({"minor": minor.iloc[rows].to_numpy()}, index=barcodes[0].to_numpy()[rows])
    anndata.AnnData(X[rows], obs=obs, var=pd.DataFrame(index=genes[1].to_numpy())).write_h5ad(folder / f"{name}.h5ad")
    document = {key: known[key] for key in ("schema", "title", "organism", "technology", "suspension", "values")}
    document |= {"id": name, "layout": "h5ad", "files": [{"name": f"{name}.h5ad", "path": f"{name}.h5ad"}]}
    document |= {"samples": [{"id": name, "condition": "primary", "primary_site": "breast"}]}
    document |= {"labels": {"column": "minor", "map": known["labels"]["map"]}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return pd.Series(types.iloc[rows].to_numpy(), index=[f"{name}:{barcode}" for barcode in obs.index])


@pytest.mark.slow
def test_the_other_half_of_a_tumour_and_a_class_that_the_atlas_lacks(real_data, tmp_path):
    """Every second cell of a real tumour, without its endothelium, as atlas; the other cells mapped onto it."""
    data, atlas, new = (tmp_path / name for name in ("data", "atlas", "new"))
    for folder in (data, atlas, new):
        folder.mkdir()
    half(real_data / "GSE176078", data, "even", first=0, without="endothelial")
    truth = half(real_data / "GSE176078", data, "odd", first=1)
    config = {"datasets": ["even"], "dataset_paths": [str(data)]}
    snakemake(atlas, "--cores", "2", "atlas", config=config)
    finished = atlas / "results/atlas.h5ad"
    config |= {"datasets": ["odd"], "project": {"atlas": str(finished)}}
    snakemake(new, "--cores", "2", "project", config=config)
    table = tables.read_table(new / "results/samples/odd/projection.parquet", "projection")
    types = cell_types.load_cell_types([HOME / "resources/markers/markers.yaml"])
    called, told = table["cell_type"].map(types.coarse), truth.reindex(table.index).map(types.coarse)
    foreign, known = told == "endothelial", ~told.isin(["endothelial", UNKNOWN])
    strange = {"known": table["unlike"][known].mean(), "withheld": table["unlike"][foreign].mean()}
    sure = {"known": table["confidence"][known].mean(), "withheld": table["confidence"][foreign].mean()}
    print((called == told)[known].mean(), known.sum(), strange, sure, foreign.sum())
    assert (called == told)[known].mean() > 0.93
    assert strange["known"] < 0.05 and strange["withheld"] > 0.25
    assert sure["withheld"] < sure["known"] - 0.1


def test_without_an_atlas_the_config_is_named(tmp_path):
    said = snakemake(tmp_path, "-n", "--cores", "1", "project", check=False)
    assert "name the atlas.h5ad of a finished run as project.atlas" in said


def test_the_atlas_that_the_run_itself_writes_is_refused(tmp_path):
    """By its path relative to the folder of the run: Snakemake would make it of the new samples."""
    config = {"datasets": ["demo"], "project": {"atlas": "results/atlas.h5ad"}}
    said = snakemake(tmp_path, "-n", "--cores", "1", "project", config=config, check=False)
    assert "project.atlas: results/atlas.h5ad is the atlas that this run itself writes; work in another folder" in said
