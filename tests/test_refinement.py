"""What is told inside a broad type."""

import numpy as np
import pandas as pd
from brainmet.cell_types import load_cell_types
from brainmet.refinement import normal_epithelium, subtypes

from tests.annotation_toy import TYPES


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
