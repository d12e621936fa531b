"""The atlas: counts and names survive, joins are checked, the bytes do not depend on threads."""

import json
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet import export as module
from brainmet.core import growing_matrix
from brainmet.core.counts import Counts, open_counts, write_counts
from brainmet.core.tables import write_table
from brainmet.errors import BrainmetError
from brainmet.export import check_room, coordinates, description, export, join, observations
from brainmet.extract import cellxgene

RECORD = dict.fromkeys(
    (*module.SAMPLE_COLUMNS, "organism", "assay", "tissue", "disease", "sex", "development_stage", "ethnicity"),
    "unknown",
)


def record(**changes: Any) -> dict[str, Any]:
    return RECORD | {"condition": "brain_metastasis", "dataset": "d", "simulated": False, "organism": "human"} | changes


def cohort(folder: Path) -> tuple[list[Counts], dict[str, pd.DataFrame], pd.DataFrame]:
    """Two samples with different genes, two thirds of their cells kept."""
    rng, counts, annotation = np.random.default_rng(0), [], []
    for sample, first in (("a", 0), ("b", 5)):
        names = [f"ENSG{i:03d}" for i in range(first, first + 20)][::-1]
        cells = pd.DataFrame({"sample": sample}, index=pd.Index([f"{sample}:{i}" for i in range(60)], name="cell_id"))
        genes = pd.DataFrame({"symbol": names, "chromosome": "7", "start": 5, "end": 9}, index=names)
        X = sp.csr_matrix(rng.poisson(1.0, (60, 20)) + np.eye(60, 20, dtype=int))
        write_counts(folder / f"{sample}.h5ad", X, cells, genes, {"values": "counts"})
        counts.append(open_counts(folder / f"{sample}.h5ad"))
        annotation.append(cells.iloc[np.arange(60) % 3 > 0].assign(donor=sample, cell_type="astrocyte"))
    table = pd.concat(annotation).assign(cell_ontology_term_id="CL:0000127", cluster="0")
    table.iloc[0, table.columns.get_loc("cell_ontology_term_id")] = ""
    features = pd.DataFrame({"ensembl_id": [f"ENSG{i:03d}" for i in range(25)], "reason": ""})
    features = features.assign(symbol=features["ensembl_id"], n_samples_measured=1, highly_variable=True)
    return counts, {"annotation": table, "more": table[["cluster"]].iloc[::-1].assign(x=1.0)}, features


def write(folder: Path, name: str = "atlas.h5ad", threads: int = 1, **more: Any) -> Path:
    counts, tables, features = cohort(folder)
    obs = observations(tables, {"a": record(), "b": record(condition="normal_brain")})
    obsm = {"X_umap": lambda: np.arange(160, dtype=np.float32).reshape(80, 2)}
    told: dict[str, Any] = {"features": features, "uns": {"title": "t"}, "compression": 4, "threads": threads}
    export(folder / name, counts, obs=obs, obsm=obsm, **told, **more)
    return folder / name


def test_atlas_holds_counts_and_normalised_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_matrix, "CHUNK", 64)
    atlas = anndata.read_h5ad(write(tmp_path))
    counts, tables, _ = cohort(tmp_path)
    assert atlas.shape == (80, 25) and list(atlas.obs_names) == list(tables["annotation"].index)
    raw = pd.DataFrame(atlas.raw.X.toarray(), atlas.obs_names, atlas.raw.var_names)
    for one in counts:
        kept = [cell for cell in one.cells.index if cell in raw.index]
        expected = pd.DataFrame(one.matrix().toarray(), one.cells.index, one.genes.index).loc[kept]
        pd.testing.assert_frame_equal(raw.loc[kept, expected.columns], expected, check_names=False)
        assert (raw.loc[kept].drop(columns=expected.columns) == 0).all(axis=None)
    scaled = raw.div(raw.sum(axis=1), axis=0) * 1e4
    np.testing.assert_allclose(atlas.X.toarray(), np.log1p(scaled), rtol=1e-5)
    assert atlas.X.has_sorted_indices and atlas.raw.X.dtype == np.float32
    assert (atlas.var["chromosome"] == "7").all() and (atlas.var["end"] == 9).all()
    assert atlas.uns["genes_not_measured"] == {"a": 5, "b": 5}
    assert isinstance(atlas.obs["cell_type"].dtype, pd.CategoricalDtype) and atlas.obs["x"].dtype == float
    assert atlas.obs["cell_type_ontology_term_id"].iloc[:2].tolist() == ["unknown", "CL:0000127"]
    assert atlas.obs.groupby("sample", observed=True)["disease_ontology_term_id"].first().to_dict() == {
        "a": "MONDO:0004992",
        "b": "PATO:0000461",
    }


def test_counts_less_ambient_rna_are_a_layer_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_matrix, "CHUNK", 64)
    assert not anndata.read_h5ad(write(tmp_path)).layers
    atlas = anndata.read_h5ad(write(tmp_path, ambient_shares={"a": 0.2}))
    assert atlas.uns["ambient_corrected"] == {"a": 0.2, "b": 0.0}
    raw, left = atlas.raw.X.toarray(), atlas.layers["ambient_corrected"].toarray()
    own = (atlas.obs["sample"] == "a").to_numpy()
    assert (left[~own] == raw[~own]).all() and (left <= raw).all() and left.min() >= 0
    assert left[own].sum() == pytest.approx(0.8 * raw[own].sum(), rel=1e-4)


