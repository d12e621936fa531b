"""Recovery counts what it says it counts."""

import numpy as np
import pandas as pd
import pytest
from brainmet import recovery
from brainmet.core.tables import conform

SCORES = np.array([0.9, 0.8, 0.8, 0.4, 0.3, 0.3, 0.1])
POSITIVE = np.array([True, True, False, True, False, False, False])


def values(rows: list[recovery.Metric]) -> dict[str, float]:
    return {metric: value for _, metric, value, _, _ in rows}


def test_areas_equal_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    for scores in (SCORES, rng.random(7), np.zeros(7)):
        assert recovery.auroc(scores, POSITIVE) == pytest.approx(metrics.roc_auc_score(POSITIVE, scores))
        assert recovery.average_precision(scores, POSITIVE) == pytest.approx(
            metrics.average_precision_score(POSITIVE, scores)
        )


def test_areas_of_one_class_are_unknown() -> None:
    assert np.isnan(recovery.auroc(SCORES, np.zeros(7, bool)))
    assert np.isnan(recovery.average_precision(SCORES, np.zeros(7, bool)))


@pytest.fixture
def truth() -> pd.DataFrame:
    obs = pd.DataFrame(
        {
            "sample": "S",
            "truth_cell_type": ["malignant_epithelial", "malignant_epithelial", "t_cell", "microglia", "macrophage_md"],
            "truth_malignant": [True, True, False, False, False],
            "truth_doublet": [False, True, False, False, False],
            "truth_partner": ["", "t_cell", "", "", ""],
            "truth_low_quality": [False, False, False, False, False],
            "truth_dying": [False, False, True, False, False],
        },
        index=list("abcde"),
    )
    return recovery.truth_of_cells({"S": obs})


@pytest.fixture
def cells(truth: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "doublet_score": np.array([0.1, 0.9, np.nan, 0.6, 0.2], np.float32),
            "doublet": [False, True, False, True, False],
            "keep": [True, False, False, False, True],
            "reason": ["", "doublet", "high_mt", "doublet", ""],
        },
        index=truth.index,
    )


@pytest.fixture
def annotation(truth: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_type": ["malignant_epithelial", "malignant_epithelial", "unknown", "microglia", "microglia"],
            "malignancy": ["malignant", "malignant", "normal", "likely_malignant", "uncertain"],
            "malignancy_score": np.array([0.9, 0.8, 0.1, 0.95, 0.5], np.float32),
        },
        index=truth.index,
    )


def coarse(name: str) -> str:
    return {"malignant_epithelial": "epithelial", "microglia": "myeloid", "macrophage_md": "myeloid"}.get(name, name)


def test_cell_ids_carry_the_sample(truth: pd.DataFrame) -> None:
    assert list(truth.index) == ["S:a", "S:b", "S:c", "S:d", "S:e"]


def test_quality_and_doublets(truth: pd.DataFrame, cells: pd.DataFrame) -> None:
    joined = cells.join(truth)
    quality = values(recovery.quality(joined))
    assert (
        quality["dying_dropped"] == 1 and quality["whole_cells_kept"] == 1 and np.isnan(quality["low_quality_dropped"])
    )
    doublets = values(recovery.doublets(joined))
    assert doublets["recall"] == doublets["recall_heterotypic"] == doublets["auroc"] == doublets["auprc"] == 1
    assert doublets["precision"] == 0.5


def test_identity_is_judged_on_single_cells(truth: pd.DataFrame, annotation: pd.DataFrame) -> None:
    found = values(recovery.identity(annotation.join(truth), coarse))
    assert found["accuracy"] == 0.75 and found["unknown"] == 0.25
    assert found["f1_epithelial"] == found["f1_myeloid"] == 1 and found["f1_t_cell"] == 0
    assert found["macro_f1"] == pytest.approx(2 / 3) and found["microglia_or_macrophage"] == 0.5


