"""Doublets of one sample: cells that look more like sums of two cells than like cells, in the way of scDblFinder.

After Germain et al. 2022 (doi:10.12688/f1000research.73600.2): artificial doublets are made of the sample's own cells,
every cell is described by its neighbours among cells and artificial doublets, by genes that exclude each other
elsewhere, by its size and its components, and boosted trees tell both apart. Three things are done otherwise:

- Cells are scored by trees that did not see them, since a doublet that was learned as a cell looks like one.
- Only cells of different provisional classes, which markers tell in neighbourhoods, are joined to an artificial
  doublet, and the more often the less alike they are. Sums of two like cells are cells by all that can be seen, and to
  learn them as doublets costs those that matter.
- The share of doublets is estimated from the scores, with the loading as prior, by reweighting the classes (Saerens et
  al. 2002, doi:10.1162/089976602753284446).

Cells and genes are first put in the order of their ids and everything runs in one thread: a sample gets the same scores
in any order and on any number of cores.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import TARGET_SUM, Uns, Var
from brainmet.core.counts import Counts, by_cell
from brainmet.core.lean import lean
from brainmet.core.moments import moments
from brainmet.knowledge.cell_types import CellTypes, gene_columns

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
"""Neighbours that a cell's place and its marker scores are averaged over for the choice of pairs."""
MIN_MARKERS = 3
"""Measured markers that a type needs to be a provisional class."""
NEIGHBORHOODS, MOST_NEIGHBORS = (0.5, 1.0, 1.5), 100
"""Sizes of neighbourhoods in units of the root of the number of cells, those of scDblFinder, and their bound."""
EXACT_BELOW, LISTS = 4_000, 6
"""Points up to which neighbours are exact, and the lists that are searched for each of more points: of the 100 nearest
of 15,000 points .998 were found, in two thirds of the time."""
OF_AXES = 5_000
"""Cells that the components are computed of, evenly spaced."""
EXCLUSIVE_GENES = 300
"""Genes whose pairs are looked at, those closest to being detected in half of the cells."""
TREES = {"objective": "binary:logistic", "max_depth": 4, "learning_rate": 0.3, "subsample": 0.75, "max_bin": 64}
DENSE = 2_000
"""Cells that are made dense at a time."""
FOLDS = 3
CLEANED = 0.06
"""Least share of the cells left out as likely doublets when trees are grown and further artificial doublets made."""
PRIOR_WEIGHT = 0.1
"""Weight of the expected rate, in cells for each cell of the sample."""


@dataclass(frozen=True, kw_only=True)
class DoubletOptions:
    """How doublets are looked for; section `qc.doublets` of the configuration.

    Attributes:
        rate_per_thousand: expected share of doublets per thousand cells loaded together.
        max_rate: share of doublets of a run loaded to its limit; where no rate is stated, more cells are those of
            several runs, and no more are called than chance allows at it: few cells may be what is left of a full run.
        min_cells: smaller samples are skipped: too few pairs to learn from.
        max_cells: larger samples are split at random into equal parts of at most this size, for memory.
        n_genes: genes of highest variance to use.
        n_components: principal components to use.
        n_rounds: rounds of boosting.
        n_runs: scores are averaged over this many sets of artificial doublets.
    """

    rate_per_thousand: float
    max_rate: float
    min_cells: int
    max_cells: int
    n_genes: int
    n_components: int
    n_rounds: int
    n_runs: int


