"""What a page is made from: a run, the page's own files, and the limits under which it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from brainmet.core.tables import empty
from brainmet.report.signatures import donor_means


@dataclass(frozen=True)
class Parts:
    """The files that a page is put together from, as text."""

    template: str
    css: str
    js: str
    methods: str
    bib: str


@dataclass(frozen=True)
class Settings:
    """How much the page shows and when it warns; see `config: report`.

    Attributes:
        max_cells: cells on the map at most.
        max_scores: score values on the map at most.
        max_gene_values: values of genes on the map at most.
        max_rows: rows of a table on the page at most; the files beside the page hold all of them.
        max_genes: genes of a volcano plot at most.
        warn_lost: share of counts lost above which the page warns.
        min_agreement: agreement with the authors below which it warns.
        max_unknown: share of unknown cells above which it warns.
        seed: seed of the sample of cells.
    """

    max_cells: int
    max_scores: int
    max_gene_values: int
    max_rows: int
    max_genes: int
    warn_lost: float
    min_agreement: float
    max_unknown: float
    seed: int


class Tables(dict[str, pd.DataFrame]):
    """Tables by name; one that a run does not make is empty."""

    def __missing__(self, name: str) -> pd.DataFrame:
        return empty(name)


@dataclass(frozen=True)
class Run:
    """What a run left.

    Attributes:
        tables: by name, those that the run made.
        annotation: kept cells; columns of `annotation.parquet`.
        layout: the same cells; `umap_1, umap_2`.
        integrated: whether the components were corrected for samples.
        scores: the same cells, one column per signature.
        genes: log1p of counts per ten thousand of the genes of interest, of the cells that are drawn.
        uses: what each gene of interest is there for.
        cells: every barcode; quality metrics and verdict.
        ambient: kept cells; `sample, ambient_share`.
        provenance: `config, software, samples` of provenance/run.json.
        benchmarks: Snakemake's measurements by rule.
        names: readable names of the signatures.
        datasets: `title, citation` of each series.
    """

    tables: Mapping[str, pd.DataFrame]
    annotation: pd.DataFrame
    layout: pd.DataFrame
    integrated: bool
    scores: pd.DataFrame
    genes: pd.DataFrame
    uses: Mapping[str, str]
    cells: pd.DataFrame
    ambient: pd.DataFrame
    provenance: Mapping[str, Any]
    benchmarks: Mapping[str, pd.DataFrame]
    names: Mapping[str, str]
    datasets: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Content:
    """A run as the views see it."""

    run: Run
    settings: Settings

    @cached_property
    def tables(self) -> Tables:
        """Every table of the run; one that it does not make is empty."""
        return Tables(self.run.tables)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """`samples.tsv` in the order of every figure."""
        return self.tables["samples"].sort_values(["condition", "study", "sample"], kind="stable")

    @cached_property
    def sample_ids(self) -> list[str]:
        """Ids of the samples in the order of every figure."""
        return list(self.samples["sample"])

    @cached_property
    def donor_means(self) -> pd.DataFrame:
        """Mean scores of donors by type and condition."""
        return donor_means(self.run.scores, self.run.annotation)

    @property
    def simulated(self) -> bool:
        """Whether any sample is simulated."""
        return bool(self.tables["samples"]["simulated"].any())

    @property
    def alpha(self) -> float:
        """Level of the FDR."""
        return float(self.run.provenance["config"]["compare"]["design"]["alpha"])
