"""Contrasts: which estimator applies, what each says, and that nothing is found where nothing is."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import concat
from brainmet.compare import compare, parts_of, pooled_p
from brainmet.compare import nulls as stage
from brainmet.compare.confounders import explained_by
from brainmet.compare.contrast import Contrast
from brainmet.compare.contrasts import contrasts
from brainmet.compare.donor_scores import GeneSet
from brainmet.compare.donors import Cohort, compartments, declared, platforms, profiles
from brainmet.compare.estimators import DonorValues
from brainmet.compare.nulls import nulls
from brainmet.core.tables import conform
from brainmet.stats.power import noncentrality
from scipy import stats

from tests.compare_toy import CONTRAST, DESIGN, NULL, SCORING, SET, bulk, donors


def values_of(frame: pd.DataFrame, effect: float = 0.0, seed: int = 0):
    x = np.random.default_rng(seed).normal(size=(len(frame), 2))
    x[:, 0] += effect * (frame["condition"] == "brain_metastasis")
    table = pd.DataFrame(x, frame.index, ["f", "other"])
    return DonorValues.of_table(table)


def pooled(rows: pd.DataFrame, feature: str = "f") -> pd.Series:
    return rows[(rows["study"] == "pooled") & (rows["feature"] == feature)].iloc[0]


def test_within_one_study_is_welchs_test() -> None:
    frame = donors({"s": (5, 6)})
    values = values_of(frame, 1.0)
    row = pooled(compare(values, frame, CONTRAST, design=DESIGN))
    table = values.of(frame.index)["f"]
    is_a = frame["condition"] == "brain_metastasis"
    assert row["estimator"] == "within"
    assert row["model"] == "one_study"
    assert row["p"] == pytest.approx(stats.ttest_ind(table[is_a], table[~is_a], equal_var=False).pvalue)
    assert (row["n_a"], row["n_b"], row["n_studies"]) == (5, 6, 1)


def test_three_studies_are_pooled_by_random_effects() -> None:
    frame = donors({"s": (4, 4), "t": (5, 3), "u": (3, 6), "alone": (5, 0)})
    rows = compare(values_of(frame, 1.0), frame, CONTRAST, design=DESIGN)
    row = pooled(rows)
    assert row["model"] == "random_effects"
    assert row["studies"] == "s;t;u"
    assert (row["ci_low"], row["ci_high"]) == (row["hk_low"], row["hk_high"])
    assert row["prediction_low"] <= row["ci_low"]
    assert set(rows["study"]) == {"s", "t", "u", "pooled"}


def paired(frame: pd.DataFrame, studies: str) -> pd.DataFrame:
    """The frame with the donors of some studies seen in both groups."""
    twice = frame["study"].isin(list(studies))
    names = frame["donor"].str.replace("brain_metastasis|primary", "d", regex=True)
    return frame.assign(donor=frame["donor"].mask(twice, names))


APART = {name: ((4 + i, 0) if name < "d" else (0, 3 + 2 * i)) for i, name in enumerate("abcxyz")}
DESIGNS = {
    "three against three": donors({"s": (3, 3)}),
    "four against eight": donors({"s": (4, 8)}),
    "two unequal studies": donors({"s": (3, 7), "t": (6, 3)}),
    "four studies": donors(dict.fromkeys("stuv", (3, 4))),
    "pairs": paired(donors({"s": (8, 8)}), "s"),
    "pairs in two studies": paired(donors({"s": (6, 6), "t": (4, 4)}), "st"),
    "pairs and others": paired(donors({"s": (5, 5), "t": (4, 4)}), "s"),
    "nested": donors(APART),
}
LUNG = {f"{name}, lung": frame.assign(primary_site="lung") for name, frame in list(DESIGNS.items())[1:3]}


@pytest.mark.parametrize("name", [*DESIGNS, *LUNG])
@pytest.mark.parametrize("shape", ["normal", *(pytest.param(s, marks=pytest.mark.slow) for s in ("skewed", "ties"))])
def test_estimators_keep_their_level_and_flip_with_the_groups(name: str, shape: str) -> None:
    """1,000 features without any difference: p, permutation p and intervals; the same numbers with the other sign when
    the groups change their names, and whatever the order of the donors."""
    rng, many = np.random.default_rng(1), 1000
    frame = (DESIGNS | LUNG)[name]
    size = len(frame), many
    draw = {
        "normal": lambda: rng.normal(size=size),
        "skewed": lambda: rng.exponential(size=size),
        "ties": lambda: rng.integers(0, 3, size).astype(float),
    }
    x = draw[shape]() + rng.normal(size=(frame["study"].nunique(), many))[pd.factorize(frame["study"])[0]]
    x += rng.normal(size=(frame["donor"].nunique(), many))[pd.factorize(frame["donor"])[0]] * (shape != "ties")
    x[:, 0], x[: len(frame) // 2, 1] = 1.0, 0.0  # no variation at all; none in half of the donors
    table = pd.DataFrame(x, frame.index, [f"f{i}" for i in range(many)])

    def deciding(order: pd.DataFrame, compared: Contrast) -> pd.DataFrame:
        rows = compare(DonorValues.of_table(table), order, compared, design=DESIGN)
        rows = rows[(rows["study"] == "pooled") & rows["estimator"].isin(["within", "nested", "transfer"])]
        return rows.reindex(columns=[*rows.columns, *({"p_perm", "p_perm_min"} - set(rows.columns))])

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        rows = deciding(frame, CONTRAST)
        back = deciding(frame, replace(CONTRAST, a=CONTRAST.b, b=CONTRAST.a))
        mixed = deciding(frame.sample(frac=1, random_state=2), CONTRAST)
    assert set(rows["estimator"]) == {"transfer" if "lung" in name else "nested" if name == "nested" else "within"}
    assert np.isnan(rows["p"].iloc[0]) and np.isnan(rows["effect"].iloc[0])
    excess = 0.035 if shape == "ties" else 0.02
    assert (rows["p"] < 0.05).mean() <= 0.05 + excess
    assert (rows["p_perm"] <= 0.05).mean() <= 0.07
    known = rows["p"].notna()
    assert ((rows["ci_low"] <= 0) & (rows["ci_high"] >= 0))[known].mean() >= 0.95 - excess  # as the test has it
    assert ((rows["difference_low"] <= 0) & (rows["difference_high"] >= 0))[known].mean() >= 0.91
    for column in ("effect", "difference", "prediction_low"):
        other = "prediction_high" if column == "prediction_low" else column
        if column in rows:
            np.testing.assert_allclose(rows[column], -back[other], atol=1e-12)
    for column in ("p", "p_perm", "p_perm_min", "se", "n_studies"):
        np.testing.assert_allclose(rows[column], back[column], atol=1e-12)
        np.testing.assert_allclose(rows[column], mixed[column], atol=1e-12)


def test_a_contrast_of_one_subtype_leaves_the_others_out() -> None:
    frame = donors({"s": (8, 8)})
    frame["subtype"] = np.tile(["TNBC", "HER2_pos"], 8)
    high = ((frame["subtype"] == "TNBC") & (frame["condition"] == "brain_metastasis")).to_numpy()
    table = pd.DataFrame({"f": np.random.default_rng(0).normal(size=16) + 5 * high}, frame.index)
    values = DonorValues.of_table(table)
    found = {
        value: pooled(compare(values, frame, replace(CONTRAST, where={"subtype": (value,)}), design=DESIGN))
        for value in ("TNBC", "HER2_pos", "HR_pos")
    }
    assert (found["TNBC"]["n_a"], found["TNBC"]["n_b"]) == (4, 4)
    assert found["TNBC"]["p"] < 0.01 < found["HER2_pos"]["p"]
    assert found["HR_pos"]["reason"].startswith("no breast donor of brain_metastasis or primary with enough cells")
    assert found["HR_pos"]["reason"].endswith("(subtype HR_pos)")
    brain = replace(CONTRAST, b="normal_brain", where={"subtype": ("TNBC",)})
    normal = frame.assign(condition=frame["condition"].replace("primary", "normal_brain"))
    assert pooled(compare(values, normal, brain, design=DESIGN))["n_b"] == 8  # it has no subtype


def test_a_study_with_too_few_donors_does_not_count_in_a_nested_estimate() -> None:
    full = donors(APART)
    more = pd.concat([full, donors({"few": (2, 0)})])
    row, same = (pooled(compare(values_of(more, 2.0), frame, CONTRAST, design=DESIGN)) for frame in (more, full))
    assert (row["n_a"], row["n_studies"], row["studies"]) == (same["n_a"], 6, "a;b;c;x;y;z")


def test_a_gene_that_no_primary_expresses_can_be_tested_across_studies() -> None:
    """Every primary has the same value: its group has no variance of its own."""
    frame = donors(APART)
    high = (frame["condition"] == "brain_metastasis").to_numpy()
    value = np.where(high, 3 + np.random.default_rng(0).normal(size=len(frame)), 0.0)
    table = pd.DataFrame({"f": value}, frame.index)
    row = pooled(compare(DonorValues.of_table(table), frame, CONTRAST, design=DESIGN))
    assert row["estimator"] == "nested" and row["p"] < 0.01 and 2 < row["difference"] < 4


def test_swapping_the_groups_flips_the_sign_and_nothing_else() -> None:
    frame = donors({"s": (4, 5), "t": (6, 3)})
    forth = pooled(compare(values_of(frame, 1.0), frame, CONTRAST, design=DESIGN))
    back = pooled(compare(values_of(frame, 1.0), frame, replace(CONTRAST, a=CONTRAST.b, b=CONTRAST.a), design=DESIGN))
    assert forth["effect"] == pytest.approx(-back["effect"])
    assert forth["p"] == pytest.approx(back["p"])


def test_groups_in_different_studies_are_confounded() -> None:
    frame = donors({"s": (9, 0), "t": (0, 9)})
    row = pooled(compare(values_of(frame, 5.0), frame, CONTRAST, design=DESIGN))
    assert row["estimator"] == "confounded"
    assert row["p"] < 1e-4
    assert "brain_metastasis in s, primary in t" in row["reason"]
    frame = frame.assign(donor=[f"P{i}" for i in (*range(9), *range(5, 14))])
    same_names = pooled(compare(values_of(frame, 5.0), frame, CONTRAST, design=DESIGN))
    assert same_names["n_a"] == same_names["n_b"] == 9


def test_three_studies_per_group_are_nested_and_the_study_is_the_unit() -> None:
    frame = donors({"a": (9, 0), "b": (9, 0), "c": (9, 0), "x": (0, 9), "y": (0, 9), "z": (0, 9)})
    row = pooled(compare(values_of(frame, 3.0), frame, CONTRAST, design=DESIGN))
    assert row["estimator"] == "nested"
    assert row["n_studies"] == 6
    assert row["ci_low"] > 0


def test_another_technology_is_refused_with_a_sentence() -> None:
    frame = donors({"s": (4, 4)})
    frame["platform"] = np.where(frame["condition"] == "primary", "10x nucleus", "10x cell")
    row = pooled(compare(values_of(frame), frame, CONTRAST, design=DESIGN))
    assert row["estimator"] == "refused"
    assert "cannot be told from one of condition" in row["reason"]
    assert np.isnan(row["effect"])


def on_platforms(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The same donors measured on each platform."""
    frames = [frame.assign(platform=name).rename(index=lambda i, name=name: f"{i}|{name}") for name in names]
    return pd.concat(frames)


