"""Agreement by hand."""

import pandas as pd
import pytest
from brainmet.concordance import author_labels, calibration, concordance, confusion
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES


def _annotation(pairs, confidence=0.9):
    rows = [
        {"sample": "S", "author_cell_type": truth, "cell_type": called, "confidence": confidence, "malignancy": tier}
        for truth, called, tier, n in pairs
        for _ in range(n)
    ]
    return pd.DataFrame(rows)


PAIRS = [
    ("malignant_epithelial", "malignant_epithelial", "malignant", 9),
    ("malignant_epithelial", "fibroblast", "normal", 1),
    ("pericyte", "smooth_muscle", "normal", 8),
    ("pericyte", "unknown", "normal", 2),
    ("", "astrocyte", "normal", 5),
]


def test_by_hand():
    types = load_cell_types([TYPES])
    table = concordance(_annotation(PAIRS), types=types, n_bootstrap=50, seed=1).set_index("class")
    assert table.loc["epithelial", "recall"] == 0.9 and table.loc["epithelial", "precision"] == 1
    assert table.loc["mural", "f1"] == pytest.approx(2 * 0.8 / 1.8)
    assert table.loc["accuracy", "f1"] == pytest.approx(17 / 20)
    assert table.loc["accuracy", "precision"] == pytest.approx(17 / 18)
    assert table.loc["macro", "f1"] == pytest.approx((2 * 0.9 / 1.9 + 2 * 0.8 / 1.8) / 2)
    assert table.loc["malignant", "f1"] == pytest.approx(0.95)
    assert table.loc["mural", "ci_low"] <= table.loc["mural", "f1"] <= table.loc["mural", "ci_high"]
    assert confusion(_annotation(PAIRS), types=types).n.sum() == 20


def test_calibration_and_no_labels():
    types = load_cell_types([TYPES])
    bins = calibration(_annotation(PAIRS), types=types, n_bins=4)
    assert bins.n.sum() == 20 and (bins.n * bins.accuracy).sum() == 17
    assert concordance(_annotation([("", "astrocyte", "normal", 3)]), types=types, n_bootstrap=5, seed=1).empty


def test_every_label_of_the_authors_is_listed_with_its_calls():
    cells = [
        ("D", "Astro 1", "astrocyte", "astrocyte", 6),
        ("D", "Astro 1", "astrocyte", "unknown", 2),
        ("D", "Hybrid", "", "neuron", 1),
        ("E", "Astro 1", "", "astrocyte", 3),
        ("E", "", "", "neuron", 4),
    ]
    names = ["dataset", "author_label", "author_cell_type", "cell_type"]
    annotation = pd.DataFrame([row[:4] for row in cells[::-1] for _ in range(row[4])], columns=names)
    table = author_labels(annotation, types=load_cell_types([TYPES]))
    assert table[[*names, "n"]].to_numpy().tolist() == [list(row) for row in cells[:4]]
    assert table["share"].tolist() == [0.75, 0.25, 1, 1]
    assert table["author_cell_ontology_term_id"].tolist() == ["CL:0000127", "CL:0000127", "", ""]
    assert author_labels(annotation[annotation["author_label"] == ""], types=load_cell_types([TYPES])).empty
