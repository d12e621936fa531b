"""Small cohorts of donor profiles with a known shift, built in memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.estimators import Design
from brainmet.stats.effects import Estimate, two_groups

if TYPE_CHECKING:
    from anndata import AnnData

DESIGN = Design(min_donors=3, min_studies=3, primary_site="breast", permutations=1000, seed=1, power=0.8, alpha=0.05)
SCORING = Scoring(seed=1, min_counts=1000, n_bins=5, n_controls=20, min_genes=5, min_coverage=0.4)
CONTRAST = Contrast("brain_metastasis_vs_primary", "brain_metastasis", "primary")
COMPARISON = {"id": CONTRAST.id, "a": CONTRAST.a, "b": CONTRAST.b}
"""The same as a claim writes it."""
GENES = [f"G{i:03d}" for i in range(300)]
SET = GeneSet("shifted", tuple(GENES[:20]), compartment="tumor")
NULL = GeneSet("null", tuple(GENES[100:120]), compartment="tumor")


def donors(studies: dict[str, tuple[int, int]], **columns: object) -> pd.DataFrame:
    """Donors of some studies: study → (brain metastases, primaries)."""
    rows = []
    for study, numbers in studies.items():
        for condition, number in zip(("brain_metastasis", "primary"), numbers, strict=True):
            rows += [(study, f"{study}_{condition}_{i}", condition) for i in range(number)]
    frame = pd.DataFrame(rows, columns=["study", "donor", "condition"])
    base = {
        "platform": "10x cell",
        "primary_site": "breast",
        "organism": "human",
        "simulated": False,
        "dataset": frame["study"],
        "subtype": "TNBC",
    }
    frame = frame.assign(**{**base, **columns})
    frame.index = pd.Index(frame["study"] + "|" + frame["donor"] + "|" + frame["condition"], name="profile")
    return frame


def bulk(
    studies: dict[str, tuple[int, int]],
    *,
    shift: float,
    seed: int = 0,
    types: Sequence[str] = ("malignant_epithelial", "t_cell"),
    depth: int = 40_000,
    **columns: object,
) -> "AnnData":
    """Pseudobulk in which the genes of `SET` are `shift` log2 units higher in malignant cells of brain metastases."""
    from anndata import AnnData

    rng = np.random.default_rng(seed)
    base = np.exp(rng.normal(0, 1, (len(types), len(GENES))))
    rows, sums = [], []
    for study, numbers in studies.items():
        batch = np.exp(rng.normal(0, 0.3, len(GENES)))
        for condition, number in zip(("brain_metastasis", "primary"), numbers, strict=True):
            for i in range(number):
                donor = np.exp(rng.normal(0, 0.2, len(GENES)))
                for t, cell_type in enumerate(types):
                    rate = base[t] * batch * donor
                    if cell_type.startswith("malignant") and condition == "brain_metastasis":
                        rate = rate * np.where(np.isin(GENES, SET.up), 2.0**shift, 1.0)
                    sums.append(rng.poisson(rate / rate.sum() * depth))
                    rows.append((study, f"{study}_{condition}_{i}", condition, cell_type))
    obs = pd.DataFrame(rows, columns=["study", "donor", "condition", "cell_type"])
    obs = obs.assign(
        dataset=obs["study"],
        sample=obs["donor"],
        n_cells=50,
        total_counts=np.sum(sums, axis=1).astype(float),
        primary_site="breast",
        er="neg",
        pr="neg",
        her2="0",
        technology="10x_3prime",
        suspension="cell",
        enrichment="none",
        dissociation="unknown",
        batch="unknown",
        values="counts",
        organism="human",
        subtype="TNBC",
        simulated=False,
    ).assign(**columns)
    obs.index = obs["sample"] + "|" + obs["cell_type"]
    genes = pd.DataFrame(
        {"symbol": GENES}, index=pd.Index([f"ENSG{i:05d}" for i in range(len(GENES))], name="ensembl_id")
    )
    return AnnData(X=np.array(sums, float), obs=obs, var=genes)


def draw_groups(
    rng: np.random.Generator, n: tuple[int, int], shift: np.ndarray, sd: tuple[float, float] = (1.0, 1.0)
) -> Estimate:
    """A study of features that lie `shift` apart, n donors each."""
    a, b = (rng.normal(0, s, (size, len(shift))) for size, s in zip(n, sd, strict=True))
    return two_groups(a + shift, b)
