"""Labels of a CellTypist model as votes (Domínguez Conde 2022, doi 10.1126/science.abl5197). Optional library.

A model is given by the path of its `.pkl`, or by the name of one that was downloaded before: nothing is fetched. It
votes among the types that it knows; what it does not know stays as the other methods have it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from brainmet.annotate.labels import as_types, library, votes
from brainmet.contract import CELL_ID, Uns, Var
from brainmet.core.counts import Counts
from brainmet.core.normalise import log_normalised
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import CellTypes

SCOPE = "sample"
REQUIRES = ("counts", "cells", "types")
FILES_OR_NAMES = ("model",)
IN_WORDS = "CellTypist"


def annotate(
    counts: Counts, cells: pd.DataFrame, *, types: CellTypes, model: str, map: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Votes of a model's labels.

    Args:
        counts: the sample.
        cells: its `cells.parquet`.
        types: the resource.
        model: path of a model file, or the name of one in CellTypist's own folder.
        map: type id by label, for labels that words do not tell.

    Returns:
        Index cell id; `note` (the model's label), `vote_{type}` for each type that the model knows.
    """
    package = library("celltypist", "celltypist")
    trained = package.models.Model.load(str(_file(model, Path(package.models.models_path))))
    keep = counts.kept(cells)
    column = pd.Series(range(len(counts.genes)), index=counts.genes[Var.SYMBOL])
    column = column[~column.index.duplicated()]
    features = np.asarray(trained.features, dtype=object)
    position = column.reindex(features).to_numpy()
    measured = np.flatnonzero(~np.isnan(position))
    if len(measured) < 50:
        raise BrainmetError(
            f"{model}: only {len(measured)} of the model's {len(features)} genes are measured; its genes must be "
            f"{'mouse' if features[0].istitle() else 'human'} symbols like the sample's"
        )
    scaler, shares = trained.scaler, []
    weight = np.asarray(trained.classifier.coef_, np.float64)[:, measured]
    for block in counts.chunks(keep):
        columns = position[measured].astype(int)
        values = log_normalised(block, values=counts.uns[Uns.VALUES], columns=columns).toarray()
        # As CellTypist itself does: genes that are not measured stand at the model's mean, values end at ten.
        scaled = np.minimum((values - scaler.mean_[measured]) / scaler.scale_[measured], 10)
        decision = np.asarray(scaled @ weight.T + trained.classifier.intercept_)
        # CellTypist's own probabilities are one for each label and reach 1 for several: shares must lead to one.
        shares.append(softmax(decision if decision.shape[1] > 1 else np.hstack([-decision, decision]), axis=1))
    index = pd.Index(counts.cells.index[keep], name=CELL_ID)
    table = pd.DataFrame(np.concatenate(shares), index=index, columns=[str(name) for name in trained.cell_types])
    return votes(table, as_types(table.columns, types, map or {}), source="CellTypist")


def _file(model: str, folder: Path) -> Path:
    """The model's file."""
    for path in (Path(model), folder / model, folder / f"{model}.pkl"):
        if path.is_file():
            return path
    raise BrainmetError(
        f"config.yaml: annotate.celltypist.model: no file {model!r}, nor a model of that name in {folder}; "
        "give the path of a .pkl, or download the model once with celltypist.models.download_models"
    )
