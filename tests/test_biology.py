"""Scores on real cells behave as biology demands, with the authors' labels as truth.

GSE67835 (adult brain, full length), CID4465 of GSE176078 (a breast tumour, 10x), four oligodendrogliomas (full length,
expected counts).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
from brainmet.compare.donor_scores import gene_sets, thinned_log_cpm, weights_of
from brainmet.core.counts import Counts
from brainmet.knowledge.signatures import configured
from brainmet.score import score
from scipy import stats

from tests.demo_cohort import SCORING
from tests.running import HOME

FOLDER = HOME / "resources/signatures"
Scored = tuple[pd.DataFrame, pd.Series, pd.Series]


def scored(counts: Counts, labels: pd.Series) -> Scored:
    """ULM scores, labels and depth of all cells."""
    files = FOLDER / "signatures.yaml", FOLDER / "confounders.yaml"
    signatures = configured(files[0], [], files[1], tier=[1, 2], confounders=False)
    cells = counts.cells.assign(keep=True)
    table, _ = score(counts, cells, signatures, min_genes=5, min_coverage=0.4)
    depth = np.concatenate(
        [np.asarray(block.sum(axis=1)).ravel() for block in counts.chunks(np.ones(len(cells), bool))]
    )
    return table, labels.set_axis(table.index), pd.Series(depth, table.index)


@pytest.fixture
def brain(real_data: Path, make_counts: Callable[..., Counts]) -> Scored:
    table = pd.read_csv(real_data / "GSE67835/GSE67835_counts.tsv.gz", sep="\t", index_col=0)
    table = table.drop(index=["no_feature", "ambiguous", "alignment_not_unique"], errors="ignore")
    labels = pd.read_csv(real_data / "GSE67835/GSE67835_cells.csv.gz", index_col=0)["cell_type"].reindex(table.columns)
    counts = make_counts(table.T.to_numpy(), symbols=list(map(str.strip, table.index)), sample="brain")
    return scored(counts, labels)


@pytest.fixture
def breast(real_data: Path, make_counts: Callable[..., Counts]) -> Scored:
    folder = real_data / "GSE176078"
    stem = "GSM5354528_CID4465_"
    X = scipy.io.mmread(folder / f"{stem}matrix.mtx.gz").T.tocsr()
    symbols = pd.read_csv(folder / f"{stem}features.tsv.gz", sep="\t", header=None)[1].tolist()
    barcodes = pd.read_csv(folder / f"{stem}barcodes.tsv.gz", header=None)[0].str.removesuffix("-1")
    labels = pd.read_csv(folder / f"{stem}Cell_Types_Annotations.csv.gz", index_col=0)["celltype_minor"]
    return scored(make_counts(sp.csr_matrix(X), symbols=symbols, sample="breast"), labels.reindex(barcodes))


@pytest.fixture(scope="module")
def tumour(real_data: Path) -> tuple[np.ndarray, list[str]]:
    """Counts of the malignant cells of CID4465."""
    stem = str(real_data / "GSE176078/GSM5354528_CID4465_")
    symbols = pd.read_csv(f"{stem}features.tsv.gz", sep="\t", header=None)[1].tolist()
    barcodes = pd.read_csv(f"{stem}barcodes.tsv.gz", header=None)[0].str.removesuffix("-1")
    labels = pd.read_csv(f"{stem}Cell_Types_Annotations.csv.gz", index_col=0)["celltype_minor"].reindex(barcodes)
    X = scipy.io.mmread(f"{stem}matrix.mtx.gz").T.tocsr()
    return X[labels.str.startswith("Cancer", na=False).to_numpy()].toarray().astype(np.int64), symbols


@pytest.fixture
def glioma(real_data: Path, make_counts: Callable[..., Counts]) -> Scored:
    folder = real_data / "oligodendroglioma"
    table = pd.read_csv(folder / "oligodendroglioma_expression_downsampled.counts.matrix.gz", sep="\t", index_col=0)
    labels = pd.read_csv(folder / "oligodendroglioma_annotations_downsampled.txt", sep="\t", header=None, index_col=0)[
        1
    ]
    counts = make_counts(
        table.T.to_numpy(np.float32), symbols=list(table.index), sample="glioma", uns={"values": "expected_counts"}
    )
    return scored(counts, labels.reindex(table.columns))


def medians(found: Scored, signature: str) -> pd.Series:
    table, labels, _ = found
    return table[signature].groupby(labels.to_numpy()).median()


def test_identities_of_the_brain_peak_where_they_belong(brain: Scored) -> None:
    for signature, home in (("astro_homeostatic", "astrocytes"), ("microglia_homeostatic", "microglia")):
        found = medians(brain, signature).drop("hybrid")
        assert found.idxmax() == home, signature
        own, rest = (brain[0][signature][where] for where in (brain[1] == home, ~brain[1].isin([home, "hybrid"])))
        area = stats.mannwhitneyu(own, rest).statistic / (len(own) * len(rest))
        assert area > 0.95, signature


def test_tight_junctions_peak_in_brain_endothelium(brain: Scored) -> None:
    found = medians(brain, "bbb_tight_junction").drop("hybrid")
    assert found.idxmax() == "endothelial"


def test_proliferation_is_highest_in_cycling_tumour_cells(breast: Scored) -> None:
    table, labels, _ = breast
    cycling, others = labels == "Cancer Cycling", ~labels.str.contains("Cycling", na=True)
    own, rest = table.loc[cycling, "proliferation"], table.loc[others, "proliferation"]
    assert stats.mannwhitneyu(own, rest).statistic / (len(own) * len(rest)) > 0.85
    assert own.median() > medians(breast, "proliferation")[[x for x in set(labels[others]) if "Cancer" in x]].max()


def test_t_cells_and_myeloid_cells_of_the_tumour_are_told_apart(breast: Scored) -> None:
    table, labels, _ = breast
    t_cells, macrophages = (labels.str.contains(name, na=False) for name in ("T cells", "Macrophage"))
    assert table.loc[t_cells, "t_cytotoxic"].mean() > table.loc[macrophages, "t_cytotoxic"].mean()
    assert table.loc[macrophages, "mhc2"].mean() > table.loc[t_cells, "mhc2"].mean()


@pytest.mark.parametrize("signature", ["hypoxia_hif1a", "glycolysis"])
def test_metabolism_of_tumour_cells_does_not_track_depth(tumour: tuple[np.ndarray, list[str]], signature: str) -> None:
    """Deep tumour cells against shallow ones of one tumour, as two donors would be: what is tested reads them at one
    depth. (The t value of a cell grows with its depth by construction; it is for display.)"""
    counts, symbols = tumour
    files = FOLDER / "signatures.yaml", FOLDER / "confounders.yaml"
    sets = [s for s in gene_sets(configured(files[0], [], files[1], tier=1, confounders=False)) if s.id == signature]
    order = np.argsort(counts.sum(axis=1))
    half = len(order) // 2
    donors = np.array([counts[order[:half]].sum(axis=0), counts[order[half:]].sum(axis=0)], float)
    assert donors[1].sum() > 2 * donors[0].sum()
    position = {symbol: i for i, symbol in reversed(list(enumerate(symbols)))}
    values = thinned_log_cpm(donors)
    shallow, deep = values @ weights_of(sets, position, values.mean(axis=0), scoring=SCORING)
    assert abs(deep - shallow).item() < 0.25  # log2 units; planted and published shifts are 0.5 and more


@pytest.mark.parametrize("signature", ["hypoxia_hif1a", "glycolysis"])
def test_nor_do_scores_of_cells_at_one_depth(
    tumour: tuple[np.ndarray, list[str]], make_counts: Callable[..., Counts], signature: str
) -> None:
    counts, symbols = tumour
    depth = counts.sum(axis=1)
    floor = np.quantile(depth, 0.25)
    deep = counts[depth >= floor]
    thinned = np.random.default_rng(0).binomial(deep, floor / deep.sum(axis=1, keepdims=True))
    table, _, _ = scored(make_counts(thinned, symbols=symbols, sample="thinned"), pd.Series("", range(len(deep))))
    assert abs(stats.spearmanr(table[signature], deep.sum(axis=1)).statistic) < 0.3  # 47 cells: 2 standard errors


def test_myeloid_cells_of_a_glioma_score_as_such(glioma: Scored) -> None:
    table, labels, _ = glioma
    myeloid = (labels == "Microglia/Macrophage").to_numpy()
    for signature in ("microglia_homeostatic", "microglia_proinflammatory", "mhc2"):
        own, rest = table.loc[myeloid, signature].dropna(), table.loc[~myeloid, signature].dropna()
        assert stats.mannwhitneyu(own, rest).statistic / (len(own) * len(rest)) > 0.9, signature
