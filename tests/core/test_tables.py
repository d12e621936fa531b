"""Tables: the schema is enforced on both sides, and equal values give equal bytes."""

import numpy as np
import pandas as pd
import pytest
import yaml
from brainmet.core import tables
from brainmet.errors import BrainmetError

SCHEMA = {
    "name": "toy",
    "description": "a toy",
    "path": "tables/toy.tsv",
    "index": None,
    "columns": [
        {"name": "gene", "dtype": "string", "description": "symbol"},
        {"name": "n", "dtype": "int64", "description": "cells"},
        {"name": "effect", "dtype": "float64", "description": "log2"},
        {"name": "scorable", "dtype": "bool", "description": "or not"},
        {"name": "note", "dtype": "string", "description": "free text", "nullable": True},
    ],
}
FRAME = pd.DataFrame(
    {
        "gene": ["NA", "B1"],
        "n": [1, 2],
        "effect": [1 / 3, np.nan],
        "scorable": [True, False],
        "note": [None, "x"],
    }
)


@pytest.fixture(autouse=True)
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "SCHEMAS", tmp_path)
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(SCHEMA))
    indexed = SCHEMA | {"name": "cells", "index": "cell_id", "open_columns": "float32"}
    (tmp_path / "cells.yaml").write_text(yaml.safe_dump(indexed))
    sampled = indexed | {"name": "sampled", "columns": [{"name": "sample", "dtype": "string", "description": "id"}]}
    (tmp_path / "sampled.yaml").write_text(yaml.safe_dump(sampled))
    tables.schema.cache_clear()
    yield
    tables.schema.cache_clear()


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    tables.write_table(FRAME, path, "toy")
    back = tables.read_table(path, "toy")
    assert list(back["gene"]) == ["NA", "B1"], "a gene may be called NA"
    assert back["scorable"].tolist() == [True, False]
    assert back["effect"][0] == pytest.approx(1 / 3, abs=1e-6)
    assert np.isnan(back["effect"][1])
    assert pd.isna(back["note"][0])


def test_floats_have_six_digits(tmp_path):
    tables.write_table(FRAME, tmp_path / "x.tsv", "toy")
    assert (tmp_path / "x.tsv").read_text().splitlines()[1] == "NA\t1\t0.333333\tTrue\tNA"


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_index_and_open_columns(tmp_path, suffix):
    frame = FRAME.set_axis(["S:a", "S:b"]).assign(glycolysis=np.float32([0.5, 2]))
    path = tmp_path / f"x.{suffix}"
    tables.write_table(frame, path, "cells")
    back = tables.read_table(path, "cells")
    assert back.index.tolist() == ["S:a", "S:b"]
    assert back["glycolysis"].dtype == "float32"
    if suffix == "parquet":
        assert pd.read_parquet(path).index.name == "cell_id"
        assert b"pandas_version" not in path.read_bytes()


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_same_values_same_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        tables.write_table(FRAME.copy(), tmp_path / f"{name}.{suffix}", "toy")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_an_empty_table_keeps_its_header_and_types(tmp_path, suffix):
    tables.write_table(tables.empty("toy"), tmp_path / f"x.{suffix}", "toy")
    back = tables.read_table(tmp_path / f"x.{suffix}", "toy")
    assert back.empty
    assert list(back.columns) == tables.columns("toy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="n"), r"columns missing \['n'\]"),
        (lambda f: f.assign(extra=1), r"undeclared \['extra'\]"),
        (lambda f: f.assign(gene=[None, "B1"]), "column gene is null in 1 rows"),
    ],
)
def test_a_table_that_breaks_its_schema_is_not_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        tables.write_table(change(FRAME), tmp_path / "x.tsv", "toy")
    assert not (tmp_path / "x.tsv").exists()


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "x.tsv"
    tables.write_table(FRAME, path, "toy")
    before = path.read_bytes()
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda self, target, **_: (target.write_text("half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        tables.write_table(FRAME, path, "toy")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".x*"))


def test_an_unreadable_table_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(BrainmetError, match=rf"{path}: cannot be read as the table toy"):
        tables.read_table(path, "toy")


def test_a_table_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "toy.tsv"
    tables.write_table(FRAME, path, "toy")
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(BrainmetError, match=r"toy.tsv: cannot be read .*\(its last line is cut\); delete it"):
        tables.read_table(path, "toy")


@pytest.mark.parametrize(
    ("text", "message"),
    [("B1\t2\t0.5\tTru\tx", "column scorable is null in 1 rows"), ("B1\t2\tx\tTrue\tx", "could not convert")],
)
def test_some_columns_are_held_to_the_schema_too(tmp_path, text, message):
    path = tmp_path / "toy.tsv"
    path.write_text("\t".join(tables.columns("toy")) + f"\n{text}\n")
    with pytest.raises(BrainmetError, match=message):
        tables.read_table(path, "toy", columns=["scorable", "effect"])
    path.write_text("\t".join(tables.columns("toy")) + "\nB1\t2\t1\tTrue\tx\n")
    found = tables.read_table(path, "toy", columns=["scorable", "effect"])
    assert list(found) == ["scorable", "effect"]
    assert found.dtypes.tolist() == [np.dtype(bool), np.dtype(float)]


def test_one_sample_is_read_from_a_table_of_many(tmp_path):
    sizes = {"A": tables.ROW_GROUP // 2, "B": tables.ROW_GROUP, "C": 3}
    sample = np.repeat(np.array(list(sizes), dtype=object), list(sizes.values()))
    index = pd.Index([f"{name}:{i}" for i, name in enumerate(sample)], name="cell_id")
    frame = pd.DataFrame({"sample": sample, "umap_1": np.arange(len(sample), dtype=np.float32)}, index)
    path = tmp_path / "sampled.parquet"
    tables.write_table(frame, path, "sampled")
    assert tables.names_in(path) == ["cell_id", "sample", "umap_1"]
    for name in sizes:
        pd.testing.assert_frame_equal(tables.read_table(path, "sampled", sample=name), frame[sample == name])
    assert tables.read_table(path, "sampled", ["umap_1"], sample="C")["umap_1"].size == 3


def test_a_blank_row_is_one_of_the_table() -> None:
    row = tables.blank("toy")
    assert np.isnan(row["effect"])
    assert row | {"effect": 1.0} == {"gene": "", "n": 0, "effect": 1.0, "scorable": False, "note": ""}
    tables.conform(pd.DataFrame([row]), "toy")
