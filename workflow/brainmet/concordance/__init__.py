"""Agreement of the annotation with the authors' labels, in the coarse classes of the resource."""

import numpy as np
import pandas as pd

from brainmet.contract import MALIGNANT_TIERS, UNKNOWN, Obs, is_malignant
from brainmet.core.tables import columns
from brainmet.knowledge.cell_types import CellTypes

COHORT = "cohort"
MIN_AVERAGED = 10
"""True cells from which on a class enters the macro average."""


def concordance(annotation: pd.DataFrame, *, types: CellTypes, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """Precision, recall and F1 by class, for the cohort and each sample with labels.

    Besides the classes there are rows `accuracy` (recall = share of all labelled cells called right, precision = of
    those called at all), `macro` (means over classes of at least ten true cells), and `malignant` (balanced accuracy in
    f1) where authors name malignant cells.

    Args:
        annotation: the columns of `annotation.parquet`.
        types: the resource, for the coarse classes.
        n_bootstrap: resamples of cells for the interval of f1.
        seed: of the resampling.

    Returns:
        The columns of `concordance.tsv`; empty without labels.
    """
    truth, called = classes(annotation, types)
    labelled = truth != ""
    if not labelled.any():
        return pd.DataFrame(columns=columns("concordance"))
    rows = _rows(COHORT, truth[labelled], called[labelled], n_bootstrap=n_bootstrap, seed=seed)
    rows += _malignant(COHORT, annotation)
    if annotation[Obs.SAMPLE].nunique() > 1:
        for name, part in annotation.groupby(Obs.SAMPLE, sort=True):
            inside = labelled & (annotation[Obs.SAMPLE] == name).to_numpy()
            if inside.any():
                rows += _rows(str(name), truth[inside], called[inside], n_bootstrap=0, seed=seed) + _malignant(
                    str(name), part
                )
    return pd.DataFrame(rows, columns=columns("concordance"))


def confusion(annotation: pd.DataFrame, *, types: CellTypes) -> pd.DataFrame:
    """Labelled cells by authors' class and called class: `truth, called, n`, largest first."""
    truth, called = classes(annotation, types)
    pairs = pd.DataFrame({"truth": truth, "called": called})[truth != ""]
    counts = pairs.groupby(["truth", "called"], sort=True).size().rename("n").reset_index()
    return counts.sort_values(["n", "truth", "called"], ascending=[False, True, True], kind="stable").reset_index(
        drop=True
    )


def author_labels(annotation: pd.DataFrame, *, types: CellTypes) -> pd.DataFrame:
    """What the cells of every label of the authors were called, whether or not a type stands for the label.

    Args:
        annotation: the columns of `annotation.parquet`.
        types: the resource, for Cell Ontology ids.

    Returns:
        The columns of `author_labels.tsv`, the most frequent call of a label first; empty without labels.
    """
    label = [Obs.DATASET, Obs.AUTHOR_LABEL]
    labelled = annotation[annotation[Obs.AUTHOR_LABEL] != ""]
    table = (
        labelled.groupby([*label, Obs.AUTHOR_CELL_TYPE, Obs.CELL_TYPE], sort=True, observed=True)
        .size()
        .rename("n")
        .reset_index()
    )
    table["share"] = table["n"] / table.groupby(label, observed=True)["n"].transform("sum")
    table["author_cell_ontology_term_id"] = [
        types.ontology(name) if name else "" for name in table[Obs.AUTHOR_CELL_TYPE]
    ]
    order = table.sort_values([*label, "n", Obs.CELL_TYPE], ascending=[True, True, False, True], kind="stable")
    return order[columns("author_labels")].reset_index(drop=True)


def calibration(annotation: pd.DataFrame, *, types: CellTypes, n_bins: int) -> pd.DataFrame:
    """Confidence against the share of right calls in bins of equal mass: `bin, n, confidence, accuracy`.

    The expected calibration error is the mean of |confidence - accuracy| weighted by n.
    """
    truth, called = classes(annotation, types)
    inside = truth != ""
    confidence, right = annotation[Obs.CONFIDENCE].to_numpy(np.float64)[inside], (truth == called)[inside]
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, n_bins) if len(part)]
    rows = [(i + 1, len(part), confidence[part].mean(), right[part].mean()) for i, part in enumerate(bins)]
    return pd.DataFrame(rows, columns=["bin", "n", "confidence", "accuracy"])


