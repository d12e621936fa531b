"""The contract: table schemas are well formed, append-only where others rely on them, and light to import."""

import subprocess
import sys

import pytest
from brainmet import contract
from brainmet.core import tables

NAMES = sorted(path.stem for path in tables.SCHEMAS.glob("*.yaml"))

FROZEN = {
    "contrasts": "signature cell_type contrast estimator study effect ci_low ci_high n_a n_b p fdr p_perm",
    "claims": "claim verdict estimator effect ci_low ci_high n_donors n_studies coverage reason",
    "concordance": "scope class n precision recall f1",
    "annotation": (
        "dataset sample donor condition cluster lineage cell_type cell_ontology_term_id confidence malignancy "
        "malignancy_score tumour_of_origin reason author_label author_cell_type"
    ),
    "coverage": "sample signature n_listed n_measured n_detected scorable reason",
}


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_well_formed(name):
    spec = tables.schema(name)
    assert spec["name"] == name
    assert set(spec) <= {"name", "description", "path", "index", "columns", "open_columns", "target", "cells"}
    names = [column["name"] for column in spec["columns"]]
    assert len(set(names)) == len(names)
    for column in spec["columns"]:
        assert set(column) <= {"name", "dtype", "description", "nullable"}, column
        assert column["dtype"] in ("string", "bool", "int64", "int32", "float64", "float32"), column
        assert column["description"].strip(), column
    assert list(tables.empty(name).columns) == names


@pytest.mark.parametrize("name", FROZEN)
def test_columns_that_others_rely_on_stay(name):
    promised = FROZEN[name].split()
    columns = tables.columns(name)
    assert [column for column in columns if column in promised] == promised


def test_keys_are_told_once():
    slots = [(key.slot, key.name) for key in contract.COUNTS_KEYS]
    assert len(set(slots)) == len(slots)
    assert contract.markdown().count("\n") == len(contract.COUNTS_KEYS) + 1


@pytest.mark.parametrize("module", ["brainmet.datasets", "brainmet.run.config", "brainmet.run.code"])
def test_what_the_snakefile_imports_is_light(module):
    heavy = "{'pandas', 'numpy', 'scipy', 'anndata', 'scanpy', 'pyarrow'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_streaming_a_sample_needs_neither_anndata_nor_scanpy():
    code = "import sys, brainmet.core.counts, brainmet.core.tables; print({'anndata', 'scanpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
