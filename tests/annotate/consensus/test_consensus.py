"""Consensus, malignancy and overrides on small tables."""

import numpy as np
import pandas as pd
import pytest
from brainmet.annotate.consensus import Settings, consensus
from brainmet.annotate.consensus.malignancy import malignancy
from brainmet.knowledge.cell_types import load_cell_types, shipped

from tests.annotation_toy import TYPES, options

LIMITS = {"positive_slope": 0.5, "positive_z": 2.5, "line_share": 0.8}


def _cells(rows):
    names = ["sample", "condition", "lineage", "broad", "cnv_slope", "cnv_z", "cnv_aneuploid"]
    table = pd.DataFrame(rows, columns=names, index=[f"c{i}" for i in range(len(rows))])
    return table.assign(donor=table["sample"], identity=1.0, n_reference=50.0, cnv_note="gain of 1q")


def test_tiers():
    nan = np.nan
    table = malignancy(
        _cells(
            [
                ("T", "primary", "epithelial", "epithelial", 1.0, 9.0, 3.0),
                ("T", "primary", "epithelial", "epithelial", 0.0, 0.0, 0.0),
                ("T", "primary", "vascular_stromal", "fibroblast", 0.9, 8.0, 3.0),
                ("T", "primary", "immune", "t_cell", 0.9, 8.0, 3.0),
                ("N", "normal_breast", "epithelial", "epithelial", 0.0, 0.0, 0.0),
                ("N", "normal_breast", "immune", "t_cell", 0.0, 0.0, 0.0),
                ("L", "cell_line", "epithelial", "epithelial", nan, nan, nan),
                ("B", "normal_brain", "neuroglia", "neuron", nan, nan, nan),
                ("G", "glioma", "neuroglia", "opc", nan, nan, nan),
                ("O", "other", "epithelial", "epithelial", nan, nan, nan),
                ("U", "primary", "epithelial", "epithelial", 0.0, 0.0, 0.0),
                ("L", "cell_line", "vascular_stromal", "fibroblast", nan, nan, nan),
                ("G", "glioma", "neuroglia", "neuron", nan, nan, nan),
                ("G", "glioma", "neuroglia", "oligodendrocyte", nan, nan, nan),
            ]
        ),
        types=shipped(),
        **LIMITS,
    )
    expected = (
        "malignant normal likely_malignant normal normal normal likely_malignant normal likely_malignant "
        "likely_malignant likely_malignant likely_malignant uncertain normal"
    )
    assert table.malignancy.tolist() == expected.split()
    assert table.evidence.iloc[3] == "carries the tumour's copy number: doublet-like"
    assert table.evidence.iloc[6].endswith("; no such normal cells in this tissue")
    assert table.evidence.iloc[9].endswith("; the sample is hardly anything but epithelium, as a tumour's line is")
    assert table.evidence.iloc[11].endswith("; taken for tumour as the sample is declared a cell line")
    assert table.malignancy_score.between(0, 1).all() and table.malignancy_score.iloc[0] > 0.9


def test_a_profile_is_that_of_one_donor():
    """The tumour of one patient makes no normal epithelium of another's, whose own shows none."""
    nan = np.nan
    rows = [(1.0, 9.0, 3.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (nan, nan, nan)]
    cells = _cells([("S", "primary", "epithelial", "epithelial", *row) for row in rows])
    table = malignancy(
        cells.assign(donor=["A", "A", "B", "C"], cnv_note=["gain of 1q", "", "", "few"]), types=shipped(), **LIMITS
    )
    assert table.malignancy.tolist() == ["malignant", "normal", "likely_malignant", "likely_malignant"]
    assert table.evidence.tolist()[1:] == [
        "no copy-number change",
        "no aneuploid profile in the donor's cells; a tumour's biopsy",
        "copy number not inferred: few; a tumour's biopsy",
    ]


@pytest.mark.parametrize(
    ("condition", "tier"),
    [("brain_metastasis", "uncertain"), ("csf", "uncertain"), ("primary", "normal"), ("cell_line", "likely_malignant")],
)
def test_brain_has_no_normal_epithelium(condition, tier):
    """Subclones near diploid and shallow cells do not follow a profile either."""
    rows = [(1.0, 9.0, 3.0), (0.1, 0.5, 0.0)]
    table = malignancy(
        _cells([("S", condition, "epithelial", "epithelial", *row) for row in rows]), types=shipped(), **LIMITS
    )
    assert table.malignancy.tolist() == ["malignant", tier]
    assert table.evidence.iloc[1].endswith("; no such normal cells in this tissue") == (condition != "primary")


@pytest.mark.parametrize(
    ("condition", "neuroglia", "brain"),
    [
        ("brain_metastasis", 0, True),
        ("primary", 50, False),
        ("other", 0, False),
        ("csf", 1, False),  # of 100 cells: strays
        ("csf", 5, True),
    ],
)
def test_microglia_and_border_macrophages_are_of_the_brain(condition, neuroglia, brain):
    types = load_cell_types([TYPES])
    kind = np.array(["astrocyte"] * neuroglia + ["myeloid"] * (100 - neuroglia))
    index = pd.Index([f"c{i}" for i in range(100)])
    markers = pd.DataFrame(-0.5, index=index, columns=[f"score_{name}" for name in types.entries])
    for name in ("astrocyte", "myeloid"):
        markers.loc[kind == name, f"score_{name}"] = 2.0
    border = np.arange(100) % 2 == 0
    markers.loc[~border, "score_microglia"], markers.loc[border, "score_macrophage_ba"] = 2.0, 2.0
    markers["score_macrophage_md"] = 1.0
    fields = {"dataset": "D", "study": "D", "sample": "S", "donor": "S", "author_label": "", "author_cell_type": ""}
    cells, clusters = pd.DataFrame({**fields, "condition": condition}, index=index), pd.Series("0", index=index)
    found = consensus(
        cells, clusters, np.zeros((100, 0), int), {"markers": markers.assign(note="")}, types=types,
        how=Settings(**options("consensus")),
    )  # fmt: skip
    called = found["cell_type"].to_numpy()[kind == "myeloid"]
    expected = np.where(border, "macrophage_ba", "microglia") if brain else np.full(100, "macrophage_md")
    assert called.tolist() == expected[kind == "myeloid"].tolist()
