"""What a page is made of, read from the files that Snakemake names."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmet.contract import Obs
from brainmet.core.documents import read_yaml
from brainmet.core.tables import read_table
from brainmet.genes_of_interest import normalised
from brainmet.report.content import Parts, Run, Settings
from brainmet.report.data import carried, drawn

_METRICS = [Obs.SAMPLE, Obs.TOTAL_COUNTS, Obs.N_GENES, Obs.PCT_MT, Obs.KEEP, Obs.REASON]


def run(files: Any, *, datasets: Mapping[str, Any], benchmarks: str | Path, settings: Settings) -> Run:
    """Everything that a run left, from the rule's inputs; values of genes for the cells only that the page draws."""
    annotation = read_table(files.annotation, "annotation")
    layout = read_table(files.embedding, "embedding", ["umap_1", "umap_2"])
    use = read_table(files.genes, "genes_of_interest").set_index("symbol")["use"]
    order = drawn(len(annotation), most=settings.max_cells, seed=settings.seed)
    n_expressed = carried(len(order), len(use), most=settings.max_gene_values)
    provenance = json.loads(Path(files.run).read_text())
    return Run(
        tables={Path(path).stem: read_table(path, Path(path).stem) for path in files.tables},
        annotation=annotation,
        layout=layout.loc[annotation.index],
        integrated=integrated(files.embedding),
        scores=scores(files.scores).loc[annotation.index],
        genes=genes(files.gene_values, annotation.index[order[:n_expressed]], list(use.index)),
        uses=use.to_dict(),
        cells=metrics(files.cells),
        ambient=ambient(files.ambient, annotation),
        provenance=provenance,
        benchmarks=measured(benchmarks, provenance["samples"]),
        names=signature_names(files.signatures),
        datasets=datasets,
    )


def parts(files: Any) -> Parts:
    """Template, style and script, from the rule's inputs; the parts of the script one below the other."""
    names = ("template", "css", "methods", "bib")
    js = "\n".join(Path(path).read_text() for path in files.js)
    return Parts(**{name: Path(getattr(files, name)).read_text() for name in names}, js=js)


def integrated(path: str | Path) -> bool:
    """Whether an embedding's components were corrected for samples: few cells and a single sample never are."""
    first = read_table(path, "embedding", ["PC_1", "harmony_1"])
    return bool((first["PC_1"] != first["harmony_1"]).any())


def metrics(paths: Sequence[str]) -> pd.DataFrame:
    """Quality metrics and verdict of every barcode of all samples."""
    return pd.concat([read_table(path, "cells", _METRICS) for path in paths])


def ambient(paths: Sequence[str], annotation: pd.DataFrame) -> pd.DataFrame:
    """Sample and ambient share of every kept cell; empty where the method did not run."""
    parts = [read_table(path, "evidence", ["ambient_share"]) for path in paths]
    shares = pd.concat(parts) if parts else pd.DataFrame({"ambient_share": []}, dtype=float)
    return annotation[[Obs.SAMPLE]].join(shares, how="inner")


def scores(paths: Sequence[str]) -> pd.DataFrame:
    """Scores of all samples, one below the other."""
    return pd.concat([read_table(path, "scores") for path in paths])


def genes(paths: Sequence[str], cells: pd.Index, symbols: Sequence[str]) -> pd.DataFrame:
    """Genes of interest of some cells, log1p per ten thousand."""
    parts = (read_table(path, "gene_values") for path in paths)
    kept = [normalised(part.loc[part.index.isin(cells)]) for part in parts]
    return pd.concat(kept)[list(symbols)]


def signature_names(path: str | Path) -> dict[str, str]:
    """Readable names of the shipped signatures by id."""
    document = read_yaml(path)
    return {entry["id"]: entry["name"] for entry in document["signatures"]}


def measured(folder: str | Path, samples: Collection[str]) -> dict[str, pd.DataFrame]:
    """Snakemake's benchmarks by rule: `{rule}.tsv` or the files in `{rule}/`; none where there is no folder.

    Of a rule that runs once per sample only those of the run's samples: what is excluded now may have run before.
    """
    found: dict[str, dict[str, pd.DataFrame]] = {}
    root = Path(folder)
    for path in sorted(root.rglob("*.tsv")):
        rule, *name = path.relative_to(root).with_suffix("").parts
        frame = pd.read_csv(path, sep="\t")
        if {"s", "max_rss"} <= set(frame.columns):
            found.setdefault(rule, {})["/".join(name)] = frame
    ours = set(samples)
    return {
        rule: pd.concat(
            [frame for name, frame in jobs.items() if name in ours or ours.isdisjoint(jobs)], ignore_index=True
        )
        for rule, jobs in found.items()
    }
