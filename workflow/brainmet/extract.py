"""Parts of the finished atlas in shapes that other tools want: one h5ad a cell type, CELLxGENE, pseudobulk as text."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from brainmet.contract import Obs, Var
from brainmet.errors import BrainmetError
from brainmet.files import replacing

if TYPE_CHECKING:
    from anndata import AnnData

log = logging.getLogger(__name__)

RESERVED = {Obs.CELL_TYPE: "brainmet_cell_type"}
"""Columns whose name CELLxGENE keeps for its own labels, and what they are called there."""


def subset(atlas: str | Path, column: str, values: Iterable[str]) -> "AnnData":
    """Cells of the atlas with given values in a column; only these are read.

    Args:
        atlas: `atlas.h5ad`.
        column: of `obs`.
        values: wanted.

    Raises:
        BrainmetError: no cell has such a value.
    """
    import anndata

    backed = anndata.read_h5ad(atlas, backed="r")
    wanted = set(values)
    rows = backed.obs[column].astype(str).isin(wanted).to_numpy()
    if not rows.any():
        known = ", ".join(sorted(backed.obs[column].astype(str).unique()))
        raise BrainmetError(f"{atlas}: no cell has {column} {', '.join(sorted(wanted))}; there are: {known}")
    part = backed[rows].to_memory()
    backed.file.close()
    for name in part.obs.select_dtypes("category").columns:
        part.obs[name] = part.obs[name].cat.remove_unused_categories()
    log.info("%s %s: %d cells", column, ", ".join(sorted(wanted)), part.n_obs)
    return part


def by_value(atlas: str | Path, column: str, folder: str | Path) -> None:
    """One h5ad for every value of a column, `{folder}/{value}.h5ad`."""
    from anndata.io import read_elem

    with h5py.File(atlas) as file:
        values = sorted(set(read_elem(file[f"obs/{column}"]).astype(str)))
    Path(folder).mkdir(parents=True, exist_ok=True)
    for value in values:
        with replacing(Path(folder) / f"{value}.h5ad") as partial:
            subset(atlas, column, [value]).write_h5ad(
                partial, compression="gzip", convert_strings_to_categoricals=False
            )


def for_cellxgene(atlas: str | Path, target: str | Path) -> None:
    """A copy of the atlas that `cellxgene-schema validate` accepts: columns of reserved names are renamed in place."""
    with replacing(target) as partial:
        shutil.copyfile(atlas, partial)
        with h5py.File(partial, "r+") as file:
            obs = file["obs"]
            names = [str(name) for name in obs.attrs["column-order"]]
            for old, new in RESERVED.items():
                obs.move(old, new)
            order = np.array([RESERVED.get(name, name) for name in names], dtype=h5py.string_dtype())
            obs.attrs["column-order"] = order


def pseudobulk_text(bulk: "AnnData") -> pd.DataFrame:
    """Sums by sample, donor, condition and cell type as one table.

    Args:
        bulk: `pseudobulk.h5ad` of the cohort.

    Returns:
        One row a gene: `ensembl_id, symbol`, then a column `{sample}|{donor}|{condition}|{cell_type}` a profile; NaN
        where a sample does not measure the gene.
    """
    values = bulk.X.toarray() if hasattr(bulk.X, "toarray") else np.asarray(bulk.X)
    keys = (Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE)
    names = ["|".join(map(str, row)) for row in bulk.obs[list(keys)].itertuples(index=False)]
    table = pd.DataFrame(values.T, columns=names)
    table.insert(0, Var.SYMBOL, bulk.var[Var.SYMBOL].to_numpy())
    table.insert(0, Var.ENSEMBL, bulk.var_names.to_numpy())
    return table
