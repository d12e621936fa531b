"""Consensus, malignancy and overrides on small tables."""

import numpy as np
import pandas as pd
import pytest
from brainmet.cell_types import load_cell_types
from brainmet.consensus import _joined, _normal_epithelium, _subtypes, consensus, override, read_overrides
from brainmet.errors import BrainmetError
from brainmet.malignancy import malignancy

from tests.annotation_toy import TYPES, options

LIMITS = {"positive_slope": 0.5, "positive_z": 2.5, "line_share": 0.8}


def _cells(rows):
    names = ["sample", "condition", "lineage", "broad", "cnv_slope", "cnv_z", "cnv_aneuploid"]
    table = pd.DataFrame(rows, columns=names, index=[f"c{i}" for i in range(len(rows))])
    return table.assign(identity=1.0, n_reference=50.0, cnv_note="gain of 1q")


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
        **LIMITS,
    )
    expected = (
        "malignant normal likely_malignant normal normal normal likely_malignant normal likely_malignant "
        "likely_malignant likely_malignant likely_malignant uncertain normal"
    )
    assert table.malignancy.tolist() == expected.split()
    assert table.line.iloc[3] == "carries the tumour's copy number: doublet-like"
    assert table.line.iloc[6].endswith("; no such normal cells in this tissue")
    assert table.line.iloc[11].endswith("; taken for tumour as the sample is declared a cell line")
    assert table.malignancy_score.between(0, 1).all() and table.malignancy_score.iloc[0] > 0.9


def test_overrides(tmp_path):
    types = load_cell_types([TYPES])
    (tmp_path / "o.tsv").write_text("level\tid\tcell_type\ncluster\t3\tmast\ncell\tc1\tmalignant_lung\n")
    table = pd.DataFrame({"cluster": ["3", "0"], "cell_type": "unknown", "malignancy": "malignant"}, index=["c0", "c1"])
    table = table.assign(lineage="unknown", cell_ontology_term_id="", confidence=np.float32(0), reason="")
    table = table.assign(malignancy_score=np.float32(0.5), tumour_of_origin="breast", state="x")
    for given in (str(tmp_path / "o.tsv"), [str(tmp_path / "o.tsv")]):
        result = override(table, read_overrides(given, types), types)
        assert result.cell_type.tolist() == ["mast", "malignant_lung"]
        assert result.lineage.tolist() == ["immune", "epithelial"]
        assert result.malignancy.tolist() == ["normal", "malignant"]
        assert result.tumour_of_origin.tolist() == ["", "lung"] and result.malignancy_score.tolist() == [0, 1]
    (tmp_path / "none.tsv").write_text("level\tid\tcell_type\ncluster\t9\tmast\n")
    with pytest.raises(BrainmetError, match="no cell has the cluster '9'; clusters are 0, 3"):
        override(table, read_overrides(str(tmp_path / "none.tsv"), types), types)
    (tmp_path / "bad.tsv").write_text("level\tid\tcell_type\ncluster\t3\tmastt\n")
    with pytest.raises(BrainmetError, match="cell type 'mastt' is not known"):
        read_overrides(str(tmp_path / "bad.tsv"), types)


def test_a_reference_votes_only_among_what_it_knows():
    """The share of the types that it does not know stays, and so do cells that it says nothing of."""
    joint = np.array([[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]])
    votes = np.array([[np.nan, 0.1, 0.9], [np.nan, 0.0, 0.0]])
    result = _joined(joint, votes, np.array([False, True, True]), weight=1.0)
    assert result[0, 0] == pytest.approx(0.6) and result[0, 2] / result[0, 1] == pytest.approx(3.0)
    assert result[1].tolist() == joint[1].tolist()


def test_normal_epithelium_of_a_breast_is_refined():
    types = load_cell_types([TYPES])
    called = np.array(["epithelial"] * 4, dtype=object)
    frame = pd.DataFrame({"condition": ["normal_breast", "normal_breast", "primary", "brain_metastasis"]})
    names = ["normal_luminal_hs", "normal_luminal_asp", "normal_myoepithelial"]
    smooth = pd.DataFrame([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0], [1.0, 0, 0]], columns=names)
    tier = np.array(["normal", "normal", "normal", "normal"])
    found = _normal_epithelium(called, frame, tier, smooth, types, 0.02)
    assert found.tolist() == ["normal_luminal_hs", "epithelial", "normal_myoepithelial", "epithelial"]
    assert _normal_epithelium(called, frame, np.full(4, "uncertain"), smooth, types, 0.02).tolist() == called.tolist()


def test_a_subtype_is_the_tumours_not_the_cells():
    types = load_cell_types([TYPES])
    names = ["malignant_luminal", "malignant_her2", "malignant_basal"]
    smooth = pd.DataFrame([[1.0, 0, 0], [0.6, 0, 0.7], [0.3, 0, 0.3], [0, 0, 9.0]], columns=names)
    result = pd.DataFrame({"study": "s", "donor": ["a", "a", "b", "a"], "tumour_of_origin": "breast", "state": "x"})
    result["cell_type"] = ["malignant_epithelial"] * 3 + ["t_cell"]
    found = _subtypes(result, smooth, types, margin=0.2)
    assert found.tolist() == ["malignant_luminal", "malignant_luminal", "", "x"]


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
        **options("consensus"),
    )  # fmt: skip
    called = found["cell_type"].to_numpy()[kind == "myeloid"]
    expected = np.where(border, "macrophage_ba", "microglia") if brain else np.full(100, "macrophage_md")
    assert called.tolist() == expected[kind == "myeloid"].tolist()
