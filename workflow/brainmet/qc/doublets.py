"""Doublets of one sample: cells that look more like sums of two cells than like cells, in the way of scDblFinder.

After Germain et al. 2022 (doi:10.12688/f1000research.73600.2): artificial doublets are made of the sample's own cells,
every cell is described by its neighbours among cells and artificial doublets, by genes that exclude each other
elsewhere, by its size and its components, and boosted trees tell both apart. Three things are done otherwise. Cells are
scored by trees that did not see them, since a doublet that was learned as a cell looks like one. Cells are joined to an
artificial doublet the more often the less alike they are: sums of two like cells are cells by all that can be seen, and
to learn them as doublets costs those that matter. The share of doublets is estimated from the scores, with the loading
as prior, by reweighting the classes (Saerens et al. 2002, doi:10.1162/089976602753284446).

Cells and genes are first put in the order of their ids and everything runs in one thread: a sample gets the same scores
in any order and on any number of cores.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from brainmet.contract import TARGET_SUM, Uns
from brainmet.core.counts import Counts, by_cell
from brainmet.core.lean import lean
from brainmet.core.moments import moments

log = logging.getLogger(__name__)

METHOD = "scDblFinder, cross-fitted"
ARTIFICIAL_SHARE, FEWEST_ARTIFICIAL, MOST_ARTIFICIAL = 0.8, 1_500, 5_000
"""Artificial doublets for each cell, and their bounds: those of scDblFinder but for the last (25,000 there), beyond
which more time finds no more doublets."""
CANDIDATES = 10
"""Pairs that each artificial doublet is drawn from."""
SIZES = (0.05, 0.95)
"""Quantiles of counts between which cells make artificial doublets."""
SMOOTHED = 15
"""Neighbours that a cell's place is averaged over for the choice of pairs."""
NEIGHBORHOODS, MOST_NEIGHBORS = (0.5, 1.0, 1.5), 100
"""Sizes of neighbourhoods in units of the root of the number of cells, those of scDblFinder, and their bound."""
EXCLUSIVE_GENES = 300
"""Genes whose pairs are looked at, those closest to being detected in half of the cells."""
TREES = {"objective": "binary:logistic", "max_depth": 4, "learning_rate": 0.3, "subsample": 0.75, "max_bin": 64}
DENSE = 2_000
"""Cells that are made dense at a time."""
FOLDS = 3
CLEANED = 0.06
"""Least share of the cells left out as likely doublets when trees are grown."""
PRIOR_WEIGHT = 0.1
"""Weight of the expected rate, in cells for each cell of the sample."""


@dataclass(frozen=True)
class Doublets:
    """Doublets of one sample.

    Attributes:
        score: probability of being a doublet, one value a barcode, NaN where not looked at.
        called: called a doublet.
        expected_rate: share expected from the loading; NaN when not run.
        skipped: why doublets were not looked for; empty when they were.
    """

    score: np.ndarray
    called: np.ndarray
    expected_rate: float
    skipped: str


@dataclass(frozen=True)
class Cells:
    """What the search works on: cells × variable genes, in the order of ids.

    Attributes:
        X: counts, CSR float32.
        total: counts of each cell over all genes.
    """

    X: sp.csr_matrix
    total: np.ndarray