def test_donors_measured_on_two_platforms_count_once() -> None:
    """Within a study and nested; n, p and rows are those of one platform, the one with more donors."""
    for studies in ({"s": (4, 4)}, APART):
        both = on_platforms(donors(studies), "cell", "nucleus")
        values = values_of(both, 1.0)
        rows = compare(values, both.iloc[1:], CONTRAST, design=DESIGN)
        one = compare(values, both[both["platform"] == "nucleus"], CONTRAST, design=DESIGN)
        pd.testing.assert_frame_equal(rows, one)
        assert not rows.duplicated(["feature", "estimator", "study"]).any()
    apart = on_platforms(donors({"s": (2, 0)}), "cell", "nucleus")
    row = pooled(compare(values_of(apart), pd.concat([apart, donors({"s": (0, 4)})]), CONTRAST, design=DESIGN))
    assert row["reason"].startswith("too few donors: 2 of brain_metastasis")
    assert (row["n_a"], row["n_b"]) == (2, 4)


def test_signatures_of_donors_on_two_platforms_can_be_set_beside_those_without_ambient_rna() -> None:
    data = bulk({"s": (4, 4)}, shift=1.0, types=["malignant_epithelial"])
    again = data.copy()
    again.obs = again.obs.assign(suspension="nucleus").rename(index=lambda i: f"{i}|n")
    cohort = Cohort(concat([data, again], merge="same"), {}, min_cells=10, needed=["malignant"])
    table = contrasts(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING, clean=cohort)
    rows = table[(table["study"] == "pooled") & table["signature"].eq("shifted") & table["family"].eq("confirmatory")]
    assert rows[["n_a", "n_b", "n_studies", "model"]].to_numpy().tolist() == [[4, 4, 1, "one_study"]]
    assert rows["effect_clean"].item() == rows["effect"].item()
    marks = explained_by(table, cohort, [SET, NULL], [], [CONTRAST], design=DESIGN, scoring=SCORING)
    assert (marks == "").all()


