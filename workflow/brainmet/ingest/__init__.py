"""Ingest: any layout to one shape. Raw counts of one sample, genes by Ensembl id, cells by sample and barcode.

A layout is one module here with `read(request: Request) -> Raw`, both of which `raw` describes; nothing else is touched
to add one. The door is `ingest`: it reads, takes this sample's cells, holds the values against what was declared, maps
the genes and describes the cells.
"""

import importlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import UNKNOWN, Uns
from brainmet.core.counts import write_counts
from brainmet.core.names import matches_name
from brainmet.core.tables import write_table
from brainmet.datasets.checks import layouts, unknown
from brainmet.errors import BrainmetError
from brainmet.ingest import forensics, tables_beside
from brainmet.ingest.cells import describe_cells
from brainmet.ingest.members import Member, list_members
from brainmet.ingest.raw import Raw, Request, rna_only
from brainmet.ingest.species import Tolerance, measure
from brainmet.knowledge.genes import ANTIBODY, NOT_GENES, GeneTable

log = logging.getLogger(__name__)

UNKNOWN_BASE = "the base of the logs does not show in the values: they are taken for natural logs of 1 + x"


@dataclass(frozen=True)
class Ingested:
    """One sample in the contract's shape.

    Attributes:
        matrix: cells × genes, CSR.
        cells, genes, uns: as `counts.write_counts` takes them.
        lost: one row of the table genes_lost.
    """

    matrix: sp.csr_matrix
    cells: pd.DataFrame
    genes: pd.DataFrame
    uns: dict[str, Any]
    lost: pd.DataFrame

    def write(self, counts: str | Path, genes_lost: str | Path) -> None:
        """Write both files of the sample."""
        write_counts(counts, self.matrix, self.cells, self.genes, self.uns)
        write_table(self.lost, genes_lost, "genes_lost")


def ingest(
    files: Sequence[str | Path],
    human: GeneTable,
    mouse: GeneTable | None,
    *,
    record: Mapping[str, Any],
    limits: Tolerance,
) -> Ingested:
    """Read one sample.

    Args:
        files: paths of the record's files, in the record's order.
        human: human genes; the gene space of every sample.
        mouse: mouse genes; needed for mouse samples and mixtures.
        record: of the sample's record (`datasets.records`) the fields `READ_BY_INGEST`.
        limits: what is asked of its counts.

    Raises:
        BrainmetError: the input is not what the dataset file says; the sentence says how to correct it.
    """
    members = drop_files_of_longer_matches(
        list_members([(file["name"], Path(path)) for file, path in zip(record["files"], files, strict=True)]),
        record["longer_matches"],
    )
    tables = tables_beside.found_tables(record, members)
    raw = _read_sample(record, members, tables, genes=mouse if mouse and record["organism"] == "mouse" else human)
    raw, content = _as_counts(raw, record)
    is_bulk = record["suspension"] == "bulk"
    logs_of_cells = content.kind == "log" and not is_bulk
    measured = measure(
        _linear(raw, content) if logs_of_cells else raw,
        organism=record["organism"],
        human=human,
        mouse=mouse,
        sample=record["id"],
        limits=limits,
        logged=content.kind == "log" and is_bulk,
    )
    raw = raw if measured.kept.all() else raw.cells(measured.kept)
    return Ingested(
        matrix=measured.matrix.log1p() if logs_of_cells else measured.matrix,
        cells=describe_cells(raw, record, tables, measured.organism),
        genes=measured.genes,
        uns=_uns(record, content, raw.caution),
        lost=measured.lost,
    )


def drop_files_of_longer_matches(members: Sequence[Member], longer_matches: Sequence[str]) -> list[Member]:
    """Drop files that belong to another sample whose match begins with this sample's match (P1_rep2 for P1)."""
    return [member for member in members if not any(matches_name(member.full_name, match) for match in longer_matches)]


def _read_sample(
    record: Mapping[str, Any], members: Sequence[Member], tables: Mapping[str, Member], *, genes: GeneTable
) -> Raw:
    """The sample's cells and genes as its file holds them, without what is neither.

    Raises:
        BrainmetError: there is no such reader, or what is read holds no cells, no genes or no values.
    """
    layout = record["layout"]
    if layout not in layouts():
        raise BrainmetError(f"{record['dataset']}.yaml: layout: {unknown(layout, layouts(), 'reader')}")
    raw: Raw = importlib.import_module(f"brainmet.ingest.{layout}").read(
        Request(
            files=[member for member in members if member not in tables.values()],
            match=None if record.get("split_by") else record.get("match"),
            genes=genes,
            cells=tables_beside.cell_filter(record, tables),
        )
    )
    for note in raw.notes:
        log.info("%s: %s", raw.name, note)
    for kind, number in raw.set_aside.items():
        log.info("%s: %d features of the kind %s set aside", raw.name, number, kind)
    raw = tables_beside.own_cells(raw, record, tables)
    barcodes = np.array([str(barcode).strip() for barcode in raw.barcodes], dtype=object)
    raw = _without_antibodies(_only_genes(replace(raw, barcodes=barcodes)))
    _check(raw)
    return raw


