"""Runs to the end of the chain on what is not the plain case: the same cells twice, values that are no counts."""

from pathlib import Path

import anndata
import pandas as pd
import pytest
import yaml
from brainmet.core.tables import read_table

from tests.running import HOME, mini, snakemake

pytestmark = pytest.mark.slow
SHARED = Path(__file__).parents[2] / "shared/data"


def test_the_same_cells_under_another_accession_count_once(tmp_path: Path) -> None:
    raw = "downloads/demo/demoA_M1.h5ad"
    snakemake(tmp_path, "--cores", "2", raw, config=mini())
    own = tmp_path / "own"
    own.mkdir()
    again = anndata.read_h5ad(tmp_path / raw)[:50].copy()
    again.obs_names = [f"again_{name}" for name in again.obs_names]
    again.write_h5ad(own / "again.h5ad")
    sample = {"id": "again", "donor": "somebody", "condition": "brain_metastasis", "primary_site": "breast"}
    entry = {"schema": 1, "id": "GSE1", "title": "a deposit of the same library", "layout": "h5ad"}
    entry |= {"files": [{"name": "again.h5ad", "path": "again.h5ad"}], "samples": [sample]}
    (own / "GSE1.yaml").write_text(yaml.safe_dump(entry))
    config = mini() | {"datasets": ["demo", "GSE1"], "dataset_paths": ["own"]}
    printed = snakemake(tmp_path, "--cores", "2", config=config)
    row = read_table(tmp_path / "results/tables/duplicates.tsv", "duplicates").iloc[0]
    assert (row["sample_a"], row["sample_b"], row["left_out"]) == ("again", "demoA_M1", "again")
    assert "again is the one to leave out" in (tmp_path / "logs/duplicates.log").read_text() + printed
    annotation = read_table(tmp_path / "results/cohort/annotation.parquet", "annotation")
    atlas = anndata.read_h5ad(tmp_path / "results/atlas.h5ad", backed="r")
    scores = pd.read_csv(tmp_path / "results/tables/donor_scores.tsv", sep="\t")
    assert set(annotation["sample"]) == set(atlas.obs["sample"]) == {"demoA_P1", "demoA_M1"}
    assert "somebody" not in set(scores["donor"])
    # What was done to the sample on its own stays.
    assert len(read_table(tmp_path / "results/samples/again/scores.parquet", "scores")) > 20
    assert "hold the same cells" in (tmp_path / "results/report.html").read_text()


def test_values_that_are_no_counts_run_to_the_end_and_are_tagged(tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("../shared/data is not here")
    own = tmp_path / "own"
    own.mkdir()
    entry = {"schema": 1, "id": "neftel", "title": "glioblastoma, log2(TPM/10 + 1)", "layout": "h5ad", "values": "log"}
    entry |= {"technology": "smartseq", "suspension": "cell", "organism": "human"}
    entry |= {"files": [{"name": "n.h5ad", "path": str(SHARED / "neftel_MGH136/neftel_MGH136.h5ad")}]}
    entry |= {"samples": [{"id": "MGH136", "donor": "MGH136", "condition": "glioma"}]}
    (own / "neftel.yaml").write_text(yaml.safe_dump(entry))
    # The gliomas of the package under two conditions of breast, so that the contrast has donors in both arms.
    shipped = yaml.safe_load((HOME / "resources/datasets/oligodendroglioma.yaml").read_text())
    arms = ["primary", "brain_metastasis"]
    shipped["samples"] = [
        {**sample, "condition": arms[i % 2], "primary_site": "breast"} for i, sample in enumerate(shipped["samples"])
    ]
    shipped["id"] = "estimates"
    (own / "estimates.yaml").write_text(yaml.safe_dump(shipped))
    snakemake(tmp_path, "--cores", "2", config={"datasets": ["neftel", "estimates"], "dataset_paths": ["own"]})
    samples = read_table(tmp_path / "results/tables/samples.tsv", "samples").set_index("sample")["values"]
    assert samples["MGH136"] == "log" and set(samples.drop("MGH136")) == {"expected_counts"}
    annotation = read_table(tmp_path / "results/cohort/annotation.parquet", "annotation")
    assert set(annotation["sample"]) == set(samples.index)
    scored = read_table(tmp_path / "results/samples/MGH136/scores.parquet", "scores")
    assert scored.notna().any().sum() > 20
    de = read_table(tmp_path / "results/tables/de.tsv", "de")
    assert de["log2_fold_change"].isna().all()
    assert "not testable: not counts (expected_counts)" in set(de["reason"])
    page = (tmp_path / "results/report.html").read_text()
    assert "5 samples without counts" in page and ": expected counts, log; annotated and scored" in page
