"""Count forensics: what the numbers of a matrix are, from the numbers alone.

A declared kind is checked, not believed: normalised values that pass for counts are the most common silent error of
reanalyses.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from brainmet.errors import BrainmetError

BLOCK = 1 << 18
"""Values worked on at a time."""
LOG_MAX = 25.0
"""No log of an expression value exceeds this: 2^25 is 34 million."""
CONSTANT = 0.005
"""Cells whose totals differ by less than this share were scaled to one total."""
NOISE = 1e-5
"""Relative distance from a whole number that storing counts in single precision and arithmetic on them leave."""
FEWEST = 5
"""Cells below which their totals say nothing."""
NO_WHOLE = 0.98
"""Share of decimals that expected counts do not reach: many of theirs are whole."""
MIN_GENES = 200
"""A cell with more genes than this has one of them more than once."""
MIN_TOTAL = 1_000
"""Below this, totals that agree say nothing."""
PLATES = 0.15
"""A file of some genes only: totals vary, but far less than those of cells that were never scaled."""
WIDE = 0.5
"""The totals of cells that were never scaled spread more than this."""
FEW, MANY = 0.2, 0.5
"""Share of cells whose values go in steps above which a matrix was scaled and rounded; and share of decimals above
which small values are logs, or of cells with one total above which they were drawn down to it."""
NEAR_TEN = 0.08
"""Distance of a total's decimal logarithm from a whole number: within a fifth of 10,000, 100,000 or 1,000,000."""
NO_ONES = 0.05
"""Share of cells of many genes that begin above 1 and go on in steps: no counts reach it."""
LOOKED_AT = 500
"""Cells that begin above 1 and are looked at for steps."""
STEP = 4
"""Below this, values between one step and two leave no gap to see."""
CHANCE = (0.3, 3.0)
"""Variance of the totals over their mean: about 1 where cells were thinned to one depth, nearly 0 where values were
scaled to one total and rounded."""
MIDDLE_90 = 3.29
"""Standard deviations between the quantiles of 5 % and 95 % of a normal distribution."""
DENSE = 0.9
"""Share of values above zero that no matrix of counts reaches: what was imputed has none."""
RANK = {"counts": 0, "expected_counts": 1, "tpm": 2, "log": 3, "scaled": 4, "invalid": 5}
SPLICING = ("spliced", "unspliced", "ambiguous", "spanning")
"""Layers of velocyto, each a part of the counts: their sum holds all."""
NATURAL = "exp(x) - 1"
INVERSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    NATURAL: np.expm1,
    "2^x - 1": lambda v: np.exp2(v) - 1,
    "10^x - 1": lambda v: np.power(10.0, v) - 1,
    "sinh(x)": np.sinh,
}
"""What undoes a log, by the formula shown to the user."""
ROOTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "x^2": np.square,
    "((x - 1/x) / 2)^2": lambda v: np.square((v - 1 / np.where(v == 0, 1, v)) / 2),
}
"""What undoes a square root, and Freeman and Tukey's sum of two: sqrt(n) + sqrt(n + 1)."""
UNDO = INVERSES | ROOTS
MAX_EXPONENT = {NATURAL: LOG_MAX, "2^x - 1": LOG_MAX, "10^x - 1": 9.0, "sinh(x)": LOG_MAX}
ONES = 5
"""Genes with a single count that a cell needs before its scaling is taken as undone."""
NEAR = 0.05
PRECISION = 2e-3
"""Distance from a whole number that rounding in the file may leave: absolute, and relative to the number."""


@dataclass(frozen=True)
class Content:
    """What a matrix holds.

    Attributes:
        kind: counts, expected_counts, tpm or log; `scaled` or `invalid` fit none of them.
        why: the observation it rests on, as a clause.
        undo: of logs and roots the formula that undoes them, a key of `UNDO`; empty where the values do not tell.
    """

    kind: str
    why: str
    undo: str = ""


def identify(X: sp.csr_matrix) -> Content:
    """Say what a cells × genes matrix holds.

    Integers are counts unless every cell has the same total. Negative values mean z-scores. Values below 25 whose
    exponentials add up to one total per cell, or that have many decimals, are logs. Other decimals are TPM when the
    totals agree, else expected counts of RSEM, salmon or kallisto.
    """
    values = X.data
    if values.size == 0:
        return Content("counts", "there are no values")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        return Content("invalid", f"{int((~np.isfinite(values)).sum())} values are not a number or infinite")
    if low < 0:
        return Content("scaled", f"the lowest value is {low:.4g}: centred, scaled or log ratios")
    whole, totals = _whole(values), _totals(X)
    return _of_whole_numbers(X, totals) if whole.all() else _of_decimals(X, totals, whole)


