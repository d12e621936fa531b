"""Arm-level copy number of each sample's groups of cells."""

import numpy as np
import pandas as pd

from brainmet.contract import MALIGNANT_PREFIX, Obs
from brainmet.copy_number import ARMS

_COLUMNS = ["sample", "donor", "group", "arm", "mean", "call", "n_cells", "z"]


def cnv_arms(
    annotation: pd.DataFrame, evidence: pd.DataFrame, *, min_cells: int, max_fdr: float, min_shift: float
) -> pd.DataFrame:
    """Mean log difference of each arm by sample and group, and whether it is a gain or loss.

    Groups are the malignant cells and the lineages of the others. Only arms of malignant cells are called, by the test
    over genes that the method `copy_number` makes against the sample's own normal lineages; the mean is there to look
    at, for it holds what tumour cells express beside their copy number.

    Args:
        annotation: the columns of `annotation.parquet`.
        evidence: evidence of the method `copy_number` for the same cells: `arm_{arm}, shift_{arm}, fdr_{arm}`.
        min_cells: cells a group needs.
        max_fdr, min_shift: limits of a call.

    Returns:
        `sample, donor, group, arm, mean, call (gain, loss, neutral), n_cells, z`; z is the mean in robust standard
        deviations of the sample's normal groups.
    """
    aligned = evidence.reindex(annotation.index)
    arms, shifts, rates = (
        aligned[[f"{name}_{arm}" for arm in ARMS]].set_axis(list(ARMS), axis=1) for name in ("arm", "shift", "fdr")
    )
    malignant = annotation[Obs.CELL_TYPE].str.startswith(MALIGNANT_PREFIX)
    group = annotation[Obs.LINEAGE].where(~malignant, "malignant").rename("group")
    keys = [annotation[Obs.SAMPLE], annotation[Obs.DONOR], group]
    sizes = annotation.groupby(keys, sort=True).size()
    means = arms.groupby(keys, sort=True).mean()
    means = means[(sizes >= min_cells).to_numpy() & means.notna().any(axis=1).to_numpy()]
    shift, rate = (table.groupby(annotation[Obs.SAMPLE], sort=True).first() for table in (shifts, rates))
    rows = []
    for sample, table in means.groupby(level=0, sort=True):
        normal = table[table.index.get_level_values("group") != "malignant"].to_numpy().ravel()
        normal = normal[np.isfinite(normal)]
        spread = max(1.4826 * float(np.median(np.abs(normal))) if len(normal) else 0.0, 1e-3)
        for (_, donor, name), values in table.iterrows():
            for arm, mean in values.dropna().items():
                off = float(shift.at[sample, arm])
                clear = name == "malignant" and float(rate.at[sample, arm]) <= max_fdr and abs(off) >= min_shift
                call = "neutral" if not clear else "gain" if off > 0 else "loss"
                n_cells = int(sizes[(sample, donor, name)])
                rows.append((sample, donor, name, arm, float(mean), call, n_cells, float(mean) / spread))
    return pd.DataFrame(rows, columns=_COLUMNS)
