"""Crosstalk over donors: which axes stand out in how many donors, by which sender, and whether receivers respond.

A donor's p is against random genes of that donor, and donors resemble each other: random genes that stand out in one
stand out in the next. Their p are therefore never multiplied as if they were independent; the combination holds for any
dependence.
"""

import logging
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from brainmet.contract import Obs, Status
from brainmet.core import tables
from brainmet.core.citations import cited
from brainmet.crosstalk import Axes
from brainmet.stats import effects
from brainmet.stats.ranks import permuted_within, ranks, signed_rank_p

log = logging.getLogger(__name__)
ALL = "all"
VALUES = [
    *("score", "p", "p_perm_types", "sender_specificity", "magnitude_rank", "specificity_rank"),
    *("ligand_mean", "response_score"),
]


def summary(
    rows: pd.DataFrame, axes: Axes, *, alpha: float, min_donors: int, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Axes by condition and primary site over donors (`tables/crosstalk_summary.yaml`).

    A donor's samples are averaged first (p values: their median). Axes that no sample could test have one row with the
    reason, so that absence is seen.

    Args:
        rows: the table crosstalk.
        axes: all axes.
        alpha: level at which a donor counts as significant.
        min_donors: donors needed for a correlation with the receivers' response.
        n_permutations: permutations for its p.
        seed: of the permutations.
    """
    tested = rows[rows["status"] == Status.TESTED]
    out: list[dict[str, Any]] = []
    for axis in axes.entries:
        of_axis = tested[tested["axis"] == axis["id"]]
        base = {key: axis[key] for key in ("kind", "readout", "sender", "receiver")}
        base |= {"axis": axis["id"], "axis_group": axis["axis"], "response": axis.get("response", "")}
        sources = [axes.references[key] for key in axis["references"] if key in axes.references]
        base |= {"references": "; ".join(map(cited, sources)), "databases": ";".join(axis.get("databases", []))}
        base |= {"from_memory": ";".join(axis.get("from_memory", [])), "verify": bool(axis.get("from_memory"))}
        base |= {side: _types_read(of_axis[side]) for side in ("sender_types", "receiver_types")}
        if of_axis.empty:
            out.append(base | _absent(rows[rows["axis"] == axis["id"]]))
        for condition, site, group in _groups(of_axis):
            rng = np.random.default_rng([seed, zlib.crc32(axis["id"].encode())])
            donors = _by_donor(group)
            out.append(
                base
                | {
                    "condition": condition,
                    "primary_site": site,
                    "n_samples": group[Obs.SAMPLE].nunique(),
                    "n_donors": len(donors),
                }
                | {"n_studies": donors[Obs.STUDY].nunique(), "status": Status.TESTED, "reason": ""}
                | _levels(donors, alpha)
                | _sites(group, min_donors, n_permutations, rng)
                | _response(donors, min_donors, n_permutations, rng)
            )
    if not out:
        return tables.empty("crosstalk_summary")
    table = pd.DataFrame(out).reindex(columns=tables.columns("crosstalk_summary"))
    for _, family in table[table["p_donors"].notna()].groupby(["condition", "primary_site", "readout"], sort=True):
        table.loc[family.index, "fdr"] = effects.fdr(family["p_donors"].to_numpy(float))
    log.info(
        "%d axes summarised, %d without a testable sample",
        len(axes.entries),
        int((table["status"] == Status.NOT_TESTED).sum()),
    )
    return table


def _groups(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Conditions, each as a whole and, where it holds several primary sites, by site."""
    for condition, group in rows.groupby(Obs.CONDITION, sort=True):
        yield str(condition), ALL, group
        if group["primary_site"].nunique() > 1:
            yield from (
                (str(condition), str(site), of_site) for site, of_site in group.groupby("primary_site", sort=True)
            )


def _by_donor(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per donor of a study."""
    by = rows.groupby([Obs.STUDY, Obs.DONOR], sort=True)
    means = by[VALUES].mean()
    means[["p", "p_perm_types"]] = by[["p", "p_perm_types"]].agg(_median)
    means["top"] = by["sender_specificity"].min() >= 1
    return means.reset_index()


def _types_read(types: pd.Series) -> str:
    """All cell types that samples were read in; `types` as in the table of crosstalk."""
    return "+".join(sorted({name for joined in types.unique() for name in joined.split("+")}))


def _levels(donors: pd.DataFrame, alpha: float) -> dict[str, float]:
    """How large an axis' score is over donors, in how many it stands out, and by which sender."""
    significant = int((donors["p"] <= alpha).sum())
    quartiles = donors["score"].quantile([0.25, 0.5, 0.75]).to_list()
    return {
        "q25_score": quartiles[0],
        "median_score": quartiles[1],
        "q75_score": quartiles[2],
        "share_significant": significant / len(donors),
        "p_donors": partial_conjunction_p(donors["p"].to_numpy(float)),
        "sender_specificity": _median(donors["sender_specificity"]),
        "specificity_p": _specific(donors["sender_specificity"]),
        "share_top_sender": float(donors["top"].mean()),
        "median_perm_types": _median(donors["p_perm_types"]),
        "median_magnitude_rank": _median(donors["magnitude_rank"]),
        "median_specificity_rank": _median(donors["specificity_rank"]),
    }


def partial_conjunction_p(p: np.ndarray) -> float:
    """p of the statement that an axis stands out in at least half of the donors: of n values the k-th smallest, k half
    of n rounded up, times n / k (at most 1). It holds however the values depend on each other (Rüger 1978, Metrika
    25:171; Vovk & Wang 2020, 10.1093/biomet/asaa027)."""
    n, k = len(p), (len(p) + 1) // 2
    return min(1.0, float(np.sort(p)[k - 1]) * n / k)


def _specific(values: pd.Series) -> float:
    """One-sided exact signed-rank p over donors: does the sender carry the ligand above half of the other types?"""
    known = (values.dropna().to_numpy(float) - 0.5).round(9)  # 0.7 and 0.3 are as far from a half
    return signed_rank_p(known) if known.any() else np.nan


def _sites(rows: pd.DataFrame, min_donors: int, n_permutations: int, rng: np.random.Generator) -> dict[str, Any]:
    """Do scores differ between primary sites? Sites are permuted among the donors of a study: only studies with several
    sites say anything, as study and site are one in all others."""
    donors = rows.groupby([Obs.STUDY, Obs.DONOR, "primary_site"], sort=True)["score"].mean().dropna().reset_index()
    donors = donors[donors.groupby(Obs.STUDY)["primary_site"].transform("nunique") > 1]
    donors = donors.sort_values(["score", "primary_site"], ignore_index=True)  # names decide no draw
    out: dict[str, Any] = {"n_site": len(donors), "site_p": np.nan}
    if len(donors) < min_donors:
        return out
    study, site = (pd.factorize(donors[name])[0] for name in (Obs.STUDY, "primary_site"))
    centred = (donors["score"] - donors.groupby(Obs.STUDY)["score"].transform("mean")).to_numpy(float)
    order = np.vstack([np.arange(len(donors)), permuted_within(study, n_permutations, rng)])
    sums = np.stack([centred[order][:, site == s].sum(axis=1) ** 2 / (site == s).sum() for s in np.unique(site)]).sum(
        axis=0
    )
    out["site_p"] = float((sums >= sums[0] * (1 - 1e-9)).mean())
    return out


def _response(donors: pd.DataFrame, min_donors: int, n_permutations: int, rng: np.random.Generator) -> dict[str, float]:
    """Does the receivers' response follow the senders' ligand over donors? Studies are centred: their levels differ."""
    values = ["ligand_mean", "response_score"]
    known = donors.dropna(subset=values).sort_values(values)  # names decide no draw
    out: dict[str, float] = {"n_response": len(known), "response_rho": np.nan, "response_p": np.nan}
    if len(known) < min_donors:
        return out
    studies = pd.factorize(known[Obs.STUDY])[0]
    centred = [known[c] - known.groupby(Obs.STUDY)[c].transform("mean") for c in values]
    ligand, response = (ranks(values.to_numpy()) - (len(known) + 1) / 2 for values in centred)
    scale = np.sqrt((ligand @ ligand) * (response @ response))
    if scale == 0:
        return out
    order = permuted_within(studies, n_permutations, rng)
    observed, permuted = ligand @ response, ligand[order] @ response
    hits = int(np.sum(np.abs(permuted) >= abs(observed) - 1e-9 * scale))
    return out | {"response_rho": float(observed / scale), "response_p": (1 + hits) / (1 + n_permutations)}


def _median(values: pd.Series) -> float:
    known = values.dropna()
    return float(np.median(known)) if len(known) else np.nan


def _absent(rows: pd.DataFrame) -> dict[str, Any]:
    """Row of an axis that no sample could test, with the most frequent reason."""
    reason = "no sample holds its sender and its receiver" if rows.empty else str(rows["reason"].mode().iloc[0])
    counts = dict.fromkeys(("n_samples", "n_donors", "n_studies", "n_response", "n_site"), 0)
    return {"condition": "", "primary_site": "", "status": Status.NOT_TESTED, "reason": reason} | counts