def _of_whole_numbers(X: sp.csr_matrix, totals: np.ndarray) -> Content:
    values, spread, several = X.data, _spread(totals), len(totals) >= FEWEST
    if values.max() == 1 and np.median(totals) > MIN_GENES:
        return Content("invalid", "every value is 1: which genes were seen, not how often")
    level = spread < CONSTANT or (spread < PLATES and _near_power_of_ten(totals))
    deep = np.median(totals) > MIN_TOTAL
    if several and deep and ((level and not _drawn(totals)) or (spread < WIDE and _in_steps(X, values))):
        return Content("tpm", f"whole numbers, but every cell adds up to {_about(totals)}: rounded normalised values")
    if several and spread < 2 * WIDE and _without_ones(X, values):
        return Content(
            "tpm",
            f"whole numbers that add up to {_about(totals)} per cell, but in many cells of more than {MIN_GENES} "
            "genes none is 1: rounded normalised values",
        )
    return Content("counts", "all values are whole numbers")


def _of_decimals(X: sp.csr_matrix, totals: np.ndarray, whole: np.ndarray) -> Content:
    spread, several, high = _spread(totals), len(totals) >= FEWEST, float(X.data.max())
    decimals = 1 - float(whole.mean())
    share = f"{decimals:.0%} of the values are not whole"
    if several and spread < CONSTANT and np.median(totals) > MIN_TOTAL:
        return Content("tpm", f"{share} and every cell adds up to {_about(totals)}")
    example = f"{share} (such as {float(X.data[whole.argmin()]):.5g})"
    root = next((name for name, f in ROOTS.items() if all(_near_whole(plain).all() for plain in _undone(X, f))), "")
    if root:
        return Content("log", f"{example}; {root} gives whole numbers", root)
    if high < LOG_MAX:
        formula, effect = _log_base(X)
        if formula or decimals > MANY:
            how = f"; {formula} {effect}" if formula else ""
            return Content("log", f"{example} and none exceeds {high:.4g}{how}", formula)
    if several and decimals > NO_WHOLE and spread < PLATES:
        return Content("tpm", f"{share} and the cells' totals hardly differ")
    return Content("expected_counts", f"{example} and the cells' totals differ")


def rawest(matrices: Mapping[str, sp.csr_matrix]) -> tuple[str, Content]:
    """Of several matrices of the same cells the name of the one nearest to counts, and what it holds.

    Among equals the widest, then one whose name speaks of counts, then the first; an empty one comes last.
    """
    contents = {name: identify(X) for name, X in matrices.items()}
    names = list(matrices)

    def rank(name: str) -> tuple[Any, ...]:
        X = matrices[name]
        return not X.nnz, RANK[contents[name].kind], -X.shape[1], "counts" not in name.lower(), names.index(name)

    best = min(names, key=rank)
    return best, contents[best]


def _about(totals: np.ndarray) -> str:
    return f"about {np.median(totals):.6g}"


def _rows(X: sp.csr_matrix) -> Iterator[slice]:
    """Slices of rows with about BLOCK values each: to compute with all values at once takes many times their memory."""
    start = 0
    while start < X.shape[0]:
        stop = max(start + 1, int(np.searchsorted(X.indptr, int(X.indptr[start]) + BLOCK, side="right")) - 1)
        yield slice(start, stop)
        start = stop


