"""From features to genes: one gene space for human samples, mouse samples and mixtures of both.

Mouse genes enter under the Ensembl id of their human counterpart (`human_id` of the gene table: the one-to-one
orthologue, the gene of a family that mouse has in several copies, or the gene of the same name); the counts of several
mouse genes of one human gene are summed, and a mouse gene without a counterpart is not counted on.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import Var
from brainmet.errors import BrainmetError
from brainmet.ingest.raw import Raw
from brainmet.knowledge.genes import LOST, PLACED, GeneMapping, GeneTable, likely_cause, map_features

log = logging.getLogger(__name__)

ROWS = 200
"""Cells whose values are moved at a time."""
TOP = 10
"""Lost features named in the table, by counts."""
MOUSE_FEATURE = re.compile(r"ENSMUSG\d{11}|^(mm10|mm39|GRCm3[89])[_.\-]", re.IGNORECASE)
HUMAN_FEATURE = re.compile(r"(?<![A-Z])ENSG\d{11}|^(hg19|hg38|GRCh3[78])[_.\-]", re.IGNORECASE)
FEW_MARKED, LOOKED_AT = 0.05, 2000
"""Of so many features the share marked as of each species above which a file holds both."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What is asked of a sample's counts.

    Attributes:
        warn_lost, max_lost: share of counts on unknown genes above which the sample is reported, and refused.
        species_share: share of counts of one species that makes a cell of a mixture that species'.
    """

    warn_lost: float
    max_lost: float
    species_share: float


@dataclass(frozen=True)
class Measured:
    """Counts by gene.

    Attributes:
        matrix: kept cells × genes, CSR; genes sorted by id.
        genes: index Ensembl id; symbol, chromosome, start, end (and source_id for mouse).
        kept: which of the cells are in the matrix.
        organism: per kept cell of a mixture its species, else None.
        lost: one row of the table genes_lost.
    """

    matrix: sp.csr_matrix
    genes: pd.DataFrame
    kept: np.ndarray
    organism: np.ndarray | None
    lost: pd.DataFrame


def measure(
    raw: Raw,
    *,
    organism: str,
    human: GeneTable,
    mouse: GeneTable | None,
    sample: str,
    limits: Tolerance,
    logged: bool = False,
) -> Measured:
    """Map the features of a sample and sum the counts of each gene; of logs, which cannot be summed, the feature with
    the highest mean stands for its gene.

    Args:
        raw: the sample.
        organism: `human`, `mouse` or `human_mouse`.
        human: human genes; the gene space of every sample.
        mouse: mouse genes; needed for mouse samples and mixtures.
        sample: its id, for the table.
        limits: what is asked of its counts.
        logged: whether the values are logs, which may lie below zero.

    Raises:
        BrainmetError: too many of the counts are on unknown genes, or the genes are of a mixture that is not declared.
    """
    table = human if organism == "human" else mouse
    if table is None:
        raise ValueError("mouse genes are needed")
    sums = np.asarray(raw.matrix.sum(axis=0)).ravel().astype(np.float64)
    if logged:
        sums = np.maximum(sums, 0)
    if organism == "human_mouse":
        return _mixture(raw, sums, human=human, mouse=table, sample=sample, limits=limits, logged=logged)
    _refuse_mixture(raw, organism)
    mapping = map_features(raw.ids, raw.names, table)
    lost, notes = _losses(raw, mapping, sums, organism=organism, sample=sample, limits=limits), []
    target = mapping.gene
    if organism == "mouse":
        target, without = _through_orthologues(mapping.gene, table, human)
        notes.append(
            f"{sums[without].sum() / max(sums.sum(), 1):.3f} of the counts on mouse genes without a human counterpart"
        )
    if logged:
        target = _highest(target, np.asarray(raw.matrix.sum(axis=0)).ravel())
    matrix, rows = _summed(raw.matrix, target)
    genes = human.frame.iloc[rows][list(PLACED)].copy()
    if organism == "mouse":
        sources: dict[int, set[str]] = {}
        for row, id_ in zip(target[target != LOST], table.frame.index[mapping.gene[target != LOST]], strict=True):
            sources.setdefault(row, set()).add(id_)
        genes[Var.SOURCE_ID] = np.array([";".join(sorted(sources[row])) for row in rows], dtype=object)
        if several := sum(len(ids) > 1 for ids in sources.values()):
            notes.append(f"{several} human genes sum the counts of several mouse genes")
    return Measured(matrix, genes, np.ones(matrix.shape[0], bool), None, _noted(lost, notes))


def _refuse_mixture(raw: Raw, organism: str) -> None:
    """Raises where the features are of both species: cells of the other one would pass for shallow cells of this."""
    step = len(raw.names) // LOOKED_AT + 1
    columns = [[str(name) for name in column[::step]] for column in (raw.ids, raw.names) if column is not None]
    marked = [[n for column in columns for n in column if mark.search(n)] for mark in (HUMAN_FEATURE, MOUSE_FEATURE)]
    if min(map(len, marked)) > FEW_MARKED * len(columns[-1]):
        human, mouse = (found[0] for found in marked)
        raise BrainmetError(
            f"{raw.name}: holds genes of human and of mouse (such as {human} and {mouse}), and organism says "
            f"{organism}; set organism: human_mouse, which separates the cells by their counts"
        )


def _through_orthologues(gene: np.ndarray, mouse: GeneTable, human: GeneTable) -> tuple[np.ndarray, np.ndarray]:
    """Row in the human table for every feature, and which known features have none."""
    partner = np.array([human.row.get(h, LOST) for h in mouse.frame["human_id"]] + [LOST])
    target = partner[gene]
    return target, (gene != LOST) & (target == LOST)


def _highest(target: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Keep of the features of each gene the highest alone, as probes of arrays are collapsed (WGCNA's MaxMean)."""
    order = np.argsort(-sums, kind="stable")
    order = order[target[order] != LOST]
    _, first = np.unique(target[order], return_index=True)
    chosen = np.full(len(target), LOST, target.dtype)
    chosen[order[first]] = target[order[first]]
    return chosen


