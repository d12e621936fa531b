"""Genes kept cell by cell: which, and their values against the counts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from brainmet.core import tables
from brainmet.core.counts import open_counts, write_counts
from brainmet.errors import BrainmetError
from brainmet.genes_of_interest import check_symbols, chosen, genes_of_interest, normalised

SHIPPED = Path(__file__).parents[1] / "resources"
DRUGS = [{"name": "adc", "class": "adc", "targets": ["A"]}, {"name": "tki", "class": "tki", "targets": ["A", "T"]}]
CLAIMS = [{"id": "B1", "readout": {"gene": "C"}}, {"id": "B2", "readout": {"signature": "x"}}]
TYPES = [{"name": "one", "positive": ["M1", "M2", "M3"]}, {"name": "two", "positive": ["C", "N2"]}, {"name": "none"}]


def test_genes_come_in_turn_and_say_what_for():
    got = chosen(["O"], DRUGS, CLAIMS, TYPES, most=20)
    assert got["symbol"].tolist() == ["O", "A", "C", "T", "M1", "M2", "N2", "M3"]
    assert got.set_index("symbol")["use"][["O", "A", "C", "M1", "N2"]].tolist() == [
        "named in the config", "antigen of adc", "claim B1", "marker of one", "marker of two"
    ]  # fmt: skip
    assert chosen(["O"], DRUGS, CLAIMS, TYPES, most=5)["symbol"].tolist() == ["O", "A", "C", "T", "M1"]
    tables.conform(got, "genes_of_interest")


def test_own_genes_and_antigens_are_never_left_out():
    assert chosen(["O", "P"], DRUGS, CLAIMS, TYPES, most=0)["symbol"].tolist() == ["O", "P", "A"]


def test_the_shipped_knowledge_fills_three_hundred():
    read = {n: yaml.safe_load((SHIPPED / n / f"{n}.yaml").read_text()) for n in ("drugs", "claims", "markers")}
    got = chosen([], read["drugs"]["entries"], read["claims"]["claims"], read["markers"]["cell_types"], most=300)
    assert len(got) == got["symbol"].nunique() == 300
    assert {"ERBB2", "TACSTD2", "FASN", "GFAP", "P2RY12", "PTPRC"} <= set(got["symbol"])


def test_a_misspelt_gene_is_named_with_the_nearest():
    check_symbols(["ERBB2"], ["ERBB2"])
    with pytest.raises(BrainmetError, match="no gene 'erbb2'; did you mean ERBB2"):
        check_symbols(["erbb2"], ["ERBB2", "X"])


@pytest.mark.parametrize("values", ["counts", "log"])
def test_values_of_a_sample(values: str, tmp_path: Path):
    X = sp.csr_matrix(np.array([[1, 0, 5], [0, 2, 3], [4, 0, 0]], np.float32))
    obs = pd.DataFrame({"sample": "S"}, index=["S:1", "S:2", "S:3"])
    genes = pd.DataFrame(
        {"symbol": ["ERBB2", "X", "FOLR1"], "chromosome": "1", "start": 1, "end": 2}, index=["E1", "E2", "E3"]
    )
    counts = X if values == "counts" else X.log1p()
    write_counts(tmp_path / "c.h5ad", counts, obs, genes, {"values": values})
    table = genes_of_interest(
        open_counts(tmp_path / "c.h5ad"), np.array([True, False, True]), ["ERBB2", "FOLR1", "MSLN"]
    )
    assert list(table.index) == ["S:1", "S:3"] and table["MSLN"].isna().all()
    if values == "counts":
        assert table["total_counts"].tolist() == [6, 4] and table["FOLR1"].tolist() == [5, 0]
    else:
        assert table["total_counts"].isna().all()
    shown = normalised(table)  # the same whatever the file holds
    assert shown["ERBB2"].tolist() == pytest.approx([np.log1p(1e4 / 6), np.log1p(1e4)], rel=1e-6)
    assert shown["FOLR1"].tolist() == pytest.approx([np.log1p(5e4 / 6), 0], rel=1e-6)
    tables.write_table(table, tmp_path / "genes.parquet", "gene_values")
    assert tables.read_table(tmp_path / "genes.parquet", "gene_values", ["total_counts", "MSLN"]).shape == (2, 2)
