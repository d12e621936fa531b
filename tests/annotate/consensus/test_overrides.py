"""Types set by hand."""

import numpy as np
import pandas as pd
import pytest
from brainmet.annotate.consensus.overrides import override, read_overrides
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES


def test_overrides(tmp_path):
    types = load_cell_types([TYPES])
    (tmp_path / "o.tsv").write_text("level\tid\tcell_type\ncluster\t3\tmast\ncell\tc1\tmalignant_lung\n")
    table = pd.DataFrame({"cluster": ["3", "0"], "cell_type": "unknown", "malignancy": "malignant"}, index=["c0", "c1"])
    table = table.assign(sample="S")
    table = table.assign(lineage="unknown", cell_ontology_term_id="", confidence=np.float32(0), reason="")
    table = table.assign(malignancy_score=np.float32(0.5), tumour_of_origin="breast", state="x")
    for given in (str(tmp_path / "o.tsv"), [str(tmp_path / "o.tsv")]):
        result = override(table, read_overrides(given, types), types, sites={})
        assert result.cell_type.tolist() == ["mast", "malignant_lung"]
        assert result.lineage.tolist() == ["immune", "epithelial"]
        assert result.malignancy.tolist() == ["normal", "malignant"]
        assert result.reason.tolist() == [
            "set by hand (cluster 3); called unknown before",
            "set by hand (cell c1); called unknown before",
        ]
        assert result.tumour_of_origin.tolist() == ["", "lung"] and result.malignancy_score.tolist() == [0, 1]
    (tmp_path / "tumour.tsv").write_text("level\tid\tcell_type\ncell\tc1\tmalignant_epithelial\n")
    for site, origin in (("NSCLC", "lung"), ("ovary", "ovary"), ("unknown", "breast")):
        result = override(table, read_overrides(str(tmp_path / "tumour.tsv"), types), types, sites={"S": site})
        assert result.tumour_of_origin.tolist() == ["breast", origin]
    (tmp_path / "none.tsv").write_text("level\tid\tcell_type\ncluster\t9\tmast\n")
    with pytest.raises(BrainmetError, match="no cell has the cluster '9'; clusters are 0, 3"):
        override(table, read_overrides(str(tmp_path / "none.tsv"), types), types, sites={})
    (tmp_path / "bad.tsv").write_text("level\tid\tcell_type\ncluster\t3\tmastt\n")
    with pytest.raises(BrainmetError, match="cell type 'mastt' is not known"):
        read_overrides(str(tmp_path / "bad.tsv"), types)
