"""Votes on small tables, by hand."""

import numpy as np
import pandas as pd
import pytest
from brainmet.annotate.consensus.votes import joined, together, weighed
from brainmet.core.documents import read_yaml
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import ROOT, TYPES


def test_a_reference_votes_only_among_what_it_knows():
    """The share of the types that it does not know stays, and so do cells that it says nothing of."""
    joint = np.array([[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]])
    votes = np.array([[np.nan, 0.1, 0.9], [np.nan, 0.0, 0.0]])
    result = joined(joint, votes, np.array([False, True, True]), weight=1.0)
    assert result[0, 0] == pytest.approx(0.6) and result[0, 2] / result[0, 1] == pytest.approx(3.0)
    assert result[1].tolist() == joint[1].tolist()


def test_a_reference_that_is_listed_first_rules_out_no_type():
    """It knows immune cells alone; the method after it knows every type and has the tumour cell for epithelial."""
    types = load_cell_types([TYPES])
    names, index = types.decided("broad", "clear"), pd.Index(["S:1"])
    tables = {
        "markers": pd.DataFrame(0.0, index=index, columns=[f"score_{name}" for name in names]),
        "reference": pd.DataFrame({"vote_t_cell": [0.6], "vote_b_cell": [0.4]}, index=index),
        "all_types": pd.DataFrame(0.0, index=index, columns=[f"vote_{name}" for name in names]).assign(
            vote_epithelial=0.9, vote_t_cell=0.1
        ),
    }
    settings = read_yaml(ROOT / "config/config.yaml")["annotate"]["consensus"]
    used = ("vote_weight", "neighbour_share", "none_shown", "own_steepness", "rare_score")
    options = {key: settings[key] for key in used}
    condition, nobody = pd.Series(["other"], index=index), np.zeros((1, 0), int)
    found = []
    for order in (["markers", "reference", "all_types"], ["markers", "all_types", "reference"]):
        votes = weighed({name: tables[name] for name in order}, condition, nobody, types, **options)
        found.append(dict(zip(votes.names, votes.share[0], strict=True)))
    assert found[0]["epithelial"] > 0.8 and found[0] == found[1]


def test_types_of_one_class_share_its_probability():
    share = np.array([[0.4, 0.35, 0.25], [0.1, 0.2, 0.7]])
    groups = np.array(["mural", "mural", "unknown"], dtype=object)
    assert together(share, groups, share.argmax(axis=1)).tolist() == pytest.approx([0.75, 0.7])
