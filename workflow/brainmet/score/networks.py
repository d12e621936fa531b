"""Footprints: activities of pathways and transcription factors in every cell, from a network that the user supplies.

A network (PROGENy, CollecTRI, or one's own) is a table of `source, target, weight`, as decoupler's `op` functions
return and save it. Activities are decoupler's `ulm`: the same kernel as that of the signatures, with the network's
weights. No network is shipped: their licences and sizes are their authors'.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import CELL_ID, Uns
from brainmet.core.counts import Counts
from brainmet.core.normalise import log_normalised
from brainmet.errors import BrainmetError
from brainmet.knowledge.signatures import positions
from brainmet.score import ROWS, ulm

log = logging.getLogger(__name__)

COLUMNS = ["source", "target"]
FOREIGN = 0.05
"""Share of measured targets below which a network without a scored source is of other names, not of a small panel."""


@dataclass(frozen=True)
class Network:
    """Sources and their targets.

    Attributes:
        name: the file's stem.
        edges: `source, target, weight`, one row per edge.
    """

    name: str
    edges: pd.DataFrame


def load(path: str | Path) -> Network:
    """A network of a `.tsv` or `.csv` file, gzipped or not.

    Raises:
        BrainmetError: a column is missing, a source or target is empty, a weight is no number, an edge appears twice.
    """
    path = Path(path)
    fix = "a network holds source, target and (optional) weight, as decoupler's op functions return it"
    try:
        table = pd.read_csv(path, sep="," if ".csv" in path.suffixes else "\t", comment="#")
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise BrainmetError(f"{path}: cannot be read ({error}); {fix}") from error
    if missing := [name for name in COLUMNS if name not in table]:
        raise BrainmetError(f"{path}: has no column {missing[0]}; {fix}")
    table = table.assign(weight=table.get("weight", 1.0))[[*COLUMNS, "weight"]]
    if (blank := table[COLUMNS].isna().any(axis=1)).any():
        bad = table.loc[blank].fillna("").iloc[0]
        raise BrainmetError(
            f"{path}: an edge from '{bad['source']}' to '{bad['target']}' lacks one of them; complete or remove the row"
        )
    numbers = pd.to_numeric(table["weight"], errors="coerce")
    if numbers.isna().any():
        bad = table.loc[numbers.isna()].iloc[0]
        raise BrainmetError(
            f"{path}: {bad['source']} to {bad['target']}: the weight {bad['weight']} is no number; correct it"
        )
    if (twice := table.duplicated(COLUMNS)).any():
        bad = table[twice].iloc[0]
        raise BrainmetError(f"{path}: {bad['source']} to {bad['target']} appears twice; keep one of the rows")
    return Network(path.name.split(".")[0], table.assign(weight=numbers))


def score_networks(counts: Counts, cells: pd.DataFrame, networks: Sequence[Network], *, min_genes: int) -> pd.DataFrame:
    """Activities of all sources in the kept cells: the table scores_networks, a column `network:source` each.

    Args:
        counts: the sample.
        cells: the table cells (`keep`), in the order of the counts.
        networks: as `load` returns them.
        min_genes: sources with fewer measured targets are NaN.

    Raises:
        BrainmetError: two networks share a name, or one is of other gene names than current human symbols.
    """
    if twice := [name for name, n in Counter(network.name for network in networks).items() if n > 1]:
        raise BrainmetError(f"score.networks: two files are named {twice[0]}; rename one of them")
    keep = counts.kept(cells)
    where, matrices, names, enough = positions(counts.genes), [], [], []
    for network in networks:
        sources = sorted(set(network.edges["source"]))
        column = network.edges["source"].map({name: i for i, name in enumerate(sources)}).to_numpy()
        row = network.edges["target"].map(where)
        known = row.notna().to_numpy()
        values = network.edges["weight"].to_numpy(float)[known], (row[known].astype(int), column[known])
        matrix = sp.csc_matrix(values, shape=(len(counts.genes), len(sources)))
        matrices.append(matrix)
        names += [f"{network.name}:{source}" for source in sources]
        enough.append(np.diff(matrix.indptr) >= min_genes)
        if not enough[-1].any() and known.mean() < FOREIGN:
            first = ", ".join(map(str, network.edges["target"].drop_duplicates()[:3]))
            raise BrainmetError(
                f"score.networks: {network.name}: {known.sum()} of its {len(known)} edges lead to measured genes; "
                f"give targets as current human gene symbols (its first are {first})"
            )
        log.info(
            "%s: %d of %d sources have %d measured targets", network.name, enough[-1].sum(), len(sources), min_genes
        )
    weights = sp.hstack(matrices, format="csc")
    blocks = [ulm(log_normalised(block, values=counts.uns[Uns.VALUES]), weights) for block in counts.chunks(keep, ROWS)]
    scores = np.vstack([np.empty((0, len(names))), *blocks]).astype(np.float32)
    scores[:, ~np.concatenate(enough)] = np.nan
    return pd.DataFrame(scores, pd.Index(cells.index[keep], name=CELL_ID), names)
