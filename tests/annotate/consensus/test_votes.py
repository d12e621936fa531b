"""Votes on small tables, by hand."""

import numpy as np
import pytest
from brainmet.annotate.consensus.votes import joined, together


def test_a_reference_votes_only_among_what_it_knows():
    """The share of the types that it does not know stays, and so do cells that it says nothing of."""
    joint = np.array([[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]])
    votes = np.array([[np.nan, 0.1, 0.9], [np.nan, 0.0, 0.0]])
    result = joined(joint, votes, np.array([False, True, True]), weight=1.0)
    assert result[0, 0] == pytest.approx(0.6) and result[0, 2] / result[0, 1] == pytest.approx(3.0)
    assert result[1].tolist() == joint[1].tolist()


def test_types_of_one_class_share_its_probability():
    share = np.array([[0.4, 0.35, 0.25], [0.1, 0.2, 0.7]])
    groups = np.array(["mural", "mural", "unknown"], dtype=object)
    assert together(share, groups, share.argmax(axis=1)).tolist() == pytest.approx([0.75, 0.7])
