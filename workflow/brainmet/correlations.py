"""Do two programmes go together in the cells of one donor? Correlations between cells, against random pairs of genes.

Cells of a donor share depth, and deep cells score high in everything. The correlation is therefore a partial one, of
ranks, given each cell's depth and whatever else the claim names; and it is set against that of random pairs of sets of
the same size and expression in the same cells, which share all that is technical. One number a donor goes on: donors
are the replicates. Only the informative genes of the slices are known here: no count is read again.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import Obs
from brainmet.donor_scores import GeneSet, expression_bins
from brainmet.donors import PLATFORM
from brainmet.ranks import ranks
from brainmet.slice import Slice
from brainmet.tables import columns, empty

log = logging.getLogger(__name__)

DEPTH = "depth"
N_BINS = 10
"""Bins of expression that random genes come from; a slice holds some 2,000 genes."""
_WHO = [Obs.STUDY, Obs.DONOR, Obs.CONDITION, PLATFORM]


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
        parts: slices over the same genes, one a sample.
        annotation: index cell id; `study, donor, condition, platform, cell_type`.
        depth: counts by cell id.
        symbols: of the slices' genes.
        claims: entries; those whose readout is a `correlation` are read.
        sets: signatures by id.
        types_of: cell types by compartment of the claims.
        min_cells: cells a donor needs.
        min_genes: genes that each side needs among the slices' genes.
        n_random: random pairs.
        seed: of the random pairs.
    """
    asked = [claim for claim in claims if "correlation" in claim["readout"]]
    if not asked:
        return empty("correlations")
    rows, places = [], {claim["compartment"] for claim in asked}
    for compartment, cells in _gather(parts, annotation, depth, types_of, places, len(symbols)).items():
        for who, (X, counts, measured) in sorted(cells.items()):
            for claim in asked:
                if claim["compartment"] == compartment:
                    row = dict(zip(_WHO, who, strict=True)) | {"claim": claim["id"], "n_cells": X.shape[0]}
                    rng = np.random.default_rng([seed, crc32(claim["id"].encode()), crc32(np.sort(counts).tobytes())])
                    found = _Donor(X, counts, measured, symbols, min_genes, n_random, rng)
                    few = f"{X.shape[0]} cells, {min_cells} needed" if X.shape[0] < min_cells else ""
                    rows.append(row | found.row(claim["readout"]["correlation"], sets, few))
    log.info("%d claims on correlations, %d rows", len(asked), len(rows))
    return pd.DataFrame(rows)[columns("correlations")] if rows else empty("correlations")


def _gather(
    parts: Iterable[Slice],
    annotation: pd.DataFrame,
    depth: pd.Series,
    types_of: Mapping[str, Collection[str]],
    compartments: Collection[str],
    n_genes: int,
) -> dict[str, dict[tuple[str, ...], tuple[sp.csr_matrix, np.ndarray, np.ndarray]]]:
    """Cells by compartment, donor and platform: values, depth, and which genes all of the donor's samples measured."""
    found: dict[str, dict[tuple[str, ...], list[tuple[sp.csr_matrix, np.ndarray, np.ndarray]]]] = {
        name: {} for name in sorted(compartments)
    }
    for part in parts:
        own = annotation.reindex(part.cells).assign(row=np.arange(len(part.cells)))
        for name, donors in found.items():
            members = own[own[Obs.CELL_TYPE].isin(list(types_of[name]))]
            if part.X.shape[1] != n_genes:
                raise ValueError(f"{n_genes} symbols do not name the {part.X.shape[1]} genes of a slice")
            for who, rows in members.groupby(_WHO, sort=True)["row"]:
                at = rows.to_numpy()
                cells = part.X[at], depth.loc[part.cells[at]].to_numpy(float), part.measured
                donors.setdefault(tuple(map(str, who)), []).append(cells)
    return {
        name: {
            who: (
                sp.vstack([x for x, *_ in own], format="csr"),
                np.concatenate([d for _, d, _ in own]),
                np.all([m for *_, m in own], axis=0),
            )
            for who, own in donors.items()
        }
        for name, donors in found.items()
    }


