"""Arms of a group of cells in the unit of what normal lineages differ by."""

import numpy as np
import pandas as pd
from brainmet.copy_number.aneuploidy import LINEAGE_T, MAX_T, ArmLimits, arm_tests, border, lineage_scale

ARM = np.repeat(np.array(["1p", "1q", "2p", "2q"], dtype=object), 100)


def profile(seed: int, gained: str = "") -> np.ndarray:
    """Counts of a group by gene, half as many again on the gained arm."""
    mean = np.random.default_rng(0).gamma(2, 200, len(ARM)) * np.where(gained == ARM, 1.5, 1.0)
    return np.random.default_rng(seed).poisson(mean).astype(float)


def test_a_gained_arm_is_the_only_one_that_changes() -> None:
    limits = ArmLimits(min_genes=20, min_t=3, min_shift=0.1, max_fdr=0.05, min_arms=1)
    normal = np.array([profile(1), profile(2)])
    arms = arm_tests(profile(3, gained="1q"), normal, ARM, scale=LINEAGE_T, min_genes=20)
    assert arms.index[limits.changed(arms)].tolist() == ["1q"]
    assert 0.3 < arms.loc["1q", "shift"] < 0.6
    assert not limits.changed(arm_tests(profile(3), normal, ARM, scale=LINEAGE_T, min_genes=20)).any()


def test_a_change_has_all_limits_to_pass() -> None:
    limits = ArmLimits(min_genes=20, min_t=3, min_shift=0.1, max_fdr=0.05, min_arms=1)
    arms = pd.DataFrame({"t": [4.0, 2, 4, 4], "shift": [-0.2, 0.2, 0.05, 0.2], "fdr": [0.01, 0.01, 0.01, 0.2]})
    assert limits.changed(arms).tolist() == [True, False, False, False]


def test_what_lineages_differ_by_is_the_unit() -> None:
    alike = np.array([profile(1), profile(2), profile(3)])
    assert lineage_scale(alike[:1], ARM, min_genes=20) == lineage_scale(alike, ARM, min_genes=20) == LINEAGE_T
    apart = np.array([profile(1), profile(2, gained="1q")])
    assert LINEAGE_T < lineage_scale(apart, ARM, min_genes=20) <= MAX_T
    assert lineage_scale(apart, ARM, min_genes=101) == LINEAGE_T, "no arm has enough genes"


def test_two_groups_of_slopes_have_a_border_and_one_has_none() -> None:
    rng = np.random.default_rng(0)
    around_one = rng.normal(1, 0.1, 50)
    assert border(around_one) == -np.inf and border(around_one[:9]) == -np.inf
    assert 0.2 < border(np.concatenate([around_one, rng.normal(0, 0.1, 50)])) < 0.8