def test_malignancy(truth: pd.DataFrame, annotation: pd.DataFrame) -> None:
    found = values(recovery.malignancy(annotation.join(truth)))
    assert found["sensitivity"] == 1 and found["specificity"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(5 / 6) and found["auroc"] == pytest.approx(2 / 3)
    assert found["uncertain"] == 0.25


def test_copy_number_is_judged_by_sign_on_the_arms_that_were_called() -> None:
    true = pd.DataFrame(
        {
            "sample": "S",
            "arm": ["1q", "8p", "2p", "3p", "5q", "21p"],
            "state": ["gain", "loss", "neutral", "neutral", "gain", "neutral"],
            "share": [1.0, 1.0, 0.0, 0.0, 0.35, 0.0],
        }
    )
    called = {"1q": "gain", "8p": "gain", "2p": "neutral", "3p": "loss", "5q": "gain"}
    arms = pd.DataFrame({"sample": "S", "group": "malignant", "arm": list(called), "call": list(called.values())})
    arms = pd.concat([arms, arms.assign(group="immune", call="neutral")])
    found = values(recovery.copy_number(arms, true))
    assert found == {"sensitivity": 0.5, "specificity": 0.5, "precision": 0.5, "sensitivity_subclonal": 1.0}
    assert np.isnan(list(values(recovery.copy_number(arms[:0], true)).values())).all()


@pytest.fixture
def shifts() -> pd.DataFrame:
    rows = [
        ("up", 1, "true", "", "B2", "recovered"),
        ("missed", 1, "true", "", "", ""),
        ("turned", -1, "true", "", "B4", "contradicted"),
        ("still", 0, "null", "", "C1", "not_contradicted"),
        ("trapped", 1, "trap", "study_only", "B10", "not_recovered"),
    ]
    table = pd.DataFrame(rows, columns=["signature", "direction", "kind", "trap", "claim", "verdict"])
    constant = {"cell_type": "malignant_epithelial", "contrast": "m_vs_p", "study": "all"}
    return conform(table.assign(log2_shift=table["direction"].astype(float), **constant), "truth_shifts")


@pytest.fixture
def contrasts() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "signature": ["up", "missed", "turned", "still", "trapped"],
            "effect": [2.0, 0.1, 1.0, 0.5, 1.0],
            "fdr": [0.01, 0.8, 0.01, 0.04, 0.3],
        }
    )
    about = {"cell_type": "malignant", "contrast": "m_vs_p", "estimator": "within", "study": "pooled"}
    table = table.assign(**about, explained_by="")
    # What must not be counted: other estimators, other compartments, single studies.
    others = [{"estimator": "nested"}, {"cell_type": "t_cell"}, {"study": "demo_a"}]
    return pd.concat([table, *(table.assign(fdr=1e-9, **other) for other in others)])


def test_shifts_count_only_the_deciding_rows_with_the_right_sign(contrasts: pd.DataFrame, shifts: pd.DataFrame) -> None:
    rows = recovery.shift_rows(contrasts, shifts, alpha=0.05)
    found = values(rows)
    assert values(recovery.shift_rows(contrasts, shifts, alpha=0.02))["falsely_found"] == 0
    assert found["found"] == pytest.approx(1 / 3) and found["wrong_sign"] == pytest.approx(1 / 3)
    assert found["falsely_found"] == 1 and found["traps_found"] == found["trap_study_only"] == 0
    note = next(note for _, metric, _, _, note in rows if metric == "found")
    assert "missed: missed, turned" in note


def test_a_finding_marked_as_ambient_rna_is_none(contrasts: pd.DataFrame, shifts: pd.DataFrame) -> None:
    marked = contrasts.assign(explained_by="depth;ambient_rna")
    assert values(recovery.shift_rows(marked, shifts, alpha=0.05))["falsely_found"] == 0
    other = contrasts.assign(explained_by="depth")
    assert values(recovery.shift_rows(other, shifts, alpha=0.05))["falsely_found"] == 1


def test_claims_are_judged_against_the_verdict_that_the_truth_calls_for(shifts: pd.DataFrame) -> None:
    claims = pd.DataFrame(
        {
            "claim": ["B2", "B4", "C1", "B10", "B99"],
            "verdict": ["recovered", "contradicted", "equivalent", "recovered", "x"],
        }
    )
    rows = recovery.claim_rows(claims, shifts)
    assert values(rows) == {"right_verdict": 0.75, "true_claims_decided": 1.0, "trap_claims_confirmed": 1.0}
    assert "wrong: B10 recovered" in rows[0][4]
    silent = recovery.claim_rows(claims.assign(verdict="not_testable"), shifts)
    assert np.isnan(silent[0][2]) and silent[0][3] == 0


def test_the_table_conforms(
    truth: pd.DataFrame, cells: pd.DataFrame, annotation: pd.DataFrame, contrasts: pd.DataFrame, shifts: pd.DataFrame
) -> None:
    arms = pd.DataFrame({"sample": ["S"], "group": ["malignant"], "arm": ["1q"], "call": ["gain"]})
    true = pd.DataFrame({"sample": ["S"], "arm": ["1q"], "state": ["gain"], "share": [1.0]})
    table = recovery.recovery(
        truth,
        cells,
        annotation,
        arms=arms,
        true_arms=true,
        contrasts=contrasts,
        claims=pd.DataFrame({"claim": ["B2"], "verdict": ["recovered"]}),
        shifts=shifts,
        coarse=coarse,
        alpha=0.05,
    )
    conform(table, "recovery")
    steps = ["qc", "doublets", "identity", "malignancy", "copy_number", "shifts", "claims"]
    assert list(dict.fromkeys(table["step"])) == steps and not table.duplicated(["step", "metric"]).any()
