"""Arm-level copy number of each donor's groups of cells in each sample."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainmet.contract import Obs, is_malignant
from brainmet.copy_number import ARMS, CENTROMERE, LENGTH
from brainmet.core.robust import MAD_TO_SD
from brainmet.core.tables import columns


def cnv_arms(
    annotation: pd.DataFrame, evidence: pd.DataFrame, *, min_cells: int, max_fdr: float, min_shift: float
) -> pd.DataFrame:
    """Mean log difference of each arm by sample, donor and group, and whether it is a gain or loss.

    Groups are the malignant cells and the lineages of the others. Only arms of malignant cells are called, by the test
    over genes that the method `copy_number` makes of each donor's tumour against the sample's own normal lineages; the
    mean is there to look at, for it holds what tumour cells express beside their copy number.

    Args:
        annotation: the columns of `annotation.parquet`.
        evidence: evidence of the method `copy_number` for the same cells: `arm_{arm}, shift_{arm}, fdr_{arm},
            genes_{arm}`.
        min_cells: cells that a group needs.
        max_fdr, min_shift: limits of a call.

    Returns:
        `sample, donor, group, arm, mean, call (gain, loss, neutral), n_cells, z, shift, n_genes, study`; z is the mean
        in robust standard deviations of the sample's normal groups, shift and n_genes (NaN in normal groups) are what
        was tested.
    """
    aligned = evidence.reindex(annotation.index)
    arms, shifts, rates, genes = (
        aligned[[f"{name}_{arm}" for arm in ARMS]].set_axis(list(ARMS), axis=1)
        for name in ("arm", "shift", "fdr", "genes")
    )
    malignant = annotation[Obs.CELL_TYPE].map(is_malignant).astype(bool)
    group = annotation[Obs.LINEAGE].where(~malignant, "malignant").rename("group")
    keys = [annotation[Obs.SAMPLE], annotation[Obs.STUDY], annotation[Obs.DONOR], group]
    sizes = annotation.groupby(keys, sort=True).size()
    means = arms.groupby(keys, sort=True).mean()
    means = means[(sizes >= min_cells).to_numpy() & means.notna().any(axis=1).to_numpy()]
    shift, rate, number = (table.groupby(keys[:3], sort=True).first() for table in (shifts, rates, genes))
    rows = []
    for sample, table in means.groupby(level=0, sort=True):
        normal = table[table.index.get_level_values("group") != "malignant"].to_numpy().ravel()
        normal = normal[np.isfinite(normal)]
        spread = max(MAD_TO_SD * float(np.median(np.abs(normal))) if len(normal) else 0.0, 1e-3)
        for (_, study, donor, name), values in table.iterrows():
            tumour, n_cells = (sample, study, donor), int(sizes[(sample, study, donor, name)])
            for arm, mean in values.dropna().items():
                off, n_genes = np.nan, np.nan
                if name == "malignant":
                    off, n_genes = float(shift.at[tumour, arm]), float(number.at[tumour, arm])
                clear = abs(off) >= min_shift and float(rate.at[tumour, arm]) <= max_fdr
                call = "neutral" if not clear else "gain" if off > 0 else "loss"
                rows.append(
                    (sample, donor, name, arm, float(mean), call, n_cells, float(mean) / spread, off, n_genes, study)
                )
    return pd.DataFrame(rows, columns=columns("cnv_arms"))


def segments(arms: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tumour of each donor as segments, one per arm, as IGV and GISTIC read them.

    Donors of two studies are two people, whatever their names, and are then told apart by the study's name before them.
    Samples of a donor are averaged, weighted by their malignant cells. Arms are the resolution that expression gives
    safely: no focal gain is read from the transcripts of its own genes.

    Args:
        arms: the columns of `cnv_arms.tsv`.

    Yields:
        Name of the donor, and `ID, chrom, loc.start, loc.end, num.mark (genes), seg.mean (log2 ratio)`; donors without
        a tumour profile have none.
    """
    tested = arms[(arms["group"] == "malignant") & arms["shift"].notna()]
    several = tested.groupby(Obs.DONOR)[Obs.STUDY].nunique() > 1
    for (study, donor), rows in tested.groupby([Obs.STUDY, Obs.DONOR], sort=True):
        name = f"{study}_{donor}" if several[donor] else str(donor)
        table = []
        for arm in ARMS:
            samples = rows[rows["arm"] == arm]
            if samples.empty:
                continue
            chromosome, border = arm[:-1], int(CENTROMERE[arm[:-1]] * 1e6)
            start, end = (1, border) if arm.endswith("p") else (border + 1, LENGTH[chromosome])
            mean = float(np.average(samples["shift"], weights=samples[Obs.N_CELLS]) / np.log(2))
            table.append((name, chromosome, start, end, int(samples["n_genes"].max()), mean))
        yield name, pd.DataFrame(table, columns=["ID", "chrom", "loc.start", "loc.end", "num.mark", "seg.mean"])


def write_segments(arms: pd.DataFrame, folder: str | Path) -> None:
    """Write the segments of each donor as `{donor}.seg` into a folder, which is made.

    Args:
        arms: the columns of `cnv_arms.tsv`.
        folder: where to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tumours = list(segments(arms))
    for (_, table), name in zip(tumours, file_names([donor for donor, _ in tumours]), strict=True):
        table.to_csv(folder / f"{name}.seg", sep="\t", index=False, float_format="%.6g")


def file_names(donors: Sequence[str]) -> list[str]:
    """A file name for each donor in their order, none of which a file system takes for another's.

    Letters that a file system may refuse become `_`. Where that gives a name twice, whatever its case, the later one is
    numbered, as it is where two donors have one name; donors whose names need no change come first.
    """
    plain = [re.sub(r"[^A-Za-z0-9._-]", "_", donor) for donor in donors]
    names, taken = [""] * len(donors), set[str]()
    for i in sorted(range(len(donors)), key=lambda i: plain[i] != donors[i]):
        numbered = (f"{plain[i]}_{n}" for n in itertools.count(2))
        names[i] = next(name for name in itertools.chain([plain[i]], numbered) if name.casefold() not in taken)
        taken.add(names[i].casefold())
    return names
