"""A run small enough to know by heart, as the report sees it: two samples with everything, or nothing at all."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import yaml
from brainmet.core.tables import SCHEMAS, conform, empty, schema
from brainmet.provenance import SOFTWARE
from brainmet.report import Parts, Run, Settings, load

HOME = Path(__file__).parents[1]
PAGE = HOME / "workflow" / "report"
SETTINGS = Settings(
    max_cells=1000,
    max_scores=100_000,
    max_gene_values=100_000,
    max_rows=50,
    max_genes=100,
    warn_lost=0.1,
    min_agreement=0.8,
    max_unknown=0.2,
    seed=1,
)
TYPES = ("malignant_epithelial", "t_cell", "microglia", "unknown")
_FILL = {"string": "", "bool": False, "int64": 0, "int32": 0, "float64": np.nan, "float32": np.nan}


def rows(name: str, entries: Iterable[dict[str, Any]], index: list[str] | None = None) -> pd.DataFrame:
    """A table from the columns that matter; the others are empty."""
    fill = {c["name"]: _FILL[c["dtype"]] for c in schema(name)["columns"]}
    frame = pd.DataFrame([fill | entry for entry in entries], columns=list(fill), index=index)
    return conform(frame, name)


def names() -> list[str]:
    """Tables that the page is given in a full run."""
    found = sorted(path.stem for path in SCHEMAS.glob("*.yaml"))
    return [n for n in found if schema(n)["path"] == f"tables/{n}.tsv" and schema(n).get("target") != "request"]


def parts() -> Parts:
    """The page's own files."""
    names = {"template": "page.html.j2", "css": "page.css", "methods": "methods.md.j2", "bib": "references.bib"}
    order = re.search(r"^SCRIPT = (\[.*\])$", (HOME / "workflow/rules/report.smk").read_text(), re.M)
    assert order
    js = [str(PAGE / "page" / f"{part}.js") for part in ast.literal_eval(order[1])]
    return load.parts(SimpleNamespace(**{name: PAGE / file for name, file in names.items()}, js=js))


def run(*, cells: int = 40, simulated: bool = False, tables: bool = True) -> Run:
    """Two samples of `cells` kept cells each; without `tables`, all of them but samples and qc are empty."""
    n = 2 * cells
    sample = np.repeat(["S1", "S2"], cells)
    types = np.array(TYPES)[np.arange(n) % len(TYPES)]
    ids = [f"{s}:c{i}" for i, s in enumerate(sample)]
    condition = np.where(sample == "S1", "primary", "brain_metastasis")
    described = {
        "dataset": "D",
        "study": "D",
        "sample": sample,
        "donor": np.char.add("donor_", sample),
        "condition": condition,
    }
    annotation = pd.DataFrame(
        {
            **described,
            "cluster": (np.arange(n) % 3).astype(str),
            "lineage": types,
            "cell_type": types,
            "confidence": 0.9,
            "malignancy": np.where(types == TYPES[0], "malignant", "normal"),
            "malignancy_score": 0.2,
            "reason": [f"markers of {t} & <neighbours>" for t in types],
            "author_label": types,
            "author_cell_type": types,
            "cell_ontology_term_id": "",
            "tumour_of_origin": "",
            "state": "",
        },
        index=pd.Index(ids, name="cell_id"),
    )
    angle = np.linspace(0, 6, n)
    layout = pd.DataFrame({"umap_1": 5 * np.cos(angle), "umap_2": 3 * np.sin(angle)}, index=annotation.index)
    genes = pd.DataFrame({"FASN": np.nan, "ERBB2": np.arange(n) % 3}, index=ids, dtype=np.float32)
    scores = pd.DataFrame(
        {"proliferation": np.linspace(-2, 2, n), "notch": np.nan}, index=annotation.index, dtype="float32"
    )
    metrics = pd.DataFrame(
        {
            "sample": sample,
            "total_counts": 1000.0 + np.arange(n),
            "n_genes_by_counts": 500,
            "pct_counts_mt": np.float32(3),
            "keep": True,
            "reason": "",
        }
    )
    metrics.loc[0, ["keep", "reason"]] = [False, "high_mt;doublet"]
    made = {name: empty(name) for name in names() if simulated or name != "recovery"}
    made["samples"] = rows(
        "samples",
        [
            {
                "sample": s,
                "dataset": "D",
                "study": "D",
                "donor": f"donor_{s}",
                "condition": c,
                "values": "counts",
                "technology": "10x_3prime",
                "suspension": "cell",
                "simulated": simulated,
                "n_barcodes": cells + 1,
                "n_kept": cells,
            }
            for s, c in (("S1", "primary"), ("S2", "brain_metastasis"))
            if cells
        ],
    )
    made["qc"] = rows(
        "qc",
        [
            {"sample": s, "status": "kept", "n_barcodes": cells + 1, "n_kept": cells, "max_pct_mt": 10.0}
            | {"expected_doublet_rate": 0.05}
            for s in ("S1", "S2")
            if cells
        ],
    )
    if tables:
        made |= _full()
    config = yaml.safe_load((HOME / "config" / "config.yaml").read_text())
    provenance = {"config": config, "software": dict.fromkeys(("python", *SOFTWARE), "1.0"), "samples": {}}
    return Run(
        tables=made,
        annotation=annotation,
        layout=layout,
        integrated=True,
        scores=scores,
        genes=genes,
        ambient=annotation[["sample"]].assign(ambient_share=np.linspace(0, 0.4, n)),
        uses={"ERBB2": "antigen of trastuzumab deruxtecan", "FASN": "claim B7"},
        cells=metrics.head(n),
        provenance=provenance,
        benchmarks={"qc": pd.DataFrame({"s": [1.5, 2.5], "max_rss": [100.0, 90.0]})} if tables else {},
        names={"proliferation": "Proliferation"},
        datasets={"D": {"title": "A <small> series", "citation": {"doi": "10.1/x"}}},
    )


