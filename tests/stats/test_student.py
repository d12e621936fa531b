"""Student's t beside scipy.stats, which is not to be imported for it: the same numbers to the last bit."""

import subprocess
import sys

import numpy as np
import pytest
from brainmet.stats import effects, student
from scipy import stats

DF = np.array([-1, 0, 0.3, 1, 1.5, 2, 7.77, 30, 500.2, 1e6, np.inf, np.nan])


def test_tail_probability_is_that_of_scipy():
    x = np.array([-np.inf, -50, -1e-9, 0, 0.1, 2, 40, 1e300, np.inf, np.nan])[:, None]
    np.testing.assert_array_equal(student.sf(x, DF), stats.t.sf(x, DF))
    assert student.sf(2.0, 3) == pytest.approx(0.0696630)  # R: pt(2, 3, lower.tail = FALSE)


def test_quantile_is_that_of_scipy():
    p = np.array([1e-300, 1e-9, 0.001, 0.025, 0.5, 0.999])[:, None]
    np.testing.assert_array_equal(student.isf(p, DF), stats.t.isf(p, DF))
    assert student.isf(0.025, 3) == pytest.approx(3.182446)


def test_false_discovery_rate_is_that_of_scipy():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 1000):
        p = rng.random(n).round(2)  # with ties
        np.testing.assert_array_equal(effects.fdr(p), stats.false_discovery_control(p))


@pytest.mark.parametrize(
    "module",
    [
        "compare.inputs",
        "claims.inputs",
        "compare.contrasts",
        "compare.nulls",
        "compare.type_markers",
        "claims",
        "claims.correlations",
        "crosstalk",
        "models",
    ],
)
def test_a_job_does_not_pay_for_scipy_stats(module):
    code = f"import sys, brainmet.{module}; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
