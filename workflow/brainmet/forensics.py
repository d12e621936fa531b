"""Count forensics: what the numbers of a matrix are, from the numbers alone.

A declared kind is checked, not believed: normalised values that pass for counts are the most common silent error of reanalyses.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError

LOG_MAX = 25.0
"""No log of an expression value exceeds this: 2^25 is 34 million."""
CONSTANT = 0.005
"""Cells whose totals differ by less than this share were scaled to one total."""
PLATES = 0.15
"""A file of some genes only: totals vary, but far less than those of cells that were never scaled."""
MANY = 0.5


@dataclass(frozen=True)
class Verdict:
    """What a matrix holds.

    Attributes:
        kind: counts, expected_counts, tpm or log; `scaled` or `invalid` fit none of them.
        why: the observation it rests on, as a clause.
    """

    kind: str
    why: str


def judge(X: sp.csr_matrix) -> Verdict:
    """Say what a cells × genes matrix holds.

    Integers are counts unless every cell has the same total. Negative values mean z-scores. Values below 25 whose
    exponentials add up to one total per cell, or that have many decimals, are logs. Other decimals are TPM when the
    totals agree, else expected counts of RSEM, salmon or kallisto.
    """
    values = X.data
    if values.size == 0:
        return Verdict("counts", "there are no values")
    if not np.isfinite(values).all():
        return Verdict("invalid", f"{int((~np.isfinite(values)).sum())} values are not a number or infinite")
    if (low := float(values.min())) < 0:
        return Verdict("scaled", f"the lowest value is {low:.4g}: centred, scaled or log ratios")
    whole = values == np.rint(values)
    totals = _totals(X, values)
    same = _spread(totals) < CONSTANT and len(totals) >= 5
    if whole.all():
        if same:
            return Verdict("tpm", f"whole numbers, but every cell adds up to about {np.median(totals):.6g}: rounded normalised values")
        return Verdict("counts", "all values are whole numbers")
    decimals = 1 - float(whole.mean())
    high = float(values.max())
    example = f"{float(values[~whole][0]):.5g}"
    if high < LOG_MAX:
        base = _log_base(X, values)
        if base or decimals > MANY:
            how = f"; {base} adds up to one total in every cell" if base else ""
            return Verdict("log", f"{decimals:.0%} of the values are not whole (such as {example}) and none exceeds {high:.4g}{how}")
    if same:
        return Verdict("tpm", f"{decimals:.0%} of the values are not whole and every cell adds up to about {np.median(totals):.6g}")
    if decimals > 0.98 and _spread(totals) < PLATES and len(totals) >= 5:
        return Verdict("tpm", f"{decimals:.0%} of the values are not whole and the cells' totals hardly differ")
    return Verdict("expected_counts", f"{decimals:.0%} of the values are not whole (such as {example}) and the cells' totals differ")


def _totals(X: sp.csr_matrix, values: np.ndarray) -> np.ndarray:
    counted = sp.csr_matrix((values.astype(np.float64), X.indices, X.indptr), shape=X.shape)
    totals = np.asarray(counted.sum(axis=1)).ravel()
    return totals[totals > 0]


def _spread(totals: np.ndarray) -> float:
    """Relative distance of the middle 90 % of totals."""
    if not totals.size:
        return 0.0
    low, middle, high = np.quantile(totals, [0.05, 0.5, 0.95])
    return float((high - low) / middle)


def _log_base(X: sp.csr_matrix, values: np.ndarray) -> str:
    inverse = {"exp(x) - 1": np.expm1, "2^x - 1": lambda v: np.exp2(v) - 1, "10^x - 1": lambda v: np.power(10.0, v) - 1}
    for name, function in inverse.items():
        if name.startswith("10") and values.max() > 9:
            continue
        totals = _totals(X, function(values.astype(np.float64)))
        if len(totals) >= 5 and _spread(totals) < PLATES:
            return name
    return ""


def check(X: sp.csr_matrix, *, declared: str, name: str) -> Verdict:
    """Hold a matrix against the kind its dataset file declares.

    Args:
        X: cells × genes.
        declared: counts, expected_counts, tpm or log; `unknown` takes what is found.
        name: the file, for the message.

    Raises:
        BrainmetError: the values cannot be what is declared.
    """
    verdict = judge(X)
    if verdict.kind in ("invalid", "scaled"):
        raise BrainmetError(f"{name}: {verdict.why}; give the file with raw counts")
    if declared in ("unknown", verdict.kind):
        return verdict
    if declared == "expected_counts" and verdict.kind == "counts":
        return Verdict(declared, verdict.why)
    if declared == "tpm" and verdict.kind == "expected_counts":
        # TPM of some of the genes only: totals differ, nothing in the values tells them from expected counts.
        return Verdict(declared, verdict.why)
    raise BrainmetError(
        f"{name}: the dataset file says values: {declared}, but {verdict.why}; "
        f"give the file with raw counts, or say values: {verdict.kind}"
    )
