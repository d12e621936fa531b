"""Programmes of malignant cells: NMF in each donor, kept when they recur over donors.

Factors are sought in each donor alone, so that differences between donors (copy number, subtype, batch) cannot become
a programme; what returns in several donors is one. The plan follows Gavish et al. 2023 (10.1038/s41586-023-06130-4):
several numbers of factors per donor, leading genes of each factor, factors that return within the donor, groups of
factors that share genes over donors.
"""

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import binomtest, false_discovery_control, hypergeom

from brainmet import slice
from brainmet.contract import Compartment, Obs, is_malignant
from brainmet.core import tables
from brainmet.knowledge.signatures import Signature
from brainmet.slice import Slice
from brainmet.stats.ranks import rank_correlations

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cells:
    """Malignant cells of one donor.

    Attributes:
        study, donor: who.
        X: cells × genes, log-normalised, CSR.
        depth: counts of each cell.
        measured: genes that all of the donor's samples measured.
    """

    study: str
    donor: str
    X: sp.csr_matrix
    depth: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True)
class Factor:
    """Leading genes of one factor of one donor, strongest first."""

    study: str
    donor: str
    genes: tuple[str, ...]


class Programme(NamedTuple):
    """A programme that several donors share.

    Attributes:
        name: `MP1`, the programme of most donors, and so on.
        genes: those that lead most of its factors, most frequent first.
        factors: one of each donor.
    """

    name: str
    genes: tuple[str, ...]
    factors: list[Factor]


@dataclass(frozen=True)
class Settings:
    """How programmes are sought; see `config: programmes`."""

    ranks: Sequence[int]
    n_genes: int
    min_cells: int
    max_cells: int
    min_detected: float
    min_donors: int
    overlap_within: float
    overlap_between: float
    max_iter: int
    seed: int


def gather(parts: Iterable[Slice], annotation: pd.DataFrame, depth: pd.Series) -> list[Cells]:
    """Malignant cells by donor, from the slices of all samples.

    Args:
        parts: slices over the same genes; read one after the other.
        annotation: index cell id; study, donor, cell_type.
        depth: counts by cell id.
    """
    types = set(filter(is_malignant, annotation[Obs.CELL_TYPE].unique()))
    donors = slice.gather(parts, annotation, depth, {Compartment.MALIGNANT: types}, keys=[Obs.STUDY, Obs.DONOR])
    return [
        Cells(study, donor, own.X, own.depth, own.measured)
        for (study, donor), own in donors[Compartment.MALIGNANT].items()
    ]


def programmes(
    cells: Sequence[Cells], symbols: Sequence[str], signatures: Sequence[Signature], *, settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Recurrent programmes and how they go together (`tables/programmes.yaml`, `tables/programme_pairs.yaml`).

    Args:
        cells: malignant cells, one entry per donor.
        symbols: of the genes, the columns of `Cells.X`.
        signatures: to match programmes with.
        settings: how programmes are sought.
    """
    enough = [donor for donor in cells if donor.X.shape[0] >= settings.min_cells]
    log.info("%d of %d donors have %d malignant cells", len(enough), len(cells), settings.min_cells)
    if len(enough) < settings.min_donors:
        log.info("%d donors are needed: the tables are empty", settings.min_donors)
        return tables.empty("programmes"), tables.empty("programme_pairs")
    names = np.asarray(symbols, dtype=object)
    if wrong := [donor.donor for donor in enough if donor.X.shape[1] != len(names)]:
        raise ValueError(f"{wrong[0]}: {len(names)} symbols do not name the genes of the slices")
    factors = [factor for donor in enough for factor in factorise(donor, names, settings=settings)]
    found = recurrent(
        factors, min_donors=settings.min_donors, overlap=settings.overlap_between, n_genes=settings.n_genes
    )
    log.info(
        "%d factors return within their donor, %d programmes in %d donors or more",
        len(factors),
        len(found),
        settings.min_donors,
    )
    if not found:
        return tables.empty("programmes"), tables.empty("programme_pairs")
    universe = set(names[np.logical_and.reduce([donor.measured for donor in enough])])
    scores = [_scores(donor, names, found) for donor in enough]
    return _describe(found, signatures, universe, scores), _pairs(found, scores)


def factorise(donor: Cells, symbols: np.ndarray, *, settings: Settings) -> list[Factor]:
    """Factors of one donor that return for another number of factors, without near-copies.

    A factor is kept when a factor of another rank shares `overlap_within` of its leading genes; of those that share
    as much as programmes of different donors must (`overlap_between`), the first one stands for all.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    rows = _spread(donor.X.shape[0], settings.max_cells)
    X = donor.X[rows]
    seen = np.asarray((X > 0).mean(axis=0)).ravel()
    use = np.flatnonzero(donor.measured & (seen >= settings.min_detected))
    if len(use) < settings.n_genes:
        log.info("donor %s: %d genes detected, %d needed", donor.donor, len(use), settings.n_genes)
        return []
    # Single precision takes half the time; over 300 rounds the leading genes come out the same.
    dense = X[:, use].toarray().astype(np.float32)
    dense /= dense.std(axis=0, dtype=np.float64) + 1e-9  # genes count alike; means stay, NMF needs values of 0 or more
    by_rank: list[list[tuple[str, ...]]] = []
    for rank in settings.ranks:
        if rank >= min(dense.shape):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = NMF(rank, init="nndsvd", max_iter=settings.max_iter, random_state=settings.seed, tol=1e-4).fit(
                dense
            )
        by_rank.append(_leading(model.components_, symbols[use], settings.n_genes))
    return [Factor(donor.study, donor.donor, genes) for genes in _stable(by_rank, settings)]


def _spread(n: int, most: int) -> np.ndarray:
    """At most `most` of n rows, evenly spread."""
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int))


