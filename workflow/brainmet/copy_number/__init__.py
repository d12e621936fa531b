"""Chromosome arms and windows of genes: the arithmetic of copy number from expression."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import Var

CENTROMERE = {
    "1": 123.4, "2": 93.9, "3": 90.9, "4": 50.0, "5": 48.8, "6": 59.8, "7": 60.1, "8": 45.2, "9": 43.0, "10": 39.8,
    "11": 53.4, "12": 35.5, "13": 17.7, "14": 17.2, "15": 19.0, "16": 36.8, "17": 25.1, "18": 18.5, "19": 26.2,
    "20": 28.1, "21": 12.0, "22": 15.0,
}  # fmt: skip
"""Border of the p and q arm in Mb, GRCh38 (UCSC table cytoBand, bands p11 and q11)."""
LENGTH = {
    "1": 248956422, "2": 242193529, "3": 198295559, "4": 190214555, "5": 181538259, "6": 170805979, "7": 159345973,
    "8": 145138636, "9": 138394717, "10": 133797422, "11": 135086622, "12": 133275309, "13": 114364328, "14": 107043718,
    "15": 101991189, "16": 90338345, "17": 83257441, "18": 80373285, "19": 58617616, "20": 64444167, "21": 46709983,
    "22": 50818468,
}  # fmt: skip
"""Bases of each chromosome, GRCh38."""
CHROMOSOMES = tuple(CENTROMERE)
CLIP = 1.5
"""Largest log ratio that a single gene may add: two copies more than the two of a normal cell are 0.7."""
LINEAGE_VARIANCE = 0.3
"""Variance of a gene's log ratio between two normal lineages, as an order of magnitude: only weights depend on it."""
ARMS = tuple(f"{chromosome}{arm}" for chromosome in CHROMOSOMES for arm in "pq")

_LEFT_OUT = re.compile(
    r"^(HLA-|IG[HKL][VDJCGAMEL]|JCHAIN$|TR[ABGD][VDJC]|H[1234][-ABC]|H2[AB]|HIST|MT-|RP[LS]\d|MKI67$|TOP2A$|CCN[ABE]\d|CDK1$|"
    r"CDC20$|CENP|MCM\d|PCNA$|TYMS$|UBE2C$|BIRC5$|TUBB4B$|TUBA1B$|STMN1$|HMGB2$|AURK|PLK1$|NUSAP1$|TPX2$|KIF\d|RRM2$|BUB1)"
)
"""Genes whose level follows immune receptors, antigen presentation, histones or the cell cycle, not the number of
copies."""


@dataclass(frozen=True)
class GeneOrder:
    """Genes along the autosomes.

    Attributes:
        columns: column of each gene in the matrix, in genomic order.
        chromosome: by gene.
        arm: by gene, `1p` to `22q`.
    """

    columns: np.ndarray
    chromosome: np.ndarray
    arm: np.ndarray


def gene_order(genes: pd.DataFrame, usable: np.ndarray) -> GeneOrder:
    """Usable autosomal genes by chromosome and start; genes known to mislead are left out.

    Args:
        genes: `symbol, chromosome, start` by gene, as in `counts.h5ad`.
        usable: by gene, whether it is expressed enough.
    """
    rank = {chromosome: i for i, chromosome in enumerate(CHROMOSOMES)}
    chromosome = genes[Var.CHROMOSOME].map(rank).fillna(-1).to_numpy(int)
    left_out = np.array([bool(_LEFT_OUT.match(symbol)) for symbol in genes[Var.SYMBOL]])
    kept = np.flatnonzero(usable & (chromosome >= 0) & ~left_out & (genes[Var.START].to_numpy() > 0))
    start = genes[Var.START].to_numpy()
    kept = kept[np.lexsort((genes.index.to_numpy(str)[kept], start[kept], chromosome[kept]))]
    names = np.array(CHROMOSOMES)[chromosome[kept]]
    border = np.array([CENTROMERE[name] for name in names]) * 1e6
    arm = np.char.add(names, np.where(start[kept] < border, "p", "q"))
    return GeneOrder(kept, names, arm)


