"""The first screen: what was analysed, what was found, what to distrust."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from brainmet.contract import UNKNOWN, Obs
from brainmet.report.comparison import verdict_interval
from brainmet.report.figure import contrast_words, words
from brainmet.report.identity import POOLED

TESTED = (
    "supported",
    "recovered",
    "contradicted",
    "not_recovered",
    "not_contradicted",
    "equivalent",
    "inconclusive",
    "reproduced_in_source",
)
MEANING = {
    "supported": "the interval lies on the side that the statement gives",
    "recovered": "as supported, on simulated data: the method finds it, nothing more",
    "contradicted": "the interval lies on the other side",
    "equivalent": "the interval lies within the bound of no difference",
    "inconclusive": "tested, and the interval allows both",
    "confounded": "conditions and studies cannot be told apart: shown, never judged",
    "reproduced_in_source": "holds in the data that the statement was made from, nowhere else",
    "not_testable": "this run lacks what the test needs",
}
"""Verdicts in the order in which claims are listed, with what they mean."""


@dataclass(frozen=True)
class Warning:
    """Something to distrust: `level` is serious, caution or note; `view` the section that shows it."""

    level: str
    title: str
    detail: str
    view: str


@dataclass(frozen=True)
class Limits:
    """When the page warns; see `config: report`."""

    max_lost: float
    min_agreement: float
    max_unknown: float


def overview(samples: pd.DataFrame, annotation: pd.DataFrame, qc: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the first screen and a row a dataset."""
    donors = annotation.groupby([Obs.STUDY, Obs.DONOR], sort=True).size() if len(annotation) else []
    rows = []
    for name, own in samples.groupby("dataset", sort=True):
        inside = annotation[annotation[Obs.DATASET] == name]
        conditions = own["condition"].str.split(";").explode().str.strip().value_counts(sort=False).sort_index()
        rows.append(
            {
                "id": name,
                "studies": own["study"].nunique(),
                "samples": len(own),
                "donors": inside.groupby([Obs.STUDY, Obs.DONOR]).ngroups,
                "conditions": ", ".join(f"{words(str(c))} ({n})" for c, n in conditions.items()),
                "technology": ", ".join(
                    sorted(
                        f"{t} {s}"
                        for t, s in set(
                            zip(own["technology"].fillna(UNKNOWN), own["suspension"].fillna(UNKNOWN), strict=True)
                        )
                    )
                ),
                "n_in": int(own["n_barcodes"].sum()),
                "n_out": int(own["n_kept"].sum()),
            }
        )
    return {
        "datasets": rows,
        "n_datasets": samples["dataset"].nunique(),
        "n_studies": samples["study"].nunique(),
        "n_samples": len(samples),
        "n_donors": len(donors),
        "n_in": int(samples["n_barcodes"].sum()),
        "n_out": len(annotation),
        "n_types": annotation.loc[annotation[Obs.CELL_TYPE] != UNKNOWN, Obs.CELL_TYPE].nunique(),
        "excluded": list(qc.loc[qc["status"] != "kept", "sample"]),
        "n_malignant": int(annotation[Obs.MALIGNANCY].isin(["malignant", "likely_malignant"]).sum()),
    }


def verdicts(claims: pd.DataFrame) -> dict[str, Any]:
    """Claims for the table of the first screen: those with a verdict first, then what could not be tested."""
    order = {name: position for position, name in enumerate([*MEANING, "other"])}
    reach = max(1.0, float(np.nanmax(np.abs(claims[["ci_low", "ci_high"]].to_numpy(float)), initial=1.0)))
    rows = []
    for claim in claims.to_dict("records"):
        effect, low, high = (claim[k] for k in ("effect", "ci_low", "ci_high"))
        known = bool(np.isfinite([effect, low, high]).all())
        rows.append(
            claim
            | {
                "known": known,
                "interval": verdict_interval(effect, low, high, reach=min(reach, 6.0)),
                "numbers": f"{effect:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−") if known else "",
                "against": contrast_words(claim["comparison"]),
                "compartment": words(claim["compartment"]),
                "readout": words(claim["readout"]),
                "verdict_words": words(claim["verdict"]),
            }
        )
    rows.sort(
        key=lambda row: (
            row["verdict"] not in TESTED and not row["known"],
            order.get(row["verdict"], len(order)),
            row["claim"],
        )
    )
    counts = claims["verdict"].value_counts(sort=False)
    listed = [
        {"verdict": v, "words": words(v), "n": int(counts[v]), "meaning": MEANING.get(v, "")}
        for v in sorted(counts.index, key=lambda v: order.get(v, 99))
    ]
    judged = [row for row in rows if row["verdict"] in TESTED]
    return {"judged": judged, "others": [row for row in rows if row not in judged], "counts": listed, "n": len(rows)}


