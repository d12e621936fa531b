"""Windows along the genome: planted gains lie where they were planted, normal lineages are flat."""

import anndata
import numpy as np
import pandas as pd
import pytest
from brainmet.copy_number.windows import cnv_windows
from brainmet.core.tables import conform
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES, toy

OPTIONS = {"min_cells": 10, "min_genes": 200, "window": 20, "step": 10}


def _bulk(X, genes, kind, **fields):
    names = sorted(set(kind))
    sums = np.array([np.asarray(X[kind == name].sum(axis=0)).ravel() for name in names])
    obs = pd.DataFrame({"sample": "S", "donor": "P", "cell_type": names, "values": "counts"}, index=names)
    obs["organism"] = "human"
    obs["n_cells"] = [(kind == name).sum() for name in names]
    return anndata.AnnData(sums, obs.assign(**fields), genes)


@pytest.fixture(scope="module")
def planted():
    X, _, genes, kind = toy(gain=("1p", "1q", "7p", "7q"), seed=3)
    return X, genes, np.where(kind == "epithelial", "malignant_epithelial", kind)


def test_planted_gains_are_where_they_were_planted(planted):
    table = conform(cnv_windows(_bulk(*planted), load_cell_types([TYPES]), **OPTIONS), "cnv_windows")
    assert set(table.group) == {"malignant", "vascular_stromal", "immune"} and set(table.n_cells) == {40, 80}
    tumour = table[table.group == "malignant"]
    gained = tumour.chromosome.isin(["1", "7"])
    assert tumour.log2_ratio[gained].mean() == pytest.approx(np.log2(1.5), abs=0.2)
    assert tumour.log2_ratio[~gained].abs().mean() < 0.1 and set(tumour.chromosome) == {str(i) for i in range(1, 23)}
    assert (tumour.end > tumour.start).all() and (tumour.n_genes <= 20).all()
    ordered = tumour.groupby("chromosome", sort=False).start.apply(lambda s: s.is_monotonic_increasing)
    assert ordered.all()
    normal = table[table.group == "immune"]
    assert normal.log2_ratio[normal.chromosome.isin(["1", "7"])].mean() == pytest.approx(0, abs=0.12)


def test_what_cannot_be_compared_is_left_out(planted):
    X, genes, kind = planted
    types = load_cell_types([TYPES])
    alone = kind == "malignant_epithelial"
    assert cnv_windows(_bulk(X[alone], genes, kind[alone]), types, **OPTIONS).empty
    assert cnv_windows(_bulk(X, genes, kind, values="log"), types, **OPTIONS).empty
    assert cnv_windows(_bulk(X, genes, kind, organism="mouse"), types, **OPTIONS).empty
    assert cnv_windows(_bulk(X, genes, kind), types, **OPTIONS | {"min_cells": 100}).empty
    assert cnv_windows(_bulk(X, genes, kind), types, **OPTIONS | {"min_genes": 10**6}).empty