def test_a_nested_estimate_detects_what_its_own_test_finds() -> None:
    row = pooled(compare(values_of(donors(APART)), donors(APART), CONTRAST, design=DESIGN))
    assert row["mde"] == pytest.approx(noncentrality(4, power=0.8, alpha=0.05) * row["se"])


def test_models_are_not_compared_with_patients_and_stand_beside_none() -> None:
    frame = donors(APART)
    mouse = (frame["condition"] == "brain_metastasis").to_numpy()
    species = {"organism": np.where(mouse, "mouse", "human"), "technology": "10x", "suspension": "cell"}
    apart = frame.assign(**species)
    apart["platform"] = platforms(apart)
    row = pooled(compare(values_of(frame), apart, CONTRAST, design=DESIGN))
    assert row["estimator"] == "refused"
    assert (
        "measured on 10x cell mouse and primary on 10x cell: a difference of technology, suspension or species"
        in row["reason"]
    )
    both = donors({"s": (4, 4), "m": (4, 4)})
    both["organism"] = np.where(both["study"] == "m", "mouse", "human")
    assert pooled(compare(values_of(both), both, CONTRAST, design=DESIGN))["studies"] == "s"
    alone = both[both["study"] == "m"]
    assert pooled(compare(values_of(both), alone, CONTRAST, design=DESIGN))["studies"] == "m"