def distrust(
    tables: Mapping[str, pd.DataFrame], annotation: pd.DataFrame, *, limits: Limits, simulated: bool
) -> list[Warning]:
    """Reasons for caution, worst first."""
    found = [
        *(_simulated() if simulated else []),
        *_contrasts(tables["contrasts"]),
        *_nulls(tables["nulls"]),
        *_quality(tables["qc"], tables["genes_lost"], limits),
        *_identity(tables["concordance"], annotation, limits),
        *_duplicates(tables["duplicates"]),
        *_samples(tables["samples"]),
        *_signatures(tables["coverage"]),
    ]
    rank = {"serious": 0, "caution": 1, "note": 2}
    return sorted(found, key=lambda warning: rank[warning.level])


def _simulated() -> list[Warning]:
    return [
        Warning(
            "serious",
            "The data are simulated",
            "Nothing on this page is a finding about patients. It shows whether the workflow recovers what "
            "was planted.",
            "recovery",
        )
    ]


def _contrasts(table: pd.DataFrame) -> list[Warning]:
    found = []
    pooled = table[(table["study"] == POOLED) & table["primary_site"].isin(["breast", UNKNOWN, ""])]
    words_of = {
        "confounded": ("serious", "is confounded with study"),
        "refused": ("caution", "was refused"),
        "not_testable": ("caution", "could not be tested"),
    }
    for contrast, own in pooled.groupby("contrast", sort=True):
        for estimator, (level, text) in words_of.items():
            bad = own[own["estimator"] == estimator]
            if len(bad) and (len(bad) == len(own) or estimator == "confounded"):
                reason = words(bad["reason"].value_counts().index[0])
                found.append(
                    Warning(
                        level,
                        f"{contrast_words(str(contrast)).capitalize()} {text}",
                        f"{len(bad)} of {len(own)} tests; mostly: {reason}.",
                        "contrasts",
                    )
                )
                break
    return found


def _nulls(table: pd.DataFrame) -> list[Warning]:
    return [
        Warning(
            "serious" if row["kind"] == "labels" else "caution",
            f"The tests find something where nothing is ({words(row['kind'])})",
            f"{row['runs_with_discovery']} of {row['n_runs']} null runs had a discovery; chance explains at "
            f"most {row['most_expected']}: {row['reading']}.",
            "contrasts",
        )
        for row in table[table["exceeded"]].to_dict("records")
    ]


def _quality(qc: pd.DataFrame, lost: pd.DataFrame, limits: Limits) -> list[Warning]:
    found = []
    if excluded := list(qc.loc[qc["status"] != "kept", "sample"]):
        found.append(
            Warning(
                "note",
                f"{len(excluded)} sample{'s' if len(excluded) > 1 else ''} excluded by the configuration",
                _some(excluded),
                "quality",
            )
        )
    flagged = qc[qc["flag"].fillna("") != ""]
    for flag, own in flagged.groupby("flag", sort=True):
        found.append(
            Warning("caution", "Quality control raised a flag", f"{_some(list(own['sample']))}: {flag}.", "quality")
        )
    skipped = qc[(qc["status"] == "kept") & (qc["doublet_skipped"].fillna("") != "")]
    if len(skipped):
        found.append(
            Warning(
                "note",
                f"Doublets were not looked for in {len(skipped)} sample{'s' if len(skipped) > 1 else ''}",
                f"{_some(list(skipped['sample']))}: {skipped['doublet_skipped'].iloc[0]}.",
                "quality",
            )
        )
    heavy = lost[lost["share_counts_lost"] > limits.max_lost].sort_values(
        "share_counts_lost", ascending=False, kind="stable"
    )
    if len(heavy):
        worst = heavy.iloc[0]
        found.append(
            Warning(
                "caution",
                "Many counts were lost with unknown genes",
                f"{_some(list(heavy['sample']))}; most in {worst['sample']}, {worst['share_counts_lost']:.0%}.",
                "quality",
            )
        )
    return found