def _leading(components: np.ndarray, symbols: np.ndarray, n_genes: int) -> list[tuple[str, ...]]:
    """Genes with the largest share of a factor: what all factors load on (depth, housekeeping) leads none of them."""
    scaled = components / np.maximum(components.sum(axis=1, keepdims=True), 1e-12)
    others = (scaled.sum(axis=0) - scaled) / max(len(scaled) - 1, 1)
    order = np.argsort(others - scaled, axis=1, kind="stable")[:, :n_genes]
    return [tuple(symbols[row]) for row in order]


def _stable(by_rank: Sequence[Sequence[tuple[str, ...]]], settings: Settings) -> list[tuple[str, ...]]:
    returns: list[tuple[float, tuple[str, ...]]] = []
    for i, factors in enumerate(by_rank):
        others = [genes for j, listed in enumerate(by_rank) if j != i for genes in listed]
        for genes in factors:
            shared = sorted((_shared(genes, other) for other in others), reverse=True)
            if shared and shared[0] >= settings.overlap_within:
                returns.append((sum(s >= settings.overlap_within for s in shared) + shared[0], genes))
    kept: list[tuple[str, ...]] = []
    for _, genes in sorted(returns, key=lambda item: -item[0]):
        if all(_shared(genes, other) < settings.overlap_between for other in kept):
            kept.append(genes)
    return kept


def _shared(a: Sequence[str], b: Sequence[str]) -> float:
    return len(set(a) & set(b)) / max(len(a), 1)


def recurrent(factors: Sequence[Factor], *, min_donors: int, overlap: float, n_genes: int) -> list[Programme]:
    """Programmes: groups of factors from several donors that share genes, largest first.

    The factor that shares `overlap` of its genes with factors of most other donors founds a group; a donor adds its
    factor. Genes of the group are those in most of its factors, ties by their mean place.
    """
    left = sorted(factors, key=lambda f: (f.genes, f.study, f.donor))
    found: list[Programme] = []
    while left:
        candidates = [_group(founder, left, overlap) for founder in left]
        best = max(candidates, key=lambda group: (len(group), sum(_shared(group[0].genes, f.genes) for f in group)))
        if len(best) < min_donors:
            break
        genes, taken = _consensus(best, n_genes), {id(f) for f in best}
        found.append(Programme(f"MP{len(found) + 1}", genes, best))
        # Copies in the same donors go with the group: they would found it again.
        left = [f for f in left if id(f) not in taken and _shared(f.genes, genes) < overlap]
    return found


def _group(founder: Factor, factors: Sequence[Factor], overlap: float) -> list[Factor]:
    best: dict[tuple[str, str], tuple[float, Factor]] = {}
    for factor in factors:
        key, shared = (factor.study, factor.donor), _shared(founder.genes, factor.genes)
        if key != (founder.study, founder.donor) and shared >= overlap and shared > best.get(key, (0.0, founder))[0]:
            best[key] = (shared, factor)
    return [founder, *(factor for _, factor in best.values())]


def _consensus(factors: Sequence[Factor], n_genes: int) -> tuple[str, ...]:
    places: dict[str, list[int]] = {}
    for factor in factors:
        for place, gene in enumerate(factor.genes):
            places.setdefault(gene, []).append(place)
    order = sorted(places, key=lambda gene: (-len(places[gene]), np.mean(places[gene]), gene))
    return tuple(order[:n_genes])


