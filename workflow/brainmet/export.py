"""The atlas: counts of all samples, everything said about their cells, and the coordinates, in one h5ad.

Counts are streamed sample by sample and block by block, so memory is that of the cells' tables. `X` holds log1p of
counts per ten thousand, `raw.X` the counts, as scanpy, Seurat and CELLxGENE expect them; both are nonzero in the same
places, so the file holds these once. So is the layer of counts less ambient RNA, which is there on request.
"""

import json
import logging
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from isal import isal_zlib

from brainmet import cellxgene
from brainmet.ambient_correction import correction
from brainmet.contract import CELL_ID, UNKNOWN, VERSION, Obs, Uns, Var
from brainmet.counts import Counts
from brainmet.datasets import DESCRIPTIVE, public
from brainmet.errors import BrainmetError
from brainmet.files import replacing
from brainmet.normalise import log_normalised
from brainmet.tables import names_in, read_table

log = logging.getLogger(__name__)

CHUNK = 2**18
"""Values a compressed block."""
ROWS = 500
"""Cells a block: several copies of a block live at once, one in double precision."""
FAST_LEVELS = isal_zlib.ISAL_BEST_COMPRESSION
"""Levels up to this are ISA-L's, six times as fast as zlib at level 4; the file is 8 % larger."""
BYTES_PER_VALUE = 4.0
"""Disk needed for a nonzero of the counts, in `X` and `raw.X` together, which share their indices; 2.5 measured."""
CORRECTED = "ambient_corrected"
"""Layer with the counts less ambient RNA, and in `uns` the share that was taken from each sample."""
Array = Callable[[], np.ndarray]
ELSEWHERE = ("condition", "organism", "assay", "tissue", "disease", "sex", "development_stage", "ethnicity")
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
    return table[[_sample(id_) in samples for id_ in table.index]]


def _samples(cells: pd.Index) -> set[str]:
    return {_sample(id_) for id_ in cells}


