"""Size of the page, and seconds until it is ready in Chromium, by number of cells.

    uv run snakemake --cores all
    uv run python -m tests.benchmarks.bench_page --cells 2000 20000 100000

The cells are those of a finished run in the working directory, drawn with replacement and moved a little on the map;
tables and figures are the run's own. Settings are the shipped ones.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import yaml
from brainmet import report
from brainmet.report import load

from tests.browser import Browser
from tests.report_toy import HOME, parts


def finished(results: Path, settings: dict) -> report.Run:
    """What the page of a run is made of, read as the rule `report` reads it."""
    samples = sorted((results / "samples").iterdir())
    files = SimpleNamespace(
        tables=sorted((results / "tables").glob("*.tsv")),
        annotation=results / "cohort/annotation.parquet",
        embedding=results / "cohort/embedding.parquet",
        genes=results / "cohort/genes_of_interest.tsv",
        scores=[s / "scores.parquet" for s in samples],
        gene_values=[s / "genes_of_interest.parquet" for s in samples],
        cells=[s / "cells.parquet" for s in samples],
        ambient=[s / "evidence/ambient.parquet" for s in samples],
        run=results / "provenance/run.json",
        signatures=HOME / "resources/signatures/signatures.yaml",
    )
    run = load.run(files, datasets={}, benchmarks=results.parent / "benchmarks", settings=settings)
    return replace(run, datasets={name: {} for name in run.provenance["config"]["datasets"]})


def enlarged(run: report.Run, n: int) -> report.Run:
    """The run with `n` cells drawn from its own."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, len(run.annotation), n)
    names = [f"{id_}-{k}" for k, id_ in enumerate(run.annotation.index[rows])]

    def drawn(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.reindex(run.annotation.index).iloc[rows].set_axis(names)

    layout = drawn(run.layout) + rng.normal(0, 0.3, (n, 2))
    return replace(
        run, annotation=drawn(run.annotation), layout=layout, scores=drawn(run.scores), genes=drawn(run.genes)
    )


def main() -> None:
    """Print one line a number of cells."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cells", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    asked.add_argument("--results", type=Path, default=Path("results"))
    options = asked.parse_args()
    config = yaml.safe_load((HOME / "config/config.yaml").read_text())
    run = finished(options.results, config["report"])
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder)) as browser:
        for n in options.cells:
            page = Path(folder) / f"{n}.html"
            page.write_text(report.page(enlarged(run, n), parts(), warn_lost=0.1, **config["report"]))
            start = time.monotonic()
            browser.open(page)
            ready = time.monotonic() - start
            sys.stdout.write(f"{n} cells: {page.stat().st_size / 1e6:.1f} MB, ready in {ready:.1f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