def _scores(donor: Cells, symbols: np.ndarray, found: Sequence[Programme]) -> np.ndarray:
    """Cells × programmes and depth last: mean of the programme's genes less that of all measured ones."""
    position = {symbol: i for i, symbol in enumerate(symbols) if donor.measured[i]}
    every = np.asarray(donor.X[:, np.flatnonzero(donor.measured)].mean(axis=1)).ravel()
    columns = []
    for programme in found:
        at = [position[gene] for gene in programme.genes if gene in position]
        columns.append(np.asarray(donor.X[:, at].mean(axis=1)).ravel() - every if at else np.full(len(every), np.nan))
    return np.column_stack([*columns, donor.depth])


def _describe(
    found: Sequence[Programme],
    signatures: Sequence[Signature],
    universe: set[str],
    scores: Sequence[np.ndarray],
) -> pd.DataFrame:
    """Rows of `programmes.tsv`: each programme, the signature nearest to it, and how it goes with depth."""
    nearest = _nearest(found, signatures, universe)
    rows = []
    for column, programme in enumerate(found):
        donors = sorted({f"{f.study}/{f.donor}" for f in programme.factors})
        rows.append(
            {
                "programme": programme.name,
                "n_donors": len(donors),
                "n_studies": len({f.study for f in programme.factors}),
                "donors": ";".join(donors),
                "n_programmes": len(programme.factors),
                "genes": ";".join(programme.genes),
                "depth_rho": float(np.nanmedian([rank_correlations(donor)[column, -1] for donor in scores])),
                **nearest[programme.name],
            }
        )
    return pd.DataFrame(rows)[tables.columns("programmes")]


def _nearest(
    found: Sequence[Programme], signatures: Sequence[Signature], universe: set[str]
) -> dict[str, dict[str, Any]]:
    """By programme, `signature, n_shared, shared, p, fdr` of the signature that shares more genes than chance gives.

    p is hypergeometric; the FDR is over all programmes and signatures. Of equal ones the first signature counts.
    """
    none = {"signature": "", "n_shared": 0, "shared": "", "p": np.nan, "fdr": np.nan}
    tests = pd.DataFrame(
        [
            {"programme": programme.name} | _overlap(programme.genes, signature, universe)
            for programme in found
            for signature in signatures
        ]
    )
    if tests.empty:
        return {programme.name: none for programme in found}
    tests["fdr"] = false_discovery_control(tests["p"].to_numpy(float))
    best = tests.loc[tests.groupby("programme", sort=False)["p"].idxmin()].set_index("programme")
    records = best.to_dict("index")
    return {name: row if row["n_shared"] else none for name, row in records.items()}


def _overlap(genes: Sequence[str], signature: Signature, universe: set[str]) -> dict[str, Any]:
    """Genes of a programme that a signature lists among those that all donors measured, and the p of so many."""
    measured = [gene for gene in genes if gene in universe]
    members = set(signature.up) & universe
    shared = [gene for gene in measured if gene in members]
    p = hypergeom.sf(len(shared) - 1, len(universe), len(members), len(measured))
    return {"signature": signature.id, "n_shared": len(shared), "shared": ";".join(shared), "p": float(p)}


def _pairs(found: Sequence[Programme], scores: Sequence[np.ndarray]) -> pd.DataFrame:
    """Partial rank correlations of two programmes' scores over a donor's cells, given depth; then over donors."""
    if len(found) < 2:
        return tables.empty("programme_pairs")
    partial = []
    for donor in scores:
        rho = rank_correlations(donor)
        to_depth = rho[:-1, -1]
        scale = np.sqrt(np.maximum(1 - to_depth**2, 1e-12))
        partial.append((rho[:-1, :-1] - np.outer(to_depth, to_depth)) / np.outer(scale, scale))
    rows = []
    for a, b in combinations(range(len(found)), 2):
        values = np.array([rho[a, b] for rho in partial if np.isfinite(rho[a, b])])
        rows.append({"programme_a": found[a].name, "programme_b": found[b].name} | _over_donors(values))
    table = pd.DataFrame(rows)
    known = table["p"].notna()
    table["fdr"] = np.nan
    table.loc[known, "fdr"] = false_discovery_control(table.loc[known, "p"].to_numpy(float))
    return table[tables.columns("programme_pairs")]


def _over_donors(rho: np.ndarray) -> dict[str, float]:
    """Correlations of one pair of programmes over donors, and the p of a sign test; NaN without donors."""
    if not len(rho):
        return {"n_donors": 0} | dict.fromkeys(("median_rho", "min_rho", "max_rho", "share_positive", "p"), np.nan)
    positive = int((rho > 0).sum())
    return {
        "n_donors": len(rho),
        "median_rho": float(np.median(rho)),
        "min_rho": float(rho.min()),
        "max_rho": float(rho.max()),
        "share_positive": positive / len(rho),
        "p": float(binomtest(positive, len(rho)).pvalue),
    }
