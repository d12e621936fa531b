"""Drift: a nested contrast must stand out from what random genes show between the same studies."""

import numpy as np
import pandas as pd
import pytest
from brainmet import claims as stage
from brainmet.claims.readouts import Reader
from brainmet.compare.contrasts import contrasts
from brainmet.compare.donors import Cohort
from brainmet.compare.drift import drift, drift_of_random_sets
from brainmet.core.tables import conform

from tests.claims.test_claims import claim
from tests.compare_toy import CONTRAST, DESIGN, NULL, SCORING, SET, bulk

APART = {"a": (5, 0), "b": (5, 0), "c": (5, 0), "x": (0, 5), "y": (0, 5), "z": (0, 5)}


def drifted(*, shift: float, batch: float) -> Cohort:
    """Groups in different studies; with `batch` half of all genes differ between the studies of the two groups."""
    data = bulk(APART, shift=shift)
    other = data.obs["study"].isin(["x", "y", "z"]).to_numpy()
    genes = np.random.default_rng(1).permutation(300)[:150]
    data.X[np.ix_(other, genes)] = np.rint(data.X[np.ix_(other, genes)] * 2.0**batch)
    return Cohort(data, {}, min_cells=10, needed=["malignant"])


def pooled(cohort: Cohort) -> pd.DataFrame:
    table = contrasts(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING)
    table = conform(drift(table, cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING), "contrasts")
    rows = table[(table["study"] == "pooled") & (table["family"] == "confirmatory")]
    assert set(rows["estimator"]) == {"nested"}
    return rows.set_index("signature")


def test_a_true_shift_stands_out_from_random_sets() -> None:
    rows = pooled(drifted(shift=3.0, batch=0.0))
    assert rows.loc["shifted", "p_drift"] < 0.05
    assert rows.loc["shifted", "drift"] < abs(rows.loc["shifted", "effect"])
    assert rows.loc["null", "p_drift"] > 0.05
    assert rows["drift_elsewhere"].notna().all()


def test_a_batch_that_moves_any_gene_is_no_finding() -> None:
    rows = pooled(drifted(shift=0.0, batch=3.0))
    assert rows["drift"].min() > 2
    assert rows["p_drift"].min() > 0.02


@pytest.mark.parametrize(("p_drift", "verdict"), [(0.01, "supported"), (0.4, "inconclusive")])
def test_a_verdict_does_not_rest_on_drift(p_drift: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "drift_of_random_sets", lambda *args, **kwargs: np.array([[1.0, p_drift]]))
    reader = Reader(
        drifted(shift=3.0, batch=0.0), None, {"tumor": []}, [SET, NULL], min_share_cells=20, scoring=SCORING
    )
    row = stage.claims([claim()], reader, design=DESIGN, bound=0.5).iloc[0]
    assert row["estimator"] == "nested"
    assert row["verdict"] == verdict


@pytest.mark.parametrize(("primary", "more"), [("breast", {}), ("lung", {"site": "*"})])
def test_drift_of_a_claim_by_subtype_is_that_of_its_own_groups(primary: str, more: dict[str, str]) -> None:
    """The groups are subtypes of other studies: no donor has one for a condition. The claim's site is not the run's."""
    data = bulk(dict.fromkeys("abcxyz", (4, 0)), shift=0.0, primary_site=primary)
    her2 = data.obs["study"].isin(list("abc"))
    data.obs["subtype"] = np.where(her2, "HER2_pos", "TNBC")
    tumour = data.obs["cell_type"].str.startswith("malignant")
    data.X[np.ix_(her2 & tumour, np.arange(20))] *= 8
    reader = Reader(
        Cohort(data, {}, min_cells=10), None, {"tumor": []}, [SET, NULL], min_share_cells=20, scoring=SCORING
    )
    by = {"id": "x", "a": "HER2_pos", "b": "TNBC", "by": "subtype", "where": {"condition": "brain_metastasis"}}
    table = stage.claims([claim(comparison=by | more)], reader, design=DESIGN, bound=0.5)
    assert set(table["estimator"]) == {"nested"} and set(table["verdict"]) == {"supported"}
    assert (table["p_drift"] < 0.05).all()


def test_drift_without_enough_donors_is_not_known() -> None:
    profiles = Cohort(bulk(APART, shift=0.0), {}, min_cells=10)["malignant"]
    row = {"studies": "a;b;c;x;y", "platform": "10x_3prime cell"}
    settings = {"listed": [SET, NULL], "design": DESIGN, "scoring": SCORING}
    assert np.isnan(drift_of_random_sets(profiles, [SET], np.array([3.0]), row, CONTRAST, **settings)).all()
