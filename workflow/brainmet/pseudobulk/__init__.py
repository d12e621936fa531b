"""Pseudobulk: the counts of one sample summed by donor and cell type, and those of all samples side by side.

A donor is the replicate of every test, so every cohort-level figure starts here. A gene that a sample's platform
does not list is NaN in that sample's rows, never 0: zero would say that it was looked for and not found.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from brainmet.contract import UNKNOWN, Obs, Uns, Var
from brainmet.core.counts import Counts, by_gene, read_frame, write_frame
from brainmet.core.files import reading, replacing
from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)

KEYS = (Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE)
COVARIATES = (
    "primary_site",
    "er",
    "pr",
    "her2",
    "technology",
    "suspension",
    "enrichment",
    "dissociation",
    "batch",
    "values",
    "organism",
)
SUBTYPE = "subtype"
DETECTED = "n_cells_detected"


@dataclass(frozen=True)
class Pseudobulk:
    """Profiles × genes, with the names that their parts have in an AnnData.

    Two dozen jobs that read or write it do not pay for importing anndata.

    Attributes:
        X: sums of counts or of other linear values, float64; NaN where a sample's platform does not list the gene.
        obs: what each profile is of: `KEYS`, `COVARIATES`, `n_cells`, `total_counts`, `subtype`, `simulated`.
        var: index Ensembl id; `symbol, chromosome, start, end`.
        layers: `n_cells_detected`, cells with a count above 0.
    """

    X: np.ndarray
    obs: pd.DataFrame
    var: pd.DataFrame
    layers: dict[str, np.ndarray]


def subtype(er: str, pr: str, her2: str) -> str:
    """Clinical subtype from receptor status: `HER2_pos`, `HR_pos`, `TNBC`, or `unknown` when the status does not
    decide."""
    if her2 in ("pos", "amp"):
        return "HER2_pos"
    if her2 not in ("0", "low", "neg"):
        return UNKNOWN
    if "pos" in (er, pr):
        return "HR_pos"
    return "TNBC" if (er, pr) == ("neg", "neg") else UNKNOWN


def described(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a sample's record says of its donors: `COVARIATES` (`unknown` by default), `subtype` and `simulated`."""
    said = {name: str(record.get(name, UNKNOWN)) for name in COVARIATES}
    return said | {
        SUBTYPE: subtype(said["er"], said["pr"], said["her2"]),
        Uns.SIMULATED: bool(record.get(Uns.SIMULATED, False)),
    }


def pseudobulk(counts: Counts, annotation: pd.DataFrame, *, covariates: Mapping[str, Any]) -> Pseudobulk:
    """Sums of one sample's counts over the cells of each study, donor, condition and cell type.

    Args:
        counts: the sample's counts; read once, in blocks.
        annotation: index cell id, the kept cells of this sample; `donor, condition, cell_type`.
        covariates: the sample's record; the fields named in `COVARIATES` and `simulated` go to every row.

    Returns:
        Rows sorted by study, donor, condition and type. `X`: sums, float64, of logs after they are undone. Layer
        `n_cells_detected`: cells with a count above 0.

    Raises:
        BrainmetError: an annotated cell is not in the counts.
    """
    keep = counts.cells.index.isin(annotation.index)
    if keep.sum() != len(annotation):
        raise BrainmetError(
            f"{counts.path}: lacks {len(annotation) - keep.sum()} annotated cells; delete it and run again"
        )
    cells = counts.cells.loc[keep, [Obs.DATASET, Obs.STUDY, Obs.SAMPLE]].join(
        annotation[[Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE]]
    )
    code, obs = _groups(cells)
    sums, detected = np.zeros((2, len(obs), counts.shape[1]))
    start = 0
    for block in counts.linear_chunks(keep):
        group = code[start : start + block.shape[0]]
        for row in np.unique(group):
            part = block[group == row]
            sums[row] += by_gene(part, part.data)
            detected[row] += by_gene(part, part.data > 0)
        start += block.shape[0]
    # What the matrix was found to hold: the dataset file may not say, and counts may have been recovered.
    found = {Uns.VALUES: counts.uns[Uns.VALUES]} if Uns.VALUES in counts.uns else {}
    obs = _describe(obs, sums, {**covariates, **found})
    log.info("%d cells in %d profiles of %d genes", len(cells), len(obs), counts.shape[1])
    return Pseudobulk(sums, obs, counts.genes, {DETECTED: detected.astype(np.float32)})


