"""Tables between stages: written in one way, checked against their frozen schema on both sides.

A table is a TSV or a parquet file whose columns are declared in `workflow/schemas/tables/{name}.yaml`. Writing
is atomic (a killed job leaves no half table) and gives the same bytes for the same values: floats of TSV files as
`%.6g`, parquet without versions or time stamps.
"""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmet.core.documents import read_yaml
from brainmet.core.files import replacing
from brainmet.errors import BrainmetError

SCHEMAS = Path(__file__).parents[2] / "schemas" / "tables"
_PANDAS = {
    "string": "object",
    "bool": "bool",
    "int64": "int64",
    "int32": "int32",
    "float64": "float64",
    "float32": "float32",
}


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema of a table: `name, description, path, index, columns: [{name, dtype, description, nullable}]`."""
    return read_yaml(SCHEMAS / f"{name}.yaml")


def columns(name: str) -> list[str]:
    """Names of a table's columns, in order, without the index."""
    return [column["name"] for column in schema(name)["columns"]]


def empty(name: str) -> pd.DataFrame:
    """A table without rows, with every column in its type."""
    frame = pd.DataFrame({c["name"]: pd.Series(dtype=_PANDAS[c["dtype"]]) for c in schema(name)["columns"]})
    if index := schema(name).get("index"):
        frame.index = pd.Index([], dtype="object", name=index)
    return frame


_NOTHING = {"string": "", "bool": False, "int64": 0, "int32": 0, "float64": np.nan, "float32": np.nan}


def blank(name: str) -> dict[str, Any]:
    """A row of a table in which nothing is said yet: by column, an empty string, false, 0 or NaN."""
    return {column["name"]: _NOTHING[column["dtype"]] for column in schema(name)["columns"]}


def conform(frame: pd.DataFrame, name: str, *, where: str = "", only: Sequence[str] | None = None) -> pd.DataFrame:
    """The frame with exactly the schema's columns, order and types.

    Columns of the type `open_columns`, where the schema declares it, may follow the declared ones.

    Args:
        frame: the table.
        name: of the table.
        where: what is said of its place in an error.
        only: columns of the schema that the frame holds, where it holds some; whether its index repeats itself is then
            not looked at.

    Raises:
        ValueError: a column is missing, undeclared, or null where the schema forbids it.
    """
    spec = schema(name)
    declared = {column["name"]: column for column in spec["columns"] if only is None or column["name"] in only}
    extra = [column for column in frame.columns if column not in declared]
    missing = [column for column in declared if column not in frame.columns]
    if missing or (extra and not spec.get("open_columns")):
        raise ValueError(f"table {name}{where}: columns missing {missing}, undeclared {extra}")
    types = {c: declared[c]["dtype"] for c in declared} | {c: spec.get("open_columns") for c in extra}
    series = {}
    for column, dtype in types.items():
        values = frame[column]
        nullable = dtype in ("float32", "float64") or declared.get(column, {}).get("nullable")
        if not nullable and values.isna().any():
            raise ValueError(f"table {name}{where}: column {column} is null in {int(values.isna().sum())} rows")
        series[column] = values.astype(_PANDAS[dtype], copy=False)
    result = pd.DataFrame(series, index=frame.index)
    if spec.get("index"):
        result.index = pd.Index(result.index.astype(object), name=spec["index"])
        if only is None and not result.index.is_unique:
            raise ValueError(f"table {name}{where}: the index {spec['index']} has duplicates")
    return result


def write_table(frame: pd.DataFrame, path: str | Path, name: str) -> None:
    """Write a table, checked against its schema; the suffix of `path` chooses TSV or parquet."""
    frame = conform(frame, name)
    path = Path(path)
    with replacing(path) as partial:
        if path.suffix == ".parquet":
            _write_parquet(frame, partial)
        else:
            frame.to_csv(
                partial,
                sep="\t",
                index=frame.index.name is not None,
                na_rep="NA",
                float_format="%.6g",
                lineterminator="\n",
            )


ROW_GROUP = 100_000
"""Rows of a parquet file that are read together: one sample of a million cells is found without reading the others."""


def names_in(path: str | Path) -> list[str]:
    """Names of the columns that a parquet file holds, its index included."""
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def read_table(
    path: str | Path, name: str, columns: Sequence[str] | None = None, *, sample: str | None = None
) -> pd.DataFrame:
    """Read a table written by `write_table`, or some of its columns, checked against its schema.

    Args:
        path: the file.
        name: of the table.
        columns: those to read; all by default.
        sample: of a parquet table with the column `sample`, the rows to read.

    Raises:
        BrainmetError: the file cannot be read or does not have the declared columns.
    """
    path, spec = Path(path), schema(name)
    try:
        frame = _read_parquet(path, spec, columns, sample) if path.suffix == ".parquet" else _read_tsv(path, spec)
        if columns is not None:
            wanted = list(columns)
            return conform(frame[wanted], name, where=f" in {path}", only=wanted)[wanted]
        return conform(frame, name, where=f" in {path}")
    except (OSError, ValueError, KeyError) as error:
        raise BrainmetError(f"{path}: cannot be read as the table {name} ({error}); delete it and run again") from error


def _read_tsv(path: Path, spec: dict[str, Any]) -> pd.DataFrame:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                raise ValueError("its last line is cut")
    text = {c["name"]: str for c in spec["columns"] if c["dtype"] == "string"} | {spec.get("index") or "": str}
    boolean = [c["name"] for c in spec["columns"] if c["dtype"] == "bool"]
    frame = pd.read_csv(
        path,
        sep="\t",
        dtype=text,
        keep_default_na=False,
        na_values={c["name"]: ["NA"] for c in spec["columns"] if c["dtype"] != "string" or c.get("nullable")},
    )
    for column in boolean:
        frame[column] = frame[column].astype(str).map({"True": True, "False": False})
    return frame.set_index(spec["index"]) if spec.get("index") else frame


def _read_parquet(path: Path, spec: dict[str, Any], names: Sequence[str] | None, sample: str | None) -> pd.DataFrame:
    import pyarrow.parquet as pq

    index = spec.get("index")
    wanted = None if names is None else [*([index] if index else []), *names]
    rows = None if sample is None else [("sample", "==", sample)]
    table = pq.read_table(path, columns=wanted, memory_map=True, filters=rows)
    frame = table.replace_schema_metadata(None).to_pandas()
    return frame.set_index(index) if index else frame


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    index = frame.index.name
    flat = frame.reset_index() if index else frame
    arrays = [pa.array(flat[c].to_numpy(), type=_arrow_type(flat[c])) for c in flat.columns]
    table = pa.Table.from_arrays(arrays, names=list(flat.columns))
    if index:
        # Just enough for pandas.read_parquet to restore the index; pandas' own metadata carries versions.
        fields = [_pandas_field(c, str(flat[c].dtype)) for c in flat.columns]
        hint = {"index_columns": [index], "column_indexes": [], "columns": fields}
        table = table.replace_schema_metadata({"pandas": json.dumps(hint)})
    # A dictionary of numbers that hardly repeat takes three times as long to write, and mostly more space.
    texts = [c for c in flat.columns if flat[c].dtype == object]
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP, use_dictionary=texts)


def _pandas_field(name: str, dtype: str) -> dict[str, Any]:
    kind = "unicode" if dtype == "object" else dtype
    return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": dtype, "metadata": None}


def _arrow_type(values: pd.Series) -> Any:
    import pyarrow as pa

    return pa.string() if values.dtype == object else pa.from_numpy_dtype(np.dtype(values.dtype))
