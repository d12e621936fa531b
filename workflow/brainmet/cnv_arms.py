"""Arm-level copy number of each sample's groups of cells."""

import numpy as np
import pandas as pd

from brainmet.contract import MALIGNANT_PREFIX, Obs
from brainmet.copy_number import ARMS

_COLUMNS = ["sample", "donor", "group", "arm", "mean", "call", "n_cells", "z"]


def cnv_arms(
    annotation: pd.DataFrame, evidence: pd.DataFrame, *, min_cells: int, min_z: float, min_shift: float
) -> pd.DataFrame:
    """Mean log difference of each arm by sample and group, and whether it is a gain or loss.

    Groups are the malignant cells and the lineages of the others. An arm is called where it lies `min_z` robust standard
    deviations off what the arms of the sample's normal groups show.

    Args:
        annotation: the columns of `annotation.parquet`.
        evidence: evidence of the method `copy_number` for the same cells: `arm_{arm}`.
        min_cells: cells a group needs.
        min_z, min_shift: limits of a call.

    Returns:
        `sample, donor, group, arm, mean, call (gain, loss, neutral), n_cells, z`.
    """
    arms = evidence.reindex(annotation.index)[[f"arm_{arm}" for arm in ARMS]].set_axis(list(ARMS), axis=1)
    malignant = annotation[Obs.CELL_TYPE].str.startswith(MALIGNANT_PREFIX)
    group = annotation[Obs.LINEAGE].where(~malignant, "malignant").rename("group")
    keys = [annotation[Obs.SAMPLE], annotation[Obs.DONOR], group]
    sizes = annotation.groupby(keys, sort=True).size()
    means = arms.groupby(keys, sort=True).mean()
    means = means[(sizes >= min_cells).to_numpy() & means.notna().any(axis=1).to_numpy()]
    rows = []
    for sample, table in means.groupby(level=0, sort=True):
        normal = table[table.index.get_level_values("group") != "malignant"].to_numpy().ravel()
        normal = normal[np.isfinite(normal)]
        spread = max(1.4826 * float(np.median(np.abs(normal))) if len(normal) else 0.0, min_shift / 3)
        for (_, donor, name), values in table.iterrows():
            for arm, mean in values.dropna().items():
                z = float(mean) / spread
                off = name == "malignant" and abs(z) >= min_z and abs(mean) >= min_shift
                call = "neutral" if not off else "gain" if mean > 0 else "loss"
                rows.append((sample, donor, name, arm, float(mean), call, int(sizes[(sample, donor, name)]), z))
    return pd.DataFrame(rows, columns=_COLUMNS)
