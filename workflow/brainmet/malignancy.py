"""Which cells are tumour cells, in tiers, from identity, copy number and the kind of tissue.

| identity | copy number | tier |
|---|---|---|
| epithelial or melanocytic | like the sample's aneuploid profile | malignant |
| | sample has such a profile, the cell does not follow it | normal; uncertain in between |
| | nothing to compare with, or no aneuploid profile | likely_malignant in tumours and foreign tissue, else uncertain |
| neuron or macroglia, in glioma | like an aneuploid profile | malignant |
| astrocyte or precursor, in glioma | nothing to compare with, or no aneuploid profile | likely_malignant |
| neuron, in glioma | the same | uncertain: glioma cells resemble neurons too |
| neuron or macroglia elsewhere | like the aneuploid profile of a carcinoma | uncertain |
| | any other | normal |
| stromal | like the aneuploid profile | likely_malignant (mesenchymal tumour cell) |
| immune, endothelial | any | normal; a strong profile is named as a doublet |
| any, in a cell line | any | likely_malignant: a line holds nothing else; normal lines are to be declared `other` |

Tissue declared normal stays normal unless copy number says otherwise.
"""

import numpy as np
import pandas as pd

from brainmet.contract import Obs

NORMAL_TISSUE = ("normal_brain", "normal_breast", "peritumoural_brain")
NO_OWN_EPITHELIUM = (
    "brain_metastasis",
    "extracranial_metastasis",
    "lymph_node_metastasis",
    "leptomeningeal",
    "csf",
    "ctc",
    "cell_line",
    "xenograft",
    "organoid",
)
"""Conditions whose tissue has no epithelium of the breast's kind of its own."""
CULTURE = ("cell_line", "xenograft", "organoid")
PROGENITORS = ("astrocyte", "opc")
"""Types whose states the cells of a glioma take on (Neftel 2019, doi 10.1016/j.cell.2019.06.024)."""
NEVER = ("choroid_plexus", "ependymal", "erythrocyte", "platelet")
"""Never malignant by identity."""


