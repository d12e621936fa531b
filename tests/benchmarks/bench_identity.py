"""Time and memory of one sample's identity, copy number and doublets; doublets planted in real tumours.

    uv run --no-sync python -m tests.benchmarks.bench_identity time [cells] [donors]
    uv run --no-sync python -m tests.benchmarks.bench_identity doublets [dataset.yaml ...]

`time` draws a sample of the demo's biology (`cohort.py`), and measures every step warm: a sample of a tenth of the size
went before; cells are dealt out to so many donors. `doublets` adds 8 % sums of two cells of different called types to a
real tumour (by default the one of tests/real), thinned to .85 of their sum, and prints AUROC, average precision,
recall and precision of the calls, and the recall on the curve at one precision, over five draws.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml
from brainmet import annotate, datasets
from brainmet.annotate.consensus import Settings, consensus
from brainmet.annotate.context import annotate as context
from brainmet.annotate.self_training import annotate as self_training
from brainmet.contract import Obs
from brainmet.core.counts import Counts, open_counts, write_counts
from brainmet.core.moments import moments
from brainmet.features import Selection, features, informative
from brainmet.ingest import ingest
from brainmet.ingest.species import Tolerance
from brainmet.knowledge import genes
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.qc import doublets
from brainmet.slice import slice_counts

from tests.benchmarks import cohort
from tests.benchmarks.bench_score import peak

HOME = cohort.HOME
CONFIG = yaml.safe_load((HOME / "config/config.yaml").read_text())
SHARE, KEPT = 0.08, 0.85
"""Doublets for each cell, and what a droplet of two shows of their sum."""
PRECISION = 0.7
"""Precision at which recall is read from the curve."""
INGEST = {name: CONFIG["ingest"][name] for name in ("warn_lost", "max_lost", "species_share")}


def drawn(folder: Path, n: int) -> Counts:
    """A primary tumour of `n` cells of the demo's biology."""
    record = cohort.samples(1)[0]
    path = folder / "s000.h5ad"
    made = cohort.counts(record, cohort.knowledge(), cohort.settings(n, 1))
    made.write_h5ad(path)
    document = folder / "bench.yaml"
    document.write_text(yaml.safe_dump(cohort.dataset([record])))
    return read(document, folder / "counts.h5ad")


def read(document: Path, target: Path) -> Counts:
    """The first sample of a dataset file."""
    loaded = datasets.load([document.stem], folders=[document.parent])
    record = next(iter(datasets.records(loaded, exclude=[]).values()))
    human = genes.read_genes(HOME / "resources/genes/human.tsv.gz")
    taken = ingest([file["path"] for file in record["files"]], human, None, record=record, limits=Tolerance(**INGEST))
    write_counts(target, taken.matrix, taken.cells, taken.genes, taken.uns)
    return open_counts(target)


def search(counts: Counts) -> doublets.Doublets:
    """Doublets with the default settings."""
    passing = np.ones(len(counts.cells), bool)
    types = load_cell_types([HOME / "resources/markers/markers.yaml"])
    options = doublets.DoubletOptions(**CONFIG["qc"]["doublets"])
    how = {"types": types, "profile": "cells", "known_rate": None, "seed": CONFIG["qc"]["seed"]}
    return doublets.find_doublets(counts, passing, options, **how)


def identity(counts: Counts, lap: Callable[[str, Callable[[], Any]], Any]) -> pd.DataFrame:
    """The annotation with the default settings; each step through `lap`."""
    types, config = load_cell_types([HOME / "resources/markers/markers.yaml"]), CONFIG["annotate"]
    cells = counts.cells.assign(keep=True, reason="", doublet_score=0.0)
    evidence: dict[str, pd.DataFrame] = {}
    for name in ("markers", "ambient", "copy_number"):
        inputs = {"counts": counts, "cells": cells, "types": types} | evidence
        inputs = {required: inputs[required] for required in annotate.describe(name).requires}
        evidence[name] = lap(name, lambda n=name, i=inputs: annotate.run(n, i, **config[n]))
    keep = np.ones(len(cells), bool)
    table = features([moments(counts, keep)], Selection(**CONFIG["features"]), markers=types.markers())
    ids, variable = informative(table)
    part = slice_counts(counts, keep=keep, genes=ids, variable=variable)
    near = lap("context", lambda: context([part], **config["context"]))
    evidence["context"] = near
    known = (table[table["informative"]], cells, evidence["markers"], near)
    options = config["self_training"]
    evidence["self_training"] = lap("self_training", lambda: self_training([part], *known, types=types, **options))
    clusters, none = pd.Series(["0"] * len(cells)), np.zeros((len(cells), 0), int)
    evidence = {name: evidence[name] for name in config["methods"]}
    how = Settings(**config["consensus"])
    return lap("consensus", lambda: consensus(cells, clusters, none, evidence, types=types, how=how))


