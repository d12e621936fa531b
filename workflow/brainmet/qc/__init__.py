"""Quality control of one sample: metrics, limits, doublets, a verdict with its reason for every barcode, gene moments.

Limits adapt to the sample (median absolute deviations on log counts and log genes, as in the OSCA book) and are lower
limits only: neurons and aneuploid cells are large, doublets are found on their own. The mitochondrial share has an
upper limit that never falls below a floor for the kind of assay. Fixed limits may take their place. A measure that the
sample does not have drops nothing.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.contract import Obs, Uns, Var
from brainmet.core.counts import Counts, by_cell
from brainmet.core.moments import gene_sums, moments
from brainmet.core.normalise import linear
from brainmet.core.robust import mad_sd
from brainmet.core.tables import columns
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import CellTypes
from brainmet.qc.doublets import METHOD, DoubletOptions, Doublets, find_doublets

log = logging.getLogger(__name__)

DEEP = ("counts", "expected_counts")
"""Values whose sum over the genes is the depth of a barcode."""
TOP = 50
HAEMOGLOBIN = re.compile(r"HB(A1|A2|B|D|E1|G1|G2|M|Q1|Z)")
RIBOSOMAL = re.compile(r"RP[LS]\d+[AX]?(L\d?)?|RPS4Y[12]|RPLP[012]|RPSA")


@dataclass(frozen=True)
class Limits:
    """Limits that a barcode must keep to; NaN where there is none."""

    min_counts: float
    min_genes: float
    max_pct_mt: float


def qc(
    counts: Counts,
    *,
    types: CellTypes,
    n_mads: float,
    profiles: Mapping[str, Mapping[str, float]],
    fixed: Mapping[str, float | None],
    doublets: Mapping[str, Any],
    doublet_rate: float | None,
    flag_dropped: float,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Judge every barcode of a sample.

    Args:
        counts: the sample.
        types: the resource of cell types, whose markers help to find doublets.
        n_mads: median absolute deviations from the median at which a limit lies.
        profiles: for `cells`, `nuclei` and `plates`: `min_genes` and `mt_floor`.
        fixed: fields of `Limits` that replace the sample's own limit; None where the sample's own holds.
        doublets: fields of `doublets.DoubletOptions`.
        doublet_rate: expected share of doublets where the dataset file states it.
        flag_dropped: share of dropped barcodes from which a sample is flagged.
        seed: of the doublet search.

    Returns:
        The tables cells, moments and qc (one row).

    Raises:
        BrainmetError: the sample is empty, or nothing passes.
    """
    if not counts.shape[0] or not counts.nnz:
        raise BrainmetError(
            f"{counts.path}: holds no counts ({counts.shape[0]} barcodes); check the sample's `match` and `layout`"
        )
    profile = profile_of(counts.uns[Uns.TECHNOLOGY], counts.uns[Uns.SUSPENSION])
    cells = counts.cells.join(metrics(counts))
    totals_are_depth = counts.uns[Uns.VALUES] in DEEP
    limits = set_limits(cells, n_mads=n_mads, fixed=fixed, totals_are_depth=totals_are_depth, **profiles[profile])
    failed = broken_limits(cells, limits)
    passing = ~np.any(list(failed.values()), axis=0)
    if not passing.any():
        raise BrainmetError(_nothing_passes(counts, cells, limits))
    sums = gene_sums(counts, passing)
    variance = moments(counts, passing, sums)["var"].to_numpy()
    options = DoubletOptions(**doublets)
    found = find_doublets(
        counts, passing, options, types=types, profile=profile, known_rate=doublet_rate, seed=seed, variance=variance
    )
    failed["doublet"] = found.called
    cells[Obs.DOUBLET_SCORE], cells["doublet"] = found.score, found.called
    cells[Obs.REASON] = _join(failed, len(cells))
    cells[Obs.KEEP] = cells[Obs.REASON].eq("")
    if not cells[Obs.KEEP].any():
        raise BrainmetError(_nothing_passes(counts, cells, limits))
    caution = str(counts.uns.get(Uns.CAUTION, ""))
    summary = summarise(
        cells,
        limits,
        found,
        profile=profile,
        flag_dropped=flag_dropped,
        failed=failed,
        caution=caution,
        values=str(counts.uns[Uns.VALUES]),
    )
    _report(summary.iloc[0])
    if found.called.any():
        sums -= gene_sums(counts, found.called)
    return cells[columns("cells")], moments(counts, cells[Obs.KEEP].to_numpy(), sums), summary


