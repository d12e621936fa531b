"""Ingest: any layout to one shape. Raw counts of one sample, genes by Ensembl id, cells by sample and barcode.

A layout is one module here with `read(files, *, match, genes, barcodes) -> Raw`; nothing else is touched to add one.
The door is `ingest`: read, take this sample's cells, hold the values against what was declared, map the genes, join the
authors' labels.
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

from brainmet.conditions import CONDITIONS
from brainmet.contract import CELL_ID, UNKNOWN, Obs, Uns
from brainmet.core.counts import write_counts
from brainmet.core.tables import write_table
from brainmet.datasets import matches_name
from brainmet.datasets.checks import layouts, unknown
from brainmet.errors import BrainmetError
from brainmet.ingest import forensics, profiles, tables_beside
from brainmet.ingest.members import Member, list_members
from brainmet.ingest.raw import Raw, rna_only
from brainmet.ingest.species import Measured, measure
from brainmet.knowledge.genes import ANTIBODY, NOT_GENES, GeneTable

log = logging.getLogger(__name__)

OWN_COLUMNS = (Obs.DONOR, Obs.CONDITION, Obs.STUDY)
"""What a cells table may say of each cell instead of the sample's entry."""
MISSING = ("", "NA", "N/A", "nan", "NaN", "None", "NULL", "<NA>")
"""What R, pandas and spreadsheets write where nothing is known."""
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
    warn_lost: float,
    max_lost: float,
    species_share: float,
) -> Ingested:
    """Read one sample.

    Args:
        files: paths of the record's files, in the record's order.
        human: human genes; the gene space of every sample.
        mouse: mouse genes; needed for mouse samples and mixtures.
        record: of the sample's record (`datasets.records`) the fields `READ_BY_INGEST`.
        warn_lost, max_lost: share of counts on unknown genes above which the sample is reported, and refused.
        species_share: share of counts of one species that makes a cell of a mixture that species'.

    Raises:
        BrainmetError: the input is not what the dataset file says; the sentence says how to correct it.
    """
    found = _own(
        list_members([(file["name"], Path(path)) for file, path in zip(record["files"], files, strict=True)]),
        record["longer_matches"],
    )
    tables = tables_beside.found_tables(record, found)
    raw = tables_beside.own_cells(_read(record, found, tables, human, mouse), record, tables)
    raw.barcodes = np.array([str(barcode).strip() for barcode in raw.barcodes], dtype=object)
    raw = _without_antibodies(_only_genes(raw))
    _check(raw)
    verdict = _verdict(raw, record)
    log.info("%s: %d cells × %d features; %s: %s", raw.name, *raw.matrix.shape, verdict.kind, verdict.why)
    if verdict.kind in ("tpm", "log") and (found_counts := forensics.recover(raw.matrix)):
        raw.matrix, how = found_counts
        raw.notes.append(f"counts recovered exactly: {how}")
        log.warning("%s: counts recovered exactly from %s values: %s", raw.name, verdict.kind, how)
        verdict = forensics.Verdict("counts", how)
    if verdict.kind == "counts" and raw.matrix.dtype.kind == "f":
        np.rint(raw.matrix.data, out=raw.matrix.data)  # Whole numbers but for the noise of single precision.
    tissue = record["suspension"] == "bulk"
    if logs := verdict.kind == "log" and not tissue:
        raw = _linear(raw, verdict)
    measured = measure(
        raw,
        organism=record["organism"],
        human=human,
        mouse=mouse,
        sample=record["id"],
        warn_lost=warn_lost,
        max_lost=max_lost,
        share=species_share,
        logged=verdict.kind == "log" and tissue,
    )
    if logs:
        measured = replace(measured, matrix=measured.matrix.log1p())
    raw = raw if measured.kept.all() else raw.cells(measured.kept)
    cells = _cells(raw, record, tables, measured)
    return Ingested(
        matrix=measured.matrix,
        cells=cells,
        genes=measured.genes,
        uns=_uns(record, verdict, raw.caution),
        lost=measured.lost,
    )


def _own(found: Sequence[Member], longer: Sequence[str]) -> list[Member]:
    """Without the files of samples whose match this sample's begins."""
    return [member for member in found if not any(matches_name(member.full_name, match) for match in longer)]


def _read(
    record: Mapping[str, Any],
    found: Sequence[Member],
    tables: Mapping[str, Member],
    human: GeneTable,
    mouse: GeneTable | None,
) -> Raw:
    layout = record["layout"]
    if layout not in layouts():
        raise BrainmetError(f"{record['dataset']}.yaml: layout: {unknown(layout, layouts(), 'reader')}")
    reader = importlib.import_module(f"brainmet.ingest.{layout}")
    genes = mouse if record["organism"] == "mouse" and mouse is not None else human
    raw: Raw = reader.read(
        [member for member in found if member not in tables.values()],
        match=None if record.get("split_by") else record.get("match"),
        genes=genes,
        barcodes=tables_beside.wanted(record, tables),
    )
    for note in raw.notes:
        log.info("%s: %s", raw.name, note)
    for kind, number in raw.set_aside.items():
        log.info("%s: %d features of the kind %s set aside", raw.name, number, kind)
    return raw


