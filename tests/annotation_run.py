"""The annotation of whole samples in one process: ingest, evidence, informative genes, consensus; no workflow.

Samples can be thinned, stripped of genes, mixed with ambient RNA and permuted before.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml
from brainmet import annotate, datasets
from brainmet.annotate.consensus import Settings, consensus
from brainmet.concordance import calibration, concordance
from brainmet.core.counts import Counts
from brainmet.core.moments import moments
from brainmet.features import Selection, features, informative
from brainmet.ingest import ingest
from brainmet.ingest.species import Tolerance
from brainmet.knowledge import genes
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.qc import broken_limits, metrics, set_limits
from brainmet.slice import slice_counts

from tests.annotation_toy import ROOT, TYPES

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())


@dataclass(frozen=True)
class Sample:
    """Counts in memory, with the interface of `brainmet.core.counts.Counts`, and what quality control kept."""

    X: sp.csr_matrix
    cells: pd.DataFrame
    genes: pd.DataFrame
    uns: dict
    path: Path = Path("memory")
    kept, linear_chunks = Counts.kept, Counts.linear_chunks

    def __post_init__(self):
        self.X.sort_indices()  # as in counts.h5ad

    @property
    def shape(self):
        return self.X.shape

    def chunks(self, keep=None, rows=2_000):
        for start in range(0, self.X.shape[0], rows):
            block = self.X[start : start + rows]
            wanted = np.ones(block.shape[0], bool) if keep is None else np.asarray(keep[start : start + rows], bool)
            if wanted.any():
                yield block[wanted]

    def matrix(self, keep=None):
        return sp.vstack(list(self.chunks(keep)), format="csr")


@cache
def load(dataset: str, folder: Path = ROOT / "tests/real") -> tuple[Sample, ...]:
    """Samples of a dataset file, after limits of quality control; doublets are not looked for."""
    loaded = datasets.load([dataset], folders=[folder])
    options = {name: CONFIG["ingest"][name] for name in ("warn_lost", "max_lost", "species_share")}
    human, mouse = (genes.read_genes(ROOT / f"resources/genes/{name}.tsv.gz") for name in ("human", "mouse"))
    found = []
    for record in datasets.records(loaded, exclude=[]).values():
        taken = ingest(
            [file["path"] for file in record["files"]], human, mouse, record=record, limits=Tolerance(**options)
        )
        raw = Sample(sp.csr_matrix(taken.matrix, dtype=np.float32), taken.cells, taken.genes, taken.uns)
        cells = taken.cells.join(metrics(raw))
        profile = "plates" if record["technology"] == "smartseq" else "cells"
        limits = set_limits(
            cells,
            n_mads=CONFIG["qc"]["n_mads"],
            fixed=CONFIG["qc"]["fixed"],
            totals_are_depth=True,
            **CONFIG["qc"]["profiles"][profile],
        )
        keep = ~np.any(list(broken_limits(cells, limits).values()), axis=0)
        found.append(replace(raw, X=raw.X[keep], cells=cells[keep].assign(keep=True, reason="", doublet_score=0.0)))
    return tuple(found)


def run(samples) -> pd.DataFrame:
    """The annotation with the default settings."""
    types, config = load_cell_types([TYPES]), CONFIG["annotate"]
    methods = {name: annotate.describe(name) for name in config["methods"]}
    own = [name for name, method in methods.items() if method.scope == "sample"]
    inputs = [{"counts": sample, "cells": sample.cells, "types": types} for sample in samples]
    tables = [annotate.run_all(own, of_sample, options=config) for of_sample in inputs]
    known: dict[str, Any] = {name: pd.concat([table[name] for table in tables]) for name in own} | {"types": types}
    every = [np.ones(len(s.cells), bool) for s in samples]
    table = features(
        [moments(s, keep) for s, keep in zip(samples, every, strict=True)],
        Selection(**CONFIG["features"]),
        datasets=[s.cells["dataset"].iloc[0] for s in samples], markers=types.markers(),
    )  # fmt: skip
    ids, variable = informative(table)
    known["slices"] = [
        slice_counts(s, keep=keep, genes=ids, variable=variable) for s, keep in zip(samples, every, strict=True)
    ]
    known["features"], known["cells"] = table[table["informative"]], pd.concat([s.cells for s in samples])
    for name in methods:
        if name not in known:
            inputs = {required: known[required] for required in methods[name].requires}
            known[name] = annotate.run(name, inputs, **config.get(name, {}))
    n = len(known["cells"])
    return consensus(
        known["cells"], pd.Series(["0"] * n), np.zeros((n, 0), int), {name: known[name] for name in methods},
        types=types, how=Settings(**config["consensus"]),
    )  # fmt: skip


def measured(annotation: pd.DataFrame) -> dict[str, float]:
    """Accuracy, macro-F1, share unknown, calibration error, and balanced accuracy of malignant calls."""
    types = load_cell_types([TYPES])
    rows = concordance(annotation, types=types, n_bootstrap=0, seed=1).set_index(["scope", "class"])["f1"]["cohort"]
    bins = calibration(annotation, types=types, n_bins=10)
    labelled = annotation[annotation["author_cell_type"] != ""]
    return {
        "accuracy": rows["accuracy"],
        "macro": rows["macro"],
        "unknown": float((labelled["cell_type"].map(types.coarse) == "unknown").mean()),
        "ece": float((bins["n"] * (bins["confidence"] - bins["accuracy"]).abs()).sum() / bins["n"].sum()),
        "malignant": rows.get("malignant", np.nan),
    }


def some(sample: Sample, rows: np.ndarray, **fields: str) -> Sample:
    """Some cells of a sample, in the given order, with other fields where given."""
    return replace(sample, X=sample.X[rows], cells=sample.cells.iloc[rows].assign(**fields))


def thinned(sample: Sample, share: float) -> Sample:
    X = sample.X.copy()
    X.data = np.random.default_rng(0).binomial(np.round(X.data).astype(int), share).astype(np.float32)
    X.eliminate_zeros()
    return replace(sample, X=X)


def without_genes(sample: Sample, share: float) -> Sample:
    n = sample.X.shape[1]
    kept = np.sort(np.random.default_rng(0).permutation(n)[: int((1 - share) * n)])
    return replace(sample, X=sample.X[:, kept], genes=sample.genes.iloc[kept])


def with_ambient(sample: Sample, share: float) -> Sample:
    """Each cell with so much of the sample's mean profile that it makes the given share of its counts."""
    rng, mean = np.random.default_rng(0), np.asarray(sample.X.sum(axis=0), np.float64).ravel()
    added = np.round(np.asarray(sample.X.sum(axis=1)).ravel() * share / (1 - share)).astype(int)
    soup = sp.csr_matrix(np.array([rng.multinomial(n, mean / mean.sum()) for n in added], np.float32))
    return replace(sample, X=sp.csr_matrix(sample.X + soup))