@pytest.mark.parametrize("site", ["breast", "lung"])
def test_a_glioma_is_a_control_of_tumours_of_any_primary(site: str) -> None:
    frame = donors({"s": (5, 5)}, primary_site=site)
    frame = frame.assign(condition=frame["condition"].replace("primary", "glioma"))
    glioma = frame["condition"] == "glioma"
    frame = frame.assign(
        primary_site=frame["primary_site"].mask(glioma, "brain"), subtype=frame["subtype"].mask(glioma, "unknown")
    )
    against = Contrast("x", "brain_metastasis", "glioma", where={"subtype": ("TNBC",)})
    rows = compare(values_of(frame, 1.0), frame, against, design=DESIGN)
    estimator = "within" if site == "breast" else "transfer"
    row = rows[(rows["study"] == "pooled") & (rows["estimator"] == estimator) & (rows["feature"] == "f")].iloc[0]
    assert (row["n_a"], row["n_b"], row["primary_site"]) == (5, 5, site)
    back = compare(values_of(frame, 1.0), frame, replace(against, a="glioma", b="brain_metastasis"), design=DESIGN)
    turned = back.loc[(back["estimator"] == estimator) & (back["feature"] == "f"), "effect"]
    np.testing.assert_allclose(turned, [-row["effect"]] * 2)
    normal = frame.assign(condition=frame["condition"].replace("brain_metastasis", "normal_brain"))
    asked = compare(values_of(frame), normal, Contrast("x", "glioma", "normal_brain"), design=DESIGN)
    assert (
        asked.loc[asked["estimator"] == "not_testable", "reason"].iloc[0].startswith("no breast donor of glioma with")
    )
    assert "within" not in set(asked["estimator"])


