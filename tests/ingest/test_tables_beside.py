"""Labels of authors as types of ours."""

import logging

import numpy as np
import pytest
from brainmet.ingest.tables_beside import mapped


def test_unmapped_labels_are_listed_never_guessed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = mapped(
            np.array(["MTC", "odd", "", "odd"], dtype=object), {"MTC": "malignant_epithelial"}, name="labels.csv"
        )
    assert found.tolist() == ["malignant_epithelial", "", "", ""]
    assert "odd (2 cells)" in caplog.text
