"""What is told inside a broad type."""

import numpy as np
import pandas as pd
import pytest
from brainmet.annotate.consensus.refinement import normal_epithelium, origin, subtypes
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES, options


def test_normal_epithelium_of_a_breast_is_refined():
    types = load_cell_types([TYPES])
    called = np.array(["epithelial"] * 4, dtype=object)
    frame = pd.DataFrame({"condition": ["normal_breast", "normal_breast", "primary", "brain_metastasis"]})
    names = ["normal_luminal_hs", "normal_luminal_asp", "normal_myoepithelial"]
    smooth = pd.DataFrame([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0], [1.0, 0, 0]], columns=names)
    tier = np.array(["normal", "normal", "normal", "normal"])
    found = normal_epithelium(called, frame, tier, smooth, types, 0.02)
    assert found.tolist() == ["normal_luminal_hs", "epithelial", "normal_myoepithelial", "epithelial"]
    assert normal_epithelium(called, frame, np.full(4, "uncertain"), smooth, types, 0.02).tolist() == called.tolist()


def test_a_subtype_is_the_tumours_not_the_cells():
    types = load_cell_types([TYPES])
    names = ["malignant_luminal", "malignant_her2", "malignant_basal"]
    smooth = pd.DataFrame([[1.0, 0, 0], [0.6, 0, 0.7], [0.3, 0, 0.3], [0, 0, 9.0]], columns=names)
    result = pd.DataFrame({"study": "s", "donor": ["a", "a", "b", "a"], "tumour_of_origin": "breast", "state": "x"})
    result["cell_type"] = ["malignant_epithelial"] * 3 + ["t_cell"]
    found = subtypes(result, smooth, types, margin=0.2)
    assert found.tolist() == ["malignant_luminal", "malignant_luminal", "", "x"]


ORGANS = ("breast", "lung", "renal", "colorectal")


@pytest.mark.parametrize(
    ("site", "scores", "found", "words"),
    [
        ("kidney", (0, 0, 0, 0), "renal", ""),
        ("ovary", (0, 0, 0.6, 0), "ovary", "markers of renal origin, ovary declared"),
        ("breast", (0.6, 0.7, 0, 0), "breast", ""),
        ("lung", (0.2, 0, 0, 0), "lung", ""),
        ("unknown", (0.2, 0.6, 0, 0), "lung", ""),
        ("unknown", (0.7, 0.6, 0, 0), "breast", ""),
        ("unknown", (0.1, 0, 0, 0.3), "breast", ""),
        ("none", (0, 0, 0.3, 0), "unknown", "origin neither declared nor shown"),
    ],
)
def test_the_declared_site_goes_before_markers_and_none_is_guessed(site, scores, found, words):
    types, settings = load_cell_types([TYPES]), options("consensus")
    smooth = pd.DataFrame([scores, scores, (9, 9, 9, 9)], columns=[f"malignant_{name}" for name in ORGANS])
    frame, kind = pd.DataFrame({"sample": ["S"] * 3, "donor": "d"}), ["malignant_epithelial"] * 2 + ["t_cell"]
    limits = {"score": settings["origin_score"], "breast_score": settings["breast_score"]}
    organ, said = origin(np.array(kind, object), frame, smooth, types, sites={"S": site}, **limits)
    assert organ.tolist() == [found, found, ""] and said.tolist() == [words, words, ""]


def test_each_donor_of_a_sample_has_an_origin():
    types = load_cell_types([TYPES])
    smooth = pd.DataFrame({"malignant_breast": [0.6, 0.0], "malignant_lung": [0.0, 0.6]})
    frame, kind = pd.DataFrame({"sample": "S", "donor": ["a", "b"]}), np.array(["malignant_epithelial"] * 2, object)
    organ, _ = origin(kind, frame, smooth, types, sites={}, score=0.5, breast_score=0.05)
    assert organ.tolist() == ["breast", "lung"]


def test_one_gene_makes_no_renal_tumour():
    """PAX8 is shown by ovarian serous carcinoma, CA9 by any hypoxic tumour."""
    genes, marks = load_cell_types([TYPES])["malignant_renal"].positive, options("markers")
    assert marks["max_evidence"] / (len(genes) + marks["prior_genes"]) < options("consensus")["origin_score"]
