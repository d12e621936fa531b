"""Druggability as expression: where the targets of drugs are expressed, donor by donor. Never advice, and never IHC.

Two views. Per cell (`coverage`): how many antigens of the antibody-drug conjugates each malignant
cell shows, and the smallest set of antigens that most cells show. Per donor (`expression`): each gene of the drug
list in the compartment where it is expected to act, with the highest expression in any normal cell type of the same
samples beside it.

Depth decides whether a cell shows a count at all. Cells are therefore read at a common depth: a cell of T counts
keeps each with probability depth / T, shallower cells are left out, and the expectation over all such draws is
computed exactly, so that there is no seed.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from brainmet.compare.donors import PLATFORM
from brainmet.contract import UNKNOWN, Compartment, Obs, Status, Uns, is_malignant
from brainmet.core import tables
from brainmet.core.citations import cited
from brainmet.core.documents import read_yaml
from brainmet.core.validate import validate
from brainmet.errors import BrainmetError
from brainmet.pseudobulk import Pseudobulk
from brainmet.pseudobulk.type_profiles import TypeProfiles, donors

log = logging.getLogger(__name__)
SCHEMA = Path(__file__).parent.parent / "schemas" / "drug.schema.yaml"
ROLES = ("target", "payload", "uptake", "resistance_up", "resistance_down", "efflux", "context", "transport")
SYSTEMIC = "systemic"
DONOR = [Obs.DATASET, Obs.STUDY, Obs.DONOR, Obs.CONDITION]


@dataclass(frozen=True)
class Drugs:
    """Entries of the drug list, and the transport genes of the barrier."""

    entries: list[dict[str, Any]]
    transport: list[dict[str, Any]]

    def antigens(self) -> list[str]:
        """Targets of the antibody-drug conjugates, sorted."""
        return sorted({gene for entry in self.entries if entry["class"] == "adc" for gene in entry["targets"]})

    def uses(self) -> Iterator[tuple[str, str, str, str]]:
        """Every use of a gene: compartment, gene, role, entry."""
        for entry in self.entries:
            genes = {
                "target": entry["targets"],
                "payload": entry.get("payload_target", []),
                "uptake": entry["uptake_genes"],
                "resistance_up": entry["resistance_genes"]["up"],
                "resistance_down": entry["resistance_genes"]["down"],
                "efflux": [substrate["gene"] for substrate in entry["efflux_substrate_of"]],
                "context": entry.get("context_genes", []),
            }
            places = entry["target_compartment"]
            yield from (
                (place, gene, role, entry["id"])
                for place in places
                for role, listed in genes.items()
                for gene in listed
            )
        for group in self.transport:
            yield from (
                (place, gene, "transport", group["id"]) for place in group["compartment"] for gene in group["genes"]
            )


def load(path: str | Path) -> Drugs:
    """The drug list.

    Raises:
        BrainmetError: the file breaks the schema or an id is used twice.
    """
    path = Path(path)
    document = read_yaml(path)
    validate(document, read_yaml(SCHEMA), name=path.name)
    ids = [entry["id"] for entry in (*document["entries"], *document["transport"])]
    if doubled := sorted({name for name in ids if ids.count(name) > 1}):
        raise BrainmetError(f"{path.name}: the id {doubled[0]} is used twice; give each entry its own")
    return Drugs(document["entries"], document["transport"])


def described(drugs: Drugs) -> pd.DataFrame:
    """What the list says of each entry, with its references and what is still to be looked up (`tables/drugs.yaml`)."""
    rows = []
    for entry in (*drugs.entries, *drugs.transport):
        warning = entry.get("normal_tissue_warning", {})
        rows.append(
            {
                "entry": entry["id"],
                "name": entry["name"],
                "class": entry.get("class", "transport"),
                "targets": ";".join(entry.get("targets", entry.get("genes", []))),
                "compartment": ";".join(entry.get("target_compartment", entry.get("compartment", []))),
                "cns_evidence": " ".join(entry.get("cns_evidence", "").split()),
                "cns_evidence_checked": entry.get("cns_evidence_checked", ""),
                "normal_brain": "; ".join(warning.get("brain", [])),
                "normal_elsewhere": "; ".join(warning.get("outside_brain", [])),
                "caveat": " ".join(entry.get("expression_caveat", "").split()),
                "references": "; ".join(map(cited, entry["references"])),
                "verify": bool(entry["verify"]),
                "from_memory": "; ".join(entry.get("from_memory", [])),
                "synonyms": ";".join(entry.get("synonyms", [])),
                "compartment_note": entry.get("compartment_note", ""),
            }
        )
    return pd.DataFrame(rows)[tables.columns("drugs")]


def shown(cells: pd.DataFrame) -> pd.DataFrame:
    """Antigens of cells, NaN where values are no counts (no total): whether a cell shows one cannot be said then."""
    return cells.where(cells[Obs.TOTAL_COUNTS].notna(), axis=0)


def coverage(
    cells: pd.DataFrame,
    annotation: pd.DataFrame,
    genes: Sequence[str],
    *,
    depth: int,
    min_counts: int,
    min_cells: int,
    cover: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Antigens of the malignant cells by donor (`tables/adc_coverage.yaml`, `tables/adc_antigens.yaml`).

    Args:
        cells: index cell id; `total_counts` and the antigens, of all samples one below the other (`shown`).
        annotation: index cell id; dataset, study, donor, condition, cell_type.
        genes: antigens.
        depth: counts at which cells are compared; shallower cells are left out.
        min_counts: counts that make a cell positive at that depth.
        min_cells: malignant cells that a donor needs at that depth; also cells that a normal type needs.
        cover: share of malignant cells that the smallest set should reach.
    """
    joined = annotation[[*DONOR, Obs.CELL_TYPE]].join(cells, how="inner")
    over, single = [], []
    for key, donor in joined.groupby(DONOR, sort=True):
        about = dict(zip(DONOR, map(str, key), strict=True))
        malignant = donor[donor[Obs.CELL_TYPE].map(is_malignant).astype(bool)]
        if malignant.empty:
            continue
        counted = malignant[malignant[Obs.TOTAL_COUNTS].notna()]
        measured = [gene for gene in genes if len(counted) and counted[gene].notna().all()]
        deep = counted[counted[Obs.TOTAL_COUNTS] >= depth]
        p = positive(deep, measured, depth=depth, min_counts=min_counts)
        row = (
            tables.blank("adc_coverage")
            | about
            | {"n_malignant": len(malignant), "n_deep": len(deep), "depth": depth, "n_antigens": len(measured)}
        )
        few = _few(counted, deep, depth=depth, min_cells=min_cells)
        over.append(row | _covered(p, measured, few, cover=cover))
        normal = donor[~donor[Obs.CELL_TYPE].map(is_malignant).astype(bool) & (donor[Obs.CELL_TYPE] != UNKNOWN)]
        rest = _normal_shares(normal, measured, depth=depth, min_counts=min_counts, min_cells=min_cells)
        single += [tables.blank("adc_antigens") | about | r for r in _single(p, measured, genes, rest, few)]
    log.info("donors with malignant cells: %d", len(over))
    return _table(over, "adc_coverage"), _table(single, "adc_antigens")


