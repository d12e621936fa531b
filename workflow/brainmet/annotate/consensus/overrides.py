"""What an expert knows better: types of clusters or single cells, set by hand."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmet.contract import BY_HAND, Obs, Tier, is_malignant
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import CellTypes, Named


def read_overrides(path: str | list[str] | None, types: CellTypes) -> pd.DataFrame | None:
    """The table of overrides: `level` (cluster or cell), `id`, `cell_type`; None without a file.

    Raises:
        BrainmetError: a column is missing, a level or a type is not known.
    """
    if not path:
        return None
    file = path if isinstance(path, str) else path[0]
    table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
    if missing := [name for name in ("level", "id", "cell_type") if name not in table]:
        raise BrainmetError(f"{file}: column {missing[0]} is missing; columns are level, id, cell_type")
    if wrong := [name for name in table["cell_type"] if name not in types]:
        raise BrainmetError(f"{file}: cell type {wrong[0]!r} is not known; see resources/markers/markers.yaml")
    if wrong := [name for name in table["level"] if name not in ("cluster", "cell")]:
        raise BrainmetError(f"{file}: level {wrong[0]!r} is not allowed; allowed: cluster, cell")
    return table


def override(
    annotation: pd.DataFrame, overrides: pd.DataFrame, types: CellTypes, *, sites: Mapping[str, str]
) -> pd.DataFrame:
    """The annotation with the types that an expert gives to clusters or cells; tiers and origin follow the type.

    A carcinoma's cell comes from where its sample's tumour is declared to (`sites`, primary site by sample).

    Raises:
        BrainmetError: no cell of the run has the named cluster or id.
    """
    result = annotation.copy()
    for level, name, kind in overrides[["level", "id", "cell_type"]].itertuples(index=False):
        rows = result[Obs.CLUSTER] == str(name) if level == "cluster" else result.index == name
        if not rows.any():
            known = ", ".join(sorted(set(annotation[Obs.CLUSTER]))) if level == "cluster" else "sample:barcode"
            raise BrainmetError(f"annotate.overrides: no cell has the {level} {name!r}; {level}s are {known}")
        malignant = is_malignant(kind)
        result.loc[rows, Obs.CELL_TYPE] = kind
        result.loc[rows, Obs.LINEAGE] = types.lineage(kind)
        result.loc[rows, Obs.CELL_ONTOLOGY] = types.ontology(kind)
        result.loc[rows, Obs.CONFIDENCE] = np.float32(1.0)
        result.loc[rows, Obs.MALIGNANCY] = Tier.MALIGNANT if malignant else Tier.NORMAL
        result.loc[rows, Obs.MALIGNANCY_SCORE] = np.float32(malignant)
        declared = [
            types.origin_of(sites.get(s, "")) if kind == Named.CARCINOMA else "" for s in result.loc[rows, Obs.SAMPLE]
        ]
        result.loc[rows, Obs.TUMOUR_OF_ORIGIN] = [origin or types[kind].origin for origin in declared]
        result.loc[rows, "state"] = ""
        called = annotation.loc[rows, Obs.CELL_TYPE].astype(str)
        result.loc[rows, Obs.REASON] = f"{BY_HAND} ({level} {name}); called " + called + " before"
    return result
