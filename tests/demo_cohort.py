"""The demo cohort as donors see it, without QC and annotation: simulated cells summed by their true type."""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml
from brainmet import simulate
from brainmet.ambient.pseudobulk import Ambience
from brainmet.claims.readouts import Tables
from brainmet.compare.contrast import read_contrasts
from brainmet.compare.donor_scores import GeneSet, Scoring, gene_sets
from brainmet.compare.estimators import Design
from brainmet.core.tables import empty
from brainmet.datasets import read, records
from brainmet.knowledge.cell_types import compartment_words
from brainmet.knowledge.signatures import configured
from brainmet.pseudobulk import COVARIATES, DETECTED, collect, subtype

from tests.running import HOME

if TYPE_CHECKING:
    from anndata import AnnData

CONFIG = yaml.safe_load((HOME / "config/config.yaml").read_text())
DESIGN, SCORING = Design(**CONFIG["compare"]["design"]), Scoring(**CONFIG["compare"]["scoring"])
AMBIENCE = Ambience(**CONFIG["compare"]["ambient"])
CONTRASTS = read_contrasts(CONFIG["compare"]["contrasts"])
FOLDER = HOME / "resources/signatures"
WORDS = compartment_words(FOLDER / "compartments.yaml", [HOME / "resources/markers/markers.yaml"])


@cache
def signatures() -> list[GeneSet]:
    """The run's default signatures."""
    files = FOLDER / "signatures.yaml", FOLDER / "confounders.yaml"
    return gene_sets(configured(files[0], [], files[1], tier=1, confounders=False))


@cache
def every_set() -> list[GeneSet]:
    """What claims may name: both tiers and the confounders."""
    files = FOLDER / "signatures.yaml", FOLDER / "confounders.yaml"
    return gene_sets(configured(files[0], [], files[1], tier=[1, 2], confounders=True))


@cache
def known() -> simulate.Knowledge:
    """Profiles, design and signatures that the demo is drawn from."""
    demo = HOME / "resources/demo"
    sets = [
        entry
        for name in ("signatures", "confounders")
        for entry in yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["signatures"]
    ]
    profiles = pd.read_csv(demo / "profiles.tsv.gz", sep="\t", keep_default_na=False)
    design = yaml.safe_load((demo / "design.yaml").read_text())
    return simulate.knowledge(profiles, pd.read_csv(demo / "types.tsv", sep="\t"), design, sets)


@cache
def samples() -> list[dict[str, Any]]:
    """Samples of the demo as records, the dataset's fields filled in."""
    dataset = read(HOME / "resources/datasets/demo.yaml")
    return list(records({dataset["id"]: dataset}, exclude=[]).values())


def settings(**changes: Any) -> simulate.Settings:
    """The configured sizes, with changes."""
    return simulate.Settings(**(CONFIG["simulate"] | changes))


def cohort(*, design: dict[str, Any] | None = None, **changes: Any) -> "AnnData":
    """Pseudobulk of the whole demo: single whole cells by their true type."""
    what, how = known(), settings(**changes)
    if design:
        what = simulate.Knowledge(what.genes, what.profiles, what.rna, {**what.design, **design}, what.signatures)
    return collect([_sample(sample, what, how) for sample in samples()])


def other_tables() -> Tables:
    """What claims read of other stages: no correlations and no crosstalk here."""
    return Tables(empty("correlations"), empty("crosstalk"))


@cache
def places() -> pd.DataFrame:
    """`symbol, chromosome, start` of the demo's genes."""
    genes = pd.read_csv(
        HOME / "resources/genes/human.tsv.gz", sep="\t", index_col="ensembl_id", dtype={"chromosome": str}
    )
    found = genes[["chromosome", "start"]].reindex(known().genes.index)
    return known().genes[["symbol"]].join(found.fillna({"chromosome": "", "start": 0}))


def _sample(sample: dict[str, Any], what: simulate.Knowledge, how: simulate.Settings) -> "AnnData":
    return summed(sample, *simulate.simulate(sample, what, how))


def summed(sample: dict[str, Any], counts: sp.csr_matrix, truth: pd.DataFrame) -> "AnnData":
    """Pseudobulk of a sample's single whole cells by their true type."""
    from anndata import AnnData

    single = ~(truth["truth_doublet"] | truth["truth_low_quality"] | truth["truth_dying"]).to_numpy()
    counts, types = counts[single], truth.loc[single, "truth_cell_type"].to_numpy(object)
    names = sorted(set(types))
    sums = np.array([np.asarray(counts[types == name].sum(axis=0)).ravel() for name in names], float)
    detected = np.array([np.asarray((counts[types == name] > 0).sum(axis=0)).ravel() for name in names], np.float32)
    record = {name: str(sample.get(name, "unknown")) for name in COVARIATES}
    obs = pd.DataFrame({"cell_type": names, "n_cells": [int((types == name).sum()) for name in names]})
    obs = obs.assign(
        dataset="demo",
        study=sample["study"],
        sample=sample["id"],
        donor=sample["donor"],
        condition=sample["condition"],
        total_counts=sums.sum(axis=1),
        subtype=subtype(record["er"], record["pr"], record["her2"]),
        simulated=True,
        **record,
    )
    obs.index = pd.Index(obs["sample"] + "|" + obs["cell_type"], name="profile")
    return AnnData(sums, obs, places().rename_axis("ensembl_id"), layers={DETECTED: detected})
