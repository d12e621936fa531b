"""Parts of the finished atlas as others want them: one h5ad per cell type, CELLxGENE, Seurat, pseudobulk as text."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from brainmet.contract import CELL_ID, Obs, Var
from brainmet.core.files import reading, replacing
from brainmet.errors import BrainmetError
from brainmet.pseudobulk import Pseudobulk

if TYPE_CHECKING:
    from anndata import AnnData

log = logging.getLogger(__name__)

ROWS = 5_000
"""Cells of which matrices are copied at a time."""
RESERVED = {Obs.CELL_TYPE: "brainmet_cell_type"}
"""Columns whose name CELLxGENE keeps for its own labels, and what they are called there."""


def of_sample(atlas: str | Path, sample: str) -> "AnnData":
    """The cells of one sample; only these are read.

    Args:
        atlas: `atlas.h5ad`.
        sample: id of the sample.

    Raises:
        BrainmetError: no cell is of the sample, or the file is damaged.
    """
    import anndata

    with reading(atlas, "an atlas"):
        backed = anndata.read_h5ad(atlas, backed="r")
    samples = backed.obs[Obs.SAMPLE].astype(str)
    rows = (samples == sample).to_numpy()
    if not rows.any():
        raise BrainmetError(f"{atlas}: no cell is of sample {sample}; there are: {', '.join(sorted(samples.unique()))}")
    part = backed[rows].to_memory()
    backed.file.close()
    part.obs = _of_rows(part.obs, np.arange(part.n_obs))
    log.info("%s: %d cells", sample, part.n_obs)
    return part


def by_cell_type(atlas: str | Path, folder: str | Path) -> None:
    """One h5ad for every cell type, `{folder}/{cell_type}.h5ad`; the matrices pass through in blocks of cells."""
    import anndata

    with reading(atlas, "an atlas"):
        whole = anndata.read_h5ad(atlas, backed="r")
    labels = whole.obs[Obs.CELL_TYPE].astype(str).to_numpy()
    Path(folder).mkdir(parents=True, exist_ok=True)
    with h5py.File(atlas) as source:
        for name in sorted(set(labels)):
            rows = np.flatnonzero(labels == name)
            part = anndata.AnnData(
                obs=_of_rows(whole.obs, rows),
                var=whole.var,
                uns=dict(whole.uns),
                obsm={key: np.asarray(whole.obsm[key])[rows] for key in whole.obsm},
            )
            with replacing(Path(folder) / f"{name}.h5ad") as partial:
                part.write_h5ad(partial, compression="gzip", convert_strings_to_categoricals=False)
                with h5py.File(partial, "r+") as target:
                    _copy_matrices(source, target, rows)
            log.info("%s: %d cells", name, len(rows))
    whole.file.close()


def _copy_matrices(source: h5py.File, target: h5py.File, rows: np.ndarray) -> None:
    """Copy rows of `X`, the layers and `raw`, `ROWS` at a time."""
    from anndata.io import sparse_dataset, write_elem

    if "raw" in source:
        raw = target.create_group("raw")
        raw.attrs.update(source["raw"].attrs)
        for name in set(source["raw"]) - {"X"}:
            source.copy(f"raw/{name}", raw)
    for name in ("X", "raw/X", *(f"layers/{name}" for name in source.get("layers", ()))):
        if name not in source:
            continue
        matrix = sparse_dataset(source[name])
        first = matrix[rows[:ROWS]]
        first.indptr = first.indptr.astype(np.int64)  # nonzeros of all blocks together may be more than int32 counts
        write_elem(target, name, first, dataset_kwargs={"compression": "gzip"})
        for start in range(ROWS, len(rows), ROWS):
            sparse_dataset(target[name]).append(matrix[rows[start : start + ROWS]])


def _of_rows(obs: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Some cells' rows, without categories that none of them has."""
    part = obs.iloc[rows].copy()
    for name in part.select_dtypes("category").columns:
        part[name] = part[name].cat.remove_unused_categories()
    return part


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


def for_seurat(atlas: str | Path, matrix: str | Path, cells: str | Path) -> None:
    """The counts as 10x Genomics writes them, and what is said of the cells as text: what `Read10X_h5` and R read.

    The compressed counts are copied as they are, so memory is that of the cells' table.

    Args:
        atlas: `atlas.h5ad`.
        matrix: written, HDF5 in the layout of Cell Ranger 3 and later; counts are float32, for they may be expected
            counts.
        cells: written, `obs` by cell id with the coordinates `umap_1, umap_2` and the signatures as `score_{id}`,
            tab-separated and gzipped.
    """
    from anndata.io import read_elem

    with replacing(matrix) as partial, h5py.File(atlas) as file, h5py.File(partial, "w") as target:
        group = target.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            file.copy(f"raw/X/{name}", group)
        obs, genes = read_elem(file["obs"]), read_elem(file["raw/var"])
        group["shape"] = np.array([len(genes), len(obs)], np.int32)
        features = {"id": genes.index, "name": genes[Var.SYMBOL], "feature_type": ["Gene Expression"] * len(genes)}
        for name, values in {"barcodes": obs.index, **{f"features/{key}": v for key, v in features.items()}}.items():
            packed = np.char.encode(np.asarray(values, str), "utf-8")
            group.create_dataset(name, data=packed, compression="gzip")
        obs[["umap_1", "umap_2"]] = file["obsm/X_umap"][:]
        scores = pd.DataFrame(
            file["obsm/scores"][:], obs.index, "score_" + read_elem(file["uns/scores"]).astype(object)
        )
    told = {name: obs[name].map({True: "TRUE", False: "FALSE"}) for name in obs.select_dtypes(bool)}
    with replacing(cells) as partial:
        pack = {"method": "gzip", "mtime": 0}
        table = pd.concat([obs.assign(**told), scores], axis=1)
        table.to_csv(partial, sep="\t", index_label=CELL_ID, na_rep="NA", float_format="%.6g", compression=pack)


def pseudobulk_text(bulk: Pseudobulk) -> pd.DataFrame:
    """Sums by sample, donor, condition and cell type as one table.

    Args:
        bulk: `pseudobulk.h5ad` of the cohort.

    Returns:
        One row per gene: `ensembl_id, symbol`, then one column per profile, `{sample}|{donor}|{condition}|{cell_type}`;
        NaN where a sample does not measure the gene. The logs of a series of logs are undone before they are summed.
    """
    values = np.asarray(bulk.X)
    keys = (Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE)
    names = ["|".join(map(str, row)) for row in bulk.obs[list(keys)].itertuples(index=False)]
    table = pd.DataFrame(values.T, columns=names)
    table.insert(0, Var.SYMBOL, bulk.var[Var.SYMBOL].to_numpy())
    table.insert(0, Var.ENSEMBL, bulk.var.index.to_numpy())
    return table


def write_pseudobulk(bulk: Pseudobulk, path: str | Path) -> None:
    """Write `pseudobulk_text` as gzipped TSV, sums to ten digits: models of counts want them whole."""
    pack = {"method": "gzip", "mtime": 0}
    with replacing(path) as partial:
        pseudobulk_text(bulk).to_csv(
            partial, sep="\t", index=False, na_rep="NA", float_format="%.10g", compression=pack
        )