def window_weights(chromosome: np.ndarray, *, window: int, step: int) -> sp.csc_matrix:
    """Weights of genes in windows along each chromosome, genes × windows; columns sum to one.

    Weights rise to the middle of the window (1, 2, .., 2, 1), as inferCNV's running mean does; a chromosome with fewer
    genes than the window makes one flat window.
    """
    pyramid = np.minimum(np.arange(1, window + 1), np.arange(window, 0, -1)).astype(float)
    weights, genes, ends = [np.zeros(0)], [np.zeros(0, int)], [0]
    for name in dict.fromkeys(chromosome):
        members = np.flatnonzero(chromosome == name)
        for start in range(0, len(members) - window + 1, step) or [0]:
            genes.append(members[start : start + window])
            weight = pyramid if len(genes[-1]) == window else np.ones(len(members))
            weights.append(weight / weight.sum())
            ends.append(ends[-1] + len(weight))
    arrays = np.concatenate(weights), np.concatenate(genes), np.array(ends)
    return sp.csc_matrix(arrays, shape=(len(chromosome), len(ends) - 1))


def windowed(
    X: sp.csr_matrix, chromosome: np.ndarray, weights: sp.csc_matrix, centre: np.ndarray, *, clip: float
) -> np.ndarray:
    """Weighted means over windows of the values less `centre`, clipped at ±`clip`; cells × windows, float32.

    Args:
        X: genes × cells in genomic order, log-normalised.
        chromosome: of each gene; one is made dense at a time.
        weights: genes × windows; no window crosses a chromosome.
        centre: expected value by gene.
        clip: largest difference that a single gene may add.
    """
    out = np.empty((X.shape[1], weights.shape[1]), np.float32)
    members = [np.flatnonzero(chromosome == name) for name in dict.fromkeys(chromosome)]
    # One piece of memory for all chromosomes: what the system hands out anew costs more than the arithmetic.
    dense = np.empty((max(map(len, members), default=0), X.shape[1]), np.float32)
    for genes in members:
        inside = slice(genes[0], genes[-1] + 1)
        part = weights[inside]
        windows = np.flatnonzero(np.diff(part.indptr))
        block = X[inside].toarray(out=dense[: len(genes)])
        block -= centre[inside, None].astype(np.float32)
        np.clip(block, -clip, clip, out=block)
        out[:, windows] = block.T @ part[:, windows].toarray().astype(np.float32)
    return out


def log_ratio(group: np.ndarray, categories: np.ndarray, *, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Log ratio of a group's expression to the range of reference categories, and the weight of each gene.

    Args:
        group: counts of the group by gene.
        categories: counts of the reference, categories × genes.
        size: counts that a gene's ratio is drawn to zero with, per million of the group's and category's counts.

    Returns:
        By gene the log ratio, 0 inside the range of the categories and at most `CLIP` either way; and the inverse of
        its variance, counting noise plus the variance that lineages have anyway.
    """
    share = (group / max(group.sum(), 1) + size * 1e-6)[None, :]
    ratios = np.log(share / (categories / np.maximum(categories.sum(axis=1, keepdims=True), 1) + size * 1e-6))
    centred = ratios - np.median(ratios, axis=1, keepdims=True)
    low, high = centred.min(axis=0), centred.max(axis=0)
    difference = np.where(low > 0, low, np.where(high < 0, high, 0.0))
    noise = 1 / np.maximum(group, 0.5) + 1 / np.maximum(categories.sum(axis=0), 0.5)
    return np.clip(difference, -CLIP, CLIP), 1 / (LINEAGE_VARIANCE + noise)


def arm_shift(difference: np.ndarray, weight: np.ndarray, arm: np.ndarray, *, min_genes: int) -> pd.DataFrame:
    """Mean shift of each arm against all other genes, with its t statistic over genes.

    Genes are the replicates: a lineage's programme moves single genes up or down, a gain or loss moves an arm's genes
    together.

    Args:
        difference: by gene, group minus reference in log units.
        weight: by gene.
        arm: by gene.
        min_genes: arms with fewer are left out.

    Returns:
        Index arm; `n_genes, shift, t`.
    """
    rows = {}
    for name in ARMS:
        genes = arm == name
        if genes.sum() < min_genes or (~genes).sum() < min_genes:
            continue
        (inside, error_in), (outside, error_out) = (_mean(difference[part], weight[part]) for part in (genes, ~genes))
        error = np.sqrt(error_in + error_out)
        rows[name] = (int(genes.sum()), inside - outside, (inside - outside) / error if error > 0 else 0.0)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["n_genes", "shift", "t"])
    return table.astype({"n_genes": int, "shift": float, "t": float})


def _mean(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its squared standard error."""
    total = weight.sum()
    mean = float((weight * values).sum() / total)
    return mean, float((weight**2 * (values - mean) ** 2).sum() / total**2)


def per_million(counts: np.ndarray) -> np.ndarray:
    """Counts per million of each row; rows without counts stay 0."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) * 1e6