def classes(annotation: pd.DataFrame, types: CellTypes) -> tuple[np.ndarray, np.ndarray]:
    """Coarse class by the authors (empty without one) and by us (`unknown` without one)."""
    truth = (
        annotation[Obs.AUTHOR_CELL_TYPE].map(lambda name: types.coarse(name) if name else UNKNOWN).replace(UNKNOWN, "")
    )
    called = annotation[Obs.CELL_TYPE].map(types.coarse)
    return truth.to_numpy(object), called.to_numpy(object)


def _rows(scope: str, truth: np.ndarray, called: np.ndarray, *, n_bootstrap: int, seed: int) -> list[tuple]:
    names, n_cells = sorted(set(truth)), len(truth)
    # Resamples of cells are resamples of the pairs of labels: one number per pair instead of one per cell.
    pairs = pd.Series(1, index=pd.MultiIndex.from_arrays([truth, called])).groupby(level=[0, 1]).sum()
    truth, called = (pairs.index.get_level_values(level).to_numpy(object) for level in (0, 1))
    weights = pairs.to_numpy(np.float64)[None, :]
    if n_bootstrap:
        draws = np.random.default_rng(seed).multinomial(n_cells, weights[0] / n_cells, size=n_bootstrap)
        weights = np.vstack([weights, draws])
    rows, f1s, averaged = [], [], []
    for name in names:
        is_true, is_called = truth == name, called == name
        hit, n, n_called = (weights[:, mask].sum(axis=1) for mask in (is_true & is_called, is_true, is_called))
        with np.errstate(invalid="ignore", divide="ignore"):
            precision, recall, f1 = (
                hit / n_called,
                hit / n,
                np.where(n + n_called > 0, 2 * hit / (n + n_called), np.nan),
            )
        rows.append((scope, name, int(n[0]), precision[0], recall[0], f1[0], *_interval(f1[1:]), int(n_called[0])))
        if n[0] >= MIN_AVERAGED:
            averaged.append(len(rows) - 1)
            f1s.append(f1)
    right = weights[:, truth == called].sum(axis=1) / weights.sum(axis=1)
    known = called != UNKNOWN
    n_known = int(weights[0, known].sum())
    among = float(weights[0, known & (truth == called)].sum() / n_known) if n_known else np.nan
    summary = (scope, "accuracy", n_cells, among, right[0], right[0], *_interval(right[1:]), n_known)
    rows.append(summary)
    if averaged:
        macro = np.nanmean(np.array(f1s), axis=0)
        precision, recall = (float(np.mean([rows[i][k] for i in averaged])) for k in (3, 4))
        rows.append((scope, "macro", n_cells, precision, recall, macro[0], *_interval(macro[1:]), n_known))
    return rows


def _malignant(scope: str, annotation: pd.DataFrame) -> list[tuple]:
    """Balanced accuracy of the malignant tiers against authors' malignant types; none where authors name only one
    kind."""
    labelled = annotation[annotation[Obs.AUTHOR_CELL_TYPE] != ""]
    truth = labelled[Obs.AUTHOR_CELL_TYPE].map(is_malignant).to_numpy(bool)
    called = labelled[Obs.MALIGNANCY].isin(MALIGNANT_TIERS).to_numpy()
    if truth.all() or not truth.any():
        return []
    recall, specificity = called[truth].mean(), (~called[~truth]).mean()
    precision = truth[called].mean() if called.any() else np.nan
    return [
        (
            scope,
            "malignant",
            int(truth.sum()),
            precision,
            recall,
            (recall + specificity) / 2,
            np.nan,
            np.nan,
            int(called.sum()),
        )
    ]


def _interval(values: np.ndarray) -> tuple[float, float]:
    if not len(values):
        return np.nan, np.nan
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
