"""Consensus ranks of all ligand-receptor pairs of a sample, from means of types.

The pairs are those of LIANA's consensus resource, read from the file that the installed package carries (importing the
package takes longer than the whole job). Scores follow the methods that LIANA aggregates (Dimitrov et al. 2022,
10.1038/s41467-022-30755-0; 2024, 10.1038/s41556-024-01469-w) as far as type means allow:

* magnitude: mean of the two means (CellPhoneDB), their product (NATMI, Connectome), LRscore (SingleCellSignalR);
* specificity: specificity weight (NATMI), mean log2 fold change against the other cells (logFC).

CellPhoneDB's permutations and Connectome's z values need cells and are left out. Ranks are aggregated by robust rank
aggregation (Kolde et al. 2012, 10.1093/bioinformatics/btr709). Complexes count with their least expressed subunit.
"""

import importlib.util
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import betainc

from brainmet.errors import BrainmetError
from brainmet.pseudobulk.type_profiles import TypeProfiles
from brainmet.stats.ranks import ranks

RESOURCE = "resource/omni_resource.csv"
PAIR = ["ligand", "receptor"]
METHODS = {
    "magnitude_rank": ("lr_means", "expr_prod", "lrscore"),
    "specificity_rank": ("spec_weight", "lr_logfc"),
}


def consensus_pairs() -> pd.DataFrame:
    """Ligand and receptor of LIANA's consensus resource, subunits joined by `_`; sorted, without repeats.

    Raises:
        BrainmetError: the installed package does not carry the file.
    """
    spec = importlib.util.find_spec("liana")
    path = Path(spec.origin).parent / RESOURCE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise BrainmetError(f"liana: {RESOURCE} is not in the installed package; install the versions of uv.lock")
    table = pd.read_csv(path, usecols=["source_genesymbol", "target_genesymbol", "resource"], dtype=str)
    table = table[table["resource"] == "consensus"].drop(columns="resource")
    table.columns = PAIR
    return table.drop_duplicates().sort_values(PAIR, kind="stable", ignore_index=True)


def find_pair(pairs: pd.DataFrame, ligand: list[str], receptor: list[str]) -> tuple[str, str] | None:
    """The entry with an axis' ligand and receptor and the fewest further subunits of the receptor; None when there is
    none.

    An entry that asks for a further ligand is another interaction: the resource joins CSF1 and IL34, which are two
    ligands of one receptor, and a cell that makes one of them would have neither.
    """
    holds = [
        (len(a.split("_")) + len(b.split("_")), a, b)
        for a, b in pairs[PAIR].itertuples(index=False)
        if ligand[0] in a and set(ligand) == set(a.split("_")) and set(receptor) <= set(b.split("_"))
    ]
    return min(holds)[1:] if holds else None


def consensus(
    profiles: TypeProfiles, pairs: pd.DataFrame, wanted: Collection[tuple[str, str]] | None, *, min_fraction: float
) -> pd.DataFrame:
    """Magnitude and specificity rank of pairs between every two types of one sample, among all measured pairs.

    Args:
        profiles: types to consider.
        pairs: ligand and receptor, subunits joined by `_`.
        wanted: pairs to return; None returns all that were ranked.
        min_fraction: share of the type's cells that must detect each gene.

    Returns:
        One row per wanted pair, sender and receiver that pass `min_fraction`: the five scores and `magnitude_rank`,
        `specificity_rank` in (0, 1], small is strong. Index: ligand, receptor, sender, receiver.
    """
    pairs, left, right = _sides(profiles, pairs)
    keep = (left["fraction"][:, :, None] >= min_fraction) & (right["fraction"][:, None, :] >= min_fraction)
    pair, sender, receiver = np.nonzero(keep)
    a, b = left["mean"][pair, sender], right["mean"][pair, receiver]
    root = np.sqrt(a * b)
    mean_of_all = float(np.average(profiles.log.mean(axis=1), weights=profiles.n_cells))
    scores = {
        "lr_means": (a + b) / 2,
        "expr_prod": a * b,
        "lrscore": root / (root + mean_of_all),
        "spec_weight": left["share"][pair, sender] * right["share"][pair, receiver],
        "lr_logfc": (left["logfc"][pair, sender] + right["logfc"][pair, receiver]) / 2,
    }
    asked = np.array([wanted is None or key in wanted for key in pairs[PAIR].itertuples(index=False, name=None)], bool)
    rows = np.flatnonzero(asked[pair])
    types = np.array(profiles.types, dtype=object)
    keys = [pairs[side].to_numpy()[pair[rows]] for side in PAIR] + [types[at[rows]] for at in (sender, receiver)]
    index = pd.MultiIndex.from_arrays(keys, names=[*PAIR, "sender", "receiver"])
    result = pd.DataFrame({name: values[rows] for name, values in scores.items()}, index=index)
    for name, methods in METHODS.items():
        result[name] = robust_rank([scores[method] for method in methods], rows)
    return result


def robust_rank(scores: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Robust rank aggregation, for some of the items: one score of all items per method, large is strong.

    A bound on the p value of each item's ranks.
    """
    if not len(rows):
        return np.empty(0)
    share = np.empty((len(rows), len(scores)))
    for column, values in enumerate(scores):
        every = ranks(-values)
        share[:, column] = every[rows] / every.max()
    share.sort(axis=1)
    order = np.arange(1, len(scores) + 1)
    return np.clip(betainc(order, len(scores) - order + 1, share).min(axis=1) * len(scores), 0, 1)


def _sides(
    profiles: TypeProfiles, pairs: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Pairs whose genes are all measured, and pairs × types for their ligands and for their receptors."""
    names = sorted({name for side in PAIR for name in pairs[side]})
    found = {name: at for name in names if len(at := profiles.where(name.split("_"))) == len(name.split("_"))}
    pairs = pairs[pairs["ligand"].isin(found) & pairs["receptor"].isin(found)]
    stats = _least(profiles, list(found.values()))
    row = {name: i for i, name in enumerate(found)}
    ligands, receptors = ([row[name] for name in pairs[side]] for side in PAIR)
    left, right = ({key: values[rows] for key, values in stats.items()} for rows in (ligands, receptors))
    return pairs, left, right


def _least(profiles: TypeProfiles, complexes: list[list[int]]) -> dict[str, np.ndarray]:
    """Complexes × types: mean, share of cells, fold change, share of the types' means; of the least subunit."""
    fold = _log_fold(profiles)
    share = profiles.log / np.maximum(profiles.log.sum(axis=0), np.finfo(float).tiny)
    shape = (len(complexes), len(profiles.types))
    out = {name: np.zeros(shape) for name in ("mean", "fraction", "logfc", "share")}
    types = np.arange(len(profiles.types))
    for i, at in enumerate(complexes):
        # The mean decides; with equal means (both 0) the first subunit stands for the complex.
        least = np.asarray(at)[np.argmin(profiles.log[:, at], axis=1)]
        out["mean"][i] = profiles.log[types, least]
        out["fraction"][i] = profiles.fraction[:, at].min(axis=1)
        out["logfc"][i] = fold[types, least]
        out["share"][i] = share[types, least]
    return out


def _log_fold(profiles: TypeProfiles) -> np.ndarray:
    """Types × genes: log2 of 1 + counts per ten thousand, less that of all other cells."""
    weighted = profiles.cp10k * profiles.n_cells[:, None]
    others = np.maximum(profiles.n_cells.sum() - profiles.n_cells, 1)[:, None]
    rest = np.maximum(weighted.sum(axis=0) - weighted, 0) / others
    return np.log2(profiles.cp10k + 1) - np.log2(rest + 1)
