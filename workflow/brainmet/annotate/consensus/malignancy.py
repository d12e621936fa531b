"""Which cells are tumour cells, in tiers, from identity, copy number and the kind of tissue.

| identity | copy number | tier |
|---|---|---|
| epithelial or melanocytic | like its donor's aneuploid profile in the sample | malignant |
| | there is such a profile, the cell does not follow it | normal; uncertain in between, and in foreign tissue |
| | nothing to compare with, or no aneuploid profile | likely_malignant in tumours and foreign tissue, else uncertain |
| | nothing to compare with in a sample of epithelium alone | likely_malignant, except in tissue declared normal |
| neuron or macroglia, in glioma | like an aneuploid profile | malignant |
| astrocyte or precursor, in glioma | nothing to compare with, or no aneuploid profile | likely_malignant |
| neuron, in glioma | the same | uncertain: glioma cells resemble neurons too |
| neuron or macroglia elsewhere | like the aneuploid profile of a carcinoma | uncertain |
| | any other | normal |
| stromal | like the aneuploid profile | likely_malignant (mesenchymal tumour cell) |
| immune, endothelial | any | normal; a strong profile is named as a doublet |
| any, in a cell line | any | likely_malignant: a line holds nothing else; normal lines are to be declared `other` |

Tissue declared normal stays normal unless copy number says otherwise. In foreign tissue such epithelium
came with a tumour (`brainmet.conditions`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainmet.conditions import CELL_LINE, GLIOMA, PRIMARY, ids
from brainmet.contract import Obs, Tier
from brainmet.knowledge.cell_types import CellTypes, Named

PROGENITORS = (Named.ASTROCYTE, Named.OPC)
"""Types whose states the cells of a glioma take on (Neftel 2019, doi 10.1016/j.cell.2019.06.024)."""
STEEPNESS = 6.0
"""Of the likeness to the tumour, per unit of slope: 0.95 for a cell that follows its profile wholly, 0.05 for none."""
NORMAL_TISSUE, FOREIGN_TISSUE, PRIMARY_TUMOUR, ANY_TISSUE = 0.02, 0.9, 0.7, 0.5
"""Without a profile to compare with, how likely an epithelial cell is a tumour's, by its tissue."""
GLIOMA_PROGENITOR, GLIA = 0.7, 0.01
"""The same for cells like the progenitors of a glioma, and for other glia."""
UNUSUAL, INCAPABLE = 0.6, 0.02
"""Most that the score can be for glia and stroma, which tumour cells seldom resemble, and for all other types."""


@dataclass(frozen=True)
class Seen:
    """What is known of each cell, all bool by cell.

    Attributes:
        epithelial, glial, stromal, neuron, progenitor: of the identity; progenitors are those of a glioma.
        cell_line, glioma, culture, normal_tissue, primary: of the tissue's condition.
        foreign: tissue without such epithelium of its own.
        pure: other tissue, in a sample of epithelium alone, in which copy number has nothing to be compared with.
        tested: copy number was inferred.
        shared: the sample holds other donors too.
        profile: the cell's donor has an aneuploid profile in the sample.
        follows, between: the cell is like it, or half.
    """

    epithelial: np.ndarray
    glial: np.ndarray
    stromal: np.ndarray
    neuron: np.ndarray
    progenitor: np.ndarray
    cell_line: np.ndarray
    glioma: np.ndarray
    culture: np.ndarray
    normal_tissue: np.ndarray
    primary: np.ndarray
    foreign: np.ndarray
    pure: np.ndarray
    tested: np.ndarray
    shared: np.ndarray
    profile: np.ndarray
    follows: np.ndarray
    between: np.ndarray


def malignancy(
    cells: pd.DataFrame, types: CellTypes, *, positive_slope: float, positive_z: float, line_share: float
) -> pd.DataFrame:
    """Tier, score and words of each cell.

    Args:
        cells: `sample, donor, condition, lineage, broad` (type before malignancy), `identity` (probability of that
            lineage), `cnv_slope, cnv_z, cnv_aneuploid, n_reference` (NaN without copy number), `cnv_note`.
        types: the resource.
        positive_slope: slope on the tumour's profile from which on a cell follows it.
        positive_z: and its robust standard deviations above the reference.
        line_share: share of epithelial cells from which on a sample without copy number is taken for a tumour line.

    Returns:
        Same index: `malignancy, malignancy_score, evidence` (words for the reason), `follows` (bool, like the tumour's
        profile).
    """
    seen = _seen(cells, types, positive_slope=positive_slope, positive_z=positive_z, line_share=line_share)
    tier = _tiers(seen)
    like_tumour = 1 / (
        1 + np.exp(-STEEPNESS * (np.nan_to_num(cells["cnv_slope"].to_numpy(np.float64)) - positive_slope))
    )
    return pd.DataFrame(
        {
            Obs.MALIGNANCY: tier,
            Obs.MALIGNANCY_SCORE: _scores(seen, like_tumour).astype(np.float32),
            "evidence": _words(seen, tier, cells["cnv_note"]),
            "follows": seen.follows,
        },
        index=cells.index,
    )