def find(
    counts: Counts,
    passing: np.ndarray,
    *,
    profile: str,
    known_rate: float | None,
    rate_per_thousand: float,
    max_rate: float,
    min_cells: int,
    max_cells: int,
    n_genes: int,
    n_components: int,
    n_rounds: int,
    n_runs: int,
    seed: int,
    variance: np.ndarray | None = None,
) -> Doublets:
    """Score the cells that pass the other limits, and call doublets.

    Args:
        counts: the sample.
        passing: barcodes to look at.
        profile: `cells`, `nuclei` or `plates`.
        known_rate: expected share of doublets where the series says it; None: from the number of cells.
        rate_per_thousand: expected share of doublets per thousand cells loaded together.
        max_rate: share of doublets of a run loaded to its limit; where no rate is stated, more cells are those of
            several runs, and no more are called than chance allows at it: few cells may be what is left of a full run.
        min_cells: smaller samples are skipped: too few pairs to learn from.
        max_cells: larger samples are split at random into equal parts of at most this size, for memory.
        n_genes: genes of highest variance to use.
        n_components: principal components to use.
        n_rounds: rounds of boosting.
        n_runs: scores are averaged over this many sets of artificial doublets.
        seed: of the artificial doublets.
        variance: of each gene's log-normalised values over the cells to look at, where it is known.
    """
    n = int(passing.sum())
    rate = min(rate_per_thousand * n / 1000, max_rate) if known_rate is None else known_rate
    skipped = _skipped(counts, profile=profile, n=n, min_cells=min_cells)
    score = np.full(len(passing), np.nan, np.float32)
    called = np.zeros(len(passing), bool)
    if skipped:
        log.info("doublets: not looked for: %s", skipped)
        return Doublets(score, called, float("nan"), skipped)
    rows = np.flatnonzero(passing)
    order = np.argsort(counts.cells.index.to_numpy(str)[rows], kind="stable")
    variance = moments(counts, passing)["var"].to_numpy() if variance is None else variance
    cells = _variable_genes(counts, passing, variance, n_genes=n_genes)
    parts = np.random.default_rng(seed).permutation(np.arange(n) % -(-n // max_cells))
    for part in range(parts.max() + 1):
        members = order[parts == part]
        own = Cells(cells.X[members], cells.total[members])
        raw = score_cells(own, rate=rate, n_components=n_components, n_rounds=n_rounds, n_runs=n_runs, seed=seed)
        score[rows[members]] = posterior(raw, _artificial_share(len(members)), expected=rate)
    limit = most(n, rate=max_rate if known_rate is None else known_rate)
    likely = rows[order][score[rows[order]] > 0.5]
    called[likely[np.argsort(-score[likely], kind="stable")[:limit]]] = True
    log.info("doublets: %d of %d cells called, %.3f expected, %d at most", called.sum(), n, rate, limit)
    if len(likely) > limit:
        log.warning(
            "doublets: %d cells look like doublets, more than %d cells can hold; the likeliest are called",
            len(likely),
            n,
        )
    return Doublets(score, called, rate, "")


def most(n: int, *, rate: float) -> int:
    """Doublets that a sample of `n` cells has at most at a given rate, but for one sample in a hundred."""
    from scipy.special import bdtrc

    return int(np.argmax(bdtrc(np.arange(n + 1), n, min(rate, 1.0)) <= 0.01))


def score_cells(cells: Cells, *, rate: float, n_components: int, n_rounds: int, n_runs: int, seed: int) -> np.ndarray:
    """Probability of each cell to be artificial rather than a cell, averaged over sets of artificial doublets."""
    logs = log_normalised(cells)
    mean, axes = components(logs, n_components)
    place, pairs = _project(logs, mean, axes), Exclusive(cells.X)
    del logs
    own = np.column_stack([pairs.score(cells.X), _size(cells), place])
    kinds, scores = _smoothed(place), []
    for run in range(n_runs):
        rng = np.random.default_rng([seed, run])
        made = artificial(cells, kinds, rng)
        points = _project(log_normalised(made), mean, axes)
        theirs = np.column_stack([pairs.score(made.X), _size(made), points])
        del made
        is_made = np.repeat([False, True], [len(own), len(theirs)])
        near = neighborhood(np.vstack([place, points]), is_made)
        table = np.hstack([near, np.vstack([own, theirs])]).astype(np.float32)
        scores.append(_learned(table, is_made, rate=rate, n_rounds=n_rounds, rng=rng))
    return np.asarray(np.mean(scores, axis=0))


def posterior(score: np.ndarray, share: float, *, expected: float) -> np.ndarray:
    """Probability of being a doublet at the share of doublets that the scores themselves speak for.

    Args:
        score: probability of being artificial rather than a cell.
        share: of artificial doublets where it was learned.
        expected: prior share of doublets.
    """
    expected = float(np.clip(expected, 1e-3, 0.5))
    ratio = score / np.maximum(1 - score, 1e-6) * (1 - share) / share
    rate = 0.1
    for _ in range(200):
        odds = ratio * rate / (1 - rate)
        found = odds / (1 + odds)
        rate = (found.sum() + PRIOR_WEIGHT * len(score) * expected) / ((1 + PRIOR_WEIGHT) * len(score))
    return np.asarray(found)


def artificial(cells: Cells, kinds: np.ndarray, rng: np.random.Generator) -> Cells:
    """Sums of two cells each, of middling size, drawn by the squared distance between their kinds.

    Args:
        cells: the cells.
        kinds: place of what each cell is, without its noise, cells × components.
        rng: source of the draws.
    """
    n = len(cells.total)
    wanted = round(_artificial_share(n) / (1 - _artificial_share(n)) * n)
    low, high = np.quantile(cells.total, SIZES)
    pool = np.flatnonzero((cells.total >= low) & (cells.total <= high))
    first, second = rng.choice(pool, (2, CANDIDATES * wanted))
    apart = np.square(kinds[first] - kinds[second]).sum(axis=1, dtype=np.float64)
    apart[first != second] += np.finfo(np.float32).tiny  # where all cells are alike, every pair is as good
    pairs = np.sort(rng.choice(len(apart), wanted, replace=False, p=apart / apart.sum()))
    first, second = first[pairs], second[pairs]
    return Cells(sp.csr_matrix(cells.X[first] + cells.X[second]), cells.total[first] + cells.total[second])


def log_normalised(cells: Cells) -> sp.csr_matrix:
    """log1p of counts per ten thousand of the cell's counts over all genes, float32."""
    factor = (TARGET_SUM / np.maximum(cells.total, 1)).astype(np.float32)
    logs = np.repeat(factor, np.diff(cells.X.indptr))
    logs *= cells.X.data
    return sp.csr_matrix((np.log1p(logs, out=logs), cells.X.indices, cells.X.indptr), shape=cells.X.shape)


def components(logs: sp.csr_matrix, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and leading principal axes (genes × n) of the cells, exact; the largest loading of an axis is positive."""
    from brainmet.core.gram import eigenvectors, gram, mirrored

    mean = np.asarray(logs.mean(axis=0, dtype=np.float64)).ravel()
    covariance = mirrored(gram(logs)) / logs.shape[0] - np.outer(mean, mean)
    return mean, eigenvectors(covariance, min(n, *logs.shape))[0]


def neighborhood(points: np.ndarray, is_made: np.ndarray) -> np.ndarray:
    """Shares of artificial doublets among each point's neighbours, near ones weighing more, and distances."""
    from brainmet.core.neighbors import nearest

    root = np.sqrt((~is_made).sum())
    sizes = [int(np.clip(round(size * root), 3, MOST_NEIGHBORS)) for size in NEIGHBORHOODS]
    k = min(max(sizes), len(points) - 1)
    near, far = nearest(points, k=k, exact_below=len(points), threads=1)
    made = is_made[near]
    weight = np.sqrt(k - np.arange(k)) / np.maximum(far, 1e-6)
    shares = [(made * weight).sum(axis=1) / weight.sum(axis=1), *(made[:, :size].mean(axis=1) for size in sizes)]
    # A kind that is not among the neighbours is put at twice the largest distance.
    beyond, rows = 2 * far[:, 0].max(), np.arange(len(points))
    to_made, to_cell = (np.where(kind.any(axis=1), far[rows, kind.argmax(axis=1)], beyond) for kind in (made, ~made))
    return np.column_stack([*shares, far[:, 0], to_cell, to_cell - to_made])


class Exclusive:
    """Pairs of genes that cells show one of (cxds, Bais & Kostka 2020, doi:10.1093/bioinformatics/btz698).

    A pair's surprise is -log p that so many cells show exactly one of both, were they independent.
    """

    def __init__(self, X: sp.csr_matrix) -> None:
        from scipy.linalg.blas import ssyrk
        from scipy.special import log_ndtr

        n = X.shape[0]
        share = sum(X[start : start + DENSE].getnnz(axis=0) for start in range(0, n, DENSE)) / n
        self.genes = np.sort(np.argsort(-share * (1 - share), kind="stable")[:EXCLUSIVE_GENES])
        both = np.zeros((len(self.genes),) * 2, np.float32, order="F")
        for block in self._shown(X):
            both = ssyrk(1.0, block.T, beta=1.0, c=both, overwrite_c=1)
        p = share[self.genes]
        one = n * (p[:, None] + p[None, :]) - 2 * (np.triu(both) + np.triu(both, 1).T)
        expected = p[:, None] * (1 - p[None, :])
        expected = n * (expected + expected.T)
        z = (one - 0.5 - expected) / np.sqrt(np.maximum(expected * (1 - expected / n), 1e-9))
        surprise = -log_ndtr(-z).astype(np.float32)
        # Numbers below the smallest normal one make the products of `score` six times slower.
        self.surprise = np.where(surprise < np.finfo(np.float32).tiny, 0, surprise)
        np.fill_diagonal(self.surprise, 0)

    def score(self, X: sp.csr_matrix) -> np.ndarray:
        """Sum of the surprises of all pairs that a cell shows both of."""
        return np.concatenate([np.einsum("cg,cg->c", block @ self.surprise, block) for block in self._shown(X)])

    def _shown(self, X: sp.csr_matrix) -> Iterator[np.ndarray]:
        shown = X[:, self.genes]
        shown.data = (shown.data > 0).astype(np.float32)
        for start in range(0, X.shape[0], DENSE):
            yield shown[start : start + DENSE].toarray()


def _size(cells: Cells) -> np.ndarray:
    """Log counts, genes, and genes with more than two counts."""
    several = by_cell(cells.X, (cells.X.data > 2).astype(np.float32))
    return np.column_stack([np.log(np.maximum(cells.total, 1)), np.diff(cells.X.indptr), several])


def _learned(
    table: np.ndarray, is_made: np.ndarray, *, rate: float, n_rounds: int, rng: np.random.Generator
) -> np.ndarray:
    """Probability of each cell to be artificial, by trees that were grown without it and without likely doublets."""
    xgboost = lean("xgboost", without="sklearn")
    n = int((~is_made).sum())
    # First column: the share of artificial doublets around a cell.
    likely = np.argsort(-table[:n, 0], kind="stable")[: max(1, round(max(rate, CLEANED) * n))]
    clean = np.ones(len(table), bool)
    clean[likely] = False
    fold = rng.permutation(np.arange(len(table)) % FOLDS)
    settings = TREES | {"tree_method": "hist", "nthread": 1, "verbosity": 0, "seed": int(rng.integers(2**31))}
    score = np.empty(n, np.float32)
    for number in range(FOLDS):
        rows, left_out = clean & (fold != number), np.flatnonzero(fold[:n] == number)
        data = xgboost.DMatrix(table[rows], label=is_made[rows].astype(np.float32), nthread=1)
        trees = xgboost.train(settings, data, num_boost_round=n_rounds)
        score[left_out] = trees.inplace_predict(table[left_out])
    return score


def _smoothed(place: np.ndarray) -> np.ndarray:
    """Mean place of each cell's nearest neighbours, which the noise of few counts is averaged out of."""
    from brainmet.core.neighbors import nearest

    near, _ = nearest(place, k=SMOOTHED, exact_below=len(place), threads=1)
    return np.asarray(place[near].mean(axis=1))


def _project(logs: sp.csr_matrix, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.asarray(logs @ axes.astype(np.float32) - (mean @ axes).astype(np.float32))


def _artificial_share(n: int) -> float:
    """Share of artificial doublets among all that is learned from."""
    made = min(MOST_ARTIFICIAL, max(FEWEST_ARTIFICIAL, ARTIFICIAL_SHARE * n))
    return float(made / (made + n))


def _skipped(counts: Counts, *, profile: str, n: int, min_cells: int) -> str:
    if profile == "plates":
        return "one cell a well"
    if counts.uns[Uns.VALUES] != "counts":
        return f"values are {counts.uns[Uns.VALUES]}"
    if n < min_cells:
        return f"{n} cells, fewer than {min_cells}"
    return ""


def _variable_genes(counts: Counts, passing: np.ndarray, variance: np.ndarray, *, n_genes: int) -> Cells:
    """The passing cells with the genes whose log-normalised values vary most, in the order of their ids."""
    ids = counts.genes.index.to_numpy(str)
    # Rounded: sums in another order of cells must not swap two genes.
    chosen = np.lexsort((ids, -np.round(variance, 9)))[:n_genes]
    chosen = chosen[np.argsort(ids[chosen], kind="stable")]
    blocks, totals = [], []
    for block in counts.chunks(passing):
        totals.append(np.asarray(block.sum(axis=1, dtype=np.float64)).ravel())
        blocks.append(block[:, chosen])
    matrix = sp.vstack(blocks, format="csr")
    matrix.sort_indices()
    return Cells(matrix, np.concatenate(totals))
