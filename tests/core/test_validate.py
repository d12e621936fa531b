"""Validation messages: one line that names the key, the value, what is allowed and the nearest guess."""

import re

import pytest
import yaml
from brainmet.core import validate
from brainmet.core.documents import written
from brainmet.errors import BrainmetError
from brainmet.run import config
from hypothesis import given, settings
from hypothesis import strategies as st


def refuse(change: dict) -> str:
    document = {"datasets": ["demo"]} | change
    with pytest.raises(BrainmetError) as caught:
        config.check(document)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_config_is_valid_and_uses_every_key(home):
    shipped = yaml.safe_load((home / "config" / "config.yaml").read_text())
    config.check(shipped)

    def keys(spec, path=""):
        for name, child in spec.get("properties", {}).items():
            yield from keys(child, f"{path}{name}/") if "properties" in child else [f"{path}{name}"]

    def has(tree, path):
        for part in path.split("/"):
            if not isinstance(tree, dict) or part not in tree:
                return False
            tree = tree[part]
        return True

    assert [key for key in keys(config.schema()) if not has(shipped, key)] == []


def test_sections_stand_in_the_order_of_the_stages(home):
    stages = re.findall(r"rules/(\w+)\.smk", (home / "Snakefile").read_text())
    shipped = yaml.safe_load((home / "config/config.yaml").read_text())
    sections = [name for name, value in shipped.items() if isinstance(value, dict)]
    assert sections == [name for name in stages if name in shipped]
    assert list(config.schema()["properties"]) == list(shipped)


def test_an_unknown_key_is_refused_with_the_nearest():
    assert refuse({"exclud": []}).startswith(
        "config.yaml: exclud: unknown key; did you mean exclude?; allowed: datasets,"
    )


def test_a_wrong_type_names_key_and_value():
    assert refuse({"exclude": "S1"}) == "config.yaml: exclude: 'S1' must be a list ([one, two])"


def test_mistakes_beneath_a_number_and_a_word_are_told():
    schema = {"additionalProperties": {"type": "string"}}
    with pytest.raises(BrainmetError, match=r"^x\.yaml: b: \[\] must be string$"):
        validate.validate({0: [], "b": []}, schema, name="x.yaml")


def test_an_empty_list_of_datasets_is_refused():
    assert refuse({"datasets": []}) == "config.yaml: datasets: [] must have at least 1 entries"


def test_a_value_outside_an_enumeration_gets_a_guess():
    schema = {"properties": {"mode": {"enum": ["harmony", "none"]}}}
    with pytest.raises(BrainmetError, match=r"mode: 'harmny' is not allowed; did you mean harmony\?; allowed"):
        validate.validate({"mode": "harmny"}, schema, name="x")


def test_a_missing_key_is_named():
    with pytest.raises(BrainmetError, match=r"^x: required key missing: datasets$"):
        validate.validate({}, {"required": ["datasets"]}, name="x")


def test_bounds_are_told():
    schema = {"properties": {"n": {"type": "number", "minimum": 0, "maximum": 1}}}
    with pytest.raises(BrainmetError, match=r"n: 7 must be at most 1"):
        validate.validate({"n": 7}, schema, name="x")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_no_limit_holds_for_are_refused(value):
    assert refuse({"qc": {"n_mads": value}}) == "config.yaml: qc.n_mads: not a finite number"
    assert refuse({"simulate": {"ambient": [0.1, value]}}) == "config.yaml: simulate.ambient.1: not a finite number"


def test_a_name_that_yaml_reads_as_a_number_is_to_be_quoted():
    assert (
        refuse({"exclude": [8]}) == "config.yaml: exclude.0: 8 is read as a number; put it in quotes as it is written"
    )
    assert refuse({"draft": 2024}).startswith("config.yaml: draft: 2024 is read as a number; put it in quotes")
    assert [written(name) for name in ("A1", "010", "NO")] == ["A1", "'010'", "'NO'"]


def test_numbers_from_the_command_line_are_read():
    document = {"datasets": ["8"], "exclude": ["010", "8"], "draft": None} | {
        "qc": {"n_mads": "4", "seed": "2", "fixed": {"min_counts": "null", "max_pct_mt": "7.5"}},
        "score": {"tier": ["1", "2"]}, "cluster": {"resolution": "0.8", "resolutions": ["0.5", "1"]},
        "duplicates": {"drop": "False"}, "embed": {"integrate": "none"},
    }  # fmt: skip
    config.check(document)
    assert document["qc"] == {"n_mads": 4, "seed": 2, "fixed": {"min_counts": None, "max_pct_mt": 7.5}}
    assert document["score"]["tier"] == [1, 2] and document["duplicates"]["drop"] is False
    assert document["cluster"] == {"resolution": 0.8, "resolutions": [0.5, 1]}
    whole = {"datasets": ["demo"], "features": {"n_top": "1e3"}}
    config.check(whole)
    assert whole["features"]["n_top"] == 1000 and isinstance(whole["features"]["n_top"], int)
    assert "is read as a number" not in refuse({"score": {"files": ["5"]}}), "a quoted text is told what it lacks"
    assert refuse({"exclude": "[]"}).startswith("config.yaml: exclude: '[]' must be")
    assert document["exclude"] == ["010", "8"] and document["embed"]["integrate"] == "none", "text stays text"
    assert refuse({"qc": {"n_mads": "three"}}) == "config.yaml: qc.n_mads: 'three' must be number"
    assert refuse({"qc": {"fixed": {"max_pct_mt": "500"}}}).endswith("max_pct_mt: 500 must be at most 100")


def test_a_key_that_is_no_text_is_refused():
    assert refuse({"annotate": {None: {}}}).startswith("config.yaml: annotate.None: unknown key; allowed: ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from([*config.schema()["properties"], "oops"]), json_values, max_size=4))
def test_no_document_breaks_the_validation(document):
    try:
        config.check(document)
    except BrainmetError as error:
        assert "\n" not in str(error)
