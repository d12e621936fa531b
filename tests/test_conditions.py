"""The table of conditions, and the places that list conditions beside it."""

import re
from typing import Any

import pytest
from brainmet.conditions import CONDITIONS, ids
from brainmet.core.documents import read_yaml
from brainmet.extract.cellxgene import terms
from brainmet.report.palette import colours


def test_schemas_allow_exactly_these(home: Any) -> None:
    schemas = home / "workflow/schemas"
    dataset = read_yaml(schemas / "dataset.schema.yaml")["$defs"]["condition"]["enum"]
    enums = re.findall(r"enum: \[(primary, [\w, ]+)\]", (schemas / "config.schema.yaml").read_text())
    assert dataset == list(CONDITIONS) and [enum.split(", ") for enum in enums] == [list(CONDITIONS)]


def test_properties_select() -> None:
    assert ids(normal=True) == ("normal_brain", "peritumoural_brain", "normal_breast")
    assert ids(model=True) == ("cell_line", "xenograft", "organoid")
    assert ids(epithelium="none", normal=False) == ("glioma",)
    with pytest.raises(AttributeError):
        ids(cultured=True)


def test_each_has_a_colour_of_its_own_and_terms() -> None:
    assert len(set(colours(CONDITIONS).values())) == len(CONDITIONS)
    fields = ("assay", "tissue", "disease", "sex", "ethnicity", "development_stage", "age", "suspension", "technology")
    record = dict.fromkeys([*fields, "primary_site", "organism"], "unknown")
    for name, condition in CONDITIONS.items():
        said = terms(record | {"condition": name})
        assert said["tissue_type"] == condition.tissue_type
        assert said["tissue_ontology_term_id"] == (condition.tissue or "UBERON:0000465")