def profile_of(technology: str, suspension: str) -> str:
    """Which defaults a sample gets: `plates` (full length, one cell per well), `nuclei` or `cells`."""
    return "plates" if technology == "smartseq" else "nuclei" if suspension == "nucleus" else "cells"


def metrics(counts: Counts) -> pd.DataFrame:
    """QC metrics of every barcode, as scanpy's `calculate_qc_metrics` gives them, in one pass.

    Logs are undone before shares are taken; their total stays the sum of what is written.

    Returns:
        Index cell id; total_counts, n_genes_by_counts, pct_counts_mt, pct_counts_hb, pct_counts_ribo,
        pct_counts_in_top_50_genes. A share is NaN where none of its genes is measured, or the barcode is empty.
    """
    masks, values = gene_sets(counts.genes), str(counts.uns.get(Uns.VALUES))
    parts = [_block_metrics(block, linear(block, values=values), masks) for block in counts.chunks()]
    return pd.concat(parts, ignore_index=True).set_index(counts.cells.index)


def gene_sets(genes: pd.DataFrame) -> dict[str, np.ndarray]:
    """Masks over the genes: mitochondrial (`mt`), haemoglobin (`hb`) and ribosomal protein (`ribo`) genes."""
    symbols = genes[Var.SYMBOL].astype(str)
    mitochondrial = genes[Var.CHROMOSOME].eq("MT") | symbols.str.upper().str.startswith("MT-")
    return {
        "mt": mitochondrial.to_numpy(),
        "hb": np.array([bool(HAEMOGLOBIN.fullmatch(symbol)) for symbol in symbols], bool),
        "ribo": np.array([bool(RIBOSOMAL.fullmatch(symbol)) for symbol in symbols], bool),
    }


