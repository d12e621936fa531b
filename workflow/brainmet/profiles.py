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
from anndata import AnnData

from brainmet.contract import MALIGNANT_PREFIX, TARGET_SUM, UNKNOWN, Obs, Uns, Var

log = logging.getLogger(__name__)
DETECTED = "n_cells_detected"


@dataclass(frozen=True)
class Profiles:
    """Types of one sample by measured genes.

    Attributes:
        about: dataset, study, sample, donor, condition and the other fields of the sample.
        types: ids of the cell types, sorted.
        n_cells: cells a type.
        sums: types × genes, counts summed over the cells of the type.
        detected: types × genes, cells of the type with at least one count.
        symbols: gene symbols, unique.
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

    def merged(self, groups: Mapping[str, Sequence[str]]) -> "Profiles":
        """Profiles of groups of types, summed; groups without a type here are left out."""
        rows = {name: [self.types.index(t) for t in members if t in self.types] for name, members in groups.items()}
        rows = {name: found for name, found in sorted(rows.items()) if found}
        take = lambda x: np.array([x[found].sum(axis=0) for found in rows.values()])  # noqa: E731
        return Profiles(self.about, tuple(rows), take(self.n_cells), take(self.sums), take(self.detected), self.symbols)


def samples(pseudobulk: AnnData, *, suspensions: Sequence[str], values: Sequence[str]) -> Iterator[Profiles]:
    """Profiles of each sample, in the order of their names; samples of another suspension or kind of values are skipped.

    Genes that the sample did not measure (NaN) are left out, of genes with one symbol the first is taken, and cells of
    unknown type are no type.
    """
    if pseudobulk.n_obs == 0:
        return
    obs = pseudobulk.obs.astype({c: str for c in pseudobulk.obs.columns if pseudobulk.obs[c].dtype.name in ("category", "object")})
    symbols = pseudobulk.var[Var.SYMBOL].astype(str).to_numpy() if Var.SYMBOL in pseudobulk.var else pseudobulk.var_names.to_numpy(str)
    first = ~pd.Series(symbols).duplicated().to_numpy() & (symbols != "")
    fields = [c for c in obs.columns if c not in (Obs.CELL_TYPE, Obs.N_CELLS, Obs.TOTAL_COUNTS)]
    for sample, rows in obs.groupby(Obs.SAMPLE, sort=True):
        about = rows.iloc[0][fields].to_dict()
        skipped = about.get(Uns.SUSPENSION, suspensions[0]) not in suspensions or about.get(Uns.VALUES, values[0]) not in values
        rows = rows[(rows[Obs.CELL_TYPE] != UNKNOWN) & (rows[Obs.N_CELLS] > 0)].sort_values(Obs.CELL_TYPE, kind="stable")
        if skipped or rows.empty:
            log.info("sample %s is left out: %s", sample, "not single-cell counts" if skipped else "no cell of known type")
            continue
        at = obs.index.get_indexer(rows.index)
        sums = _dense(pseudobulk.X, at)
        measured = first & ~np.isnan(sums).any(axis=0)
        detected = np.nan_to_num(_dense(pseudobulk.layers[DETECTED], at)[:, measured])
        yield Profiles(
            about, tuple(rows[Obs.CELL_TYPE]), rows[Obs.N_CELLS].to_numpy(float), sums[:, measured], detected, symbols[measured]
        )


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


def parents_of(markers: Mapping) -> dict[str, str]:
    """Parent of each type and state of the marker file; lineages are no types and therefore no parents."""
    entries = {entry["id"]: entry for entry in markers["cell_types"]}
    lineages = {name for name, entry in entries.items() if entry.get("level") == "lineage"}
    return {name: e["parent"] for name, e in entries.items() if e.get("parent") and e["parent"] not in lineages}


def is_malignant(name: str) -> bool:
    """Whether a type id is one of tumour cells."""
    return name.startswith(MALIGNANT_PREFIX)


def _dense(X: object, rows: np.ndarray) -> np.ndarray:
    block = X[rows]  # type: ignore[index]
    return np.asarray(block.toarray() if hasattr(block, "toarray") else block, float)


def strata(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin of each gene by the rank of its expression: `n_bins` bins of equal size; genes never seen are bin -1."""
    bins = np.full(len(values), -1)
    seen = np.flatnonzero(values > 0)
    order = np.argsort(values[seen], kind="stable")
    bins[seen[order]] = np.arange(len(seen)) * n_bins // max(len(seen), 1)
    return bins