@dataclass(frozen=True)
class Doublets:
    """Doublets of one sample.

    Attributes:
        score: probability of being a doublet, one value per barcode, NaN where not looked at.
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
    """What the search works on: cells × genes, genes in the order of ids.

    Attributes:
        X: counts, CSR float32.
        total: counts of each cell over all genes.
    """

    X: sp.csr_matrix
    total: np.ndarray

    def take(self, rows: np.ndarray) -> "Cells":
        """Some of the cells."""
        return Cells(self.X[rows], self.total[rows])


@dataclass(frozen=True)
class MarkerSets:
    """Measured markers of the types that every cell is first decided among.

    Attributes:
        columns: columns of the markers in the sample's matrix.
        weights: markers × types, each column a mean over the type's markers.
        classes: class of each type, an integer; types of one class (pericyte and smooth muscle) are not told apart.
    """

    columns: np.ndarray
    weights: np.ndarray
    classes: np.ndarray


def find_doublets(
    counts: Counts,
    passing: np.ndarray,
    options: DoubletOptions,
    *,
    types: CellTypes,
    profile: str,
    known_rate: float | None,
    seed: int,
    variance: np.ndarray | None = None,
) -> Doublets:
    """Score the cells that pass the other limits, and call doublets.

    Args:
        counts: the sample.
        passing: barcodes to look at.
        options: how to look.
        types: the resource, whose markers tell the provisional classes.
        profile: `cells`, `nuclei` or `plates`.
        known_rate: expected share of doublets where the series says it; None: from the number of cells.
        seed: of the artificial doublets.
        variance: of each gene's log-normalised values over the cells to look at, where it is known.
    """
    n = int(passing.sum())
    rate = min(options.rate_per_thousand * n / 1000, options.max_rate) if known_rate is None else known_rate
    skipped = _skipped(counts, profile=profile, n=n, min_cells=options.min_cells, known_rate=known_rate)
    score = np.full(len(passing), np.nan, np.float32)
    called = np.zeros(len(passing), bool)
    if skipped:
        log.info("doublets: not looked for: %s", skipped)
        return Doublets(score, called, float("nan"), skipped)
    rows = np.flatnonzero(passing)
    order = np.argsort(counts.cells.index.to_numpy(str)[rows], kind="stable")
    variance = moments(counts, passing)["var"].to_numpy() if variance is None else variance
    sets = marker_sets(counts.genes, types)
    cells, markers = _chosen_genes(counts, passing, _most_variable(counts, variance, options.n_genes), sets.columns)
    parts = np.random.default_rng(seed).permutation(np.arange(n) % -(-n // options.max_cells))
    for part in range(parts.max() + 1):
        members = order[parts == part]
        raw = score_cells(cells.take(members), markers.take(members), sets, options, rate=rate, seed=seed)
        score[rows[members]] = posterior(raw, _artificial_share(len(members)), expected=rate)
    limit = most(n, rate=options.max_rate if known_rate is None else known_rate)
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


def score_cells(
    cells: Cells, markers: Cells, sets: MarkerSets, options: DoubletOptions, *, rate: float, seed: int
) -> np.ndarray:
    """Probability of each cell to be artificial rather than a cell, averaged over sets of artificial doublets.

    Args:
        cells: the cells in the variable genes.
        markers: the same cells in the genes of the marker sets.
        sets: what the markers stand for.
        options: how to look.
        rate: expected share of doublets.
        seed: of the artificial doublets.
    """
    from brainmet.core.neighbors import nearest

    logs = log_normalised(cells)
    mean, axes = principal_components(logs[:: -(-logs.shape[0] // OF_AXES)], options.n_components)
    place, coexpression = _project(logs, mean, axes), CoexpressionScore(cells.X)
    del logs
    of_cells = np.column_stack([coexpression.score(cells.X), _size(cells), place])
    near, _ = nearest(place, k=SMOOTHED, exact_below=EXACT_BELOW, threads=1, lists=LISTS)
    smooth, classes = np.asarray(place[near].mean(axis=1)), provisional_classes(markers, sets, near)
    single = np.ones(len(place), bool)
    scores: list[np.ndarray] = []
    for run in range(options.n_runs):
        rng = np.random.default_rng([seed, run])
        if scores:
            single[:] = True
            single[_likeliest(np.mean(scores, axis=0), rate=rate)] = False
        made = artificial_doublets(cells, smooth, classes, single, rng)
        points = _project(log_normalised(made), mean, axes)
        of_made = np.column_stack([coexpression.score(made.X), _size(made), points])
        del made
        is_made = np.repeat([False, True], [len(of_cells), len(of_made)])
        around = knn_features(np.vstack([place, points]), is_made)
        table = np.hstack([around, np.vstack([of_cells, of_made])]).astype(np.float32)
        scores.append(_out_of_fold_scores(table, is_made, rate=rate, n_rounds=options.n_rounds, rng=rng))
    return np.asarray(np.mean(scores, axis=0))


def marker_sets(genes: pd.DataFrame, types: CellTypes) -> MarkerSets:
    """The measured markers of the types that are decided broadly, less types of which too few are measured.

    Args:
        genes: index gene id, in the order of which the markers are put; `symbol`.
        types: the resource.
    """
    symbols = genes[Var.SYMBOL].to_numpy()
    sets = {name: gene_columns(symbols, types[name].positive) for name in types.decided("broad")}
    sets = {name: columns for name, columns in sets.items() if len(columns) >= MIN_MARKERS}
    columns = np.unique(np.concatenate([*sets.values(), np.zeros(0, np.int64)]))
    columns = columns[np.argsort(genes.index.to_numpy(str)[columns], kind="stable")]
    weights = np.column_stack(
        [np.isin(columns, own) / len(own) for own in sets.values()] or [np.zeros((len(columns), 0))]
    )
    names = [types.coarse(name) for name in sets]
    return MarkerSets(columns, weights, np.unique(names, return_inverse=True)[1])


def provisional_classes(markers: Cells, sets: MarkerSets, near: np.ndarray) -> np.ndarray:
    """Class of each cell by the markers of its neighbours: the type whose score lies highest above its mean.

    Scores are standardised over the cells of the sample and averaged over neighbours, which evens out ambient RNA that
    all cells show and the noise of few counts. Before doublets are known no better guess is to be had; a cell's own
    identity is decided later, among the cells that are kept.

    Args:
        markers: counts of the cells in the markers.
        sets: what they stand for.
        near: cells × neighbours.
    """
    if sets.weights.shape[1] < 2:
        return np.zeros(len(near), np.int64)
    scores = log_normalised(markers) @ sets.weights
    scores = (scores - scores.mean(axis=0)) / np.maximum(scores.std(axis=0), np.finfo(np.float32).eps)
    return np.asarray(sets.classes[scores[near].mean(axis=1).argmax(axis=1)])


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


def artificial_doublets(
    cells: Cells, place: np.ndarray, classes: np.ndarray, single: np.ndarray, rng: np.random.Generator
) -> Cells:
    """Sums of two cells of different classes, of middling size, drawn by the squared distance between their places.

    Where too few pairs are of different classes, as in a sample of one class, they are drawn by their distance alone.

    Args:
        cells: the cells.
        place: place of each cell without its noise, cells × components.
        classes: provisional class of each cell.
        single: cells that are not taken for doublets themselves.
        rng: source of the draws.
    """
    n = len(cells.total)
    wanted = round(_artificial_share(n) / (1 - _artificial_share(n)) * n)
    low, high = np.quantile(cells.total, SIZES)
    pool = np.flatnonzero(single & (cells.total >= low) & (cells.total <= high))
    first, second = rng.choice(pool, (2, CANDIDATES * wanted))
    weight = np.square(place[first] - place[second]).sum(axis=1, dtype=np.float64)
    unlike = classes[first] != classes[second]
    if np.count_nonzero(weight[unlike]) >= wanted:
        weight[~unlike] = 0
    weight[first != second] += np.finfo(np.float32).tiny  # where all cells are alike, every pair is as good
    pairs = np.sort(rng.choice(len(weight), wanted, replace=False, p=weight / weight.sum()))
    first, second = first[pairs], second[pairs]
    return Cells(sp.csr_matrix(cells.X[first] + cells.X[second]), cells.total[first] + cells.total[second])


def log_normalised(cells: Cells) -> sp.csr_matrix:
    """log1p of counts per ten thousand of the cell's counts over all genes, float32."""
    factor = (TARGET_SUM / np.maximum(cells.total, 1)).astype(np.float32)
    logs = np.repeat(factor, np.diff(cells.X.indptr))
    logs *= cells.X.data
    return sp.csr_matrix((np.log1p(logs, out=logs), cells.X.indices, cells.X.indptr), shape=cells.X.shape)


