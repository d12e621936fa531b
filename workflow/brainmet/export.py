"""The atlas: counts of all samples, everything said about their cells, and the coordinates, in one h5ad.

Counts are streamed sample by sample and block by block, so memory is that of the cells' tables. `X` holds log1p of
counts per ten thousand, `raw.X` the counts, as scanpy, Seurat and CELLxGENE expect them; both are nonzero in the same
places, so the file holds these once. So is the layer of counts less ambient RNA, which is there on request.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.ambient.cells import Correction, correction
from brainmet.contract import CELL_ID, UNKNOWN, VERSION, Obs, Uns, Var, sample_of
from brainmet.core.counts import Counts
from brainmet.core.files import replacing
from brainmet.core.growing_matrix import GrowingMatrix
from brainmet.core.normalise import log_normalised
from brainmet.core.tables import names_in, read_table
from brainmet.datasets import DESCRIPTIVE, public
from brainmet.errors import BrainmetError
from brainmet.extract import cellxgene

log = logging.getLogger(__name__)

ROWS = 500
"""Cells per block: several copies of a block live at once, one in double precision."""
BYTES_PER_VALUE = 4.0
"""Disk needed for a nonzero of the counts, in `X` and `raw.X` together, which share their indices; 2.5 measured."""
CORRECTED = "ambient_corrected"
"""Layer with the counts less ambient RNA, and in `uns` the share that was taken from each sample."""
Array = Callable[[], np.ndarray]
ELSEWHERE = (Obs.CONDITION, Uns.ORGANISM, "assay", "tissue", "disease", "sex", "development_stage", "ethnicity")
"""Fields that come with the annotation, stand in `uns`, or are given as ontology terms."""
SAMPLE_COLUMNS = tuple(field for field in DESCRIPTIVE if field not in ELSEWHERE)
"""Fields of a sample's record that its cells carry. `organism` is in `uns`; CELLxGENE forbids it here."""


def join(parts: dict[str, pd.DataFrame], cells: pd.Index) -> pd.DataFrame:
    """Tables by cell id side by side.

    Args:
        parts: tables by name; a column that an earlier table has is not repeated.
        cells: cell ids that every table must have, each once.

    Raises:
        BrainmetError: a table lacks cells, or has others, and which.
    """
    joined: dict[str, pd.Series] = {}
    for name, table in parts.items():
        if not table.index.equals(cells):
            lacking, foreign = cells.difference(table.index), table.index.difference(cells)
            if len(lacking) or len(foreign) or not table.index.is_unique:
                raise BrainmetError(
                    f"the table {name} is of other cells than the counts: {len(lacking)} lacking {list(lacking[:3])}, "
                    f"{len(foreign)} foreign {list(foreign[:3])}; delete it and run again"
                )
            table = table.reindex(cells)
        joined |= {column: table[column] for column in table.columns if column not in joined}
    return pd.DataFrame(joined, index=cells)


def in_cohort(table: pd.DataFrame, cells: pd.Index) -> pd.DataFrame:
    """Rows of the samples that the cells are of: a sample whose cells another has too is left out whole."""
    if len(table) == len(cells):
        return table
    samples = _samples(cells)
    return table[[sample_of(id_) in samples for id_ in table.index]]


def _samples(cells: pd.Index) -> set[str]:
    return {sample_of(id_) for id_ in cells}


def observed(
    annotation: pd.DataFrame, clusters: pd.DataFrame, cells: Sequence[str | Path], records: dict[str, dict[str, Any]]
) -> pd.DataFrame:
    """`obs` of the atlas: the annotated cells with their clusters, quality metrics and samples.

    Args:
        annotation: one row per cell of the atlas.
        clusters: the table of that name.
        cells: tables of that name, one per sample.
        records: of every sample.
    """
    metrics = pd.concat(read_table(path, "cells").query("keep").drop(columns=["keep", "reason"]) for path in cells)
    others = {"clusters": clusters, "cells": metrics}
    kept = {name: in_cohort(table, annotation.index) for name, table in others.items()}
    return observations({"annotation": annotation} | kept, records)


