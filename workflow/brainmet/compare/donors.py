"""Donor profiles: the pseudobulk of a cell compartment with one row per donor and condition.

Samples of one donor are summed, so a patient sampled twice is one replicate. Donors measured by another technology, as
nuclei, or of another species, form another platform: their profiles are never contrasted with each other.
"""

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainmet.contract import LOG, UNKNOWN, Compartment, Obs, Uns, Var, is_malignant
from brainmet.pseudobulk import COVARIATES, SUBTYPE, Pseudobulk

PLATFORM = "platform"
WHO = [Obs.STUDY, PLATFORM, Obs.DONOR, Obs.CONDITION]
"""What makes a row of donors: a patient of one study, measured on one platform, in one condition."""
DESCRIBED = (*COVARIATES, SUBTYPE, Obs.DATASET, Uns.SIMULATED)
"""What describes a donor, beside `WHO`."""
MIXED = "mixed"
"""Value of donors whose samples differ."""
HUMAN = frozenset({"human", UNKNOWN})
"""Organisms of patients: what a file does not name is read as human."""


@dataclass(frozen=True)
class Profiles:
    """Counts of donors in one compartment.

    Attributes:
        donors: one row per donor, condition and platform; `study, donor, condition, platform, n_cells`, covariates,
            `simulated`.
        symbols: gene symbol by Ensembl id.
        counts: donors × genes, float64, NaN where a sample of the donor does not measure the gene.
    """

    donors: pd.DataFrame
    symbols: pd.Series
    counts: np.ndarray

    def take(self, rows: np.ndarray) -> "Profiles":
        """Some of the donors, by position or mask."""
        return Profiles(self.donors.iloc[np.arange(len(self.donors))[rows]], self.symbols, self.counts[rows])

    def of(self, donors: pd.Index) -> "Profiles":
        """Some of the donors, by name."""
        return self.take(self.donors.index.get_indexer(donors))

    def scored_with(self, donors: pd.Index) -> pd.Index:
        """The donors that some are scored with: all of their study and platform, where these are one."""
        place = self.donors[[Obs.STUDY, PLATFORM]]
        places = place.loc[donors].drop_duplicates()
        return donors if len(places) != 1 else place.index[(place == places.iloc[0]).all(axis=1)]

    def measured(self) -> np.ndarray:
        """Mask of the genes measured in all of these donors."""
        return ~np.isnan(self.counts).any(axis=0)


