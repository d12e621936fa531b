"""A cell's own markers against its votes, and two identities in one cell, by hand."""

import numpy as np
import pandas as pd
import pytest
from brainmet.annotate.consensus.own_markers import heeded, own_scores, second_identity
from brainmet.annotate.consensus.reasons import reasons
from brainmet.annotate.marker_scores import clearly, islands, told_apart
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES

KINDS = load_cell_types([TYPES])
NAMES = ["t_cell", "nk", "b_cell", "mast", "ependymal"]
CLASSES = told_apart(NAMES, KINDS)


def test_classes_are_those_that_agreement_tells_apart():
    assert CLASSES.tolist() == ["t_nk", "t_nk", "b_plasma", KINDS.coarse("mast"), "ependymal"]


def test_a_rare_type_speaks_only_where_it_stands_out():
    markers = pd.DataFrame({f"score_{name}": [0.9, 1.1] for name in NAMES}).assign(score_b_cell=np.nan)
    own = own_scores(markers, NAMES, KINDS, rare_score=1.0)
    assert own[0].tolist() == [pytest.approx(0.9)] * 2 + [-np.inf] * 3
    assert own[1].tolist() == [pytest.approx(1.1)] * 2 + [-np.inf, pytest.approx(1.1), pytest.approx(1.1)]


@pytest.mark.parametrize(
    ("own", "kept", "taker"),
    [
        ([0.0, -0.2, 0.6, -np.inf, -np.inf], np.exp(-2 * 0.5), 2),  # none of T or NK, B cells' lead by .6
        ([-0.2, 0.3, 0.9, -np.inf, -np.inf], 1.0, 2),  # NK markers are the class's own
        ([0.0, 0.0, 0.1, -np.inf, -np.inf], 1.0, 2),  # a lead that says nothing yet
        ([-np.inf, -np.inf, 0.8, -np.inf, -np.inf], 1.0, 2),  # no marker of the class is measured: it cannot show any
        ([0.0, 0.0, -np.inf, -np.inf, -np.inf], 1.0, 2),
        ([0.0, 0.0, 0.4, 1.6, -np.inf], np.exp(-2 * 1.5), 3),
    ],
)
def test_what_a_call_keeps(own, kept, taker):
    votes = np.array([[0.7, 0.2, 0.05, 0.03, 0.02]] * 4)
    typical = [1.0, 0.5, 0.0, -np.inf, -np.inf]
    own = np.array([own, *[typical] * 3])
    found = heeded(votes, own, np.ones((4, 5)), CLASSES, none_shown=0.1, own_steepness=2.0)
    assert found.sum(axis=1) == pytest.approx(1.0) and found[1:] == pytest.approx(votes[1:])
    assert found[0, :2] == pytest.approx(votes[0, :2] * kept)
    assert found[0, taker] == pytest.approx(votes[0, taker] + 0.9 * (1 - kept))


def test_what_cells_of_the_class_usually_show_says_nothing():
    """B cells' genes that float in T cells, more in some: the same score, one time usual and one time not."""
    votes, tail = np.array([[0.9, 0.0, 0.1, 0.0, 0.0]] * 7), [-np.inf, -np.inf]
    usual, unusual = ([[1.0, 0.5, b, *tail] for b in scores] for scores in ([0.5, 0.1, 0.9, 0.3, 0.7, 0.4], [0.0] * 6))
    for others, kept in ((usual, 1.0), (unusual, np.exp(-2 * 0.7))):
        own = np.array([[0.0, 0.0, 0.8, *tail], *others])
        found = heeded(votes, own, np.full((7, 5), 0.4), CLASSES, none_shown=0.1, own_steepness=2.0)
        assert found[0, 0] == pytest.approx(0.9 * kept)


@pytest.mark.parametrize(
    ("around", "kept"),
    [([0.1, 0.0, 0.4, -1, -1], np.exp(-2 * 0.7)), ([0.1, 0, 0.39, -1, -1], 1), ([0.2, 0, 0.8, -1, -1], 1)],
)
def test_a_class_that_no_neighbour_shows_is_not_usual(around, kept):
    """Most cells called T cells are none: what they usually show is no defence where cell and neighbours show B."""
    votes, tail = np.array([[0.9, 0.0, 0.1, 0.0, 0.0]] * 7), [-np.inf, -np.inf]
    own = np.array([[0.0, 0.0, 0.8, *tail]] * 7)
    found = heeded(votes, own, np.array([around] * 7), CLASSES, none_shown=0.1, own_steepness=2.0)
    assert found[:, 0] == pytest.approx(0.9 * kept)


def test_a_second_identity_is_of_another_class_and_named():
    own = np.array([[1.0, 0.9, 0.2, 0.1, 0.0], [1.0, 0.9, 0.6, 0.1, 0.0]])
    second = second_identity(own, CLASSES, np.array([0, 0]), score=0.5)
    assert second.tolist() == [-1, 2]
    votes = np.array([[0.7, 0.3, 0, 0, 0], [0.9, 0.1, 0, 0, 0]])
    words = reasons(
        np.array(["t_cell", "t_cell"], object), NAMES, votes, np.array([[1], [-1]]), KINDS,
        shown=np.array(["CD3D ACTB", ""], object), copies=np.array(["", "no copy-number change"], object),
        second=second, origin=np.array(["", "origin neither declared nor shown"], object),
    )  # fmt: skip
    own = "none of its markers among the highest; no copy-number change; origin neither declared nor shown; "
    assert words.tolist() == [
        "CD3D high; neighbours agree 1/1; nk nearly as likely",
        own + "shows b_cell too, doublet-like",
    ]


def test_a_type_is_clear_by_its_score_or_alone():
    own = np.array([[1.0, 0.9, np.nan], [0.6, 0.1, -np.inf], [0.6, 0.2, 0.0], [0.4, -0.9, -0.9], [0.5, -0.9, -0.9]])
    assert clearly(own, score=1.0)[:, 0].tolist() == [True, True, False, False, True]
    assert not clearly(own, score=1.0)[:, 1:].any()


def test_islands_are_cells_that_stand_out_side_by_side():
    """Ten of 100 cells stand out by another type's markers, six of them among each other; uneven ones do not count."""
    own = np.tile([1.0, 0.0, -np.inf], (100, 1))
    own[:, 1] += np.resize([-0.01, 0.01], 100)
    own[[0, 1, 2, 3, 4, 5, 40, 50, 60, 80], 1] = 0.5
    near = (np.arange(100)[:, None] + np.arange(1, 6)) % 100
    near[:6] = [[j for j in range(6) if j != i] for i in range(6)]
    kinds, sample = np.full(100, "a"), np.full(100, "s")
    found = islands(own, kinds, sample, near, score=0.1, chance=1e-3)
    assert np.flatnonzero(found.within[:, 1]).tolist() == [0, 1, 2, 3, 4, 5]
    assert not found.within[:, [0, 2]].any()
    assert np.flatnonzero(found.near[:, 1]).tolist() == [0, 1, 2, 3, 4, 5, 40, 50, 60, 80, 98, 99]
    assert not islands(own, kinds, sample, near, score=0.6, chance=1e-3).near.any()
    assert not islands(own, kinds, sample, np.zeros((100, 0), int), score=0.1, chance=1e-3).within.any()
    # Where half of the cells show it, it is what the class shows.
    own[::2, 1] = 0.5
    assert not islands(own, kinds, sample, near, score=0.1, chance=1e-3).within.any()
