"""Entries of claims: what is asked amiss is told in one sentence, and a readout is told in words."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from brainmet.claims.entries import describe, load
from brainmet.errors import BrainmetError

from tests.claims.test_claims import claim
from tests.compare_toy import COMPARISON
from tests.running import HOME


def test_shipped_claims_are_valid_and_name_known_signatures() -> None:
    entries = load([HOME / "resources/claims/claims.yaml"])
    known = {s["id"] for s in yaml.safe_load((HOME / "resources/signatures/signatures.yaml").read_text())["signatures"]}
    assert len(entries) == len({entry["id"] for entry in entries}) >= 25
    assert {f"B{i}" for i in range(1, 21) if i not in (11, 15, 18, 19)} <= {entry["id"] for entry in entries}
    prefixes = {entry["id"].split("_")[0] for entry in entries}
    assert {f"B{i}" for i in range(1, 21)} | {"C1", "C2", "C3"} | {f"D{i}" for i in range(1, 7)} <= prefixes
    axes = {axis["id"] for axis in yaml.safe_load((HOME / "resources/crosstalk/axes.yaml").read_text())["axes"]}
    genes = set(pd.read_csv(HOME / "resources/genes/human.tsv.gz", sep="\t", usecols=["symbol"], dtype=str)["symbol"])
    for entry in entries:
        readout = entry["readout"]
        named = [*readout.get("mean", []), *([readout["signature"]] if "signature" in readout else [])]
        named += readout.get("similarity", {}).get("of", [])
        assert set(named) <= known
        listed = [*readout.get("genes", []), readout.get("gene"), readout.get("detected"), *readout.get("without", [])]
        assert set(filter(None, listed)) <= genes, entry["id"]
        crosstalk = readout.get("crosstalk", {})
        assert {*crosstalk.get("above", []), *crosstalk.get("below", []), *crosstalk.get("axes", [])} <= axes
        assert set(entry.get("also", [])) <= {other["id"] for other in entries}


def test_series_of_the_paper_behind_a_claim_cannot_confirm_it() -> None:
    series = [yaml.safe_load(path.read_text()) for path in sorted((HOME / "resources/datasets").glob("*.yaml"))]
    papers = [(str(one["id"]), (one.get("citation") or {}).get("doi")) for one in series]
    entries = load([HOME / "resources/claims/claims.yaml"])
    own = {e["id"]: {name for name, doi in papers if doi and doi == e["reference"].get("doi")} for e in entries}
    assert {"B1": {"GSE186344", "GSE186344_melanoma"}, "C1": {"GSE125989"}}.items() <= own.items()
    missing = {e["id"]: own[e["id"]] - set(e.get("derived_from", [])) for e in entries}
    assert not {name: lacking for name, lacking in missing.items() if lacking}


def test_a_malformed_claim_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"claims": [claim(direction="sideways")]}))
    with pytest.raises(BrainmetError, match=r"mine.yaml: claims.X.direction: 'sideways' is not allowed"):
        load([file])


def test_a_companion_that_does_not_exist_is_told_with_its_file(tmp_path: Path) -> None:
    files = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    for path, entry in zip(files, (claim(id="A"), claim(id="B", also=["typo"])), strict=True):
        path.write_text(yaml.safe_dump({"claims": [entry]}))
    with pytest.raises(BrainmetError, match=r"second.yaml: the claim B: also: there is no claim typo"):
        load(files)


WRONG = {
    "id": ({"id": "Y"}, "the claim Y is already defined"),
    "also": ({"also": ["typo"]}, "also: there is no claim typo"),
    "nothing": ({"readout": {}}, "exactly one of signature, gene, .* is needed, not none"),
    "half": ({"readout": {"over_arm": "17q"}}, "is needed, not none"),
    "two": ({"readout": {"gene": "A", "detected": "A"}}, "is needed, not gene, detected"),
    "minus": (
        {"readout": {"detected": "A", "minus": ["t_cell"]}},
        "minus belongs to a readout of signature, .*detected",
    ),
    "without": ({"readout": {"genes": ["A", "B"], "without": ["A"]}}, "take them out of genes itself"),
    "axes": ({"readout": {"crosstalk": {"above": ["x"]}}}, "crosstalk needs axes, or above and below"),
    "any": ({"compartment": "any"}, "any names no cells; write tumor, or whole_sample"),
    "types": (
        {"readout": {"share": {"of": ["a"], "among": ["b"]}}, "types": ["a"]},
        "types: share names its cells itself",
    ),
    "against": ({"against": 0.5}, "against: two groups are compared with each other"),
    "where": ({"comparison": COMPARISON | {"where": {"subtyp": "TNBC"}}}, "unknown key; did you mean subtype"),
    "over": ({"readout": {"gene": "A", "over": {}}}, "readout.over"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_claim_that_its_readout_cannot_answer_is_refused(case: str, tmp_path: Path) -> None:
    fields, sentence = WRONG[case]
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"claims": [claim(id="Y"), claim(**fields)]}))
    with pytest.raises(BrainmetError, match=sentence):
        load([file])


@pytest.mark.parametrize(
    ("readout", "told"),
    [
        ({"signature": "emt"}, "emt"),
        ({"mean": ["a", "b"], "minus": ["t_cell", "nk"]}, "a + b minus that of t_cell, nk"),
        ({"gene": "A", "over": {"genes": ["B", "C"]}}, "A over B + C"),
        ({"genes": ["A", "B"], "over_arm": "17q"}, "A + B over the genes of 17q"),
        ({"share": {"of": ["stroma"], "among": ["tumor", "stroma"]}}, "share of stroma among tumor, stroma"),
        ({"correlation": {"a": "emt", "b": ["A", "B"], "given": ["depth"]}}, "correlation of emt and A+B given depth"),
        ({"crosstalk": {"above": ["x"], "below": ["y", "z"]}}, "x over y, z"),
        ({"crosstalk": {"axes": ["x", "y"]}}, "x, y"),
        ({"similarity": {"of": ["a", "b"], "to": ["neuron"]}}, "similarity of 2 signatures to neuron"),
        ({"detected": "A"}, "share of cells that detect A"),
    ],
)  # fmt: skip
def test_a_readout_is_told_in_words(readout: dict[str, Any], told: str) -> None:
    assert describe(readout) == told