def malignancy(cells: pd.DataFrame, *, positive_slope: float, positive_z: float, line_share: float) -> pd.DataFrame:
    """Tier, score and words of each cell.

    Args:
        cells: `sample, condition, lineage, broad` (type before malignancy), `identity` (probability of that lineage),
            `cnv_slope, cnv_z, cnv_aneuploid, n_reference` (NaN without copy number), `cnv_note`.
        positive_slope: slope on the tumour's profile from which on a cell follows it.
        positive_z: and its robust standard deviations above the reference.
        line_share: share of epithelial cells from which on a sample without reference is taken for a tumour line.

    Returns:
        Same index: `malignancy, malignancy_score, line` (words for the reason), `follows` (bool, like the tumour's
        profile).
    """
    lineage, condition = cells[Obs.LINEAGE].to_numpy(), cells[Obs.CONDITION].to_numpy()
    slope, z = (np.nan_to_num(cells[name].to_numpy(np.float64)) for name in ("cnv_slope", "cnv_z"))
    by_sample = cells.groupby(Obs.SAMPLE, sort=False)
    profile = by_sample["cnv_aneuploid"].transform("max").fillna(0).to_numpy() > 0
    tested = cells["cnv_slope"].notna().to_numpy()
    epithelial = np.isin(lineage, ["epithelial", "malignant_melanocytic"]) & ~cells["broad"].isin(NEVER).to_numpy()
    share = pd.Series(epithelial, index=cells.index).groupby(cells[Obs.SAMPLE], sort=False).transform("mean").to_numpy()
    glial = lineage == "neuroglia"
    glioma = condition == "glioma"
    progenitor = glioma & cells["broad"].isin(PROGENITORS).to_numpy()
    stromal = (lineage == "vascular_stromal") & (cells["broad"] != "endothelial").to_numpy()
    line = condition == "cell_line"
    follows = profile & (slope > positive_slope) & (z > positive_z)
    between = profile & ~follows & (slope > 0.5 * positive_slope)
    normal_tissue = np.isin(condition, NORMAL_TISSUE)
    # Most epithelium of a tumour's biopsy is tumour; shallow cells and near-diploid tumours show no copy number.
    biopsy = condition == "primary"
    foreign = np.isin(condition, NO_OWN_EPITHELIUM) | (~normal_tissue & ~tested & (share > line_share))

    tier = np.full(len(cells), "normal", dtype=object)
    tier[epithelial & ~profile] = "uncertain"
    tier[epithelial & ~profile & (foreign | biopsy)] = "likely_malignant"
    tier[epithelial & ~profile & normal_tissue] = "normal"
    tier[epithelial & between] = "uncertain"
    tier[epithelial & profile & ~follows & np.isin(condition, CULTURE)] = "likely_malignant"
    tier[epithelial & follows] = "malignant"
    tier[glial & follows] = "uncertain"
    tier[progenitor & ~profile] = "likely_malignant"
    tier[glioma & (cells["broad"] == "neuron").to_numpy() & ~profile] = "uncertain"
    tier[progenitor & between] = "uncertain"
    tier[glial & glioma & follows] = "malignant"
    tier[stromal & follows] = "likely_malignant"
    # A line holds nothing else, whatever programme its cells have; a melanocyte's line is no exception.
    tier[line & ~epithelial & ~follows] = "likely_malignant"

    like_tumour = np.where(profile, 1 / (1 + np.exp(-6 * (slope - positive_slope))), np.nan)
    prior = np.select([normal_tissue, foreign, biopsy], [0.02, 0.9, 0.7], 0.5)
    prior = np.where(glial, np.where(progenitor, 0.7, 0.01), prior)
    capable = np.select([epithelial, glial & glioma, glial | stromal], [1.0, 1.0, 0.6], 0.02)
    capable = np.where(line, 1.0, capable)
    score = capable * np.where(profile, like_tumour, np.where(epithelial | glial | line, prior, 0.02))
    capable_of = epithelial | glial | stromal | line
    words = _words(
        tier,
        follows,
        profile,
        tested,
        cells["cnv_note"].to_numpy(),
        capable_of,
        foreign,
        biopsy,
        glial & ~glioma,
        line & ~epithelial,
    )
    return pd.DataFrame(
        {Obs.MALIGNANCY: tier, Obs.MALIGNANCY_SCORE: score.astype(np.float32), "line": words, "follows": follows},
        index=cells.index,
    )


def _words(
    tier: np.ndarray,
    follows: np.ndarray,
    profile: np.ndarray,
    tested: np.ndarray,
    note: np.ndarray,
    capable: np.ndarray,
    foreign: np.ndarray,
    biopsy: np.ndarray,
    neural: np.ndarray,
    declared: np.ndarray,
) -> np.ndarray:
    words = np.full(len(tier), "", dtype=object)
    words[capable & tested & ~profile] = "no aneuploid profile in the sample"
    words[capable & ~tested] = "copy number not inferred: " + pd.Series(note[capable & ~tested], dtype=object)
    words[capable & profile & ~follows] = "no copy-number change"
    words[follows & capable] = "copy number: " + pd.Series(note[follows & capable], dtype=object)
    words[neural & follows] = "carries the tumour's copy number: doublet-like, or tumour with a neural programme"
    words[follows & ~capable] = "carries the tumour's copy number: doublet-like"
    likely = (tier == "likely_malignant") & ~follows
    why = np.select(
        [declared, foreign, biopsy],
        ["; taken for tumour as the sample is declared a cell line", "; no such normal cells in this tissue",
         "; a tumour's biopsy"], "",
    )  # fmt: skip
    words[likely] = pd.Series(words[likely], dtype=object) + why[likely]
    return words
