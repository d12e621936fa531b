"""A breast tumour with its stroma and normal brain cells, real data through the whole workflow."""

import pandas as pd
import pytest
from brainmet.core import tables


@pytest.fixture(scope="module")
def run(real_run):
    return real_run / "results"


@pytest.fixture(scope="module")
def annotation(run):
    return pd.read_parquet(run / "cohort/annotation.parquet")


def test_both_series_are_in_one_atlas(run, annotation):
    assert set(annotation["dataset"]) == {"breast_cid4465", "brain_gse67835"}
    assert (run / "atlas.h5ad").is_file()
    assert (run / "report.html").is_file()


def test_shallow_cells_are_kept(run):
    qc = tables.read_table(run / "tables/qc.tsv", "qc").set_index("sample")
    assert qc.loc["CID4465", "n_kept"] > 0.7 * 787, "a fixed limit of 500 genes would lose two thirds"


def test_donors_come_from_the_cells_table(annotation):
    donors = annotation.loc[annotation["dataset"] == "brain_gse67835", "donor"]
    assert {"AB_S4", "AB_S8", "AB_S11"} <= set(donors)


def test_labels_join_although_their_barcodes_lack_a_suffix(annotation):
    labels = annotation.loc[annotation["dataset"] == "breast_cid4465", "author_label"]
    assert (labels != "").mean() > 0.99


def test_authors_agree(run):
    concordance = tables.read_table(run / "tables/concordance.tsv", "concordance")
    overall = concordance[(concordance["scope"] == "cohort") & (concordance["class"] == "macro")]
    assert len(overall) == 1
    assert overall["f1"].iloc[0] > 0.85


def test_malignant_cells_are_the_tumours(annotation):
    known = annotation[annotation["author_cell_type"] != ""]
    called = known["malignancy"].isin(["malignant", "likely_malignant"])
    true = known["author_cell_type"] == "malignant_epithelial"
    assert called[true].mean() > 0.9
    assert called[~true].mean() < 0.02
    brain = annotation["dataset"] == "brain_gse67835"
    assert annotation.loc[brain, "malignancy"].isin(["malignant", "likely_malignant"]).mean() < 0.02


def test_scores_behave_as_biology_demands(run, annotation):
    folders = sorted((run / "samples").iterdir())
    scores = pd.concat([pd.read_parquet(folder / "scores.parquet") for folder in folders])
    brain = annotation[annotation["dataset"] == "brain_gse67835"]
    means = scores.loc[brain.index].groupby(brain["cell_type"]).mean()
    assert means["astro_homeostatic"].idxmax() == "astrocyte"
    assert means["microglia_homeostatic"].idxmax() == "microglia"


def test_no_crosstalk_between_samples(run):
    crosstalk = tables.read_table(run / "tables/crosstalk.tsv", "crosstalk")
    brain = crosstalk[crosstalk["sample"] == "GSE67835"]
    assert not (brain["sender"].str.startswith("malignant") | brain["receiver"].str.startswith("malignant")).any()
