"""SingleR with half of the labelled cells of a run as its reference, on the other half, beside the run's annotation.

    uv run --extra references python -m tests.benchmarks.bench_halves RUN      (RUN: folder of a finished run)

Half of the cells of each label and study, drawn at random, are the reference; both are held against the authors on the
rest. The annotation uses no labels, so that of the run is the same in every draw.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata
import pandas as pd
from brainmet.annotate import singler
from brainmet.concordance import classes, concordance
from brainmet.concordance.benchmark import alone
from brainmet.contract import Obs
from brainmet.core.counts import Counts, open_counts
from brainmet.core.tables import read_table
from brainmet.knowledge.cell_types import CellTypes, load_cell_types

from tests.running import HOME

DRAWS = 10


def halves(annotation: pd.DataFrame, seed: int) -> tuple[pd.Index, pd.Index]:
    """Ids of the labelled cells: the reference, and the rest."""
    labelled = annotation[annotation[Obs.AUTHOR_CELL_TYPE] != ""]
    groups = labelled.groupby([Obs.AUTHOR_LABEL, Obs.STUDY], sort=True)
    reference = groups.sample(frac=0.5, random_state=seed).index
    return reference, labelled.index.difference(reference)


def voted(samples: dict[str, Counts], cells: pd.DataFrame, reference: pd.Index, types: CellTypes) -> pd.DataFrame:
    """What SingleR says of all cells."""
    parts = [anndata.AnnData(counts.matrix(), counts.cells[[]], counts.genes[[]]) for counts in samples.values()]
    known = anndata.concat(parts)[reference].copy()
    known.obs["label"] = cells.loc[reference, Obs.AUTHOR_LABEL]
    with TemporaryDirectory() as folder:
        path = f"{folder}/reference.h5ad"
        known.write_h5ad(path)
        own = [(counts, cells[cells[Obs.SAMPLE] == sample]) for sample, counts in samples.items()]
        return pd.concat([singler.annotate(*one, types=types, reference=path, labels="label") for one in own])


def measured(annotation: pd.DataFrame, types: CellTypes) -> dict[str, float]:
    """Accuracy, macro-F1, and the accuracy in each sample."""
    table = concordance(annotation, types=types, n_bootstrap=0, seed=0).set_index(["scope", "class"])["f1"]
    truth, called = classes(annotation, types)
    of_sample = pd.Series(truth == called).groupby(annotation[Obs.SAMPLE].to_numpy()).mean()
    return {"accuracy": table["cohort", "accuracy"], "macro_f1": table["cohort", "macro"]} | of_sample.to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    results = parser.parse_args().run / "results"
    types = load_cell_types([HOME / "resources/markers/markers.yaml"])
    annotation = read_table(results / "cohort/annotation.parquet", "annotation")
    folders = [results / "samples" / name for name in sorted(set(annotation[Obs.SAMPLE]))]
    samples = {folder.name: open_counts(folder / "counts.h5ad") for folder in folders}
    cells = pd.concat([read_table(folder / "cells.parquet", "cells") for folder in folders])
    rows = []
    for seed in range(DRAWS):
        reference, rest = halves(annotation, seed)
        called = alone(voted(samples, cells, reference, types), annotation, types)
        for name, calls in (("brainmet", annotation), ("singler", called)):
            rows.append({"draw": seed, "method": name, "n": len(rest)} | measured(calls.loc[rest], types))
    table = pd.DataFrame(rows).drop(columns="draw").groupby("method").agg(["min", "mean", "max"])
    print(table.stack(level=0, future_stack=True).round(3).to_string())


if __name__ == "__main__":
    main()