def compartments(types: Collection[str], words: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Compartments to test, each with its cell types: every type, the tumour, and the pooled compartments of
    signatures.

    Args:
        types: cell types of the run; `unknown` is left out.
        words: cell types by the compartment word of signatures (`tumor, myeloid, t_cell …`).

    Returns:
        By name, sorted; a pooled compartment that equals a single type, or is absent, is left out.
    """
    present = sorted(set(types) - {UNKNOWN})
    named: dict[str, tuple[str, ...]] = {type_: (type_,) for type_ in present}
    pooled = {
        word: tuple(t for t in present if t in set(members))
        for word, members in words.items()
        if word not in (Compartment.TUMOUR, Compartment.ANY)
    }
    pooled[Compartment.MALIGNANT] = tuple(t for t in present if is_malignant(t))
    named |= {word: members for word, members in pooled.items() if members and (word not in named or len(members) > 1)}
    if present:
        named[Compartment.ANY] = tuple(sorted(types))
    return dict(sorted(named.items()))


def declared(word: str) -> str:
    """The compartment a signature is confirmed in. `any` names no cells; it is read in the tumour, and elsewhere
    explored."""
    return Compartment.MALIGNANT if word in (Compartment.TUMOUR, Compartment.ANY) else word


def platforms(samples: pd.DataFrame) -> pd.Series:
    """Platform of each row: `technology` and `suspension`, and the species (`organism`) where it is not human."""
    name = samples[Uns.TECHNOLOGY].astype(str) + " " + samples[Uns.SUSPENSION].astype(str)
    species = samples[Uns.ORGANISM].astype(str)
    return name.where(species.isin(HUMAN), name + " " + species)


def described(samples: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The donors of some samples, one row per study, platform, donor and condition, in the order of these.

    Args:
        samples: rows of pseudobulk or samples: `study, donor, condition` and `DESCRIBED`.

    Returns:
        The donors (index profile): `WHO` and `DESCRIBED`, the value that all samples of a donor share or `mixed`, but
        `dataset` names all of them, joined by `;`; and for each row of `samples` the position of its donor.
    """
    samples = samples.assign(**{PLATFORM: platforms(samples)})
    grouped = samples.groupby(WHO, sort=True, observed=True)
    code = grouped.ngroup().to_numpy()
    first = np.unique(code, return_index=True)[1]
    donors = samples.iloc[first][WHO].reset_index(drop=True)
    for name in DESCRIBED:
        donors[name] = _common(samples[name].to_numpy(object), code, first)
    # A patient in two files of one study: a claim made from either of them was made from this donor.
    donors[Obs.DATASET] = grouped[Obs.DATASET].agg(lambda of_donor: ";".join(sorted(set(of_donor)))).to_numpy()
    return donors.set_axis(
        pd.Index(["|".join(who) for who in donors[WHO].to_numpy()], dtype=object, name="profile")
    ), code


def profiles(bulk: Pseudobulk, types: Collection[str], *, min_cells: int) -> Profiles:
    """Donor profiles of the given cell types.

    Args:
        bulk: the cohort's pseudobulk.
        types: cell types that make up the compartment.
        min_cells: donors with fewer cells of the compartment are left out.
    """
    rows = np.flatnonzero(
        bulk.obs[Obs.CELL_TYPE].isin(list(types)).to_numpy() & (bulk.obs[Uns.VALUES] != LOG).to_numpy()
    )
    obs = bulk.obs.iloc[rows]
    donors, code = described(obs)
    for name in (Obs.N_CELLS, Obs.TOTAL_COUNTS):
        donors[name] = obs[name].groupby(code).sum().to_numpy()
    sums = np.zeros((len(donors), len(bulk.var)))
    np.add.at(sums, code, np.asarray(bulk.X[rows], float))
    enough = (donors[Obs.N_CELLS] >= min_cells).to_numpy()
    return Profiles(donors[enough], bulk.var[Var.SYMBOL].astype(str), sums[enough])


class Cohort(Mapping[str, Profiles]):
    """Donor profiles by compartment, made when asked for: all of them at once would not fit for a large cohort. The
    last ones are kept, as a compartment is often asked for several times in a row.

    Holds every compartment of `compartments`, and those that signatures declare even where no cell is of them.
    """

    def __init__(
        self, bulk: Pseudobulk, words: Mapping[str, Collection[str]], *, min_cells: int, needed: Collection[str] = ()
    ) -> None:
        self.bulk, self.min_cells = bulk, min_cells
        found = compartments(set(bulk.obs[Obs.CELL_TYPE].astype(str)), words)
        self.types: dict[str, tuple[str, ...]] = dict(sorted((dict.fromkeys(needed, ()) | found).items()))

        self._last: tuple[str, Profiles] | None = None

    def __getitem__(self, name: str) -> Profiles:
        if self._last is None or self._last[0] != name:
            self._last = name, profiles(self.bulk, self.types[name], min_cells=self.min_cells)
        return self._last[1]

    def with_bulk(self, bulk: Pseudobulk) -> "Cohort":
        """The same compartments of other counts of the same samples."""
        other = copy(self)
        other.bulk, other._last = bulk, None
        return other

    def leading_share(self, name: str, donors: pd.Index) -> pd.Series | None:
        """Log2 odds of the leading cell type of a pooled compartment in each donor; None where it is one type."""
        rows = self.bulk.obs[self.bulk.obs[Obs.CELL_TYPE].isin(list(self.types[name]))]
        if rows[Obs.CELL_TYPE].nunique() < 2:
            return None
        keys = rows[Obs.STUDY] + "|" + platforms(rows) + "|" + rows[Obs.DONOR] + "|" + rows[Obs.CONDITION]
        cells = rows.pivot_table(
            index=keys.to_numpy(), columns=Obs.CELL_TYPE, values=Obs.N_CELLS, aggfunc="sum", fill_value=0
        )
        lead = cells.sum().sort_values(kind="stable").index[-1]
        return np.log2((cells[lead] + 0.5) / (cells.sum(axis=1) - cells[lead] + 0.5)).reindex(donors)

    def __contains__(self, name: object) -> bool:
        return name in self.types  # a mapping's own answer would make the profiles first

    def __iter__(self) -> Iterator[str]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)


def _common(values: np.ndarray, code: np.ndarray, first: np.ndarray) -> np.ndarray:
    """By donor, the value that all of its samples share, else `mixed`; `first` is a row of each donor."""
    common = values[first]
    common[np.unique(code[values != common[code]])] = MIXED
    return common
