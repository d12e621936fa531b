"""ScType with the markers of the resource (Ianevski 2022, doi 10.1038/s41467-022-28803-w): one call per cluster.

Genes are scaled over the sample's cells, a marker weighs the less the more types share it, the mean of a type's
negative markers is taken off, and the clusters of the sample's own space get the type with the highest sum. Not among
the default methods: it is here for comparison, and for those who trust it.
"""

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.annotate import NOTE, VOTE
from brainmet.annotate.context import EXACT_BELOW, components
from brainmet.contract import CELL_ID, Uns, Var
from brainmet.core.counts import Counts
from brainmet.core.lean import lean
from brainmet.core.neighbors import nearest
from brainmet.core.normalise import log_normalised
from brainmet.knowledge.cell_types import CellTypes, gene_columns

SCOPE = "sample"
REQUIRES = ("counts", "cells", "types")
IN_WORDS = "ScType"

N_GENES, N_COMPONENTS, N_NEIGHBORS, SEED = 2_000, 30, 15, 1


def annotate(counts: Counts, cells: pd.DataFrame, *, types: CellTypes, resolution: float = 2.0) -> pd.DataFrame:
    """Vote of each cell's cluster.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        types: the resource.
        resolution: of the Leiden clusters.

    Returns:
        Index cell id; `vote_{type}`: 1 for the cluster's type, 0 for others; all 0 where no type stands out (a sum
        below a quarter of the cluster's cells, as ScType has it).
    """
    keep = counts.kept(cells)
    X = sp.vstack([log_normalised(b, values=counts.uns[Uns.VALUES]) for b in counts.chunks(keep)], format="csr")
    names = [name for name in types.decided("broad", "clear") if types[name].positive]
    scores = _scores(X, counts.genes[Var.SYMBOL].to_numpy(), names, types)
    cluster = _clusters(X, resolution)
    sums = np.array([scores[cluster == i].sum(axis=0) for i in range(cluster.max() + 1)])
    clear = sums.max(axis=1) >= np.bincount(cluster) / 4
    votes = np.zeros(scores.shape, np.float32)
    votes[np.arange(len(votes)), sums.argmax(axis=1)[cluster]] = clear[cluster]
    index = pd.Index(counts.cells.index[keep], name=CELL_ID)
    table = pd.DataFrame(votes, index=index, columns=[VOTE + name for name in names])
    table.insert(0, NOTE, [f"cluster {i + 1}" for i in cluster])
    return table


def _scores(X: sp.csr_matrix, symbols: np.ndarray, names: list[str], types: CellTypes) -> np.ndarray:
    """Sum of weighted scaled markers over the root of their number, less the same of the negative ones."""
    shared = pd.Series([gene for name in names for gene in types[name].positive]).value_counts()
    weight = 1 - (shared - 1) / max(shared.max() - 1, 1) if shared.max() > 1 else shared.astype(float)
    columns = gene_columns(symbols, set(shared.index) | {g for name in names for g in types[name].negative})
    values = X[:, columns].toarray()
    scaled = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    at = {gene: i for i, gene in enumerate(symbols[columns])}
    weights = np.zeros((len(columns), len(names)))
    for j, name in enumerate(names):
        high = [gene for gene in types[name].positive if gene in at]
        low = [gene for gene in types[name].negative if gene in at]
        weights[[at[gene] for gene in high], j] = weight[high] / np.sqrt(max(len(high), 1))
        weights[[at[gene] for gene in low], j] -= 1 / np.sqrt(max(len(low), 1))
    return np.asarray(scaled @ weights)


def _clusters(X: sp.csr_matrix, resolution: float) -> np.ndarray:
    """Leiden clusters of the neighbours in the space of the most variable genes."""
    igraph = lean("igraph", without="matplotlib")
    import leidenalg

    n = X.shape[0]
    if n < 5:
        return np.zeros(n, int)
    mean = np.asarray(X.mean(axis=0)).ravel()
    variance = np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2
    top = np.sort(np.argsort(-variance / np.maximum(mean, 1e-9), kind="stable")[:N_GENES])
    near = nearest(
        components(X[:, top].astype(np.float32), n_components=N_COMPONENTS),
        k=min(N_NEIGHBORS, n - 1), exact_below=EXACT_BELOW, threads=1,
    )[0]  # fmt: skip
    pairs = np.sort(np.column_stack([np.repeat(np.arange(n), near.shape[1]), near.ravel()]), axis=1)
    graph = igraph.Graph(n, np.unique(pairs, axis=0).tolist())
    partition = leidenalg.find_partition(
        graph, leidenalg.RBConfigurationVertexPartition, resolution_parameter=resolution, seed=SEED
    )
    return np.array(partition.membership)