def _full() -> dict[str, pd.DataFrame]:
    effect = {"effect": 1.2, "ci_low": 0.3, "ci_high": 2.1, "p": 0.01, "fdr": 0.04, "n_a": 4, "n_b": 4}
    versus = "brain_metastasis_vs_primary"
    test = {"contrast": versus, "estimator": "within", "primary_site": "breast"}
    nothing = {
        "contrast": "brain_metastasis_vs_normal_brain",
        "estimator": "confounded",
        "study": "pooled",
        "primary_site": "breast",
        "reason": "one study per condition",
    }
    claim = {
        "statement": "Cells are <more> proliferative.",
        "reference": "Someone 2020",
        "readout": "proliferation",
        "compartment": "tumor",
        "comparison": versus,
    }
    arms = [f"{k}{a}" for k in (1, 2, 10) for a in "pq"]
    return {
        "claims": rows(
            "claims",
            [
                claim
                | {
                    "claim": "B2",
                    "verdict": "supported",
                    **{k: effect[k] for k in ("effect", "ci_low", "ci_high")},
                    "n_donors": 8,
                    "n_studies": 1,
                    "reason": "clear",
                },
                claim | {"claim": "B4", "verdict": "not_testable", "reason": "too few donors"},
                claim | {"claim": "B5", "verdict": "confounded", "reason": "one study per condition"},
            ],
        ),
        "contrasts": rows(
            "contrasts",
            [
                *(
                    {"signature": "proliferation", "cell_type": "malignant", **test, **effect, "study": s}
                    for s in ("D", "pooled")
                ),
                {"signature": "proliferation", "cell_type": "malignant", **nothing},
            ],
        ),
        "composition": rows("composition", [{"cell_type": "t_cell", **test, **effect, "study": "pooled"}]),
        "donor_scores": rows(
            "donor_scores",
            [
                {
                    "signature": "proliferation",
                    "cell_type": "malignant",
                    "study": "D",
                    "platform": "10x",
                    "donor": d,
                    "condition": c,
                    "score": v,
                }
                for d, c, v in (("a", "primary", 0.1), ("b", "brain_metastasis", 0.7))
            ],
        ),
        "coverage": rows(
            "coverage",
            [
                {"sample": s, "signature": g, "n_listed": 20, "n_measured": m, "n_detected": m, "scorable": m > 8}
                for s in ("S1", "S2")
                for g, m in (("proliferation", 18), ("notch", 2))
            ],
        ),
        "concordance": rows(
            "concordance",
            [
                {
                    "scope": "cohort",
                    "class": "t_nk",
                    "n": 20,
                    "precision": 0.9,
                    "recall": 0.8,
                    "f1": 0.85,
                    "ci_low": 0.8,
                    "ci_high": 0.9,
                },
                *(
                    {"scope": s, "class": k, "n": 40, "recall": 0.6, "f1": 0.6}
                    for s in ("cohort", "S1")
                    for k in ("accuracy", "macro")
                ),
            ],
        ),
        "confusion": rows(
            "confusion",
            [
                {"truth": a, "called": b, "n": k}
                for a, b, k in (("t_nk", "t_nk", 9), ("t_nk", "unknown", 1), ("myeloid", "myeloid", 7))
            ],
        ),
        "calibration": rows(
            "calibration",
            [
                {"bin": 1, "n": 10, "confidence": 0.5, "accuracy": 0.6},
                {"bin": 2, "n": 10, "confidence": 0.9, "accuracy": 0.9},
            ],
        ),
        "cnv_arms": rows(
            "cnv_arms",
            [
                {
                    "sample": "S1",
                    "donor": "donor_S1",
                    "group": g,
                    "arm": a,
                    "mean": 0.1 if g == "malignant" else 0.0,
                    "call": "gain",
                    "n_cells": 10,
                    "z": 3.0,
                    "shift": 0.1,
                    "n_genes": 40.0,
                }
                for g in ("malignant", "immune")
                for a in arms
            ],
        ),
        "markers": rows(
            "markers",
            [
                {"cell_type": "t_cell", "rank": k, "ensembl_id": f"E{k}", "symbol": f"G{k}", "log2_fold_change": 2.0}
                for k in (1, 2)
            ],
        ),
        "de": rows(
            "de",
            [
                {
                    "contrast": versus,
                    "cell_type": "malignant",
                    "symbol": f"G{k}",
                    "log2_fold_change": k - 2.0,
                    "p": 10.0**-k,
                    "fdr": 0.01 * k,
                }
                for k in range(5)
            ],
        ),
        "gsea": rows(
            "gsea",
            [
                {
                    "signature": "proliferation",
                    "direction": "up",
                    "cell_type": "malignant",
                    "contrast": versus,
                    "nes": 1.7,
                    "fdr": 0.01,
                }
            ],
        ),
        "nulls": rows(
            "nulls",
            [
                {
                    "kind": "labels",
                    "null": "labels",
                    "n_runs": 200,
                    "n_tests": 4000,
                    "share_p05": 0.05,
                    "runs_with_discovery": 30,
                    "most_expected": 16,
                    "exceeded": True,
                }
            ],
        ),
        "crosstalk_summary": rows(
            "crosstalk_summary",
            [
                {
                    "axis": "SPP1__CD44__x_to_y",
                    "axis_group": "myeloid",
                    "sender": "macrophage_md",
                    "receiver": "malignant_epithelial",
                    "condition": c,
                    "n_donors": 3,
                    "median_score": 1.0,
                    "share_significant": 0.5,
                }
                for c in ("primary", "brain_metastasis")
            ],
        ),
        "druggability": rows(
            "druggability",
            [
                {
                    "donor": "a",
                    "condition": "primary",
                    "compartment": "tumor",
                    "gene": "ERBB2",
                    "log2_cpm": 5.0,
                    "difference": 2.0,
                }
            ],
        ),
        "adc_coverage": rows(
            "adc_coverage",
            [
                {
                    "donor": "a",
                    "condition": "primary",
                    "share_0": 0.2,
                    "share_1": 0.3,
                    "share_2_or_more": 0.5,
                    "smallest_set": "ERBB2+TACSTD2",
                }
            ],
        ),
        "programmes": rows(
            "programmes", [{"programme": "MP1", "n_donors": 3, "genes": "MKI67;TOP2A", "signature": "proliferation"}]
        ),
        "programme_pairs": rows("programme_pairs", [{"programme_a": "MP1", "programme_b": "MP2", "median_rho": -0.4}]),
        "stability": rows(
            "stability", [{"resolution": r, "stability": 0.9, "null_stability": 0.4} for r in (0.5, 1.0)]
        ),
        "genes_lost": rows(
            "genes_lost",
            [{"sample": "S1", "share_counts_lost": 0.3, "n_lost": 9}, {"sample": "S2", "share_counts_lost": 0.01}],
        ),
    }
