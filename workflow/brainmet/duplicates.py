"""The same cells under two names: samples of a run that share barcodes with near-equal profiles, or equal profiles.

Series re-publish each other's samples, and a patient's library is deposited twice now and then. Counted twice, its
donor would be two replicates. The verdict of quality control on a sample does not depend on other samples; what two
samples share is seen once all are read, so the smaller of the two leaves where the cohort is put together: it is not in
`annotation.parquet`, and so neither in donor profiles and statistics nor in the atlas.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, groupby
from operator import itemgetter

import numpy as np
import pandas as pd

from brainmet.contract import Obs, barcode_of
from brainmet.core.barcodes import bases, plain
from brainmet.core.documents import written
from brainmet.core.tables import columns

log = logging.getLogger(__name__)

SHARE = 0.3
"""Share of the smaller sample's cells that must be found in the other. Two lanes share a barcode in 150 by chance."""
CLOSE = 0.1
"""Relative distance of the totals and of the detected genes of one cell counted with two annotations."""
FEWEST = 20
MIN_COUNTS = 200
"""Profiles are compared from here on: poorer cells agree by chance."""
PROFILE = [Obs.TOTAL_COUNTS, Obs.N_GENES, Obs.PCT_MT, "pct_counts_in_top_50_genes"]


def duplicates(cells: pd.DataFrame, *, drop: bool) -> pd.DataFrame:
    """Pairs of samples that hold the same cells: the table `duplicates`.

    Args:
        cells: index cell id; `sample, study, total_counts` and the other columns of `PROFILE`, barcodes of all samples.
        drop: leave all but one of the samples that hold the same cells out of the cohort.

    Returns:
        One row per pair, sorted; `exclude` is the sample to leave out, `left_out` the same where `drop` says so.
    """
    cells = cells[cells[Obs.TOTAL_COUNTS] > 0]
    sizes = {str(name): int(n) for name, n in cells[Obs.SAMPLE].value_counts().items()}
    studies = cells.groupby(Obs.SAMPLE, observed=True)[Obs.STUDY].first()
    shared_by = {"barcodes": _by_barcode(cells), "profiles": _by_profile(cells)}
    pairs = {}
    for a, b in sorted(set(shared_by["barcodes"]) | set(shared_by["profiles"])):
        how, shared = max(((name, counts[a, b]) for name, counts in shared_by.items()), key=lambda item: item[1])
        if shared >= FEWEST and shared >= SHARE * min(sizes[a], sizes[b]):
            pairs[a, b] = (how, shared)
    spare = superfluous(list(pairs), sizes)
    rows = []
    for (a, b), (how, shared) in pairs.items():
        smaller = min(sizes[a], sizes[b])
        first, second = sorted((a, b), key=lambda name: (-sizes[name], name))
        out = second if second in spare else first
        leave = f"each counts as a donor of its own; add exclude: [{written(out)}]"
        done = "it is left out of the cohort" if drop else leave
        log.warning(
            "%s and %s hold the same cells (%d of %d, by %s); %s is the one to leave out: %s",
            a, b, shared, smaller, how, out, done,
        )  # fmt: skip
        left = out if drop else ""
        rows.append((a, b, studies[a], studies[b], sizes[a], sizes[b], shared, shared / smaller, how, out, left))
    return pd.DataFrame(rows, columns=columns("duplicates"))


def superfluous(pairs: Sequence[tuple[str, str]], sizes: Mapping[str, int]) -> set[str]:
    """Samples to leave out so that no pair is left: the largest is kept first, the earlier by name among equals.

    A sample is left out for one that is kept, never for one that is left out itself.
    """
    partners: dict[str, set[str]] = {}
    for a, b in pairs:
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    kept: set[str] = set()
    for name in sorted(partners, key=lambda name: (-sizes[name], name)):
        if not partners[name] & kept:
            kept.add(name)
    return set(partners) - kept


def cohort_only(annotation: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The cells of a table that belong to the cohort: those of samples that are not left out as duplicates."""
    return annotation[~annotation[Obs.SAMPLE].isin(set(pairs["left_out"]) - {""}).to_numpy()]


def _by_barcode(cells: pd.DataFrame) -> Counter[tuple[str, str]]:
    """Cells of every pair of samples with one barcode and near-equal totals and detected genes."""
    names = [bases(name) or plain(name) for name in map(barcode_of, cells.index)]
    frame = pd.DataFrame({"name": names, "sample": cells[Obs.SAMPLE].to_numpy()})
    frame["total"] = np.log(cells[Obs.TOTAL_COUNTS].to_numpy(float))
    frame["genes"] = np.log(np.maximum(cells[Obs.N_GENES].to_numpy(float), 1))
    # Bare numbers and the like repeat within a sample, and say nothing.
    frame = frame[~frame.duplicated(["name", "sample"], keep=False)]
    frame = frame[frame.duplicated("name", keep=False)]
    pairs: Counter[tuple[str, str]] = Counter()
    for _, cells_of_name in groupby(sorted(frame.itertuples(index=False, name=None)), key=itemgetter(0)):
        for (_, a, total, genes), (_, b, other_total, other_genes) in combinations(cells_of_name, 2):
            if abs(total - other_total) < CLOSE and abs(genes - other_genes) < CLOSE:
                pairs[a, b] += 1
    return pairs


def _by_profile(cells: pd.DataFrame) -> Counter[tuple[str, str]]:
    """Cells of every pair of samples with equal totals, detected genes and shares, whatever their names."""
    frame = cells.loc[cells[Obs.TOTAL_COUNTS] >= MIN_COUNTS, [Obs.SAMPLE, *PROFILE]].round(3)
    frame = frame[~frame.duplicated(keep=False)]
    frame = frame[frame.duplicated(PROFILE, keep=False)]
    pairs: Counter[tuple[str, str]] = Counter()
    rows = sorted(zip(frame[PROFILE].fillna(-1).itertuples(index=False, name=None), frame[Obs.SAMPLE], strict=True))
    for _, cells_of_profile in groupby(rows, key=itemgetter(0)):
        pairs.update(combinations(sorted({sample for _, sample in cells_of_profile}), 2))
    return pairs