def _verdict(raw: Raw, record: Mapping[str, Any]) -> forensics.Verdict:
    """What the values are; logs of bulk tissue may lie below zero, which says nothing against them."""
    low = float(raw.matrix.data.min()) if raw.matrix.nnz else 0.0
    if record["values"] == "log" and record["suspension"] == "bulk" and low < 0:
        high = float(raw.matrix.data.max())
        if np.isfinite(raw.matrix.data).all() and high < forensics.LOG_MAX:
            return forensics.Verdict("log", f"values from {low:.3g} to {high:.3g} in bulk tissue")
    return forensics.check(raw.matrix, declared=record["values"], name=raw.name)


def _linear(raw: Raw, verdict: forensics.Verdict) -> Raw:
    """The values of cells whose logs are undone, so that features of one gene can be added up; written are natural logs
    of 1 + x, whatever base the file has them in.
    """
    if not verdict.undo:
        log.warning("%s: %s", raw.name, UNKNOWN_BASE)
        raw = replace(raw, caution="; ".join(filter(None, (raw.caution, UNKNOWN_BASE))))
    matrix = sp.csr_matrix(
        (forensics.undo(raw.matrix.data, verdict.undo), raw.matrix.indices, raw.matrix.indptr), raw.matrix.shape
    )
    return replace(raw, matrix=matrix)


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
    kept = raw.features(real)
    kept.notes = [f"{(~real).sum()} summary or spike-in rows removed", *raw.notes]
    return kept


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


def _cells(raw: Raw, record: Mapping[str, Any], tables: Mapping[str, Member], measured: Measured) -> pd.DataFrame:
    """The contract's obs."""
    n = len(raw.barcodes)
    extra = tables_beside.cell_table(raw.barcodes, record, tables)
    extra = tables_beside.named_columns(raw, record) if extra is None else extra
    columns: dict[str, Any] = {
        name: np.array([str(record[name])] * n, dtype=object)
        for name in (Obs.DATASET, Obs.STUDY, Obs.DONOR, Obs.CONDITION)
    }
    columns[Obs.SAMPLE] = np.array([str(record["id"])] * n, dtype=object)
    author = tables_beside.author_labels(raw, record, tables, extra)
    author = np.where(np.isin(author, MISSING), "", author)
    columns[Obs.AUTHOR_LABEL] = author
    columns[Obs.AUTHOR_CELL_TYPE] = tables_beside.mapped(
        author, (record.get("labels") or {}).get("map") or {}, name=raw.name
    )
    if record["suspension"] == "bulk":
        about = None if raw.obs is None or profiles.ABOUT not in raw.obs else raw.obs[profiles.ABOUT].to_numpy(object)
        patterns = record.get("profiles") or []
        # A sample of one profile is described by its entry.
        if patterns or ("cells" not in tables and n > 1):
            donors, conditions = profiles.described(raw.barcodes, about, patterns, record=record)
            columns |= {Obs.DONOR: donors, Obs.CONDITION: conditions}
    order = [Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, Obs.AUTHOR_LABEL, Obs.AUTHOR_CELL_TYPE]
    if extra is not None:
        named = tables_beside.under_our_names(extra, record["cells"].get("columns") or {}, tables.get("cells"))
        for name, column in named.items():
            values = column.astype(str).to_numpy(object)
            if name in OWN_COLUMNS:
                said = _said(name, values, record["cells"].get("conditions"), raw.name)
                columns[name] = np.where(said == "", columns[name], said)
            else:
                carried = name if name.startswith(("author_", "truth_")) else f"author_{name}"
                # The table's own `cell_type` is no type of ours: it must not take the place of the mapped label.
                columns[f"{carried}_given" if carried in order else carried] = values
    for name, value in (record.get("covariates") or {}).items():
        columns.setdefault(f"author_{name}", np.array([value] * n, dtype=object))
    if measured.organism is not None:
        columns[Obs.ORGANISM] = measured.organism
    index = pd.Index([f"{record['id']}:{barcode}" for barcode in raw.barcodes], name=CELL_ID, dtype=object)
    return pd.DataFrame(
        {name: columns[name] for name in [*order, *(c for c in columns if c not in order)]}, index=index
    )


def _said(name: str, values: np.ndarray, conditions: dict[str, str] | None, where: str) -> np.ndarray:
    """What the cells' table says of each cell's donor, study or condition, empty where it says nothing.

    Raises:
        BrainmetError: a condition is none of ours, and the entry maps none.
    """
    if name == Obs.CONDITION and conditions is not None:
        return tables_beside.mapped(values, conditions, name=where, field="cells: conditions")
    said = np.where(np.isin(values, MISSING), "", values)
    if name == Obs.CONDITION and (foreign := sorted(set(said) - {"", *CONDITIONS})):
        raise BrainmetError(
            f"{where}: the cells' column condition says {foreign[0]!r}, which is no condition (allowed: "
            f"{', '.join(CONDITIONS)}); map it under cells: conditions in the dataset file, where what is not mapped "
            "takes the sample's condition (conditions: {} maps nothing)"
        )
    log.info("%s: %s of %d cells is that of their table", where, name, (said != "").sum())
    return said


def _uns(record: Mapping[str, Any], verdict: forensics.Verdict, caution: str) -> dict[str, Any]:
    return ({Uns.CAUTION: caution} if caution else {}) | {
        Uns.ORGANISM: record["organism"],
        Uns.TECHNOLOGY: record.get("technology", UNKNOWN),
        Uns.SUSPENSION: record.get("suspension", UNKNOWN),
        Uns.VALUES: verdict.kind,
        Uns.SIMULATED: bool(record.get("simulated", False)),
    }