def test_another_primary_is_transfer_and_never_pooled() -> None:
    frame = donors({"s": (4, 4), "lung": (4, 4)})
    frame.loc[frame["study"] == "lung", "primary_site"] = "lung"
    rows = compare(values_of(frame, 1.0), frame, CONTRAST, design=DESIGN)
    assert pooled(rows)["studies"] == "s"
    other = rows[(rows["estimator"] == "transfer") & (rows["study"] == "pooled")]
    assert set(other["studies"]) == {"lung"}
    assert set(other["primary_site"]) == {"lung"}


def test_an_unknown_primary_site_takes_no_part() -> None:
    frame = donors({"s": (4, 4)}, primary_site="unknown")
    row = pooled(compare(values_of(frame), frame, CONTRAST, design=DESIGN))
    assert row["estimator"] == "not_testable"
    assert "no breast donor" in row["reason"]


def test_donors_seen_twice_are_compared_with_themselves() -> None:
    frame = donors({"s": (6, 6)})
    frame["donor"] = frame["donor"].str.replace("brain_metastasis", "d").str.replace("primary", "d")
    values = values_of(frame, 1.0)
    row = pooled(compare(values, frame, CONTRAST, design=DESIGN))
    table = values.of(frame.index)["f"]
    a, b = (table[frame["condition"] == group].to_numpy() for group in ("brain_metastasis", "primary"))
    assert row["design"] == "paired"
    assert row["p"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    flips = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T @ (a - b)
    assert row["p_perm"] == pytest.approx((np.abs(flips) >= abs((a - b).sum()) - 1e-9).mean())


def test_one_donor_in_both_groups_counts_once() -> None:
    frame = donors({"s": (4, 5)})
    frame.iloc[0, frame.columns.get_loc("donor")] = frame["donor"].iloc[4]
    row = pooled(compare(values_of(frame), frame, CONTRAST, design=DESIGN))
    assert (row["n_a"], row["n_b"]) == (4, 4)


def test_no_donor_at_all_gives_a_row_that_says_so() -> None:
    frame = donors({"s": (4, 0)})
    row = pooled(compare(values_of(frame), frame, CONTRAST, design=DESIGN))
    assert row["estimator"] == "not_testable"
    assert "primary" in row["reason"]


def test_compartments_pool_the_tumour_and_name_the_rest() -> None:
    words = {"tumor": ["malignant_luminal"], "myeloid": ["microglia", "macrophage_md"], "nk": ["nk"], "any": []}
    found = compartments({"malignant_luminal", "malignant_basal", "microglia", "macrophage_md", "nk", "unknown"}, words)
    assert found["malignant"] == ("malignant_basal", "malignant_luminal")
    assert found["myeloid"] == ("macrophage_md", "microglia")
    assert found["nk"] == ("nk",)
    assert "unknown" not in found
    assert declared("tumor") == declared("any") == "malignant"


def test_samples_of_a_donor_are_summed() -> None:
    data = bulk({"s": (2, 0)}, shift=0)
    data.obs["donor"] = "one"
    found = profiles(data, ["t_cell"], min_cells=10)
    rows = (data.obs["cell_type"] == "t_cell").to_numpy()
    assert len(found.donors) == 1
    np.testing.assert_array_equal(found.counts[0], data.X[rows].sum(axis=0))


@pytest.fixture(scope="module")
def shifted() -> pd.DataFrame:
    cohort = Cohort(bulk({"s": (4, 4), "t": (4, 4)}, shift=1.0), {"tumor": []}, min_cells=10, needed=["malignant"])
    return contrasts(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING)


def test_a_planted_shift_is_found_where_it_is(shifted: pd.DataFrame) -> None:
    conform(shifted, "contrasts")
    rows = shifted[(shifted["study"] == "pooled") & (shifted["family"] == "confirmatory")].set_index("signature")
    assert rows.loc["shifted", "fdr"] < 0.01
    assert rows.loc["shifted", "effect"] > 2
    assert rows.loc["shifted", "p_perm"] < 0.01
    assert rows.loc["null", "p"] > 0.05
    elsewhere = shifted[(shifted["study"] == "pooled") & (shifted["cell_type"] == "t_cell")].set_index("signature")
    assert elsewhere.loc["shifted", "p"] > 0.01
    assert set(elsewhere["family"]) == {"exploratory"}


def test_turning_the_truth_around_turns_the_sign() -> None:
    cohort = Cohort(bulk({"s": (4, 4), "t": (4, 4)}, shift=-1.0), {}, min_cells=10)
    rows = contrasts(cohort, [SET], [CONTRAST], design=DESIGN, scoring=SCORING)
    row = rows[(rows["study"] == "pooled") & (rows["family"] == "confirmatory")].iloc[0]
    assert row["effect"] < -2
    assert row["fdr"] < 0.01


def test_a_gene_list_too_short_says_so() -> None:
    data = bulk({"s": (4, 4)}, shift=1.0)
    data.X[:, 3:20] = np.nan
    rows = contrasts(Cohort(data, {}, min_cells=10), [SET], [CONTRAST], design=DESIGN, scoring=SCORING)
    row = rows[(rows["study"] == "pooled") & (rows["family"] == "confirmatory")].iloc[0]
    assert np.isnan(row["effect"])
    assert row["reason"] == "3 of 20 genes measured"
    assert row["coverage"] == pytest.approx(0.15)


def test_other_contrasts_say_nothing_of_the_genes_of_this_one() -> None:
    """A study on a small panel takes part in one contrast; of two studies on different panels each has its coverage."""
    data = bulk({"s": (4, 4), "t": (4, 4), "v": (4, 4)}, shift=1.0)
    panel = {"t": 3, "v": 12}
    for study, n in panel.items():
        data.X[np.ix_((data.obs["study"] == study).to_numpy(), np.arange(n, 20))] = np.nan
    small = (data.obs["study"] == "t").to_numpy()
    data.obs["condition"] = np.where(small & (data.obs["condition"] == "primary"), "csf", data.obs["condition"])
    cohort = Cohort(data, {}, min_cells=10)
    fluid, none = (replace(CONTRAST, id=f"vs_{b}", b=b) for b in ("csf", "normal_brain"))
    first, second = (
        contrasts({"malignant": cohort["malignant"]}, [SET], order, design=DESIGN, scoring=SCORING)
        for order in ([fluid, none, CONTRAST], [CONTRAST, none, fluid])
    )
    pd.testing.assert_frame_equal(first, second)
    rows = first.set_index(["contrast", "study"])[["coverage", "reason"]]
    assert rows.loc[(CONTRAST.id, "s"), "coverage"] == 1 and rows.loc[(CONTRAST.id, "v"), "coverage"] == 0.6
    assert rows.loc[(CONTRAST.id, "pooled"), "coverage"] == 0.6
    assert rows.loc[("vs_csf", "pooled")].tolist() == [0.15, "3 of 20 genes measured"]
    assert rows.loc[("vs_normal_brain", "pooled"), "reason"] == "no donor of normal_brain with enough cells and counts"


def test_no_cells_at_all_leave_a_header() -> None:
    empty = bulk({"s": (1, 0)}, shift=0)[:0]
    table = contrasts(
        Cohort(empty, {}, min_cells=10, needed=["malignant"]), [SET], [CONTRAST], design=DESIGN, scoring=SCORING
    )
    assert set(table["estimator"]) <= {"not_testable"}
    conform(table, "contrasts")


def _null_runs(number: int) -> pd.DataFrame:
    found = []
    for seed in range(number):
        cohort = Cohort(bulk({"s": (4, 4), "t": (4, 4)}, shift=0.0, seed=seed), {}, min_cells=10)
        rows = contrasts(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING)
        found.append(rows[(rows["study"] == "pooled") & (rows["family"] == "confirmatory")].assign(run=seed))
    return pd.concat(found)


def test_null_cohorts_are_calibrated() -> None:
    rows = _null_runs(12)
    assert (rows["p"] < 0.05).sum() <= stats.binom.ppf(0.999, len(rows), 0.05)
    assert rows.groupby("run")["fdr"].min().lt(0.05).sum() <= stats.binom.ppf(0.999, 12, 0.05)


@pytest.mark.slow
def test_200_null_cohorts_are_calibrated() -> None:
    rows = _null_runs(200)
    assert rows.groupby("run")["fdr"].min().lt(0.05).sum() <= 16
    assert stats.kstest(rows["p"], "uniform").pvalue > 0.001


def test_nulls_of_a_run_are_counted() -> None:
    cohort = Cohort(bulk({"s": (4, 4), "t": (4, 4)}, shift=0.0), {}, min_cells=10)
    table = nulls(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING, runs=30, clean=cohort)
    conform(table, "nulls")
    kinds = ["labels", "random_sets in malignant", "random_sets in malignant, less ambient RNA"]
    assert table["kind"].tolist() == kinds
    parts = list(table[["null", "compartment", "profiles"]].itertuples(index=False, name=None))
    assert parts == [
        ("labels", "", "measured"),
        ("random_sets", "malignant", "measured"),
        ("random_sets", "malignant", "less_ambient"),
    ]
    assert (table["n_tests"] == 60).all()
    assert not table["exceeded"].any()
    assert (table["reading"] == "as chance allows").all()


def test_no_null_is_drawn_where_no_donor_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """T cells are found in one group alone: their signature has no null, and none is drawn."""
    data = bulk({"s": (4, 4)}, shift=0.0)
    data = data[((data.obs["cell_type"] != "t_cell") | (data.obs["condition"] == "primary")).to_numpy()].copy()
    asked: list[str] = []
    draw = stage.random_like
    monkeypatch.setattr(
        stage, "random_like", lambda sets, *a, **k: asked.extend(s.id for s in sets) or draw(sets, *a, **k)
    )
    sets = [SET, GeneSet("elsewhere", NULL.up, compartment="t_cell")]
    cohort = Cohort(data, {"t_cell": ["t_cell"]}, min_cells=10)
    table = nulls(cohort, sets, [CONTRAST], design=DESIGN, scoring=SCORING, runs=5)
    assert asked == ["shifted"]
    assert table["kind"].tolist() == ["labels", "random_sets in malignant"]


def test_random_sets_pass_where_many_genes_differ_and_the_reading_says_so() -> None:
    """Half of all genes differ between the groups, half of them by ambient RNA alone: the null is of genes, not of
    donors."""
    data = bulk({"s": (4, 4), "t": (4, 4)}, shift=0.0)
    high = (data.obs["condition"] == "brain_metastasis").to_numpy()
    data.X[np.ix_(high, np.arange(100, 300))] *= np.random.default_rng(0).choice([1, 3], 200)
    cohort, clean = (
        Cohort(data, {}, min_cells=10),
        Cohort(bulk({"s": (4, 4), "t": (4, 4)}, shift=0.0), {}, min_cells=10),
    )
    raw = nulls(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING, runs=30, clean=clean).set_index("kind")
    assert raw.loc["random_sets in malignant", "exceeded"]
    assert "ambient RNA differs" in raw.loc["random_sets in malignant", "reading"]
    broad = nulls(cohort, [SET, NULL], [CONTRAST], design=DESIGN, scoring=SCORING, runs=30, clean=cohort).set_index(
        "kind"
    )
    assert "many genes differ" in broad.loc["random_sets in malignant", "reading"]
    assert not broad.loc["labels", "exceeded"]


def test_bound_on_runs_with_a_discovery_is_the_quantile_of_a_binomial():
    for n in (1, 20, 100, 1000):
        for alpha in (0.01, 0.05, 0.5):
            assert stage.binomial_bound(n, alpha) == stats.binom.ppf(0.975, n, alpha)


def test_a_cohort_knows_its_compartments_without_making_profiles(monkeypatch: pytest.MonkeyPatch):
    cohort = Cohort(bulk({"s": (2, 2)}, shift=0), {}, min_cells=1, needed=["neuron"])
    monkeypatch.setattr("brainmet.compare.donors.profiles", None)
    assert (
        "neuron" in cohort and "t_cell" in cohort and "nothing" not in cohort and all(name in cohort for name in cohort)
    )


@pytest.mark.parametrize("name", ["four against eight", "pairs", "pairs and others"])
def test_names_of_donors_and_conditions_decide_nothing(name: str) -> None:
    """Labels are drawn here: there are more of them than 30."""
    frame, design = DESIGNS[name], replace(DESIGN, permutations=30)
    values = values_of(frame, 0.8)
    rows = compare(values, frame, CONTRAST, design=design)
    other = frame.assign(
        donor=["x" + donor[::-1] for donor in frame["donor"]],
        condition=frame["condition"].map({"brain_metastasis": "primary", "primary": "brain_metastasis"}),
    )
    other.index = other["study"] + "|" + other["donor"] + "|" + other["condition"]
    table = values.of(frame.index).set_axis(other.index)
    turned = Contrast(CONTRAST.id, "primary", "brain_metastasis")
    again = compare(DonorValues.of_table(table), other.iloc[::-1], turned, design=design)
    shown = ["feature", "study", "effect", "ci_low", "p", "p_perm", "difference", "mde"]
    pd.testing.assert_frame_equal(rows[shown], again[shown], check_exact=True)


def test_a_nested_feature_without_variation_says_why_it_has_no_effect() -> None:
    frame = DESIGNS["nested"]
    table = pd.DataFrame({"f": 1.0, "other": np.arange(len(frame)) % 5.0}, frame.index)
    rows = compare(DonorValues.of_table(table), frame, CONTRAST, design=DESIGN)
    assert rows.set_index("feature")["reason"].to_dict() == {"f": "not scorable, or without variation", "other": ""}


@pytest.mark.parametrize("name", ["nested", "pairs"])
def test_values_are_those_of_the_donors_that_are_compared(name: str) -> None:
    """Values at the depth of the smallest donor; that of one which is left out is none."""
    frame = DESIGNS[name]
    other = donors({"v": (0, 1)} if name == "nested" else {"s": (0, 1)}).assign(donor="other")
    depths = pd.Series(10.0, frame.index)

    def effect(members: pd.DataFrame, depths: pd.Series) -> pd.DataFrame:
        table = pd.DataFrame(np.random.default_rng(0).normal(size=(len(members), 2)), members.index, ["f", "other"])
        rows = compare(
            DonorValues(table.columns, lambda i: table.loc[i] * depths.reindex(i).min()),
            members,
            CONTRAST,
            design=DESIGN,
        )
        return rows[["feature", "study", "estimator", "difference"]]

    other.index = "other|" + other.index
    more = pd.concat([depths, pd.Series(0.1, other.index)])
    pd.testing.assert_frame_equal(effect(frame, depths), effect(pd.concat([frame, other]), more))


def test_intervals_are_not_computed_where_p_alone_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = donors({"s": (4, 4), "t": (3, 5)})
    parts = parts_of(values_of(frame), frame, CONTRAST, design=DESIGN)
    rows = compare(values_of(frame), frame, CONTRAST, design=DESIGN)
    monkeypatch.setattr("brainmet.stats.effects._interval", None)
    np.testing.assert_array_equal(pooled_p(parts, min_studies=3), rows.loc[rows["study"] == "pooled", "p"])