def _block_metrics(block: sp.csr_matrix, plain: sp.csr_matrix, masks: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Metrics of some cells: totals of the values as they are written, shares of those on a linear scale."""
    total, depth = (np.asarray(part.sum(axis=1, dtype=np.float64)).ravel() for part in (block, plain))
    scale = np.divide(100, depth, out=np.full_like(depth, np.nan), where=depth > 0)
    sums = plain @ np.column_stack(list(masks.values())).astype(np.float64)
    shares = {
        f"pct_counts_{name}": sums[:, i] * scale if mask.any() else np.full(len(depth), np.nan)
        for i, (name, mask) in enumerate(masks.items())
    }
    return pd.DataFrame(
        {
            Obs.TOTAL_COUNTS: total,
            Obs.N_GENES: by_cell(block, block.data > 0).astype(np.float64),
            **shares,
            f"pct_counts_in_top_{TOP}_genes": _top_sum(plain) * scale,
        }
    )


def _top_sum(block: sp.csr_matrix) -> np.ndarray:
    """Sum of the highest values of each row."""
    sums, means = np.empty(block.shape[0]), by_cell(block, block.data) / np.maximum(np.diff(block.indptr), 1)
    for row in range(block.shape[0]):
        values = block.data[block.indptr[row] : block.indptr[row + 1]]
        # Where enough values lie above the mean, the highest are among these few.
        above = values[values > means[row]]
        values = above if len(above) >= TOP else values
        highest = values if len(values) <= TOP else np.partition(values, len(values) - TOP)[-TOP:]
        sums[row] = highest.sum(dtype=np.float64)
    return sums


def set_limits(
    cells: pd.DataFrame,
    *,
    n_mads: float,
    min_genes: float,
    mt_floor: float,
    fixed: Mapping[str, float | None],
    totals_are_depth: bool,
) -> Limits:
    """Limits of a sample from its own barcodes, leaving aside those that hold next to nothing; or the fixed ones.

    Args:
        cells: metrics of every barcode.
        n_mads: median absolute deviations from the median.
        min_genes: lower bound of the limit on genes; barcodes below it do not enter the medians.
        mt_floor: lower bound of the limit on the mitochondrial share, in per cent.
        fixed: fields of `Limits` that replace the sample's own; None where the sample's own holds.
        totals_are_depth: the sum of a barcode's values says how deeply it was sequenced, as it does for counts. The sum
            of TPM is a million in every cell, and that of logs means nothing: they have no limit on counts.
    """
    used = cells[cells[Obs.N_GENES] >= min_genes]
    share = used[Obs.PCT_MT].dropna().to_numpy()
    own = Limits(
        min_counts=_lower(used[Obs.TOTAL_COUNTS], n_mads) if totals_are_depth else float("nan"),
        min_genes=float(np.fmax(min_genes, _lower(used[Obs.N_GENES], n_mads))),
        max_pct_mt=max(mt_floor, float(np.median(share) + n_mads * mad_sd(share))) if len(share) else float("nan"),
    )
    unmeasured = {"min_counts": not totals_are_depth, "max_pct_mt": bool(cells[Obs.PCT_MT].isna().all())}
    given = {name: limit for name, limit in fixed.items() if limit is not None and not unmeasured.get(name)}
    return replace(own, **given)


def _lower(values: pd.Series, n_mads: float) -> float:
    """Lower limit on the log scale; NaN when there is no spread to measure it by."""
    logs = np.log(values.to_numpy(float))
    spread = mad_sd(logs) if len(logs) else 0.0
    return float(np.exp(np.median(logs) - n_mads * spread)) if spread > 0 else float("nan")


def broken_limits(cells: pd.DataFrame, limits: Limits) -> dict[str, np.ndarray]:
    """Barcodes that break a limit, by reason code. A missing measure or limit breaks nothing."""
    empty = cells[Obs.TOTAL_COUNTS].eq(0) | cells[Obs.N_GENES].eq(0)
    return {
        "empty": empty.to_numpy(),
        "low_counts": (~empty & (cells[Obs.TOTAL_COUNTS] < limits.min_counts)).to_numpy(),
        "low_genes": (~empty & (cells[Obs.N_GENES] < limits.min_genes)).to_numpy(),
        "high_mt": (cells[Obs.PCT_MT] > limits.max_pct_mt).to_numpy(),
    }


def _join(failed: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    reasons = np.full(n, "", object)
    for code, mask in failed.items():
        reasons[mask] = [f"{reason};{code}" if reason else code for reason in reasons[mask]]
    return reasons


def _nothing_passes(counts: Counts, cells: pd.DataFrame, limits: Limits) -> str:
    medians = cells[[Obs.TOTAL_COUNTS, Obs.N_GENES, Obs.PCT_MT]].median()
    more = f", counts >= {limits.min_counts:.0f}" if np.isfinite(limits.min_counts) else ""
    more += f", mitochondrial <= {limits.max_pct_mt:.1f} %" if np.isfinite(limits.max_pct_mt) else ""
    return (
        f"{counts.path}: none of {len(cells)} barcodes passes (limits: genes >= {limits.min_genes:.0f}{more}; medians: "
        f"{medians.iloc[1]:.0f} genes, {medians.iloc[0]:.0f} counts, {medians.iloc[2]:.1f} %); lower "
        "qc.profiles.*.min_genes or raise mt_floor; where qc.fixed sets the limit, correct it there"
    )


def summarise(
    cells: pd.DataFrame,
    limits: Limits,
    found: Doublets,
    *,
    profile: str,
    flag_dropped: float,
    failed: Mapping[str, np.ndarray],
    caution: str,
    values: str,
) -> pd.DataFrame:
    """One row of the table qc; `caution` is what the reader of the matrix wants to be said in its flag, `values` what
    the matrix was found to hold."""
    kept = cells[cells[Obs.KEEP]]
    dropped = 1 - len(kept) / len(cells)
    row = {
        "sample": cells[Obs.SAMPLE].iloc[0],
        "status": "kept",
        "profile": profile,
        "n_barcodes": len(cells),
        "n_kept": len(kept),
        "share_dropped": dropped,
        **{f"n_{code}": int(mask.sum()) for code, mask in failed.items()},
        "min_counts": limits.min_counts,
        "min_genes": limits.min_genes,
        "max_pct_mt": limits.max_pct_mt,
        "median_counts": kept[Obs.TOTAL_COUNTS].median(),
        "median_genes": kept[Obs.N_GENES].median(),
        "median_pct_mt": kept[Obs.PCT_MT].dropna().median(),  # missing where no mitochondrial gene was measured
        "median_pct_hb": kept["pct_counts_hb"].median(),
        "median_pct_ribo": kept["pct_counts_ribo"].median(),
        "median_pct_top_50": kept[f"pct_counts_in_top_{TOP}_genes"].median(),
        "doublet_method": "" if found.skipped else METHOD,
        "doublet_skipped": found.skipped,
        "expected_doublet_rate": found.expected_rate,
        "flag": _flag(failed, found, dropped=dropped, flag_dropped=flag_dropped, n=len(cells), caution=caution),
        "values": values,
    }
    return pd.DataFrame([row])[columns("qc")]


def _flag(
    failed: Mapping[str, np.ndarray], found: Doublets, *, dropped: float, flag_dropped: float, n: int, caution: str
) -> str:
    flags = [caution] if caution else []
    if dropped > flag_dropped:
        worst = max(failed, key=lambda code: int(failed[code].sum()))
        flags.append(f"{dropped:.0%} dropped, most for {worst}")
    if not found.skipped and found.called.sum() > 2 * found.expected_rate * n:
        flags.append("more than twice the expected doublets")
    return "; ".join(flags)


def _report(row: pd.Series) -> None:
    codes = {name: int(row[f"n_{name}"]) for name in ("empty", "low_counts", "low_genes", "high_mt", "doublet")}
    log.info("%d of %d barcodes kept; dropped: %s", row["n_kept"], row["n_barcodes"], codes)
    if row["flag"]:
        log.warning("flagged, look at its quality: %s", row["flag"])


def collect(rows: list[pd.DataFrame], *, excluded: list[str]) -> pd.DataFrame:
    """The table qc of a cohort: one row per sample in the order of their ids, with the excluded ones."""
    missing = pd.DataFrame({"sample": sorted(excluded), "status": "excluded"}).reindex(columns=columns("qc"))
    table = pd.concat([*rows, missing] if excluded else rows, ignore_index=True)
    return table.sort_values("sample", kind="stable", ignore_index=True)


def describe(
    records: Mapping[str, Mapping[str, Any]], cells: Mapping[str, pd.DataFrame], table: pd.DataFrame
) -> pd.DataFrame:
    """The table samples: what the dataset files say of each sample, what its matrix holds, and its size after quality
    control.

    Args:
        records: sample id → record.
        cells: sample id → `donor` and `condition` of its barcodes, which a cells table may have refined.
        table: the table qc.
    """
    sizes = table.set_index("sample")
    names = [name for name in columns("samples") if name not in sizes.columns]
    rows = []
    for sample in sorted(records):
        row: dict[str, Any] = {name: str(records[sample].get(name, "unknown")) for name in names}
        row |= {name: ";".join(sorted(set(cells[sample][name]))) for name in (Obs.DONOR, Obs.CONDITION)}
        row |= {"sample": sample, "simulated": bool(records[sample].get("simulated", False))}
        row |= {
            name: sizes.at[sample, name] for name in ("values", "n_barcodes", "n_kept", "median_counts", "median_genes")
        }
        rows.append(row)
    return pd.DataFrame(rows)[columns("samples")]