def principal_components(logs: sp.csr_matrix, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and leading principal axes (genes × n) of the cells, exact; the largest loading of an axis is positive."""
    from brainmet.core.gram import eigenvectors, gram, mirrored

    mean = np.asarray(logs.mean(axis=0, dtype=np.float64)).ravel()
    covariance = mirrored(gram(logs)) / logs.shape[0] - np.outer(mean, mean)
    return mean, eigenvectors(covariance, min(n, *logs.shape))[0]


def knn_features(points: np.ndarray, is_made: np.ndarray) -> np.ndarray:
    """Shares of artificial doublets among each point's neighbours, near ones weighing more, and distances."""
    from brainmet.core.neighbors import nearest

    root = np.sqrt((~is_made).sum())
    sizes = [int(np.clip(round(size * root), 3, MOST_NEIGHBORS)) for size in NEIGHBORHOODS]
    k = min(max(sizes), len(points) - 1)
    near, far = nearest(points, k=k, exact_below=EXACT_BELOW, threads=1, lists=LISTS)
    made = is_made[near]
    weight = np.sqrt(k - np.arange(k)) / np.maximum(far, 1e-6)
    shares = [(made * weight).sum(axis=1) / weight.sum(axis=1), *(made[:, :size].mean(axis=1) for size in sizes)]
    # A kind that is not among the neighbours is put at twice the largest distance.
    beyond, rows = 2 * far[:, 0].max(), np.arange(len(points))
    to_made, to_cell = (np.where(kind.any(axis=1), far[rows, kind.argmax(axis=1)], beyond) for kind in (made, ~made))
    return np.column_stack([*shares, far[:, 0], to_cell, to_cell - to_made])


class CoexpressionScore:
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


def _out_of_fold_scores(
    table: np.ndarray, is_made: np.ndarray, *, rate: float, n_rounds: int, rng: np.random.Generator
) -> np.ndarray:
    """Probability of each cell to be artificial, by trees that were grown without it and without likely doublets."""
    xgboost = lean("xgboost", without="sklearn")
    n = int((~is_made).sum())
    clean = np.ones(len(table), bool)
    # First column: the share of artificial doublets around a cell.
    clean[_likeliest(table[:n, 0], rate=rate)] = False
    fold = rng.permutation(np.arange(len(table)) % FOLDS)
    settings = TREES | {"tree_method": "hist", "nthread": 1, "verbosity": 0, "seed": int(rng.integers(2**31))}
    score = np.empty(n, np.float32)
    for number in range(FOLDS):
        rows, left_out = clean & (fold != number), np.flatnonzero(fold[:n] == number)
        data = xgboost.DMatrix(table[rows], label=is_made[rows].astype(np.float32), nthread=1)
        trees = xgboost.train(settings, data, num_boost_round=n_rounds)
        score[left_out] = trees.inplace_predict(table[left_out])
    return score


def _likeliest(score: np.ndarray, *, rate: float) -> np.ndarray:
    """The cells that are left out as likely doublets: the highest scores, as many as expected or a little more."""
    return np.argsort(-score, kind="stable")[: max(1, round(max(rate, CLEANED) * len(score)))]


def _project(logs: sp.csr_matrix, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.asarray(logs @ axes.astype(np.float32) - (mean @ axes).astype(np.float32))


def _artificial_share(n: int) -> float:
    """Share of artificial doublets among all that is learned from."""
    made = min(MOST_ARTIFICIAL, max(FEWEST_ARTIFICIAL, ARTIFICIAL_SHARE * n))
    return float(made / (made + n))


def _skipped(counts: Counts, *, profile: str, n: int, min_cells: int, known_rate: float | None) -> str:
    if known_rate == 0:
        return "none left, as the dataset file says (doublet_rate: 0)"
    if profile == "plates":
        return "one cell per well"
    if counts.uns[Uns.VALUES] != "counts":
        return f"values are {counts.uns[Uns.VALUES]}"
    if n < min_cells:
        return f"{n} cells, fewer than {min_cells}"
    return ""


def _most_variable(counts: Counts, variance: np.ndarray, n_genes: int) -> np.ndarray:
    """Columns of the genes whose log-normalised values vary most, in the order of the genes' ids."""
    ids = counts.genes.index.to_numpy(str)
    # Rounded: sums in another order of cells must not swap two genes.
    chosen = np.lexsort((ids, -np.round(variance, 9)))[:n_genes]
    return np.asarray(chosen[np.argsort(ids[chosen], kind="stable")])


def _chosen_genes(counts: Counts, passing: np.ndarray, *columns: np.ndarray) -> list[Cells]:
    """The passing cells, once with each choice of genes."""
    blocks, totals, wanted = [], [], np.unique(np.concatenate(columns))
    for block in counts.chunks(passing):
        totals.append(np.asarray(block.sum(axis=1, dtype=np.float64)).ravel())
        blocks.append(block[:, wanted])
    whole, total = sp.vstack(blocks, format="csr"), np.concatenate(totals)
    matrices = [whole[:, np.searchsorted(wanted, chosen)] for chosen in columns]
    for matrix in matrices:
        matrix.sort_indices()
    return [Cells(matrix, total) for matrix in matrices]
