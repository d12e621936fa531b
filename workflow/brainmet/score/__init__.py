"""Signature scores of every kept cell, all signatures in one pass over the sample's counts.

Both methods are closed forms over the stored values, so memory is that of one block of cells:

* ULM (decoupler's `ulm` with `empty=False`): the t value of the slope when a cell's log1p CP10k over all measured
  genes, undetected ones included, is regressed on the signature's weights, +1 for up and -1 for down genes. It needs a
  cell's sum, sum of squares and weighted sum only.
* AUCell (decoupler's `aucell`): the area under the recovery curve is linear in the ranks of the members. Where values
  tie, decoupler ranks by the order of the genes; here a member counts with its mean over all orders of the tie,
  exactly, so that the order of genes does not matter. Up minus down.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import CELL_ID, Obs, Uns
from brainmet.core.counts import Counts, by_cell
from brainmet.core.normalise import log_normalised
from brainmet.knowledge.signatures import Signature, arms, coverage

log = logging.getLogger(__name__)

ROWS = 500
"""Cells per block: several copies of a block live at once here, so it is smaller than that of the readers."""
EPSILON = 2.2e-16
"""Keeps a perfect fit finite, as decoupler does."""


def score(
    counts: Counts,
    cells: pd.DataFrame,
    signatures: Sequence[Signature],
    *,
    min_genes: int,
    min_coverage: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ULM scores of the kept cells, and the coverage of every signature.

    Args:
        counts: the sample.
        cells: the table cells (`keep`), in the order of the counts.
        signatures: in the order of the columns.
        min_genes: signatures with fewer measured genes are NaN.
        min_coverage: signatures with a smaller share of measured genes are NaN.

    Returns:
        The tables scores and coverage.
    """
    keep = counts.kept(cells)
    up, down = arms(signatures, counts.genes)
    weights = sp.csc_matrix(up - down)
    detected = np.zeros(counts.shape[1], bool)
    parts = []
    for block in counts.chunks(keep, ROWS):
        detected[block.indices[block.data > 0]] = True
        parts.append(ulm(log_normalised(block, values=counts.uns[Uns.VALUES]), weights).astype(np.float32))
    sample = str(cells[Obs.SAMPLE].iloc[0])
    covered = coverage(
        signatures, counts.genes, detected, sample=sample, min_genes=min_genes, min_coverage=min_coverage
    )
    log.info("ULM: %d cells, %d of %d signatures scorable", keep.sum(), covered["scorable"].sum(), len(signatures))
    for row in covered[~covered["scorable"]].itertuples():
        log.info("not scorable: %s: %s", row.signature, row.reason)
    return _table(parts, cells, signatures, covered["scorable"].to_numpy()), covered


def ulm(block: sp.csr_matrix, weights: sp.csc_matrix) -> np.ndarray:
    """t values of univariate linear models: cells × signatures.

    Args:
        block: log-normalised values, cells × all measured genes.
        weights: genes × signatures.

    Returns:
        NaN where the weights or the values do not vary.
    """
    n = block.shape[1]
    total = np.asarray(block.sum(axis=1)).ravel()
    squares = by_cell(block, block.data**2)
    weight_total = np.asarray(weights.sum(axis=0)).ravel()
    weight_squares = np.asarray(weights.multiply(weights).sum(axis=0)).ravel()
    products = (block @ weights).toarray()
    covariance = products - np.outer(total, weight_total) / n
    spread = np.sqrt(np.outer(squares - total**2 / n, weight_squares - weight_total**2 / n))
    r = np.divide(covariance, spread, out=np.full_like(covariance, np.nan), where=spread > 0)
    return r * np.sqrt((n - 2) / ((1 - r + EPSILON) * (1 + r + EPSILON)))


def score_aucell(
    counts: Counts, cells: pd.DataFrame, signatures: Sequence[Signature], covered: pd.DataFrame, *, cutoff: int
) -> pd.DataFrame:
    """AUCell scores of the kept cells: the table scores_aucell.

    Args:
        counts: the sample.
        cells: the table cells (`keep`), in the order of the counts.
        signatures: in the order of the columns.
        covered: the table coverage; what is not scorable is NaN.
        cutoff: rank at which the curve ends, the same in every sample.
    """
    keep = counts.kept(cells)
    up, down = arms(signatures, counts.genes)
    parts = [aucell(block, up, down, cutoff=cutoff).astype(np.float32) for block in counts.chunks(keep, ROWS)]
    log.info("AUCell: %d cells, ranks up to %d", keep.sum(), cutoff)
    return _table(parts, cells, signatures, covered["scorable"].to_numpy(bool))


