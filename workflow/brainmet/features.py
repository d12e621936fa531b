"""Variable genes of the cohort, from the gene moments of its samples.

No counts are read: mean and variance of every gene in every sample are enough for Seurat's dispersion (Satija et al.
2015, doi 10.1038/nbt.3192, as `scanpy.pp.highly_variable_genes(flavor="seurat", batch_key="sample")` computes it).
Samples vote, so a gene that differs between studies but not between cells does not count as variable.
"""

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from brainmet.contract import Var
from brainmet.core.lazy import some
from brainmet.core.tables import read_table
from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)

COLUMNS = (Var.ENSEMBL, Var.SYMBOL, "n_cells_kept", "n_cells_detected", "mean_expm1", "var_expm1")
NOT_SHARED, NOT_DETECTED, EXCLUDED = "not_measured_everywhere", "too_few_cells", "excluded"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What makes a gene a candidate, and how many of the candidates are variable genes.

    Attributes:
        n_top: number of genes marked `highly_variable`.
        n_bins: bins of mean expression within which dispersions are compared.
        min_genes_shared: genes measured in every sample are the candidates, unless there are fewer than this.
        min_fraction_samples: then genes measured in this fraction of the samples are candidates.
        min_cells: samples with fewer kept cells have no vote (all vote when none has as many).
        min_cells_detected: candidates are detected in at least this many kept cells of the cohort.
        exclude: regular expressions for symbols that must not be variable genes.
    """

    n_top: int
    n_bins: int
    min_genes_shared: int
    min_fraction_samples: float
    min_cells: int
    min_cells_detected: int
    exclude: Sequence[str]


def read_moments(path: str | Path) -> pd.DataFrame:
    """What variable genes are found by of a sample's table moments."""
    return read_table(path, "moments", columns=COLUMNS)


def features(
    moments: Sequence[pd.DataFrame],
    selection: Selection,
    *,
    datasets: Sequence[str] = (),
    markers: Collection[str] = (),
) -> pd.DataFrame:
    """Genes of the cohort with their variability, one row per gene measured anywhere, sorted by Ensembl id.

    Args:
        moments: one table per sample, looked at one after the other: `ensembl_id, symbol, n_cells_kept,
            n_cells_detected, mean_expm1, var_expm1` (mean and unbiased variance of counts per ten thousand over the
            kept cells).
        selection: how genes are chosen.
        datasets: dataset of each table; one for all by default.
        markers: symbols of genes that inform the annotation however variable they are.

    Returns:
        `ensembl_id, symbol, n_samples_measured, n_samples_variable, highly_variable, rank, mean, dispersion, reason`:
        `rank` is 1 for the most variable gene, 0 for genes that are no candidates; `mean` and `dispersion` are Seurat's
        log mean and normalised dispersion, averaged over the voting samples; `reason` says why a gene is no candidate;
        `informative` marks the variable genes, those of each dataset alone, and the markers: a type that one dataset
        alone holds is told by genes that vary in no other.

    Raises:
        BrainmetError: no candidate gene is left.
    """
    genes, n_samples = _ranked(moments, selection)
    if not (genes["reason"] == "").any():
        raise BrainmetError(
            f"the {n_samples} samples share no gene that could be variable ({_tally(genes['reason'])}); check that all "
            "are of one organism, or exclude the sample with the smallest gene panel (tables/genes_lost.tsv)"
        )
    genes["informative"] = genes["highly_variable"] | genes[Var.SYMBOL].isin(set(markers))
    for dataset in sorted(set(datasets)) if len(set(datasets)) > 1 else ():
        # Genes that this dataset alone measures inform of its cells, though no embedding can use them. One of a few
        # cells has no variable genes of its own, which is no fault of the cohort's.
        samples = [i for i, name in enumerate(datasets) if name == dataset]
        table, _ = _ranked(some(moments, samples), selection)
        genes.loc[table.index[table["highly_variable"]], "informative"] = True
    log.info(
        "%d of %d genes are candidates (%s), %d of them variable",
        (genes["reason"] == "").sum(),
        len(genes),
        _tally(genes["reason"]),
        genes["highly_variable"].sum(),
    )
    return genes.rename_axis(Var.ENSEMBL).reset_index().drop(columns=["share", "n_cells_detected"])


def _ranked(moments: Sequence[pd.DataFrame], selection: Selection) -> tuple[pd.DataFrame, int]:
    """Genes of the samples by Ensembl id with their reason, votes, rank and `highly_variable`; number of samples."""
    genes, n_samples, largest = _measured(moments)
    genes["reason"] = _reasons(genes, selection, n_samples=n_samples)
    candidates = genes.index[genes["reason"] == ""]
    votes = _votes(
        moments,
        candidates,
        n_top=selection.n_top,
        n_bins=selection.n_bins,
        min_cells=min(selection.min_cells, largest),
    )
    order = _ordered(votes)
    genes = genes.join(votes)
    genes["n_samples_variable"] = genes["n_samples_variable"].fillna(0).astype(np.int64)
    genes["rank"] = pd.Series(np.arange(1, len(order) + 1), order).reindex(genes.index, fill_value=0)
    genes["highly_variable"] = genes["rank"].between(1, selection.n_top)
    return genes, n_samples


def _ordered(votes: pd.DataFrame) -> pd.Index:
    """Genes by share of votes; equal shares are decided by dispersion, equal dispersions by Ensembl id."""
    return votes.sort_values(["share", "dispersion"], ascending=False, kind="stable", na_position="last").index