def _table(rows: Sequence[Mapping[str, Any]], name: str) -> pd.DataFrame:
    """Rows as a table of its columns, empty without rows."""
    return pd.DataFrame(rows)[tables.columns(name)] if rows else tables.empty(name)


def positive(cells: pd.DataFrame, genes: Sequence[str], *, depth: int, min_counts: int) -> np.ndarray:
    """Cells × genes: probability that the cell shows `min_counts` of the gene at the common depth."""
    kept = depth / np.maximum(cells[Obs.TOTAL_COUNTS].to_numpy(float), depth)
    counts = np.rint(cells[list(genes)].to_numpy(float)).astype(np.int64)
    return bdtrc(min_counts - 1, counts, kept[:, None])


def n_positive(p: np.ndarray) -> np.ndarray:
    """Expected share of cells that show 0, 1, and 2 or more antigens, genes of a cell drawn independently."""
    none = np.ones(len(p))
    one = np.zeros(len(p))
    for column in p.T:
        one = one * (1 - column) + none * column
        none = none * (1 - column)
    return np.array([none.mean(), one.mean(), (1 - none - one).mean()])


def smallest_set(p: np.ndarray, genes: Sequence[str], *, cover: float) -> tuple[list[str], float]:
    """The fewest antigens that reach `cover` of the cells, and the share they reach; of sets as small, the best.

    When all antigens together fall short, the fewest that reach as much as all.
    """
    if not len(genes):
        return [], 0.0
    goal = min(cover, 1 - np.prod(1 - p, axis=1).mean()) - 1e-9
    for size in range(1, len(genes) + 1):
        reached = [
            (float(1 - np.prod(1 - p[:, list(c)], axis=1).mean()), c) for c in combinations(range(len(genes)), size)
        ]
        best, chosen = max(reached, key=lambda item: (item[0], [-i for i in item[1]]))
        if best >= goal:
            return [genes[i] for i in chosen], best
    raise AssertionError("all antigens reach what all antigens reach")


def _few(counted: pd.DataFrame, deep: pd.DataFrame, *, depth: int, min_cells: int) -> str:
    """Why too little can be said of a donor's malignant cells; empty where enough can."""
    if not len(counted):
        return "values are no counts: whether a cell shows an antigen cannot be said"
    return f"{len(deep)} malignant cells with {depth} counts, {min_cells} needed" if len(deep) < min_cells else ""


def _covered(p: np.ndarray, genes: Sequence[str], few: str, *, cover: float) -> dict[str, Any]:
    if few or not genes:
        return {"status": Status.NOT_TESTED, "reason": few or "no antigen is measured"}
    shares = dict(zip(("share_0", "share_1", "share_2_or_more"), n_positive(p), strict=True))
    chosen, covered = smallest_set(p, genes, cover=cover)
    return shares | {
        "smallest_set": "+".join(chosen),
        "covered": covered,
        "reached": bool(covered >= cover - 1e-9),
        "status": Status.TESTED,
        "reason": "",
    }