def _seen(
    cells: pd.DataFrame, types: CellTypes, *, positive_slope: float, positive_z: float, line_share: float
) -> Seen:
    lineage, condition, broad = (cells[name].to_numpy() for name in (Obs.LINEAGE, Obs.CONDITION, "broad"))
    slope, z = (np.nan_to_num(cells[name].to_numpy(np.float64)) for name in ("cnv_slope", "cnv_z"))
    by_donor, by_sample = (cells.groupby(keys, sort=False) for keys in ([Obs.SAMPLE, Obs.DONOR], Obs.SAMPLE))
    profile = by_donor["cnv_aneuploid"].transform("max").fillna(0).to_numpy() > 0
    tested = cells["cnv_slope"].notna().to_numpy()
    untested = by_sample["cnv_slope"].transform("count").to_numpy() == 0
    follows = profile & (slope > positive_slope) & (z > positive_z)
    epithelial = np.isin(broad, types.of_tumours())
    share = pd.Series(epithelial, index=cells.index).groupby(cells[Obs.SAMPLE], sort=False).transform("mean").to_numpy()
    glioma, normal_tissue = condition == GLIOMA, np.isin(condition, ids(normal=True))
    foreign = np.isin(condition, ids(epithelium="foreign"))
    return Seen(
        epithelial=epithelial,
        glial=lineage == Named.NEUROGLIA,
        stromal=(lineage == Named.STROMA) & (broad != Named.ENDOTHELIAL),
        neuron=broad == Named.NEURON,
        progenitor=glioma & np.isin(broad, PROGENITORS),
        cell_line=condition == CELL_LINE,
        glioma=glioma,
        culture=np.isin(condition, ids(model=True)),
        normal_tissue=normal_tissue,
        # Most epithelium of a tumour's biopsy is tumour; shallow cells and near-diploid tumours show no copy number.
        primary=condition == PRIMARY,
        foreign=foreign,
        pure=~foreign & ~normal_tissue & untested & (share > line_share),
        tested=tested,
        shared=by_sample[Obs.DONOR].transform("nunique").to_numpy() > 1,
        profile=profile,
        follows=follows,
        between=profile & ~follows & (slope > 0.5 * positive_slope),
    )


def _tiers(seen: Seen) -> np.ndarray:
    """The table above, a later line going before an earlier one."""
    tier = np.full(len(seen.profile), Tier.NORMAL, dtype=object)
    alone = seen.epithelial & ~seen.profile
    tier[alone] = Tier.UNCERTAIN
    tier[alone & (seen.foreign | seen.pure | seen.primary)] = Tier.LIKELY_MALIGNANT
    tier[alone & seen.normal_tissue] = Tier.NORMAL
    tier[seen.epithelial & seen.between] = Tier.UNCERTAIN
    # Brain has no normal epithelium of its own: such a cell is of a subclone near diploid, shallow or a doublet.
    tier[seen.epithelial & seen.profile & ~seen.follows & seen.foreign] = Tier.UNCERTAIN
    tier[seen.epithelial & seen.profile & ~seen.follows & seen.culture] = Tier.LIKELY_MALIGNANT
    tier[seen.epithelial & seen.follows] = Tier.MALIGNANT
    tier[seen.glial & seen.follows] = Tier.UNCERTAIN
    tier[seen.progenitor & ~seen.profile] = Tier.LIKELY_MALIGNANT
    tier[seen.glioma & seen.neuron & ~seen.profile] = Tier.UNCERTAIN
    tier[seen.progenitor & seen.between] = Tier.UNCERTAIN
    tier[seen.glial & seen.glioma & seen.follows] = Tier.MALIGNANT
    tier[seen.stromal & seen.follows] = Tier.LIKELY_MALIGNANT
    # A line holds nothing else, whatever programme its cells have; a melanocyte's line is no exception.
    tier[seen.cell_line & ~seen.epithelial & ~seen.follows] = Tier.LIKELY_MALIGNANT
    return tier


def _scores(seen: Seen, like_tumour: np.ndarray) -> np.ndarray:
    """0 to 1: what the identity is capable of, times likeness to the tumour or, without a profile, what is usual."""
    tissues = [seen.normal_tissue, seen.foreign | seen.pure, seen.primary]
    prior = np.select(tissues, [NORMAL_TISSUE, FOREIGN_TISSUE, PRIMARY_TUMOUR], ANY_TISSUE)
    prior = np.where(seen.glial, np.where(seen.progenitor, GLIOMA_PROGENITOR, GLIA), prior)
    likely = seen.epithelial | (seen.glial & seen.glioma) | seen.cell_line
    capable = np.select([likely, seen.glial | seen.stromal], [1.0, UNUSUAL], INCAPABLE)
    usual = np.where(seen.epithelial | seen.glial | seen.cell_line, prior, INCAPABLE)
    return capable * np.where(seen.profile, like_tumour, usual)


def _words(seen: Seen, tier: np.ndarray, note: pd.Series) -> np.ndarray:
    """The lines of evidence in words, for the reason."""
    capable = seen.epithelial | seen.glial | seen.stromal | seen.cell_line
    words = pd.Series("", index=note.index, dtype=object)
    words[capable & seen.tested & ~seen.profile] = "no aneuploid profile in the sample"
    words[capable & seen.tested & ~seen.profile & seen.shared] = "no aneuploid profile in the donor's cells"
    words[capable & ~seen.tested] = "copy number not inferred: " + note
    words[capable & seen.profile & ~seen.follows] = "no copy-number change"
    words[capable & seen.follows] = "copy number: " + note
    neural = seen.glial & ~seen.glioma & seen.follows
    words[neural] = "carries the tumour's copy number: doublet-like, or tumour with a neural programme"
    words[seen.follows & ~capable] = "carries the tumour's copy number: doublet-like"
    why = np.select(
        [seen.cell_line & ~seen.epithelial, seen.pure, seen.foreign, seen.primary],
        ["; taken for tumour as the sample is declared a cell line",
         "; the sample is hardly anything but epithelium, as a tumour's line is",
         "; no such normal cells in this tissue", "; a tumour's biopsy"], "",
    )  # fmt: skip
    by_tissue = (tier == Tier.LIKELY_MALIGNANT) | (seen.epithelial & seen.profile & seen.foreign)
    return np.where(by_tissue & ~seen.follows, words + why, words)