def _identity(concordance: pd.DataFrame, annotation: pd.DataFrame, limits: Limits) -> list[Warning]:
    found = []
    accuracy = concordance[concordance["class"] == "accuracy"].set_index("scope")["recall"]
    low = accuracy.drop("cohort", errors="ignore")[lambda a: a < limits.min_agreement].sort_values(kind="stable")
    if len(low):
        found.append(
            Warning(
                "caution",
                "Low agreement with the authors' labels",
                f"{_some([f'{s} ({v:.0%})' for s, v in low.items()])}; below {limits.min_agreement:.0%}.",
                "identity",
            )
        )
    unknown = (annotation[Obs.CELL_TYPE] == UNKNOWN).groupby(annotation[Obs.SAMPLE]).mean()
    high = unknown[unknown > limits.max_unknown].sort_values(ascending=False, kind="stable")
    if len(high):
        found.append(
            Warning(
                "caution",
                "Many cells left unknown",
                f"{_some([f'{s} ({v:.0%})' for s, v in high.items()])}.",
                "identity",
            )
        )
    if accuracy.empty:
        found.append(
            Warning(
                "note",
                "No authors' labels to compare with",
                "The annotation rests on marker genes, neighbours and copy number alone.",
                "identity",
            )
        )
    return found


def _duplicates(table: pd.DataFrame) -> list[Warning]:
    return [
        Warning(
            "caution" if row["left_out"] else "serious",
            f"{row['sample_a']} and {row['sample_b']} hold the same cells",
            f"{row['share']:.0%} of the smaller one; "
            + (
                f"{row['left_out']} is left out of everything that counts donors."
                if row["left_out"]
                else f"each counts as a donor of its own; leave one out with exclude: [{row['exclude']}]."
            ),
            "quality",
        )
        for row in table.to_dict("records")
    ]


def _samples(samples: pd.DataFrame) -> list[Warning]:
    found = []
    small = samples[samples["n_kept"] < 50]
    if len(small):
        found.append(
            Warning(
                "caution",
                "Samples with fewer than 50 kept cells",
                f"{_some(list(small['sample']))}: too few for shares of cell types.",
                "quality",
            )
        )
    other = samples[samples["values"].fillna("counts") != "counts"]
    if len(other):
        kinds = ", ".join(sorted(set(other["values"])))
        found.append(
            Warning(
                "caution",
                f"{len(other)} sample{'s do' if len(other) > 1 else ' does'} not hold counts",
                f"{_some(list(other['sample']))}: {words(kinds)}; annotated and scored, not used where counts "
                "are needed.",
                "quality",
            )
        )
    sorted_ = samples[~samples["enrichment"].fillna("none").isin(["none", UNKNOWN, ""])]
    if len(sorted_):
        found.append(
            Warning(
                "note",
                f"{len(sorted_)} sample{'s were' if len(sorted_) > 1 else ' was'} enriched before loading",
                f"{_some(list(sorted_['sample']))}: their composition is that of the sorting.",
                "composition",
            )
        )
    return found


def _signatures(coverage: pd.DataFrame) -> list[Warning]:
    never = coverage.groupby("signature")["scorable"].max() if len(coverage) else pd.Series(dtype=bool)
    missing = list(never[~never.astype(bool)].index)
    if not missing:
        return []
    return [
        Warning(
            "note",
            f"{len(missing)} signature{'s' if len(missing) > 1 else ''} could be scored in no sample",
            f"{_some([words(m) for m in missing])}: too few of the genes are measured.",
            "signatures",
        )
    ]


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
