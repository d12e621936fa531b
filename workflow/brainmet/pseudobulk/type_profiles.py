"""Profiles of the cell types of one sample, taken from the cohort's pseudobulk.

What works on ligands, drug targets or models needs no cells: sums of counts by sample and type, the number of cells and
the number of cells that detect a gene are enough, and stay small however many cells there are.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from brainmet.compare.donor_scores import expression_bins
from brainmet.compare.donors import PLATFORM, platforms
from brainmet.contract import TARGET_SUM, UNKNOWN, Obs, Uns, Var
from brainmet.knowledge.cell_types import CellTypes
from brainmet.pseudobulk import DETECTED, Pseudobulk

log = logging.getLogger(__name__)
CELLS = ("cell", "nucleus")
SUMMABLE = ("counts", "expected_counts", "tpm")
"""Kinds of values whose sums are profiles; sums of logs are not."""


@dataclass(frozen=True)
class TypeProfiles:
    """Types of one sample by measured genes.

    Attributes:
        about: dataset, study, sample, donor, condition and the other fields of the sample.
        types: ids of the cell types, sorted.
        n_cells: number of cells of each type.
        sums: types × genes, counts summed over the cells of the type.
        detected: types × genes, cells of the type with at least one count.
        symbols: gene symbols, unique and sorted, so that random draws do not depend on the order of a file.
    """

    about: Mapping[str, str]
    types: tuple[str, ...]
    n_cells: np.ndarray
    sums: np.ndarray
    detected: np.ndarray
    symbols: np.ndarray

    @cached_property
    def cp10k(self) -> np.ndarray:
        """Counts per ten thousand of each type's profile."""
        depth = self.sums.sum(axis=1, keepdims=True)
        return np.divide(self.sums * TARGET_SUM, depth, out=np.zeros_like(self.sums), where=depth > 0)

    @cached_property
    def log(self) -> np.ndarray:
        """Natural log of 1 + counts per ten thousand."""
        return np.log1p(self.cp10k)

    @cached_property
    def log2_cpm(self) -> np.ndarray:
        """Log2 of 1 + counts per million."""
        return np.log2(self.cp10k * 100 + 1)

    @cached_property
    def fraction(self) -> np.ndarray:
        """Share of the type's cells that detect the gene."""
        return self.detected / np.maximum(self.n_cells, 1)[:, None]

    @cached_property
    def columns(self) -> dict[str, int]:
        """Column of a gene by its symbol."""
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    def where(self, genes: Sequence[str]) -> list[int]:
        """Columns of the measured ones among `genes`."""
        return [self.columns[gene] for gene in genes if gene in self.columns]

    def merged(self, groups: Mapping[str, Sequence[str]]) -> "TypeProfiles":
        """Profiles of groups of types, summed; groups without a type here are left out."""
        rows = {name: [self.types.index(t) for t in members if t in self.types] for name, members in groups.items()}
        rows = {name: found for name, found in sorted(rows.items()) if found}
        if all(len(found) == 1 for found in rows.values()):
            return self._renamed({name: found[0] for name, found in rows.items()})
        member = np.zeros((len(rows), len(self.types)))
        for i, found in enumerate(rows.values()):
            member[i, found] = 1
        return TypeProfiles(
            self.about, tuple(rows), member @ self.n_cells, member @ self.sums, member @ self.detected, self.symbols
        )

    def _renamed(self, rows: Mapping[str, int]) -> "TypeProfiles":
        """Some types under other names: logs and shares, once computed, go with them."""
        at = list(rows.values())
        taken = TypeProfiles(self.about, tuple(rows), self.n_cells[at], self.sums[at], self.detected[at], self.symbols)
        taken.__dict__.update(
            {name: getattr(self, name)[at] for name in ("log", "fraction")} | {"columns": self.columns}
        )
        return taken


