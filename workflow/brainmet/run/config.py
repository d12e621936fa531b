"""The user's configuration, checked before any rule is made."""

import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from brainmet.annotate import available
from brainmet.core.documents import read_schema, read_yaml
from brainmet.core.validate import guess, validate
from brainmet.errors import BrainmetError

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
OF_TYPE = ("type", "enum", "const", "oneOf", "anyOf")
"""Keywords of a schema that a value may fail for being text."""


def check(config: dict[str, Any]) -> None:
    """Check the merged configuration against the schema, and turn text that stands for a number into the number.

    Raises:
        BrainmetError: one line with the key, the value, what is allowed and the nearest guess.
    """
    rules = schema()
    read_numbers(config, rules)
    validate(config, rules, name="config.yaml")
    # A section of its own belongs to a method, of the run or of the benchmark; any other name is a slip of the pen.
    known, section = list(rules["properties"]["annotate"]["properties"]), config.get("annotate", {})
    allowed = list(dict.fromkeys([*known, *section.get("methods", []), *available()]))
    if unknown := [name for name in section if name not in allowed]:
        raise BrainmetError(
            f"config.yaml: annotate.{unknown[0]}: unknown key{guess(unknown[0], allowed)}; "
            f"allowed: {', '.join(allowed)}"
        )


def read_numbers(config: dict[str, Any], rules: dict[str, Any]) -> None:
    """Turn text into the number, truth value or null that the schema wants, in place.

    Snakemake reads everything inside braces on its command line as text: `--config 'qc={n_mads: 4}'` gives "4". Text
    stays text where the schema allows it, and where the schema says nothing, as of a method of the user's own.
    """
    for error in list(Draft202012Validator(rules).iter_errors(config)):
        if error.validator not in OF_TYPE or not error.absolute_path:
            continue
        value = _typed(error.instance)
        if Draft202012Validator({error.validator: error.validator_value}).is_valid(value):
            *above, last = error.absolute_path
            reduce(getitem, above, config)[last] = value


def _typed(value: Any) -> Any:
    """What a text, or the texts of a list, stand for."""
    if isinstance(value, list):
        return [_typed(entry) for entry in value]
    try:
        found = json.loads(value.lower(), parse_float=_number) if isinstance(value, str) else value
    except ValueError:
        return value
    return value if isinstance(found, list | dict) else found


def _number(text: str) -> float:
    """A number with a point or an exponent; 1e3 is a whole one."""
    number = float(text)
    return int(number) if number.is_integer() else number


def schema() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    return read_schema(SCHEMA)


def markdown() -> str:
    """Every key with its type, default and description, as the Markdown of `config/README.md`."""
    defaults = read_yaml(SCHEMA.parents[2] / "config" / "config.yaml")
    lines = []
    for name, spec in schema()["properties"].items():
        lines += ["", f"## `{name}`", "", spec["description"]]
        if "properties" in spec:
            lines += ["", "| key | type | default | meaning |", "|---|---|---|---|"]
            lines += _rows(name, spec, defaults.get(name))
        else:
            lines += ["", f"Type: {_type(spec)}; default: `{_show(defaults.get(name))}`."]
    return "\n".join(lines).strip() + "\n"


def _rows(path: str, spec: dict[str, Any], default: Any) -> list[str]:
    if "properties" not in spec:
        return [f"| `{path}` | {_type(spec)} | `{_show(default)}` | {_cell(spec['description'])} |"]
    return [
        row
        for name, child in spec["properties"].items()
        for row in _rows(f"{path}.{name}", child, default.get(name) if isinstance(default, dict) else None)
    ]


def _show(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()


def _type(spec: dict[str, Any]) -> str:
    if options := spec.get("oneOf", spec.get("anyOf")):
        return " or ".join(map(_type, options))
    if "enum" in spec or "const" in spec:
        return " or ".join(f"`{option}`" for option in spec.get("enum", [spec.get("const")]))
    kinds = spec["type"]
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    bounds = [
        f"{sign} {spec[key]}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in spec
    ]
    return f"{text} ({', '.join(bounds)})" if bounds else text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
