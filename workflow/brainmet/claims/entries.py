"""What claims say: their entries read and checked, the design and the value that they ask for, and their words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from brainmet.claims.measures import log_odds
from brainmet.compare.estimators import Design
from brainmet.contract import Compartment
from brainmet.core.citations import identifiers, mark
from brainmet.core.documents import read_yaml
from brainmet.core.validate import validate
from brainmet.errors import BrainmetError

SCHEMA = Path(__file__).parents[2] / "schemas" / "claim.schema.yaml"
CELLS_OF_THEIR_OWN = ("share", "crosstalk")
"""Readouts that name their cells themselves."""
EXPRESSION = ("signature", "gene", "genes", "mean")
KINDS = (*EXPRESSION, "share", "correlation", "burden", "crosstalk", "detected", "similarity")
"""Kinds of readouts, of which a claim has one."""


def load(files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Claims of several files, in order.

    Raises:
        BrainmetError: a file is malformed, an id appears twice, or a claim asks for what its readout cannot give.
    """
    claims: dict[str, dict[str, Any]] = {}
    file_of: dict[str, Path] = {}
    for file in files:
        path = Path(file)
        if not path.is_file():
            raise BrainmetError(
                f"{path}: no such file; correct claims.files (paths are relative to the working directory)"
            )
        try:
            document = read_yaml(path)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BrainmetError(f"{path}: is not YAML ({' '.join(str(error).split())}); correct it") from error
        validate(document, read_yaml(SCHEMA), name=path.name)
        for claim in document["claims"]:
            if claim["id"] in claims:
                raise BrainmetError(f"{path}: the claim {claim['id']} is already defined; rename one of them")
            if mistake := _mistake(claim):
                raise BrainmetError(f"{path}: the claim {claim['id']}: {mistake}")
            claims[claim["id"]] = claim
            file_of[claim["id"]] = path
    for claim in claims.values():
        if unknown := [name for name in claim.get("also", []) if name not in claims]:
            where = f"{file_of[claim['id']]}: the claim {claim['id']}"
            raise BrainmetError(f"{where}: also: there is no claim {unknown[0]}; correct the name")
    return list(claims.values())


def _mistake(claim: Mapping[str, Any]) -> str:
    """What a claim asks for that its readout cannot give, and what to do; empty where nothing is."""
    readout, by_value = claim["readout"], "b" not in claim["comparison"]
    kinds = [name for name in KINDS if name in readout]
    if len(kinds) != 1:
        return f"readout: exactly one of {', '.join(KINDS)} is needed, not {', '.join(kinds) or 'none'}"
    (kind,) = kinds
    changes = [name for name in ("minus", "over", "over_arm", "without") if name in readout]
    if changes and kind not in EXPRESSION:
        return f"readout: {changes[0]} belongs to a readout of {', '.join(EXPRESSION)}; it cannot change {kind}"
    if "without" in changes and kind not in ("signature", "mean"):
        return f"readout: without takes genes out of a signature; take them out of {kind} itself"
    if {"over", "over_arm"} <= set(changes):
        return "readout: of over and over_arm one is possible"
    if kind == "crosstalk" and set(readout[kind]) not in ({"axes"}, {"above", "below"}):
        return "readout: crosstalk needs axes, or above and below"
    if claim["compartment"] == Compartment.ANY and kind not in CELLS_OF_THEIR_OWN:
        all_cells = f"{Compartment.WHOLE} for all cells of a donor"
        return f"compartment: {Compartment.ANY} names no cells; write {Compartment.TUMOUR}, or {all_cells}"
    ignored = {"share": ("types",), "crosstalk": ("types", "min_cells")}.get(kind, ())
    if unread := [name for name in ignored if name in claim]:
        return f"{unread[0]}: {kind} names its cells itself; delete the line"
    if "against" in claim and not by_value and kind != "correlation":
        return "against: two groups are compared with each other; delete the line, or b of the comparison"
    return ""


def design_of(entry: Mapping[str, Any], design: Design) -> Design:
    """The design with what the claim sets itself."""
    return replace(
        design,
        min_donors=entry.get("min_donors", design.min_donors),
        primary_site=entry["comparison"].get("site", design.primary_site),
    )


def threshold(entry: Mapping[str, Any]) -> float:
    """The value that a statement about one group compares with, on the scale of the test."""
    against = float(entry.get("against", 0.0))
    if "correlation" in entry["readout"]:
        return float(np.arctanh(against))
    return float(log_odds(against)) if "detected" in entry["readout"] else against


def reference(entry: Mapping[str, str]) -> str:
    """`text (doi or pmid)`, with a mark where it was not read."""
    found = identifiers(entry)
    shown = f"{entry['text']} ({', '.join(found)})" if found else entry["text"]
    return shown + mark(entry)


def describe(readout: Mapping[str, Any]) -> str:
    """The readout in words."""
    kind = next(kind for kind in KINDS if kind in readout)
    spec = readout[kind]
    if kind == "share":
        return f"share of {', '.join(spec['of'])} among {', '.join(spec['among'])}"
    if kind == "correlation":
        a, b = (side if isinstance(side, str) else "+".join(side) for side in (spec["a"], spec["b"]))
        return f"correlation of {a} and {b}" + (f" given {', '.join(spec['given'])}" if spec.get("given") else "")
    if kind == "crosstalk":
        over = f" over {', '.join(spec['below'])}" if "below" in spec else ""
        return ", ".join(spec.get("axes") or spec["above"]) + over
    if kind == "similarity":
        return f"similarity of {len(spec['of'])} signatures to {', '.join(spec['to'])}"
    if kind == "burden":
        return "mean absolute shift of chromosome arms against normal types found in both conditions"
    if kind == "detected":
        return f"share of cells that detect {spec}"
    what = spec if isinstance(spec, str) else " + ".join(spec)
    if "over" in readout:
        what += f" over {describe(readout['over'])}"
    if "over_arm" in readout:
        what += f" over the genes of {readout['over_arm']}"
    return f"{what} minus that of {', '.join(readout['minus'])}" if readout.get("minus") else what