def samples(pseudobulk: Pseudobulk, *, suspensions: Sequence[str], values: Sequence[str]) -> Iterator[TypeProfiles]:
    """Profiles of each sample and donor, sorted; samples of another suspension or kind of values are skipped.
    `about` also holds the donor's `platform`.

    A sample may hold several donors (pooled libraries, one matrix per study): what is said of cells that meet is said
    of cells of one donor in one sample. Genes that the sample did not measure (NaN) are left out, of genes with one
    symbol the first is taken, and cells of unknown type are no type.
    """
    obs, symbols = pseudobulk.obs, pseudobulk.var[Var.SYMBOL].to_numpy(str)
    obs = obs.assign(**{PLATFORM: platforms(obs)})
    first = ~pd.Series(symbols).duplicated().to_numpy() & (symbols != "")
    fields = [c for c in obs.columns if c not in (Obs.CELL_TYPE, Obs.N_CELLS, Obs.TOTAL_COUNTS)]
    for (sample, _, donor, _), rows in obs.groupby([Obs.SAMPLE, Obs.STUDY, Obs.DONOR, Obs.CONDITION], sort=True):
        about = rows.iloc[0][fields].to_dict()
        skipped = about[Uns.SUSPENSION] not in suspensions or about[Uns.VALUES] not in values
        rows = rows[(rows[Obs.CELL_TYPE] != UNKNOWN) & (rows[Obs.N_CELLS] > 0)].sort_values(
            Obs.CELL_TYPE, kind="stable"
        )
        if skipped or rows.empty:
            log.info(
                "%s, donor %s: left out, %s",
                sample,
                donor,
                "not single-cell counts" if skipped else "no cell of known type",
            )
            continue
        at = obs.index.get_indexer(rows.index)
        sums = np.asarray(pseudobulk.X[at], float)
        measured = np.flatnonzero(first & ~np.isnan(sums).any(axis=0))
        measured = measured[np.argsort(symbols[measured], kind="stable")]
        detected = np.asarray(pseudobulk.layers[DETECTED][at], float)[:, measured]
        types, n_cells = tuple(rows[Obs.CELL_TYPE]), rows[Obs.N_CELLS].to_numpy(float)
        yield TypeProfiles(about, types, n_cells, sums[:, measured], detected, symbols[measured])


def donors(pseudobulk: Pseudobulk, keys: Sequence[str]) -> Iterator[TypeProfiles]:
    """Profiles of donors with single-cell counts, sorted by `keys`; samples that agree in all keys are summed.

    Keys that lack the platform or the kind of values would sum cells and nuclei, or counts and TPM. Only genes that
    all of a donor's samples measured are kept.
    """
    groups: dict[tuple[str, ...], list[TypeProfiles]] = {}
    for profiles in samples(pseudobulk, suspensions=CELLS, values=SUMMABLE):
        groups.setdefault(tuple(str(profiles.about[key]) for key in keys), []).append(profiles)
    for key in sorted(groups):
        yield _sum(groups[key])


def _sum(parts: Sequence[TypeProfiles]) -> TypeProfiles:
    if len(parts) == 1:
        return parts[0]
    symbols = sorted(set.intersection(*(set(part.symbols) for part in parts)))
    types = tuple(sorted({t for part in parts for t in part.types}))
    n_cells, shape = np.zeros(len(types)), (len(types), len(symbols))
    sums, detected = np.zeros(shape), np.zeros(shape)
    for part in parts:
        rows, columns = [types.index(t) for t in part.types], part.where(symbols)
        n_cells[rows] += part.n_cells
        sums[rows] += part.sums[:, columns]
        detected[rows] += part.detected[:, columns]
    return TypeProfiles(parts[0].about, types, n_cells, sums, detected, np.array(symbols))


def present(name: str, types: Sequence[str], parents: Mapping[str, str]) -> list[str]:
    """Types of a sample that a type id stands for: itself and its states, else its nearest ancestor below a lineage.

    `parents` gives the parent of each type or state, without entries for those whose parent is a lineage.
    """
    found = [t for t in types if name in _ancestry(t, parents)]
    if found:
        return found
    return next(([t] for t in _ancestry(name, parents) if t in types), [])


def _ancestry(name: str, parents: Mapping[str, str]) -> list[str]:
    line = [name]
    while line[-1] in parents:
        line.append(parents[line[-1]])
    return line


def parents_of(types: CellTypes) -> dict[str, str]:
    """Parent of each type and state; lineages are no types and therefore no parents."""
    entries = types.entries.values()
    return {e.id: e.parent for e in entries if e.parent and types[e.parent].level != "lineage"}


def strata(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin of each gene by the rank of its expression: `n_bins` bins of equal size; genes never seen are bin -1."""
    bins = np.full(len(values), -1)
    seen = np.flatnonzero(values > 0)
    bins[seen] = expression_bins(values[seen], n_bins=n_bins)
    return bins