def _sample(cell: str) -> str:
    return cell.split(":", 1)[0]


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
        told = pd.Categorical(values.astype(str)) if values.dtype == object else values.array
        obs[column] = told.take(codes)
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
    from anndata.io import write_elem

    check_room(Path(path), int(sum(counts.nnz for counts in samples)))
    genes = pd.Index(features[Var.ENSEMBL].to_numpy(object), name=Var.ENSEMBL)
    var = features.set_index(genes).drop(columns=Var.ENSEMBL).assign(**{Var.CHROMOSOME: "", Var.START: 0, Var.END: 0})
    missing, told = {}, dict[str, float]()
    with replacing(path) as partial, h5py.File(partial, "w") as file, ThreadPoolExecutor(threads) as pool:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        raw = file.create_group("raw")
        raw.attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
        matrices = [
            _Matrix(file.create_group("X"), len(genes), compression, pool, shuffle=False),
            _Matrix(raw.create_group("X"), len(genes), compression, pool, shares=True),
        ]
        layers = file.create_group("layers")
        layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        corrected = None
        if ambient_shares is not None:
            corrected = _Matrix(layers.create_group(CORRECTED), len(genes), compression, pool, shares=True)
        start = 0
        for counts in samples:
            position = genes.get_indexer(counts.genes.index)
            if (position < 0).any():
                raise BrainmetError(
                    f"{counts.path}: has genes that features.tsv lacks; delete cohort/features.tsv and run again"
                )
            for column in (Var.CHROMOSOME, Var.START, Var.END):
                var.iloc[position, var.columns.get_loc(column)] = counts.genes[column].to_numpy()
            name = str(counts.cells[Obs.SAMPLE].iloc[0])
            missing[name] = len(genes) - len(position)
            keep = counts.cells.index.isin(obs.index)
            stop = start + int(keep.sum())
            if not np.array_equal(counts.cells.index[keep], obs.index[start:stop]):
                raise BrainmetError(
                    f"{counts.path}: its kept cells are not those of the annotation; "
                    "delete results/cohort/annotation.parquet and run again"
                )
            if ambient_shares is not None:
                kinds = obs[Obs.CELL_TYPE].iloc[start:stop].to_numpy(object)
                taken = correction(counts, keep, kinds, share=ambient_shares.get(name, np.nan)).moved(
                    position, len(genes)
                )
                told[name] = taken.share
            done, start = 0, stop
            for block in _blocks(counts, keep, position, len(genes)):
                if corrected:
                    corrected.append(taken.apply(block, done))
                    done += block.shape[0]
                matrices[0].append(log_normalised(block, values=counts.uns.get(Uns.VALUES, "counts")))
                matrices[1].append(block)
            log.info("%s: %d cells written", name, int(keep.sum()))
        if start != len(obs):
            raise BrainmetError(
                f"the annotation has {len(obs)} cells, the counts {start} of them; "
                "delete results/cohort/annotation.parquet and run again"
            )
        for matrix in [*matrices, *([corrected] if corrected else [])]:
            matrix.close()
            for name in ("indices", "indptr") if matrix.shares else ():
                matrix.group[name] = file["X"][name]
        write_elem(raw, "var", var.drop(columns="reason"))
        write_elem(raw, "varm", {})
        write_elem(file, "obs", obs.rename_axis(CELL_ID))
        write_elem(file, "var", var.assign(feature_is_filtered=False), dataset_kwargs={"compression": "gzip"})
        write_elem(file, "obsm", {})
        for name, values in obsm.items():
            write_elem(file["obsm"], name, values())  # coordinates do not pack: by 6 % in a second
        write_elem(
            file,
            "uns",
            uns | {Uns.CONTRACT_VERSION: VERSION, "genes_not_measured": missing} | ({CORRECTED: told} if told else {}),
        )
        for slot in ("varm", "obsp", "varp"):
            write_elem(file, slot, {})
    log.info("%s: %d cells × %d genes, %.0f MB", path, len(obs), len(genes), Path(path).stat().st_size / 1e6)


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
    datasets = sorted({record["dataset"] for record in records.values()})
    organisms = {record["organism"] for record in records.values()} - {UNKNOWN} or {"human"}
    simulated = any(record["simulated"] for record in records.values())
    return {
        "title": f"brainmet atlas of {', '.join(datasets)}{' (simulated)' if simulated else ''}",
        "default_embedding": "X_umap",
        "organism_ontology_term_id": cellxgene.ORGANISMS.get(sorted(organisms)[0], cellxgene.ORGANISMS["human"]),
        Uns.SIMULATED: simulated,
        "X_approximate_distribution": "normal",
        "samples": json.dumps({id_: public(record) for id_, record in records.items()}, sort_keys=True, default=str),
    }


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
    places: dict[str, Array] = {name: partial(_place, embedding, own, cells) for name, own in chosen.items()}
    if len(read_table(malignant, "malignant_embedding", [Obs.SAMPLE])):
        places["X_umap_malignant"] = partial(_some_place, malignant, cells)
    return places | {"scores": partial(_scores, scores, cells)}


def _place(path: str | Path, columns: list[str], cells: pd.Index) -> np.ndarray:
    table = in_cohort(read_table(path, "embedding", columns), cells)
    join({"embedding": table[[]]}, cells)
    return table.reindex(cells, copy=False).to_numpy(np.float32)


def _some_place(path: str | Path, cells: pd.Index) -> np.ndarray:
    table = read_table(path, "malignant_embedding", ["umap_1", "umap_2"])
    if len(foreign := table.index.difference(cells)):
        raise BrainmetError(f"{path}: has cells that the atlas lacks, as {foreign[0]}; delete it and run again")
    return table.reindex(cells).to_numpy(np.float32)


def _scores(paths: Sequence[str | Path], cells: pd.Index) -> np.ndarray:
    values, start = np.empty((len(cells), len(names_in(paths[0])) - 1), np.float32), 0
    samples = _samples(cells)
    for path in paths:
        table = read_table(path, "scores")
        if len(table) and _sample(table.index[0]) not in samples:
            continue
        stop = start + len(table)
        join({"scores": table[[]]}, cells[start:stop])
        values[start:stop] = table.reindex(cells[start:stop], copy=False).to_numpy(np.float32)
        start = stop
    join({"scores": pd.DataFrame(index=cells[:start])}, cells)
    return values