def _undone(X: sp.csr_matrix, function: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
    """A function of the values, in double precision, block by block."""
    for rows in _rows(X):
        yield function(X.data[X.indptr[rows.start] : X.indptr[rows.stop]].astype(np.float64))


def _totals(X: sp.csr_matrix, function: Callable[[np.ndarray], np.ndarray] = np.asarray) -> np.ndarray:
    """Totals above zero of the cells, of a function of the values."""
    blocks = []
    for rows, values in zip(_rows(X), _undone(X, function), strict=True):
        indptr = X.indptr[rows.start : rows.stop + 1]
        parts = (values, X.indices[indptr[0] : indptr[-1]], indptr - indptr[0])
        blocks.append(np.asarray(sp.csr_matrix(parts, (len(indptr) - 1, X.shape[1])).sum(axis=1)).ravel())
    totals = np.concatenate(blocks)
    return totals[totals > 0]


def _spread(totals: np.ndarray) -> float:
    """Relative distance of the middle 90 % of totals."""
    if not totals.size:
        return 0.0
    low, middle, high = np.quantile(totals, [0.05, 0.5, 0.95])
    return float((high - low) / middle)


def _log_base(X: sp.csr_matrix) -> tuple[str, str]:
    """The formula that undoes the log and what it does, as a clause; both are empty where no formula stands out.

    A formula that gives whole numbers comes first, then that under which the totals of the cells are most alike: under
    another base they may agree a little less, so that the first that passes the limit need not be the right one.
    """
    spreads: dict[str, float] = {}
    for name, function in INVERSES.items():
        if X.data.max() > MAX_EXPONENT[name]:
            continue
        if sum(int(_near_whole(plain).sum()) for plain in _undone(X, function)) / X.nnz > 0.99:
            return name, "gives whole numbers"
        totals = _totals(X, function)
        if len(totals) >= FEWEST:
            spreads[name] = _spread(totals)
    best = min(spreads, key=lambda name: spreads[name], default="")
    return (best, "adds up to one total in every cell") if best and spreads[best] < PLATES else ("", "")


def undo(values: np.ndarray, formula: str) -> np.ndarray:
    """Values before their log or root was taken, float64.

    Args:
        values: logs or roots.
        formula: a key of `UNDO`; where it is empty the values are taken for natural logs of 1 + x.
    """
    return np.asarray(UNDO[formula or NATURAL](values.astype(np.float64)))


def _in_steps(X: sp.csr_matrix, values: np.ndarray) -> bool:
    """Whether many cells have values of one, two and more steps and none in between: counts times a number, rounded."""
    full = np.flatnonzero(np.diff(X.indptr))
    start = X.indptr[full]
    if np.median(np.diff(X.indptr)[full]) < MIN_GENES:
        return False
    step = np.minimum.reduceat(values, start).astype(np.float64)
    each = np.repeat(step, np.diff(X.indptr)[full])
    between = np.logical_or.reduceat((values > each + 1) & (values < 2 * each - 1), start)
    return float(np.mean((step >= STEP) & ~between)) > FEW


def _without_ones(X: sp.csr_matrix, values: np.ndarray) -> bool:
    """Whether many cells of many genes begin above 1 and go on in steps, as scaling up and rounding leaves them.

    Counts without rare genes begin above 1 too, but then hold every number that follows.
    """
    lengths = np.diff(X.indptr)
    full = np.flatnonzero(lengths)
    rich = full[lengths[full] > MIN_GENES]
    if not rich.size:
        return False
    least = np.minimum.reduceat(values, X.indptr[full])[lengths[full] > MIN_GENES]
    above = rich[least > 1]
    if above.size <= NO_ONES * rich.size:
        return False
    stepped = np.mean([_stepped(values[X.indptr[row] : X.indptr[row + 1]]) for row in above[:LOOKED_AT]])
    return bool(stepped * above.size > NO_ONES * rich.size)


def _stepped(values: np.ndarray) -> bool:
    """Whether one cell's values, from the least m to 4 m, are no more numbers than the multiples of one factor that
    round to them, and so many values that counts would be more."""
    least = float(values.min())
    low = values[values <= 4 * least]
    room, most = 3 * least + 1, np.floor(4 * least / (least - 0.5))
    return len(np.unique(low)) <= most < room * -np.expm1(-len(low) / room) - 1


def _near_power_of_ten(totals: np.ndarray) -> bool:
    exponent = np.log10(float(np.median(totals)))
    return exponent > 3.5 and abs(exponent - round(exponent)) < NEAR_TEN


def _drawn(totals: np.ndarray) -> bool:
    """Whether totals that hardly differ are those of cells drawn down to one depth: equal to the last count but for
    poorer cells, or scattered as by chance."""
    (low, high), middle = CHANCE, float(np.median(totals))
    variance = (_spread(totals) * middle / MIDDLE_90) ** 2
    return float(np.mean(totals == totals.max())) > MANY or low < variance / middle < high


def _whole(values: np.ndarray) -> np.ndarray:
    """Which values are whole numbers but for noise; a single answer for integers."""
    if values.dtype.kind in "iu":
        return np.ones(1, bool)
    # Some at a time, in the processor's cache: five passes over all values cost a third of reading a sample.
    parts = (values[start : start + 2**17] for start in range(0, len(values), 2**17))
    return np.concatenate([np.abs(part - np.rint(part)) < NOISE * np.maximum(part, 1) for part in parts])


def _near_whole(values: np.ndarray) -> np.ndarray:
    return np.abs(values - np.rint(values)) < np.minimum(NEAR, 1e-3 * np.maximum(values, 1))


def recover(X: sp.csr_matrix) -> tuple[sp.csr_matrix, str] | None:
    """The counts behind normalised or logged values, where that is exact: every value of every cell a multiple of
    its smallest.

    The smallest value of a cell is taken as one count; the cell must have several of them, and every other value must
    be a whole number of them, or nothing is recovered at all.

    Returns:
        The counts and the formula that gave them, or None.
    """
    values = X.data
    if not values.size or not np.isfinite(values).all() or values.min() <= 0:
        return None
    formulas: dict[str, Callable[[np.ndarray], np.ndarray]] = {"x": lambda v: v} | ROOTS
    if values.max() < LOG_MAX:
        formulas |= {name: f for name, f in INVERSES.items() if values.max() <= MAX_EXPONENT[name]}
    if values.size > DENSE * np.count_nonzero(np.diff(X.indptr)) * _genes_seen(X):
        return None
    for name, function in formulas.items():
        if found := _multiples(X, function):
            counts, smallest = found
            same = np.allclose(smallest, smallest[0]) and np.isclose(smallest[0], 1, rtol=1e-3)
            scale = "" if same else ", divided by the smallest value of the cell"
            return sp.csr_matrix((counts, X.indices, X.indptr), shape=X.shape), name + scale
    return None


def _genes_seen(X: sp.csr_matrix) -> int:
    seen = np.zeros(X.shape[1], bool)
    for start in range(0, X.nnz, BLOCK):
        seen[X.indices[start : start + BLOCK]] = True
    return int(seen.sum())


def _multiples(X: sp.csr_matrix, function: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """A function of the values in units of each cell's smallest, and those; None where any value is no multiple."""
    multiples, least = [], []
    for rows, plain in zip(_rows(X), _undone(X, function), strict=True):
        indptr = X.indptr[rows.start : rows.stop + 1] - X.indptr[rows.start]
        lengths = np.diff(indptr)
        full = np.flatnonzero(lengths)
        if not full.size:
            continue
        smallest = np.minimum.reduceat(plain, indptr[full])
        if not (smallest > 0).all():
            return None
        ratio = plain / np.repeat(smallest, lengths[full])
        counts = np.rint(ratio)
        exact = np.abs(ratio - counts) < np.minimum(NEAR, PRECISION * counts)
        if not exact.all() or not (np.add.reduceat(counts == 1, indptr[full]) >= ONES).all():
            return None
        multiples.append(counts)
        least.append(smallest)
    if all((counts == 1).all() for counts in multiples):
        return None
    return np.concatenate(multiples), np.concatenate(least)


def check(X: sp.csr_matrix, *, declared: str, name: str) -> Content:
    """Hold a matrix against the kind its dataset file declares.

    Args:
        X: cells × genes.
        declared: counts, expected_counts, tpm or log; `unknown` takes what is found.
        name: the file, for the message.

    Raises:
        BrainmetError: the values cannot be what is declared.
    """
    content = identify(X)
    if content.kind in ("invalid", "scaled"):
        raise BrainmetError(f"{name}: {content.why}; give the file with raw counts")
    if declared in ("unknown", content.kind):
        return content
    if declared == "expected_counts" and content.kind == "counts":
        return Content(declared, content.why)
    if declared == "tpm" and content.kind == "expected_counts":
        # TPM of some of the genes only: totals differ, nothing in the values tells them from expected counts.
        return Content(declared, content.why)
    also = ", from which its counts can be recovered exactly" if content.kind in ("tpm", "log") and recover(X) else ""
    raise BrainmetError(
        f"{name}: the dataset file says values: {declared}, but {content.why}; "
        f"give the file with raw counts, or say values: {content.kind}{also}"
    )