def _summed(matrix: sp.csr_matrix, target: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """Columns of one gene added up; genes in the order of the table, lost columns left out."""
    known = np.flatnonzero(target != LOST)
    known = known[np.argsort(target[known], kind="stable")]
    rows, slot = np.unique(target[known], return_inverse=True)
    data, indices, indptr = np.empty_like(matrix.data), np.empty(matrix.nnz, np.int32), matrix.indptr.copy()
    end = 0
    # Some cells at a time, in the processor's cache; turned twice, their genes come out in order.
    for start in range(0, matrix.shape[0], ROWS):
        block = matrix[start : start + ROWS].tocsc()[:, known].tocsr()
        place = slice(end, end + block.nnz)
        data[place], indices[place] = block.data, slot[block.indices]
        indptr[start : start + ROWS + 1] = end + block.indptr
        end = place.stop
    result = sp.csr_matrix((data[:end], indices[:end], indptr), shape=(matrix.shape[0], len(rows)))
    result.sum_duplicates()
    return result, rows


def _mixture(
    raw: Raw,
    sums: np.ndarray,
    *,
    human: GeneTable,
    mouse: GeneTable,
    sample: str,
    limits: Tolerance,
    logged: bool,
) -> Measured:
    """Cells of human and mouse apart, by the species of their counts; cells of both are doublets or debris and
    dropped.
    """
    first, second = map_features(raw.ids, raw.names, human), map_features(raw.ids, raw.names, mouse)
    ids = raw.ids if raw.ids is not None else raw.names
    marked = np.array(
        [
            bool(MOUSE_FEATURE.search(str(i)) or MOUSE_FEATURE.search(str(n)))
            for i, n in zip(ids, raw.names, strict=True)
        ]
    )
    is_mouse = (second.gene != LOST) & (marked | (first.gene == LOST))
    is_human = (first.gene != LOST) & ~is_mouse
    # Mouse genes are numbered behind those of human.
    gene = np.where(is_mouse, second.gene + len(human.frame), np.where(is_human, first.gene, LOST))
    mapping = GeneMapping(gene, np.where(is_mouse, second.how, first.how))
    lost = _losses(raw, mapping, sums, organism="human_mouse", sample=sample, limits=limits)
    if not is_mouse.any() or not is_human.any():
        only = "human" if is_human.any() else "mouse"
        raise BrainmetError(f"{raw.name}: declared human_mouse, but all known genes are {only}; set organism: {only}")
    species = _species(raw.matrix, is_human, is_mouse, share=limits.species_share)
    kept = species != ""
    partner, _ = _through_orthologues(second.gene, mouse, human)
    # A cell is counted on the genes of its own species alone; the few reads of the other are ambient or misaligned.
    targets = {"human": np.where(is_human, first.gene, LOST), "mouse": np.where(is_mouse, partner, LOST)}
    if logged:
        targets = {name: _highest(target, sums) for name, target in targets.items()}
    matrix, rows = _summed_by_species(raw.matrix, species, targets)
    numbers = {name: int((species == name).sum()) for name in ("human", "mouse", "")}
    note = f"{numbers['human']} human cells, {numbers['mouse']} mouse cells, {numbers['']} of both dropped"
    log.info("%s: %s", raw.name, note)
    genes = human.frame.iloc[rows][list(PLACED)].copy()
    return Measured(matrix, genes, kept, species[kept], _noted(lost, [note]))


def _species(matrix: sp.csr_matrix, is_human: np.ndarray, is_mouse: np.ndarray, *, share: float) -> np.ndarray:
    """`human` or `mouse` for each cell that has so large a share of its counts on genes of one, empty for others."""
    human, mouse = (np.asarray(matrix @ mask.astype(np.float64)).ravel() for mask in (is_human, is_mouse))
    fraction = human / np.maximum(human + mouse, 1e-9)
    return np.where(fraction >= share, "human", np.where(fraction <= 1 - share, "mouse", "")).astype(object)


def _summed_by_species(
    matrix: sp.csr_matrix, species: np.ndarray, targets: Mapping[str, np.ndarray]
) -> tuple[sp.csr_matrix, np.ndarray]:
    """`_summed` of the cells of each species by its own targets, in the order of the cells; those of none left out."""
    all_rows = np.unique(np.concatenate([target[target != LOST] for target in targets.values()]))
    parts, orders = [], []
    for name, target in targets.items():
        cells = np.flatnonzero(species == name)
        part, rows = _summed(matrix[cells], target)
        columns = np.searchsorted(all_rows, rows)[part.indices]
        parts.append(sp.csr_matrix((part.data, columns, part.indptr), shape=(len(cells), len(all_rows))))
        orders.append(cells)
    return sp.vstack(parts, format="csr")[np.argsort(np.concatenate(orders), kind="stable")], all_rows


def _losses(
    raw: Raw, mapping: GeneMapping, sums: np.ndarray, *, organism: str, sample: str, limits: Tolerance
) -> pd.DataFrame:
    """What became of the features: one row of the table genes_lost.

    Raises:
        BrainmetError: too many of the counts are on unknown genes.
    """
    gene = mapping.gene
    lost = gene == LOST
    mapped = gene[gene != LOST]
    total = float(sums.sum())
    share = float(sums[lost].sum() / total) if total else 0.0
    if share > limits.max_lost or not len(mapped):
        cause = likely_cause(raw.ids, raw.names, organism=organism)
        raise BrainmetError(
            f"{raw.name}: {share:.0%} of the counts are on features that are no known gene of {organism}: {cause}"
        )
    top = ";".join(str(name) for name in raw.names[lost][np.argsort(-sums[lost], kind="stable")[:TOP]])
    if share > limits.warn_lost:
        log.warning("%s: %.1f %% of the counts are lost on unknown features, most on %s", raw.name, 100 * share, top)
    notes = [f"{n} {kind} features set aside" for kind, n in raw.set_aside.items()]
    if n := mapping.count("excel"):
        dates = [str(name) for name, way in zip(raw.names, mapping.how, strict=True) if way == "excel"]
        notes.append(f"{n} symbols turned into dates by a spreadsheet repaired ({', '.join(dates[:5])})")
    if n := mapping.count("ambiguous"):
        notes.append(f"{n} names that could be several genes left out")
    row = {
        "sample": sample,
        "n_features": len(gene),
        "n_mapped": len(mapped),
        "n_renamed": mapping.count("previous", "alias", "repaired", "excel", "retired_id"),
        "n_merged": int(len(mapped) - len(np.unique(mapped))),
        "n_lost": int(lost.sum()),
        "share_counts_lost": share,
        "lost_top": top,
        "n_set_aside": int(sum(raw.set_aside.values())),
        "notes": "; ".join([*notes, *raw.notes]),
        # Known where the signatures are; see collect_genes_lost.
        "signatures_affected": None,
        "types_affected": None,
    }
    return pd.DataFrame([row])


def _noted(lost: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    return lost.assign(notes=["; ".join(filter(None, [lost["notes"].iloc[0], *notes]))])