def aucell(block: sp.csr_matrix, up: sp.csc_matrix, down: sp.csc_matrix, *, cutoff: int) -> np.ndarray:
    """Area under the recovery curve up to a rank, up minus down: cells × signatures.

    A gene at rank R contributes max(cutoff - R, 0), divided by the most that its arm can reach; for tied values the
    mean over the ranks of the tie.

    Args:
        block: values, cells × all measured genes; only their order within a cell matters.
        up: membership of the up arms, genes × signatures.
        down: membership of the down arms.
        cutoff: rank at which the curve ends.
    """
    shares = (sp.csc_matrix(up @ _per_arm(up, cutoff)) - sp.csc_matrix(down @ _per_arm(down, cutoff))).tocsc()
    members = np.flatnonzero(np.diff(shares.tocsr().indptr))
    gains, unseen = _gains(block, members, cutoff=cutoff)
    totals = np.asarray(shares.sum(axis=0)).ravel()
    return (gains @ shares[members]).toarray() + np.outer(unseen, totals)


def _per_arm(arm: sp.csc_matrix, cutoff: int) -> sp.dia_matrix:
    """One over the largest area of each arm, on a diagonal: its genes at ranks 1, 2, ... up to the cut-off."""
    sizes = np.minimum(np.diff(arm.indptr), cutoff - 1)
    largest = cutoff * sizes - sizes * (sizes + 1) / 2
    return sp.diags(np.divide(1.0, largest, out=np.zeros(len(sizes)), where=largest > 0))


def _gains(block: sp.csr_matrix, members: np.ndarray, *, cutoff: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """What each member contributes in each cell beyond an unseen gene, and what an unseen gene contributes.

    Returns:
        Cells × members, and one value per cell.
    """
    n_genes = block.shape[1]
    wanted = sp.csr_matrix(block[:, members], dtype=np.float64)
    unseen = np.empty(block.shape[0])
    for cell in range(block.shape[0]):
        values = np.sort(block.data[block.indptr[cell] : block.indptr[cell + 1]])
        values = values[np.searchsorted(values, 0, side="right") :]
        n = len(values)
        unseen[cell] = _mean_gain(np.array([n]), np.array([n_genes]), cutoff)[0]
        span = slice(wanted.indptr[cell], wanted.indptr[cell + 1])
        own = wanted.data[span].astype(values.dtype)
        above, through = n - np.searchsorted(values, own, side="right"), n - np.searchsorted(values, own, side="left")
        gain = _mean_gain(above.astype(np.float64), through.astype(np.float64), cutoff)
        wanted.data[span] = np.where(own > 0, gain - unseen[cell], 0.0)
    return wanted, unseen


def _mean_gain(above: np.ndarray, through: np.ndarray, cutoff: int) -> np.ndarray:
    """Mean of max(cutoff - rank, 0) over the ranks above + 1 ... through of a tie."""
    last = np.minimum(through, cutoff)
    inside = np.maximum(last - above, 0)
    return inside * (cutoff - (above + 1 + last) / 2) / np.maximum(through - above, 1)


def cutoff(detected: np.ndarray, n_genes: Sequence[int], *, top_share: float, detected_quantile: float) -> pd.DataFrame:
    """The rank cut-off of AUCell for all samples: the table aucell_cutoff.

    Beyond the number of detected genes a rank is a random tie among zeros. The cut-off is therefore the smaller of the
    usual share of all genes and a low quantile of the genes detected.

    Args:
        detected: genes detected in each kept cell of the cohort.
        n_genes: measured genes of each sample.
        top_share: share of all genes (0.05 in AUCell).
        detected_quantile: quantile of the genes detected (0.05).
    """
    top = int(np.ceil(top_share * min(n_genes)))
    low = int(np.floor(np.quantile(detected, detected_quantile)))
    row = {
        "cutoff": max(2, min(top, low)),
        "top_share_of_genes": top,
        "detected_quantile": low,
        "n_cells": len(detected),
    }
    return pd.DataFrame([row])


def _table(
    parts: list[np.ndarray], cells: pd.DataFrame, signatures: Sequence[Signature], scorable: np.ndarray
) -> pd.DataFrame:
    values = np.vstack(parts)
    values[:, ~scorable] = np.nan
    index = pd.Index(cells.index[cells[Obs.KEEP].to_numpy(bool)], name=CELL_ID)
    return pd.DataFrame(values, index=index, columns=[signature.id for signature in signatures])