class _Donor:
    """Correlations in the cells of one donor."""

    def __init__(
        self,
        X: sp.csr_matrix,
        depth: np.ndarray,
        measured: np.ndarray,
        symbols: Sequence[str],
        min_genes: int,
        n_random: int,
        rng: np.random.Generator,
    ) -> None:
        self.X, self.depth, self.min_genes, self.n_random, self.rng = X, depth, min_genes, n_random, rng
        level = np.asarray(X.mean(axis=0)).ravel()
        usable = np.flatnonzero(measured & (level > 0))
        self.where = {symbols[i]: int(i) for i in usable[::-1]}
        self.bins = np.full(len(level), -1)
        self.bins[usable] = expression_bins(level[usable], n_bins=N_BINS)

    def row(self, spec: Mapping[str, Any], sets: Mapping[str, GeneSet], few: str) -> dict[str, Any]:
        """`rho, z, z_random, p_random, n_genes_a, n_genes_b, reason` of one pair."""
        a, b = (sides(spec[side], sets) for side in ("a", "b"))
        # A gene on both sides would correlate with itself; it says nothing on either.
        shared = {g for g, _ in a} & {g for g, _ in b}
        a, b = ([(g, s) for g, s in side if g not in shared and g in self.where] for side in (a, b))
        row: dict[str, Any] = {"n_genes_a": len(a), "n_genes_b": len(b)}
        row |= dict.fromkeys(("rho", "z", "z_random", "p_random"), np.nan)
        if few:
            return row | {"reason": few}
        if min(len(a), len(b)) < self.min_genes:
            reason = f"{len(a)} and {len(b)} genes of the two sides vary, {self.min_genes} needed"
            return row | {"reason": reason}
        members = {g for g, _ in (*a, *b)}
        given = [np.log(np.maximum(self.depth, 1))] if DEPTH in spec.get("given", []) else []
        for name in spec.get("given", []):
            others = (
                [(g, s) for g, s in sides(name, sets) if g not in members and g in self.where] if name != DEPTH else []
            )
            if others:
                given.append(self._scores([others])[:, 0])
        free = np.array(sorted(set(self.where.values()) - {self.where[g] for g in members}))
        left, right = (self._scores([side, *self._random(side, free)]) for side in (a, b))
        rho = _partial(left, right, given)
        z = np.arctanh(np.clip(rho, -0.999999, 0.999999))
        return row | {
            "rho": rho[0],
            "z": z[0],
            "z_random": float(np.nanmean(z[1:])),
            "p_random": float(
                (1 + (np.abs(z[1:] - np.nanmean(z[1:])) >= abs(z[0] - np.nanmean(z[1:]))).sum()) / len(z)
            ),
            "reason": "" if np.isfinite(rho[0]) else "a side does not vary between the cells",
        }

    def _random(self, side: Sequence[tuple[str, float]], free: np.ndarray) -> list[list[tuple[int, float]]]:
        """Random sides: every gene replaced by a free one of its bin."""
        bins = self.bins[[self.where[g] for g, _ in side]]
        pools = {b: free[self.bins[free] == b] for b in set(bins)}
        drawn = [self.rng.choice(pools[b] if len(pools[b]) else free, size=self.n_random) for b in bins]
        return [[(int(at), s) for at, (_, s) in zip(row, side, strict=True)] for row in np.array(drawn).T]

    def _scores(self, sets: Sequence[Sequence[tuple[Any, float]]]) -> np.ndarray:
        """Cells × sets: mean of the genes, up less down."""
        weights = sp.lil_matrix((self.X.shape[1], len(sets)))
        for column, members in enumerate(sets):
            for gene, sign in members:
                weights[self.where[gene] if isinstance(gene, str) else gene, column] += sign / len(members)
        return np.asarray((self.X @ weights.tocsc()).todense())


def sides(spec: str | Sequence[str], sets: Mapping[str, GeneSet]) -> list[tuple[str, float]]:
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