def measured_time(n: int, donors: int) -> None:
    """Print CPU seconds of each step on a sample of `n` cells of so many donors, warm, and the peak of memory."""
    for size, shown in ((max(n // 10, 300), False), (n, True)):
        spent: dict[str, float] = {}

        def lap(name: str, call: Callable[[], Any], spent: dict[str, float] = spent) -> Any:
            start = time.process_time()
            result = call()
            spent[name] = time.process_time() - start
            return result

        with tempfile.TemporaryDirectory() as folder:
            counts = drawn(Path(folder), size)
            counts = replace(counts, cells=counts.cells.assign(donor=[f"donor_{i % donors}" for i in range(size)]))
            before = peak()
            lap("doublets", lambda c=counts: search(c))
            identity(counts, lap)
        if shown:
            print(" ".join(f"{name} {seconds:.1f}" for name, seconds in spent.items()))
            print(f"{n} cells: {sum(spent.values()):.1f} CPU s; peak {peak():.0f} MB ({before:.0f} MB before)")


def planted(counts: Counts, kinds: np.ndarray, folder: Path, seed: int) -> tuple[Counts, np.ndarray]:
    """The sample with sums of two cells of different types beside its cells."""
    rng, X = np.random.default_rng(seed), counts.matrix()
    first, second = rng.integers(0, len(kinds), (2, 20 * len(kinds)))
    pairs = np.flatnonzero(kinds[first] != kinds[second])[: round(SHARE * len(kinds))]
    sums = sp.csr_matrix(X[first[pairs]] + X[second[pairs]])
    sums.data = rng.binomial(sums.data.astype(int), KEPT).astype(np.float32)
    index = pd.Index([*counts.cells.index, *(f"double:{i}" for i in range(len(pairs)))], name="cell_id")
    cells = counts.cells.iloc[np.r_[np.arange(len(kinds)), first[pairs]]].set_axis(index)
    path = folder / f"{seed}.h5ad"
    write_counts(path, sp.vstack([X, sums], format="csr"), cells, counts.genes, dict(counts.uns))
    return open_counts(path), np.arange(len(index)) >= len(kinds)


def found_doublets(document: Path) -> None:
    """Print how well planted doublets of a real tumour are found."""
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        counts = read(document, Path(folder) / "counts.h5ad")
        kinds = identity(counts, lambda name, call: call())[Obs.LINEAGE].to_numpy(object)
        for seed in range(5):
            mixed, truth = planted(counts, kinds, Path(folder), seed)
            result = search(mixed)
            hit, called = (result.called & truth).sum(), max(result.called.sum(), 1)
            precision, recall, _ = precision_recall_curve(truth, result.score)
            whole = roc_auc_score(truth, result.score), average_precision_score(truth, result.score)
            rows.append((*whole, hit / truth.sum(), hit / called, recall[precision >= PRECISION].max()))
    auroc, average, recall, precision, reached = np.mean(rows, axis=0)
    print(
        f"{document.stem}, {len(kinds)} cells: AUROC {auroc:.3f}, average precision {average:.3f}, recall {recall:.2f} "
        f"and precision {precision:.2f} of the calls, recall {reached:.2f} at precision {PRECISION}"
    )


if __name__ == "__main__":
    if sys.argv[1] == "time":
        given = [int(value) for value in sys.argv[2:]]
        measured_time(*given, *(10_000, 1)[len(given) :])
    else:
        for document in sys.argv[2:] or [HOME / "tests/real/breast_cid4465.yaml"]:
            found_doublets(Path(document))