def _as_counts(raw: Raw, record: Mapping[str, Any]) -> tuple[Raw, forensics.Content]:
    """The matrix as counts where it holds them, or where they can be recovered exactly; and what it holds.

    Raises:
        BrainmetError: the values are not what the dataset file says.
    """
    content = _content(raw, record)
    log.info("%s: %d cells × %d features; %s: %s", raw.name, *raw.matrix.shape, content.kind, content.why)
    if content.kind in ("tpm", "log") and (recovered := forensics.recover(raw.matrix)):
        matrix, how = recovered
        log.warning("%s: counts recovered exactly from %s values: %s", raw.name, content.kind, how)
        raw = replace(raw, matrix=matrix).noted(f"counts recovered exactly: {how}")
        content = forensics.Content("counts", how)
    if content.kind == "counts" and raw.matrix.dtype.kind == "f":
        np.rint(raw.matrix.data, out=raw.matrix.data)  # Whole numbers but for the noise of single precision.
    if content.kind == "log" and not content.undo and record["suspension"] != "bulk":
        log.warning("%s: %s", raw.name, UNKNOWN_BASE)
        raw = replace(raw, caution="; ".join(filter(None, (raw.caution, UNKNOWN_BASE))))
    return raw, content


def _content(raw: Raw, record: Mapping[str, Any]) -> forensics.Content:
    """What the values are; logs of bulk tissue may lie below zero, which says nothing against them."""
    low = float(raw.matrix.data.min()) if raw.matrix.nnz else 0.0
    if record["values"] == "log" and record["suspension"] == "bulk" and low < 0:
        high = float(raw.matrix.data.max())
        if np.isfinite(raw.matrix.data).all() and high < forensics.LOG_MAX:
            return forensics.Content("log", f"values from {low:.3g} to {high:.3g} in bulk tissue")
    return forensics.check(raw.matrix, declared=record["values"], name=raw.name)


def _linear(raw: Raw, content: forensics.Content) -> Raw:
    """The values of cells whose logs are undone, so that features of one gene can be added up; written are natural logs
    of 1 + x, whatever base the file has them in.
    """
    values = forensics.undo(raw.matrix.data, content.undo)
    return replace(raw, matrix=sp.csr_matrix((values, raw.matrix.indices, raw.matrix.indptr), raw.matrix.shape))


def _only_genes(raw: Raw) -> Raw:
    """Without the summary rows of HTSeq and STAR and without spike-ins, which would count as expression."""
    ids = raw.ids if raw.ids is not None else raw.names
    text = "\n".join(map(str, (*raw.names, *ids)))
    if not re.search(NOT_GENES.pattern, text, re.IGNORECASE | re.MULTILINE):
        return raw
    real = np.array(
        [not (NOT_GENES.match(str(n)) or NOT_GENES.match(str(i))) for n, i in zip(raw.names, ids, strict=True)],
        dtype=bool,
    )
    if real.all():
        return raw
    return replace(raw.features(real), notes=(f"{(~real).sum()} summary or spike-in rows removed", *raw.notes))


def _without_antibodies(raw: Raw) -> Raw:
    """Without antibodies and hashtags that their names alone tell, as they lie beside genes in tables of CITE-seq."""
    if not ANTIBODY.search("\n".join(map(str, raw.names))):
        return raw
    kinds = np.array(["Antibody Capture" if ANTIBODY.search(str(name)) else "" for name in raw.names], dtype=object)
    log.info("%s: %d features are antibodies by their names, set aside", raw.name, (kinds != "").sum())
    return rna_only(raw, kinds)


def _check(raw: Raw) -> None:
    """Cells exist, hold something, and have a name each."""
    names = pd.Series(raw.barcodes, dtype=object)
    if raw.matrix.shape[0] == 0:
        raise BrainmetError(f"{raw.name}: holds no cells; check match, split_by and the file")
    if raw.matrix.shape[1] == 0:
        raise BrainmetError(f"{raw.name}: holds no genes; check the layout and the file")
    if raw.matrix.nnz == 0:
        raise BrainmetError(f"{raw.name}: all {raw.matrix.shape[0]} cells are empty; fetch the file again")
    if len(twice := names[names.duplicated()]):
        raise BrainmetError(
            f"{raw.name}: the barcode {twice.iloc[0]} occurs more than once ({len(twice)} repeated barcodes); "
            "split the file into samples with split_by, or give the file of one sample"
        )


def _uns(record: Mapping[str, Any], content: forensics.Content, caution: str) -> dict[str, Any]:
    return ({Uns.CAUTION: caution} if caution else {}) | {
        Uns.ORGANISM: record["organism"],
        Uns.TECHNOLOGY: record.get("technology", UNKNOWN),
        Uns.SUSPENSION: record.get("suspension", UNKNOWN),
        Uns.VALUES: content.kind,
        Uns.SIMULATED: bool(record.get("simulated", False)),
    }