def _blocks(counts: Counts, keep: np.ndarray, position: np.ndarray, n: int) -> Iterator[sp.csr_matrix]:
    """Blocks of kept cells with the genes of the atlas."""
    for block in counts.chunks(keep, ROWS):
        moved = sp.csr_matrix(
            (block.data, position.astype(np.int32)[block.indices], block.indptr), shape=(block.shape[0], n)
        )
        moved.sort_indices()
        yield moved


class _Matrix:
    """A CSR matrix that grows at its end, in an h5 group; blocks are compressed by threads and written in order.

    One that `shares` holds values only: its indices are those of another matrix, linked into its group. Bytes of counts
    and of indices are put together by their place (`shuffle`): those of high places are mostly zero. Logs are few
    different numbers a cell and pack to half the size, in two thirds of the time, as they are.
    """

    def __init__(
        self,
        group: h5py.Group,
        n_columns: int,
        level: int,
        pool: ThreadPoolExecutor,
        *,
        shares: bool = False,
        shuffle: bool = True,
    ) -> None:
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        self.group, self.n_columns, self.level, self.pool, self.shares = group, n_columns, level, pool, shares
        self.ends: list[np.ndarray] = [np.zeros(1, np.int64)]
        self.pending: dict[str, list[np.ndarray]] = {"data": []} if shares else {"data": [], "indices": []}
        self.shuffled = {"data": shuffle, "indices": True}
        for name, dtype in (("data", np.float32), ("indices", np.int32)):
            if name in self.pending:
                packed = {"chunks": (CHUNK,), "compression": level, "shuffle": self.shuffled[name]}
                group.create_dataset(name, (0,), dtype, maxshape=(None,), **packed)

    def append(self, block: sp.csr_matrix) -> None:
        self.ends.append(block.indptr[1:].astype(np.int64) + self.ends[-1][-1])
        self._write("data", block.data.astype(np.float32, copy=False))
        if not self.shares:
            self._write("indices", block.indices.astype(np.int32, copy=False))

    def close(self) -> None:
        for name, values in self.pending.items():
            self._flush(name, np.concatenate(values) if values else np.zeros(0, self.group[name].dtype), last=True)
        indptr = np.concatenate(self.ends)
        if not self.shares:
            self.group.create_dataset("indptr", data=indptr, compression=self.level, shuffle=True)
        self.group.attrs["shape"] = np.array([len(indptr) - 1, self.n_columns], np.int64)

    def _write(self, name: str, values: np.ndarray) -> None:
        waiting = self.pending[name]
        waiting.append(values)
        if sum(map(len, waiting)) >= 8 * CHUNK:
            self.pending[name] = [self._flush(name, np.concatenate(waiting), last=False)]

    def _flush(self, name: str, values: np.ndarray, *, last: bool) -> np.ndarray:
        """Write whole blocks of the values, and at the end what is left; returns what is not written."""
        dataset = self.group[name]
        done, whole = dataset.shape[0], len(values) // CHUNK * CHUNK
        parts = [values[i : i + CHUNK] for i in range(0, len(values) if last else whole, CHUNK)]
        dataset.resize((done + sum(map(len, parts)),))
        for number, packed in enumerate(self.pool.map(self._pack, parts, repeat(self.shuffled[name]))):
            dataset.id.write_direct_chunk((done + number * CHUNK,), packed)
        return values[whole:]

    def _pack(self, values: np.ndarray, shuffle: bool) -> bytes:
        """A block as HDF5's filters would leave it, gzip or shuffle and gzip; the last one is filled up with zeros."""
        full = values
        if len(values) < CHUNK:
            full = np.zeros(CHUNK, values.dtype)
            full[: len(values)] = values
        if shuffle:
            full = np.ascontiguousarray(full.view(np.uint8).reshape(CHUNK, -1).T)
        return (isal_zlib if self.level <= FAST_LEVELS else zlib).compress(full, self.level)