def test_bytes_do_not_depend_on_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_matrix, "CHUNK", 64)
    assert write(tmp_path, "1.h5ad", 1).read_bytes() == write(tmp_path, "2.h5ad", 2).read_bytes()


def test_join_checks_cells() -> None:
    a = pd.DataFrame({"x": [1, 2]}, index=["c1", "c2"])
    assert join({"a": a, "b": a.iloc[::-1].rename(columns={"x": "y"})}, a.index)["y"].tolist() == [1, 2]
    with pytest.raises(BrainmetError, match=r"table b is of other cells.*1 lacking \['c2'\], 0 foreign"):
        join({"a": a, "b": a.iloc[:1]}, a.index)
    with pytest.raises(BrainmetError, match=r"table b .*1 foreign \['c2'\]"):
        join({"b": a}, a.index[:1])


def test_annotation_of_other_cells_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    counts, tables, features = cohort(tmp_path)
    obs = observations({"annotation": tables["annotation"].iloc[::-1]}, {"a": record(), "b": record()})
    with pytest.raises(BrainmetError, match=r"a\.h5ad: its kept cells are not those of the annotation"):
        export(tmp_path / "x.h5ad", counts, obs=obs, obsm={}, features=features, uns={}, compression=1, threads=1)
    assert not list(tmp_path.glob("*x.h5ad*"))
    with pytest.raises(BrainmetError, match="cells of a, which is no sample"):
        observations(tables, {"b": record()})
    with pytest.raises(BrainmetError, match=r"has genes that features\.tsv lacks"):
        obs = observations(tables, {"a": record(), "b": record()})
        export(tmp_path / "x.h5ad", counts, obs=obs, obsm={}, features=features[:9], uns={}, compression=1, threads=1)


def test_room_is_checked_first(tmp_path: Path) -> None:
    check_room(tmp_path / "atlas.h5ad", 1000)
    with pytest.raises(BrainmetError, match=r"atlas\.h5ad: the atlas needs about .* GB, the disk has"):
        check_room(tmp_path / "atlas.h5ad", 10**15)


def test_coordinates_follow_the_cells(tmp_path: Path) -> None:
    index = pd.Index(["c1", "c2"], name="cell_id")
    columns = {"sample": "s", "PC_1": [1.0, 2], "harmony_1": [3.0, 4], "umap_1": [5.0, 6], "umap_2": 0.0}
    write_table(pd.DataFrame(columns, index).astype({"sample": object}), tmp_path / "e.parquet", "embedding")
    parts = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, cell, value in zip(parts, index, (np.nan, 1.0), strict=True):
        write_table(pd.DataFrame({"hypoxia": [value]}, pd.Index([cell], name="cell_id")), path, "scores")
    tumour = pd.DataFrame({"sample": "s", "umap_1": [7.0], "umap_2": 8.0}, index[1:]).astype({"sample": object})
    write_table(tumour, tmp_path / "m.parquet", "malignant_embedding")
    places = tmp_path / "e.parquet", tmp_path / "m.parquet"
    obsm = {name: values() for name, values in coordinates(*places, parts, index).items()}
    assert obsm["X_umap_malignant"][1].tolist() == [7, 8] and np.isnan(obsm["X_umap_malignant"][0]).all()
    assert obsm["scores"][1] == 1 and np.isnan(obsm["scores"][0]).all()
    assert obsm["X_umap"].tolist() == [[5, 0], [6, 0]] and obsm["X_pca"].shape == (2, 1)
    with pytest.raises(BrainmetError, match=r"table scores is of other cells.*1 lacking \['c2'\]"):
        coordinates(*places, parts[:1], index)["scores"]()
    with pytest.raises(BrainmetError, match=r"m\.parquet: has cells that the atlas lacks, as c2"):
        coordinates(*places, parts[:1], index[:1])["X_umap_malignant"]()
    write_table(tumour[:0], tmp_path / "m.parquet", "malignant_embedding")
    assert "X_umap_malignant" not in coordinates(*places, parts, index)


def test_values_and_counts_share_their_places(tmp_path: Path) -> None:
    import h5py

    with h5py.File(write(tmp_path)) as file:
        for name in ("indices", "indptr"):
            assert file["X"][name] == file["raw/X"][name]  # one dataset under two names
        assert file["X/indptr"].dtype == np.int64 and file["X/data"].compression == "gzip"


def test_description_says_simulated() -> None:
    found = description({"a": record(simulated=True), "b": record()})
    assert found["simulated"] is True and "(simulated)" in found["title"]
    assert json.loads(found["samples"])["b"]["condition"] == "brain_metastasis"


def test_terms_of_a_sample() -> None:
    found = cellxgene.terms(
        record(primary_site="breast", technology="10x_3prime", suspension="nucleus", age=61, sex="female")
    )
    assert found["disease_ontology_term_id"] == "MONDO:0007254" and found["tissue_ontology_term_id"] == "UBERON:0000955"
    assert found["suspension_type"] == "nucleus" and found["development_stage_ontology_term_id"] == cellxgene.ADULT
    assert found["sex_ontology_term_id"] == "PATO:0000383" and found["is_primary_data"] is False
    assert cellxgene.terms(record(assay="EFO:0009922"))["assay_ontology_term_id"] == "EFO:0009922"
    assert cellxgene.terms(record(condition="cell_line"))["sex_ontology_term_id"] == "na"