def collect(parts: Sequence[Pseudobulk]) -> Pseudobulk:
    """Profiles of all samples over the union of their genes, NaN where a sample's platform does not list the gene.

    Rows keep the order of `parts`; genes are sorted by Ensembl id, so the result does not depend on any sample's
    gene order.
    """
    genes = pd.concat([part.var for part in parts])
    genes = genes[~genes.index.duplicated()].sort_index(kind="stable").rename_axis(Var.ENSEMBL)
    rows = sum(len(part.obs) for part in parts)
    sums, detected = np.full((rows, len(genes)), np.nan), np.full((rows, len(genes)), np.nan, np.float32)
    start = 0
    for part in parts:
        place = slice(start, start + len(part.obs)), genes.index.get_indexer(part.var.index)
        sums[place], detected[place] = part.X, part.layers[DETECTED]
        start += len(part.obs)
    return Pseudobulk(sums, pd.concat([part.obs for part in parts]), genes, {DETECTED: detected})


def read(path: str | Path) -> Pseudobulk:
    """Pseudobulk as `pseudobulk` and `collect` wrote it, strings as plain objects.

    Raises:
        BrainmetError: the file cannot be read.
    """
    with reading(path, "pseudobulk"), h5py.File(path) as file:
        layers = {DETECTED: file["layers"][DETECTED][:]}
        return Pseudobulk(file["X"][:], read_frame(file["obs"]), read_frame(file["var"]), layers)


def read_profiles(path: str | Path) -> pd.DataFrame:
    """What the same file says of its profiles, without their counts.

    Raises:
        BrainmetError: the file cannot be read.
    """
    with reading(path, "pseudobulk"), h5py.File(path) as file:
        return read_frame(file["obs"])


def write(bulk: Pseudobulk, path: str | Path) -> None:
    """Write pseudobulk as h5ad, whole or not at all."""
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_frame(file.create_group("obs"), bulk.obs, "profile", compression="gzip")
        write_frame(file.create_group("var"), bulk.var, Var.ENSEMBL, compression="gzip")
        for slot in ("layers", "uns", "obsm", "varm", "obsp", "varp"):
            file.create_group(slot).attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        for name, values in {"X": bulk.X, f"layers/{DETECTED}": bulk.layers[DETECTED]}.items():
            dataset = file.create_dataset(name, data=values, compression="gzip")
            dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def _groups(cells: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Code of each cell's group, and the groups sorted by their keys with their number of cells."""
    # Donors of one name in two studies are two people, also where a sample holds both studies.
    keys = [Obs.STUDY, Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE]
    grouped = cells.groupby(keys, sort=True, observed=True)
    first = grouped[[Obs.DATASET, Obs.SAMPLE]].first().reset_index()
    first[Obs.N_CELLS] = grouped.size().to_numpy(np.int64)
    return grouped.ngroup().to_numpy(), first[[*KEYS, Obs.N_CELLS]]


def _describe(obs: pd.DataFrame, sums: np.ndarray, record: Mapping[str, Any]) -> pd.DataFrame:
    obs = obs.assign(total_counts=sums.sum(axis=1), **described(record))
    study = [Obs.STUDY] if obs[Obs.STUDY].nunique() > 1 else []
    names = obs[[Obs.SAMPLE, *study, Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE]].agg("|".join, axis=1)
    return obs.set_axis(pd.Index(names.to_numpy(object), name="profile"))
