"""Do two programmes go together in the cells of one donor? Correlations between cells, against random pairs of genes.

Cells of a donor share depth, and deep cells score high in everything. The correlation is therefore a partial one, of
ranks, given each cell's depth and whatever else the claim names; and it is set against that of random pairs of sets of
the same size and expression in the same cells, which share all that is technical. Each donor gives one number: donors
are the replicates. Only the informative genes of the slices are known here: no count is read again.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.claims.measures import WHO
from brainmet.compare.donor_scores import GeneSet
from brainmet.core.tables import columns, empty
from brainmet.pseudobulk.type_profiles import strata
from brainmet.slice import Cells, Slice, gather
from brainmet.stats.ranks import ranks

log = logging.getLogger(__name__)

DEPTH = "depth"
N_BINS = 10
"""Bins of expression that random genes come from; a slice holds some 2,000 genes."""
Side = list[tuple[str, float]]
"""Genes of one side of a correlation, each with its sign."""


def correlations(
    parts: Iterable[Slice],
    annotation: pd.DataFrame,
    depth: pd.Series,
    symbols: Sequence[str],
    claims: Sequence[Mapping[str, Any]],
    sets: Mapping[str, GeneSet],
    types_of: Mapping[str, Collection[str]],
    *,
    min_cells: int,
    min_genes: int,
    n_random: int,
    seed: int,
) -> pd.DataFrame:
    """Rows of `correlations.tsv`: every claim on a correlation in every donor of its compartment.

    Args:
        parts: slices over the same genes, one per sample.
        annotation: index cell id; `study, donor, condition, platform, cell_type`.
        depth: counts by cell id.
        symbols: of the slices' genes.
        claims: entries; those whose readout is a `correlation` are read.
        sets: signatures by id.
        types_of: cell types in which a claim is read, by its id.
        min_cells: cells that a donor needs, where the claim does not say.
        min_genes: genes that each side needs among the slices' genes.
        n_random: random pairs.
        seed: of the random pairs.
    """
    asked = [claim for claim in claims if "correlation" in claim["readout"]]
    if not asked:
        return empty("correlations")
    rows = []
    place_of = {claim["id"]: f"{claim['compartment']}: {', '.join(types_of[claim['id']])}" for claim in asked}
    types = {place_of[claim["id"]]: types_of[claim["id"]] for claim in asked}
    for place, donors in gather(parts, annotation, depth, types, keys=WHO).items():
        here = [claim for claim in asked if place_of[claim["id"]] == place]
        for who, cells in donors.items():
            donor = Donor(cells, symbols, min_cells=min_cells, min_genes=min_genes, n_random=n_random)
            rows += [dict(zip(WHO, who, strict=True)) | donor.correlate(claim, sets, seed=seed) for claim in here]
    log.info("%d claims on correlations, %d rows", len(asked), len(rows))
    return pd.DataFrame(rows)[columns("correlations")] if rows else empty("correlations")


class Donor:
    """Correlations in the cells of one donor.

    Args:
        cells: of the donor.
        symbols: of their genes.
        min_cells: cells that a correlation needs, where the claim does not say.
        min_genes: genes that each side needs.
        n_random: random pairs of sides.
    """

    def __init__(self, cells: Cells, symbols: Sequence[str], *, min_cells: int, min_genes: int, n_random: int) -> None:
        if cells.X.shape[1] != len(symbols):
            raise ValueError(f"{len(symbols)} symbols do not name the {cells.X.shape[1]} genes of a slice")
        self.X, self.depth = cells.X, cells.depth
        self.min_cells, self.min_genes, self.n_random = min_cells, min_genes, n_random
        self.level = np.asarray(self.X.mean(axis=0)).ravel()
        self.measured = cells.measured
        usable = np.flatnonzero(cells.measured & (self.level > 0))
        self.where = {symbols[i]: int(i) for i in usable[::-1]}

    @cached_property
    def bins(self) -> np.ndarray:
        """Bin of expression of each gene; -1 of those that are not measured or never seen."""
        return strata(np.where(self.measured, self.level, 0.0), N_BINS)

    def correlate(self, claim: Mapping[str, Any], sets: Mapping[str, GeneSet], *, seed: int) -> dict[str, Any]:
        """`claim, n_cells, n_genes_a, n_genes_b, rho, z, z_random, p_random, reason` of the pair that a claim names."""
        spec = claim["readout"]["correlation"]
        a, b = (sides(spec[side], sets) for side in ("a", "b"))
        # A gene on both sides would correlate with itself; it says nothing on either.
        shared = {g for g, _ in a} & {g for g, _ in b}
        a, b = ([(g, s) for g, s in side if g not in shared and g in self.where] for side in (a, b))
        reason = self._too_few(len(a), len(b), claim.get("min_cells", self.min_cells))
        row: dict[str, Any] = {"claim": claim["id"], "n_cells": self.X.shape[0], "reason": reason}
        row |= {"n_genes_a": len(a), "n_genes_b": len(b)} | dict.fromkeys(("rho", "z", "z_random", "p_random"), np.nan)
        if reason:
            return row
        of_claim, of_cells = crc32(claim["id"].encode()), crc32(np.sort(self.depth).tobytes())
        return row | self._against_random(a, b, spec, sets, np.random.default_rng([seed, of_claim, of_cells]))

    def _too_few(self, n_a: int, n_b: int, min_cells: int) -> str:
        """Why there is no correlation; empty where there are cells and genes enough."""
        if self.X.shape[0] < min_cells:
            return f"{self.X.shape[0]} cells, {min_cells} needed"
        if min(n_a, n_b) < self.min_genes:
            return f"{n_a} and {n_b} genes of the two sides vary, {self.min_genes} needed"
        return ""

    def _against_random(
        self,
        a: Side,
        b: Side,
        spec: Mapping[str, Any],
        sets: Mapping[str, GeneSet],
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """The partial correlation of two sides, and that of random sides of the same expression."""
        members = {gene for gene, _ in (*a, *b)}
        given = self._given(spec.get("given", []), members, sets)
        free = np.array(sorted(set(self.where.values()) - {self.where[gene] for gene in members}))
        left, right = (self._scores([side, *self._random(side, free, rng)]) for side in (a, b))
        rho = _partial(left, right, given)
        z = np.arctanh(np.clip(rho, -0.999999, 0.999999))
        middle = np.nanmean(z[1:])
        as_far = (np.abs(z[1:] - middle) >= abs(z[0] - middle)).sum()
        return {
            "rho": rho[0],
            "z": z[0],
            "z_random": float(middle),
            "p_random": float((1 + as_far) / len(z)),
            "reason": "" if np.isfinite(rho[0]) else "a side does not vary between the cells",
        }

    def _given(self, names: Sequence[str], members: Collection[str], sets: Mapping[str, GeneSet]) -> list[np.ndarray]:
        """What is held constant, one value per cell each: depth, and signatures without the genes of the two sides."""
        given = [np.log(np.maximum(self.depth, 1))] if DEPTH in names else []
        for name in names:
            genes = [] if name == DEPTH else sides(name, sets)
            if others := [(gene, sign) for gene, sign in genes if gene not in members and gene in self.where]:
                given.append(self._scores([others])[:, 0])
        return given

    def _random(self, side: Side, free: np.ndarray, rng: np.random.Generator) -> list[list[tuple[int, float]]]:
        """Random sides: every gene replaced by a free one of its bin."""
        bins = self.bins[[self.where[g] for g, _ in side]]
        pools = {b: free[self.bins[free] == b] for b in set(bins)}
        drawn = [rng.choice(pools[b] if len(pools[b]) else free, size=self.n_random) for b in bins]
        return [[(int(at), s) for at, (_, s) in zip(row, side, strict=True)] for row in np.array(drawn).T]

    def _scores(self, sets: Sequence[Sequence[tuple[Any, float]]]) -> np.ndarray:
        """Cells × sets: mean of the genes, up less down."""
        weights = sp.lil_matrix((self.X.shape[1], len(sets)))
        for column, members in enumerate(sets):
            for gene, sign in members:
                weights[self.where[gene] if isinstance(gene, str) else gene, column] += sign / len(members)
        return np.asarray((self.X @ weights.tocsc()).todense())


def sides(spec: str | Sequence[str], sets: Mapping[str, GeneSet]) -> Side:
    """Genes of one side with their sign: a signature's, or a list of genes."""
    if not isinstance(spec, str):
        return [(gene, 1.0) for gene in spec]
    if spec not in sets:
        return []
    return [(g, 1.0) for g in sets[spec].up] + [(g, -1.0) for g in sets[spec].down]


def _partial(left: np.ndarray, right: np.ndarray, given: Sequence[np.ndarray]) -> np.ndarray:
    """Partial rank correlation of each pair of columns given others; NaN where a column does not vary."""
    design = np.column_stack([np.ones(len(left)), *(ranks(column) for column in given)])
    residual = []
    for values in (left, right):
        ranked = ranks(values)
        residual.append(ranked - design @ np.linalg.lstsq(design, ranked, rcond=None)[0])
    norm = np.sqrt((residual[0] ** 2).sum(axis=0) * (residual[1] ** 2).sum(axis=0))
    product = (residual[0] * residual[1]).sum(axis=0)
    return np.divide(product, norm, out=np.full(len(norm), np.nan), where=norm > 1e-6)