def observations(tables: dict[str, pd.DataFrame], records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Everything said about the kept cells, text as categories.

    Args:
        tables: `annotation` (its cells and their order are the atlas'), and others of the same cells by name.
        records: of every sample.
    """
    obs = join(tables, tables["annotation"].index)
    by_sample = {
        id_: {name: record[name] for name in SAMPLE_COLUMNS} | cellxgene.terms(record)
        for id_, record in records.items()
    }
    if unknown := sorted(set(obs[Obs.SAMPLE]) - set(by_sample)):
        raise BrainmetError(
            f"the annotation has cells of {unknown[0]}, which is no sample of this run; delete it and run again"
        )
    codes, names = pd.factorize(obs[Obs.SAMPLE])
    described = pd.DataFrame.from_dict(by_sample, orient="index").loc[names]
    for column in described:
        values = described[column]
        of_samples = pd.Categorical(values.astype(str)) if values.dtype == object else values.array
        obs[column] = of_samples.take(codes)
    obs["donor_id"] = np.where(obs["tissue_type"] == "cell line", "na", obs[Obs.DONOR])
    named = obs[Obs.CELL_ONTOLOGY].astype(str).str.startswith("CL:")
    obs["cell_type_ontology_term_id"] = obs.pop(Obs.CELL_ONTOLOGY).where(named, UNKNOWN)
    for column in obs.select_dtypes("object").columns:
        obs[column] = pd.Categorical(obs[column].astype(str))
    return obs


def export(
    path: str | Path,
    samples: Sequence[Counts],
    *,
    obs: pd.DataFrame,
    obsm: Mapping[str, Array],
    features: pd.DataFrame,
    uns: dict[str, Any],
    compression: int,
    threads: int,
    ambient_shares: Mapping[str, float] | None = None,
) -> None:
    """Write the atlas.

    Args:
        path: written whole or not at all.
        samples: counts of every sample, in the order of `obs`.
        obs: as `observations` returns it.
        obsm: by name, what returns the coordinates, rows as in `obs`.
        features: the table of that name; its genes are the atlas' genes. A gene that a sample did not measure is 0
            in its cells: `var` says how many samples measured it, `uns["genes_not_measured"]` how many a sample lacks.
        uns: further entries.
        compression: gzip level; up to 3 by ISA-L, which is much faster than zlib.
        threads: compressing; the bytes do not depend on it.
        ambient_shares: ambient share by sample, for the layer `ambient_corrected`; None: no such layer.

    Raises:
        BrainmetError: the disk has too little room, or a table and the counts disagree about the cells.
    """
    check_room(Path(path), int(sum(counts.nnz for counts in samples)))
    genes = pd.Index(features[Var.ENSEMBL].to_numpy(object), name=Var.ENSEMBL)
    lacking: dict[str, int] = {}
    shares: dict[str, float] = {}
    start = 0
    with replacing(path) as unfinished, h5py.File(unfinished, "w") as file, ThreadPoolExecutor(threads) as pool:
        matrices = _Matrices(file, len(genes), compression, pool, corrected=ambient_shares is not None)
        for counts in samples:
            block = _block_of(counts, genes, obs.index, start)
            removal = None
            if ambient_shares is not None:
                types = obs[Obs.CELL_TYPE].iloc[block.rows].to_numpy(object)
                share = ambient_shares.get(block.sample, np.nan)
                removal = correction(counts, block.keep, types, share=share).moved(block.columns, len(genes))
                shares[block.sample] = removal.share
            matrices.append(counts, block, removal)
            lacking[block.sample], start = len(genes) - len(block.columns), block.rows.stop
            log.info("%s: %d cells written", block.sample, int(block.keep.sum()))
        if start != len(obs):
            raise BrainmetError(
                f"the annotation has {len(obs)} cells, the counts {start} of them; "
                "delete results/cohort/annotation.parquet and run again"
            )
        matrices.close()
        uns = {**uns, Uns.CONTRACT_VERSION: VERSION, "genes_not_measured": lacking}
        uns |= {CORRECTED: shares} if shares else {}
        _describe(file, obs=obs, var=_variables(features, genes, samples), obsm=obsm, uns=uns)
    log.info("%s: %d cells × %d genes, %.0f MB", path, len(obs), len(genes), Path(path).stat().st_size / 1e6)


@dataclass(frozen=True)
class _Block:
    """The rows and columns of the atlas that a sample fills.

    Attributes:
        sample: its id.
        keep: barcodes of the sample that are cells of the atlas.
        rows: of these in the atlas.
        columns: of the sample's genes in the atlas.
    """

    sample: str
    keep: np.ndarray
    rows: slice
    columns: np.ndarray


def _block_of(counts: Counts, genes: pd.Index, cells: pd.Index, start: int) -> _Block:
    """The block of the sample whose cells begin at row `start`."""
    columns = genes.get_indexer(counts.genes.index)
    if (columns < 0).any():
        raise BrainmetError(
            f"{counts.path}: has genes that features.tsv lacks; delete cohort/features.tsv and run again"
        )
    keep = counts.cells.index.isin(cells)
    rows = slice(start, start + int(keep.sum()))
    if not np.array_equal(counts.cells.index[keep], cells[rows]):
        raise BrainmetError(
            f"{counts.path}: its kept cells are not those of the annotation; "
            "delete results/cohort/annotation.parquet and run again"
        )
    return _Block(str(counts.cells[Obs.SAMPLE].iloc[0]), keep, rows, columns)


class _Matrices:
    """`X`, `raw.X` and the layer of an atlas under way, which share their indices."""

    def __init__(self, file: h5py.File, n_genes: int, level: int, pool: ThreadPoolExecutor, *, corrected: bool) -> None:
        self.file, self.n_genes = file, n_genes
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        raw = file.create_group("raw")
        raw.attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
        self.logs = GrowingMatrix(file.create_group("X"), n_genes, level, pool, shuffle=False)
        self.counts = GrowingMatrix(raw.create_group("X"), n_genes, level, pool, shares=True)
        layers = file.create_group("layers")
        layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        self.corrected = None
        if corrected:
            self.corrected = GrowingMatrix(layers.create_group(CORRECTED), n_genes, level, pool, shares=True)

    def append(self, counts: Counts, block: _Block, removal: Correction | None) -> None:
        """Add the kept cells of a sample, block by block."""
        values, done = counts.uns.get(Uns.VALUES, "counts"), 0
        for cells in _cells_of(counts, block, self.n_genes):
            self.logs.append(log_normalised(cells, values=values))
            self.counts.append(cells)
            if self.corrected and removal:
                self.corrected.append(removal.apply(cells, done))
            done += cells.shape[0]

    def close(self) -> None:
        """Write what is left, and link the indices of `X` into the others."""
        self.logs.close()
        for matrix in filter(None, (self.counts, self.corrected)):
            matrix.close()
            for name in ("indices", "indptr"):
                matrix.group[name] = self.file["X"][name]


def _cells_of(counts: Counts, block: _Block, n_genes: int) -> Iterator[sp.csr_matrix]:
    """The kept cells of a sample with the genes of the atlas, `ROWS` at a time."""
    columns = block.columns.astype(np.int32)
    for cells in counts.chunks(block.keep, ROWS):
        moved = sp.csr_matrix((cells.data, columns[cells.indices], cells.indptr), shape=(cells.shape[0], n_genes))
        moved.sort_indices()
        yield moved


def _variables(features: pd.DataFrame, genes: pd.Index, samples: Sequence[Counts]) -> pd.DataFrame:
    """`var` of the atlas: the features, and where each gene lies as the samples say."""
    var = features.set_index(genes).drop(columns=Var.ENSEMBL).assign(**{Var.CHROMOSOME: "", Var.START: 0, Var.END: 0})
    for counts in samples:
        for column in (Var.CHROMOSOME, Var.START, Var.END):
            var.loc[counts.genes.index, column] = counts.genes[column].to_numpy()
    return var


def _describe(
    file: h5py.File, *, obs: pd.DataFrame, var: pd.DataFrame, obsm: Mapping[str, Array], uns: dict[str, Any]
) -> None:
    """Write everything but the matrices."""
    from anndata.io import write_elem

    write_elem(file["raw"], "var", var.drop(columns="reason"))
    write_elem(file["raw"], "varm", {})
    write_elem(file, "obs", obs.rename_axis(CELL_ID))
    write_elem(file, "var", var.assign(feature_is_filtered=False), dataset_kwargs={"compression": "gzip"})
    write_elem(file, "obsm", {})
    for name, values in obsm.items():
        write_elem(file["obsm"], name, values())  # coordinates do not pack: by 6 % in a second
    write_elem(file, "uns", uns)
    for slot in ("varm", "obsp", "varp"):
        write_elem(file, slot, {})


def check_room(path: Path, nnz: int) -> None:
    """Compare the room that an atlas of `nnz` counts needs with what the disk has.

    Raises:
        BrainmetError: there is too little.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = nnz * BYTES_PER_VALUE, shutil.disk_usage(path.parent).free
    log.info("the atlas needs at most %.2f GB, the disk has %.2f GB", needed / 1e9, free / 1e9)
    if needed > free:
        raise BrainmetError(
            f"{path}: the atlas needs about {needed / 1e9:.3g} GB, the disk has {free / 1e9:.3g} GB left; "
            "make room and run the same command again: finished results are kept"
        )


def description(records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`uns` of the atlas: what it is, of which series, and that it is simulated where it is."""
    datasets = sorted({record[Obs.DATASET] for record in records.values()})
    organisms = {record[Uns.ORGANISM] for record in records.values()}
    simulated = any(record[Uns.SIMULATED] for record in records.values())
    return {
        "title": f"brainmet atlas of {', '.join(datasets)}{' (simulated)' if simulated else ''}",
        "default_embedding": "X_umap",
        "organism_ontology_term_id": _organism_term(organisms),
        Uns.SIMULATED: simulated,
        "X_approximate_distribution": "normal",
        "samples": json.dumps({id_: public(record) for id_, record in records.items()}, sort_keys=True, default=str),
    }


def _organism_term(organisms: Collection[str]) -> str:
    """Ontology term of the first known organism by name; human where none is known."""
    known = sorted(name for name in organisms if name in cellxgene.ORGANISMS)
    return cellxgene.ORGANISMS[known[0] if known else "human"]


def coordinates(
    embedding: str | Path, malignant: str | Path, scores: Sequence[str | Path], cells: pd.Index
) -> dict[str, Array]:
    """`obsm` of the atlas, float32: `X_umap, X_pca, X_harmony, scores`, each read when it is written.

    `X_umap_malignant` is NaN in cells that are not malignant, and is there only where some are.

    Args:
        embedding: the table of that name.
        malignant: the table `malignant_embedding`.
        scores: tables of that name, of the samples in the order of the cells.
        cells: those of the atlas.
    """
    patterns = {"X_umap": r"umap_\d+$", "X_pca": r"PC_\d+$", "X_harmony": r"harmony_\d+$"}
    held = names_in(embedding)
    chosen = {name: [column for column in held if re.match(pattern, column)] for name, pattern in patterns.items()}
    arrays: dict[str, Array] = {name: partial(_coordinates, embedding, own, cells) for name, own in chosen.items()}
    if len(read_table(malignant, "malignant_embedding", [Obs.SAMPLE])):
        arrays["X_umap_malignant"] = partial(_some_coordinates, malignant, cells)
    return arrays | {"scores": partial(_scores, scores, cells)}


def _coordinates(path: str | Path, columns: list[str], cells: pd.Index) -> np.ndarray:
    table = in_cohort(read_table(path, "embedding", columns), cells)
    join({"embedding": table[[]]}, cells)
    return table.reindex(cells, copy=False).to_numpy(np.float32)


def _some_coordinates(path: str | Path, cells: pd.Index) -> np.ndarray:
    table = read_table(path, "malignant_embedding", ["umap_1", "umap_2"])
    if len(foreign := table.index.difference(cells)):
        raise BrainmetError(f"{path}: has cells that the atlas lacks, as {foreign[0]}; delete it and run again")
    return table.reindex(cells).to_numpy(np.float32)


def _scores(paths: Sequence[str | Path], cells: pd.Index) -> np.ndarray:
    values, start = np.empty((len(cells), len(names_in(paths[0])) - 1), np.float32), 0
    samples = _samples(cells)
    for path in paths:
        table = read_table(path, "scores")
        if len(table) and sample_of(table.index[0]) not in samples:
            continue
        stop = start + len(table)
        join({"scores": table[[]]}, cells[start:stop])
        values[start:stop] = table.reindex(cells[start:stop], copy=False).to_numpy(np.float32)
        start = stop
    join({"scores": pd.DataFrame(index=cells[:start])}, cells)
    return values