def variable(features: pd.DataFrame) -> np.ndarray:
    """Ensembl ids of the variable genes, in the table's order."""
    return features.loc[features["highly_variable"], Var.ENSEMBL].to_numpy(object)


def informative(features: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the slices: Ensembl ids of the informative genes in the table's order, and which are variable."""
    table = features[features["informative"]]
    return table[Var.ENSEMBL].to_numpy(object), table["highly_variable"].to_numpy(bool)


def dispersions(mean: np.ndarray, var: np.ndarray, *, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Seurat's log mean and normalised dispersion of the genes of one sample.

    Args:
        mean: mean of normalised counts (not logs) by gene, positive.
        var: their unbiased variance.
        n_bins: equal-width bins of log mean within which log(var / mean) is standardised.

    Returns:
        log1p(mean), and the dispersion minus its bin's mean over its bin's standard deviation; NaN without variance. A
        gene alone in its bin gets 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.log(np.where(var > 0, var / mean, np.nan))
    frame = pd.DataFrame({"mean": np.log1p(mean), "dispersion": dispersion})
    bins = frame.groupby(pd.cut(frame["mean"], bins=n_bins), observed=True)["dispersion"]
    centre, spread = bins.transform("mean"), bins.transform("std")
    alone = spread.isna()
    normalised = (dispersion - centre.mask(alone, 0)) / spread.mask(alone, centre)
    return frame["mean"].to_numpy(), normalised.to_numpy()


def _measured(moments: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, int, int]:
    """Union of the samples' genes with symbol, samples and cells that have them; number of samples; largest sample."""
    total: pd.DataFrame | None = None
    n_samples = largest = 0
    for sample in moments:
        table = pd.DataFrame(
            {
                Var.SYMBOL: sample[Var.SYMBOL].to_numpy(),
                "n_samples_measured": np.int64(1),
                "n_cells_detected": sample["n_cells_detected"].to_numpy(np.int64),
            },
            index=sample[Var.ENSEMBL].to_numpy(),
        )
        n_samples, largest = n_samples + 1, max(largest, int(sample["n_cells_kept"].max()))
        if total is None:
            total = table
            continue
        symbols = total[Var.SYMBOL].combine_first(table[Var.SYMBOL])
        numbers = total.drop(columns=Var.SYMBOL).add(table.drop(columns=Var.SYMBOL), fill_value=0).astype(np.int64)
        total = numbers.assign(**{Var.SYMBOL: symbols})
    if total is None:
        raise BrainmetError(
            "no sample is left to find variable genes in; shorten exclude: in your config; bulk series have no cells"
        )
    return total.sort_index()[[Var.SYMBOL, "n_samples_measured", "n_cells_detected"]], n_samples, largest


def _reasons(genes: pd.DataFrame, selection: Selection, *, n_samples: int) -> pd.Series:
    """Why each gene is no candidate; empty for candidates."""
    shared = genes["n_samples_measured"] == n_samples
    if shared.sum() < selection.min_genes_shared:
        log.warning(
            "only %d genes are measured in all %d samples; using those measured in %g of them",
            shared.sum(),
            n_samples,
            selection.min_fraction_samples,
        )
        shared = genes["n_samples_measured"] >= selection.min_fraction_samples * n_samples
    unwanted = re.compile("|".join(f"(?:{pattern})" for pattern in selection.exclude) or r"(?!)")
    named = genes[Var.SYMBOL].map(lambda symbol: bool(unwanted.search(symbol)))
    reason = np.select(
        [~shared, named, genes["n_cells_detected"] < selection.min_cells_detected],
        [NOT_SHARED, EXCLUDED, NOT_DETECTED],
        "",
    )
    return pd.Series(reason.astype(object), genes.index)


def _votes(
    moments: Sequence[pd.DataFrame], candidates: pd.Index, *, n_top: int, n_bins: int, min_cells: int
) -> pd.DataFrame:
    """For each candidate: samples that have it in their `n_top`, share of those measuring it, mean, dispersion."""
    votes, expressed, means, sums, defined = (np.zeros(len(candidates)) for _ in range(5))
    n_voting = 0
    for sample in moments:
        if sample["n_cells_kept"].max() < max(min_cells, 2):
            continue
        n_voting += 1
        table = sample.set_index(Var.ENSEMBL).reindex(candidates)
        measured = table["mean_expm1"].notna().to_numpy()
        seen = np.flatnonzero((table["n_cells_detected"] > 0).to_numpy())
        expressed += measured
        # A gene that is measured but silent has no dispersion there: it counts as 0, as in scanpy.
        defined += measured
        if not seen.size:
            continue
        mean, dispersion = dispersions(
            table["mean_expm1"].to_numpy()[seen], table["var_expm1"].to_numpy()[seen], n_bins=n_bins
        )
        ranked = np.sort(dispersion[~np.isnan(dispersion)])[::-1]
        if ranked.size:
            votes[seen] += dispersion >= ranked[min(n_top, ranked.size) - 1]
        means[seen] += mean
        sums[seen] += np.nan_to_num(dispersion)
        defined[seen[np.isnan(dispersion)]] -= 1
    with np.errstate(invalid="ignore", divide="ignore"):
        result = {"share": votes / expressed, "mean": means / expressed, "dispersion": sums / defined}
    log.info("%d samples voted", n_voting)
    return pd.DataFrame({"n_samples_variable": votes.astype(np.int64)} | result, index=candidates)


def _tally(reasons: pd.Series) -> str:
    counts = reasons[reasons != ""].value_counts().sort_index()
    return ", ".join(f"{name}: {number}" for name, number in counts.items()) or "none ruled out"
