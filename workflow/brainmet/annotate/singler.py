"""Labels of a reference h5ad as votes by SingleR (Aran 2019, doi 10.1038/s41590-018-0276-y). Optional library.

The reference is any labelled h5ad with raw or log-normalised values and gene symbols or Ensembl ids as `var_names`. It
votes among the types that it knows; what it does not know stays as the other methods have it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.annotate.labels import as_types, library, votes
from brainmet.contract import CELL_ID, Uns, Var
from brainmet.core.counts import Counts
from brainmet.core.normalise import log_normalised
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import CellTypes

SCOPE = "sample"
REQUIRES = ("counts", "cells", "types")
FILES = ("reference",)
IN_WORDS = "SingleR"

STEEPNESS = 20.0
"""Of the votes, per unit of SingleR's score (a correlation): a lead of 0.05 gives odds of 2.7."""


def annotate(
    counts: Counts,
    cells: pd.DataFrame,
    *,
    types: CellTypes,
    reference: str,
    labels: str,
    map: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Votes of a labelled reference.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        types: the resource.
        reference: path of a labelled h5ad.
        labels: column of its `obs`.
        map: type id by label, for labels that words do not tell.

    Returns:
        Index cell id; `note` (the best label), `vote_{type}` for each type that the reference knows.
    """
    package = library("singler", "singler")
    values, names, known = _reference(reference, labels)
    keep = counts.kept(cells)
    genes = counts.genes[Var.SYMBOL].to_numpy(str)
    if len(set(counts.genes.index) & set(names)) > len(set(genes) & set(names)):
        genes = counts.genes.index.to_numpy(str)
    if len(set(genes) & set(names)) < 500:
        raise BrainmetError(f"{reference}: shares fewer than 500 genes with the sample; var_names must be human genes")
    logs = [log_normalised(block, values=counts.uns[Uns.VALUES]) for block in counts.chunks(keep)]
    result = package.annotate_single(
        test_data=sp.vstack(logs, format="csr").T.tocsc(),
        test_features=genes.tolist(),
        ref_data=values.T,
        ref_features=names.tolist(),
        ref_labels=known.tolist(),
        # The default compares medians, which are zero in shallow cells: it is made for bulk references.
        train_args={"marker_method": "auc"},
        num_threads=1,
    )
    scores = result.column("scores")
    by_label = {str(name): np.asarray(scores.column(name), float) for name in scores.column_names}
    table = pd.DataFrame(by_label, index=pd.Index(counts.cells.index[keep], name=CELL_ID))
    shares = np.exp(STEEPNESS * (table.sub(table.max(axis=1), axis=0)))
    return votes(shares.div(shares.sum(axis=1), axis=0), as_types(table.columns, types, map or {}), source="SingleR")


def _reference(path: str, labels: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-normalised values (cells × genes), genes and labels of a reference."""
    from anndata import read_h5ad

    if not Path(path).is_file():
        raise BrainmetError(f"config.yaml: annotate.singler.reference: no file {path!r}")
    data = read_h5ad(path)
    if labels not in data.obs:
        raise BrainmetError(f"{path}: obs has no column {labels!r}; columns are {', '.join(data.obs.columns)}")
    X = sp.csr_matrix(data.X, dtype=np.float64)
    whole = np.array_equal(X.data[:10_000], np.round(X.data[:10_000]))
    known = data.obs[labels].astype(str).to_numpy()
    values = log_normalised(X, values="counts") if whole else X
    unique = ~pd.Index(data.var_names).duplicated()
    return values[:, unique].toarray(), data.var_names[unique].to_numpy(str), known