def _normal_shares(
    cells: pd.DataFrame, genes: Sequence[str], *, depth: int, min_counts: int, min_cells: int
) -> pd.DataFrame:
    """Normal types × antigens: share of positive cells at the same depth, of cells in which all were measured; types
    with enough cells only."""
    deep = cells[(cells[Obs.TOTAL_COUNTS] >= depth) & cells[list(genes)].notna().all(axis=1)]
    shares = {
        name: positive(rows, genes, depth=depth, min_counts=min_counts).mean(axis=0)
        for name, rows in deep.groupby(Obs.CELL_TYPE, sort=True)
        if len(rows) >= min_cells
    }
    return pd.DataFrame.from_dict(shares, orient="index", columns=list(genes))


def _single(
    p: np.ndarray, measured: Sequence[str], genes: Sequence[str], normal: pd.DataFrame, few: str
) -> Iterator[dict[str, Any]]:
    for gene in genes:
        row = {"gene": gene, "n_deep": len(p), "status": Status.NOT_TESTED}
        if few or gene not in measured:
            yield row | {"reason": few or f"{gene} is not measured"}
        else:
            row |= {"share": float(p[:, measured.index(gene)].mean()), "status": Status.TESTED, "reason": ""}
            if len(normal):
                row |= {"normal_type": str(normal[gene].idxmax()), "normal_share": float(normal[gene].max())}
            yield row


def expression(
    pseudobulk: Pseudobulk, drugs: Drugs, compartments: Mapping[str, Collection[str]], *, min_cells: int
) -> pd.DataFrame:
    """Every gene of the drug list in each compartment it is named for, by donor, platform and kind of values
    (`tables/druggability.yaml`).

    Args:
        pseudobulk: sums by sample and cell type.
        drugs: entries.
        compartments: cell types by compartment word; a word without an entry is a type id itself.
        min_cells: cells that a compartment, and a normal type beside it, needs.
    """
    uses = _by_gene(drugs)
    rows: list[dict[str, Any]] = []
    measured = [*DONOR, PLATFORM, Uns.VALUES]
    for profiles in donors(pseudobulk, measured):
        about = {key: str(profiles.about[key]) for key in measured}
        normal = [i for i, t in enumerate(profiles.types) if not is_malignant(t) and profiles.n_cells[i] >= min_cells]
        for (place, gene), roles in uses.items():
            members = _members(place, profiles.types, compartments)
            if members and gene in profiles.columns:
                rows.append(
                    tables.blank("druggability")
                    | about
                    | {"compartment": place, "gene": gene}
                    | _level(profiles, members, normal, gene, min_cells)
                    | roles
                )
    if not rows:
        return tables.empty("druggability")
    return pd.DataFrame(rows)[tables.columns("druggability")]


def _by_gene(drugs: Drugs) -> dict[tuple[str, str], dict[str, str]]:
    """By compartment and gene, sorted: the entries that use it, one string per role."""
    uses: dict[tuple[str, str], dict[str, list[str]]] = {}
    for place, gene, role, entry in drugs.uses():
        if place != SYSTEMIC:
            listed = uses.setdefault((place, gene), {name: [] for name in ROLES})[role]
            listed += [entry] if entry not in listed else []
    return {key: {f"{role}_of": ";".join(entries) for role, entries in uses[key].items()} for key in sorted(uses)}


def _members(place: str, types: Sequence[str], compartments: Mapping[str, Collection[str]]) -> list[int]:
    if place == Compartment.ANY:
        return list(range(len(types)))
    if place == Compartment.TUMOUR:
        return [i for i, t in enumerate(types) if is_malignant(t)]
    wanted = compartments.get(place, [place])
    return [i for i, t in enumerate(types) if t in wanted]


def _level(profiles: TypeProfiles, members: list[int], normal: list[int], gene: str, min_cells: int) -> dict[str, Any]:
    column = profiles.columns[gene]
    n_cells = int(profiles.n_cells[members].sum())
    beside = [i for i in normal if i not in members]
    row: dict[str, Any] = {"cell_types": "+".join(profiles.types[i] for i in members), "n_cells": n_cells}
    if n_cells < min_cells:
        return row | {"status": Status.NOT_TESTED, "reason": f"{n_cells} cells, {min_cells} needed"}
    depth = profiles.sums[members].sum()
    level = float(np.log2(1e6 * profiles.sums[members, column].sum() / depth + 1)) if depth else 0.0
    row |= {
        "log2_cpm": level,
        "detected": float(profiles.detected[members, column].sum() / n_cells),
        "status": Status.TESTED,
        "reason": "",
    }
    if beside:
        top = max(beside, key=lambda i: profiles.log2_cpm[i, column])
        high = float(profiles.log2_cpm[top, column])
        row |= {"normal_type": profiles.types[top], "normal_log2_cpm": high, "difference": level - high}
        row["normal_detected"] = float(profiles.fraction[top, column])
    return row
