"""What dataset files allow: known designs give known estimators and numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from brainmet import datasets, design
from brainmet.claims import verdicts
from brainmet.claims.entries import load
from brainmet.compare.contrast import Contrast, read_contrasts
from brainmet.compare.estimators import Design
from brainmet.core.tables import conform
from brainmet.stats.power import noncentrality
from statsmodels.stats.power import TTestIndPower, TTestPower

ROOT = Path(__file__).parents[1]
CONTRASTS = [Contrast(f"brain_metastasis_vs_{b}", "brain_metastasis", b) for b in ("primary", "normal_brain")]
COMPARISON = {"id": CONTRASTS[0].id, "a": CONTRASTS[0].a, "b": CONTRASTS[0].b}
DESIGN = Design(min_donors=3, min_studies=3, primary_site="breast", permutations=100, seed=1, power=0.8, alpha=0.05)


def record(sample: str, study: str, condition: str, **fields: Any) -> dict[str, Any]:
    base = {
        "id": sample,
        "dataset": study,
        "study": study,
        "donor": sample,
        "condition": condition,
        "primary_site": "breast",
        "technology": "10x_3prime",
        "suspension": "cell",
        "values": "counts",
    }
    return base | fields


def group(study: str, condition: str, n: int, **fields: Any) -> dict[str, dict[str, Any]]:
    names = [f"{study}_{condition}_{i}" for i in range(n)]
    return {name: record(name, study, condition, **fields) for name in names}


def table(records: dict[str, dict[str, Any]], **published: dict[str, Any]) -> pd.DataFrame:
    rows = design.estimable(records, published, CONTRASTS, [], design=DESIGN)
    return conform(rows, "design").set_index("id")


def test_both_groups_in_one_study_are_within_with_the_power_of_a_t_test() -> None:
    row = table(group("s1", "brain_metastasis", 5) | group("s1", "primary", 7)).loc["brain_metastasis_vs_primary"]
    assert (row["estimator"], row["n_a"], row["n_b"], row["n_studies"]) == ("within", 5, 7, 1)
    expected = TTestIndPower().solve_power(nobs1=5, ratio=7 / 5, alpha=0.05, power=0.8)
    assert row["mde"] == pytest.approx(expected, rel=1e-4)


def test_what_changes_with_the_condition_is_said_before_a_run() -> None:
    records = group("s1", "brain_metastasis", 4, batch="run_2021") | group("s1", "primary", 4, batch="run_2019")
    row = table(records).loc["brain_metastasis_vs_primary"]
    assert (row["estimator"], row["reason"]) == ("within", "in every study the two groups differ in batch too")
    records["s1_primary_0"]["batch"] = "run_2021"
    assert table(records).loc["brain_metastasis_vs_primary", "reason"] == ""


def test_one_study_per_group_is_confounded_and_three_are_nested() -> None:
    two = group("s1", "brain_metastasis", 5) | group("s2", "primary", 5)
    row = table(two).loc["brain_metastasis_vs_primary"]
    assert row["estimator"] == "confounded"
    assert np.isnan(row["mde"])
    assert row["reason"]
    six: dict[str, dict[str, Any]] = {}
    for i in range(3):
        six |= group(f"m{i}", "brain_metastasis", 3) | group(f"p{i}", "primary", 3)
    assert table(six).loc["brain_metastasis_vs_primary", "estimator"] == "nested"


def test_what_is_detectable_is_that_of_studies_that_agree() -> None:
    """By hand: the t test of the model, and the standard error that numbers of donors alone give."""
    pooled = group("s1", "brain_metastasis", 8) | group("s1", "primary", 8)
    for i in (2, 3, 4):
        pooled |= group(f"s{i}", "brain_metastasis", 6) | group(f"s{i}", "primary", 9)
    x = table(pooled).loc["brain_metastasis_vs_primary", "mde"]
    precision = 1 / (1 / 4 + x**2 / 28) + 3 / (1 / 6 + 1 / 9 + x**2 / 26)
    assert x == pytest.approx(noncentrality(3, power=0.8, alpha=0.05) / precision**0.5)
    apart: dict[str, dict[str, Any]] = {}
    for i, n in enumerate((3, 4, 8)):
        apart |= group(f"m{i}", "brain_metastasis", n) | group(f"p{i}", "primary", n)
    nested = table(apart).loc["brain_metastasis_vs_primary", "mde"]
    assert nested == pytest.approx(noncentrality(4, power=0.8, alpha=0.05) * (2 / 15) ** 0.5, rel=1e-6)
    pairs = {
        f"{c}{i}": record(f"{c}{i}", "s1", c, donor=f"d{i}") for c in ("brain_metastasis", "primary") for i in range(6)
    }
    more = pairs | group("s1", "primary", 3)
    for records in (pairs, more):
        row = table(records).loc["brain_metastasis_vs_primary"]
        assert row["design"] == "paired"
        assert row["mde"] == pytest.approx(TTestPower().solve_power(nobs=6, alpha=0.05, power=0.8) * 2**0.5)


def test_a_patient_of_two_sites_is_one_donor_of_its_subtype() -> None:
    by = {"id": "X", "comparison": {"id": "x", "a": "HER2_pos", "b": "TNBC", "by": "subtype"}}
    receptors = {"HER2_pos": {"her2": "pos"}, "TNBC": {"er": "neg", "pr": "neg", "her2": "0"}}
    records = {
        f"{name}{i}{c}": record(f"{name}{i}{c}", "s1", c, donor=f"{name}{i}", **status)
        for name, status in receptors.items()
        for c in ("brain_metastasis", "primary")
        for i in range(2)
    }
    row = design.estimable(records, {}, [], [by], design=DESIGN).iloc[0]
    assert (row["estimator"], row["n_a"], row["n_b"]) == ("not_testable", 2, 2)


def test_mice_are_not_contrasted_with_patients() -> None:
    row = table(group("s1", "brain_metastasis", 4, organism="mouse") | group("s1", "primary", 4, organism="human"))
    assert row.loc["brain_metastasis_vs_primary", "estimator"] == "refused"
    assert "10x_3prime cell mouse" in row.loc["brain_metastasis_vs_primary", "reason"]


def test_another_primary_is_transfer() -> None:
    lung = group("s1", "brain_metastasis", 4, primary_site="lung") | group("s1", "primary", 4, primary_site="lung")
    rows = table(lung | group("s2", "brain_metastasis", 1)).loc[["brain_metastasis_vs_primary"]]
    assert set(rows["estimator"]) == {"transfer", "not_testable"}
    assert rows.set_index("estimator").loc["transfer", "primary_site"] == "lung"


def test_nuclei_and_cells_are_not_contrasted() -> None:
    row = table(group("s1", "brain_metastasis", 4, suspension="nucleus") | group("s1", "primary", 4))
    assert row.loc["brain_metastasis_vs_primary", "estimator"] == "refused"


def test_a_donor_sampled_twice_counts_once() -> None:
    records = group("s1", "brain_metastasis", 3) | group("s1", "primary", 3)
    records["again"] = record("again", "s1", "primary", donor="s1_primary_0")
    assert table(records).loc["brain_metastasis_vs_primary", "n_b"] == 3
    groups = conform(design.cohort(records), "design_cohort").set_index("condition")
    assert (groups.loc["primary", "n_samples"], groups.loc["primary", "n_donors"]) == (4, 3)


def test_logs_and_bulk_take_no_part_in_contrasts_of_cells() -> None:
    records = group("s1", "brain_metastasis", 4, values="log") | group("s1", "primary", 4, suspension="bulk")
    assert design.donors(records).empty
    assert set(table(records)["estimator"]) == {"not_testable"}


def test_paired_bulk_from_samples_and_as_published() -> None:
    pairs = {}
    for i in range(6):
        for condition in ("brain_metastasis", "primary"):
            name = f"{condition}_{i}"
            pairs[name] = record(name, "b1", condition, donor=f"d{i}", suspension="bulk")
    row = table(pairs).loc[["brain_metastasis_vs_primary"]].set_index("estimator").loc["bulk_paired"]
    assert (row["n_a"], row["n_b"]) == (6, 6)
    assert row["mde"] == pytest.approx(TTestPower().solve_power(nobs=6, alpha=0.05, power=0.8))
    said = table({"all": record("all", "b2", "other", suspension="bulk")}, b2={"pairs": 45})
    row = said.loc[["brain_metastasis_vs_primary"]].set_index("estimator").loc["bulk_paired"]
    assert row["n_a"] == 45
    assert "as published" in row["reason"]


def test_pairs_of_bulk_tissue_are_counted_by_primary_tumour() -> None:
    records = {}
    for site, n in (("breast", 3), ("lung", 2)):
        for i in range(n):
            for condition in ("brain_metastasis", "primary"):
                name = f"{site}_{condition}_{i}"
                fields = {"donor": f"{site}_{i}", "suspension": "bulk", "primary_site": site}
                records[name] = record(name, "b1", condition, **fields)
    rows = table(records)
    rows = rows[rows["estimator"] == "bulk_paired"].set_index("primary_site")
    assert rows["n_a"].to_dict() == {"breast": 3, "lung": 2}
    assert np.isfinite(rows.loc["breast", "mde"]) and np.isnan(rows.loc["lung", "mde"])


def test_claims_follow_their_comparison_and_its_floor() -> None:
    entries = load([ROOT / "resources" / "claims" / "claims.yaml"])
    entries = [entry for entry in entries if entry["id"] in ("B2", "B11_HER2")]
    lung = group("s1", "brain_metastasis", 4, primary_site="lung") | group("s1", "primary", 4, primary_site="lung")
    rows = design.estimable(lung, {}, CONTRASTS, entries, design=DESIGN)
    rows = rows[rows["kind"] == "claim"].set_index("id")
    assert sorted(rows.index) == sorted(entry["id"] for entry in entries)
    assert rows.loc["B2", "estimator"] == "not_testable"
    assert rows.loc["B2", "reason"] == "only an estimate by transfer is possible; the claim needs nested or better"
    both = group("s1", "brain_metastasis", 4) | group("s1", "primary", 4)
    rows = design.estimable(both, {}, CONTRASTS, entries, design=DESIGN).set_index("id")
    assert rows.loc["B2", "estimator"] == "within"
    assert rows.loc["B11_HER2", "estimator"] == "not_testable"
    assert rows.loc["B11_HER2", "reason"] == verdicts.TOO_FEW_PAIRS


def test_order_of_samples_changes_nothing() -> None:
    records = group("s1", "brain_metastasis", 4) | group("s2", "primary", 4) | group("s3", "normal_brain", 3)
    turned = dict(reversed(list(records.items())))
    pd.testing.assert_frame_equal(table(records), table(turned))


def test_cost_uses_published_numbers_where_there_are_any() -> None:
    assumed = {
        "cells_per_sample": 1000,
        "gb_base": 1.0,
        "gb_per_100k_cells": 1.0,
        "disk_gb_per_100k_cells": 2.0,
        "download_gb_per_100k_cells": 1.0,
        "seconds_per_1k_cells": 36.0,
    }
    records = group("s1", "primary", 2) | group("s2", "primary", 3) | group("s3", "primary", 1, suspension="bulk")
    size = design.cost(records, {"s2": {"cells": 98_000, "gigabytes": 3.0}}, **assumed)
    assert size == pytest.approx(
        {"cells": 1e5, "cores": 5, "memory_gb": 2, "download_gb": 3.02, "disk_gb": 5.02, "core_hours": 1}
    )


def test_the_whole_registry_in_words() -> None:
    folder = ROOT / "resources" / "datasets"
    loaded = datasets.load(sorted(path.stem for path in folder.glob("GSE*.yaml")), folders=[folder])
    records = datasets.records(loaded, exclude=[])
    published = {id_: entry.get("published", {}) for id_, entry in loaded.items()}
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    rows = design.estimable(records, published, read_contrasts(config["compare"]["contrasts"]), [], design=DESIGN)
    told = design.text(
        rows,
        design.cohort(records),
        design.cost(records, published, **config["design"]),
        design.unlisted(records, published),
    )
    paired = rows[rows["estimator"] == "bulk_paired"].set_index("studies")["n_a"]
    assert paired.to_dict() == {"GSE125989": 16, "GSE184869": 45}
    breast = rows[(rows["id"] == "brain_metastasis_vs_primary") & (rows["primary_site"] == "breast")]
    assert "within" not in set(breast["estimator"])  # no open breast series holds both sites
    assert "Donors by study" in told and "GSE184869: 45 primary, 45 brain_metastasis" in told
    assert "GSE176078:" not in told  # All of its donors are listed.


def test_every_claim_has_a_row_whatever_it_compares() -> None:
    entries = load([ROOT / "resources" / "claims" / "claims.yaml"])
    assert any("b" not in entry["comparison"] for entry in entries)
    folder = ROOT / "resources" / "datasets"
    loaded = datasets.load(sorted(path.stem for path in folder.glob("*.yaml")), folders=[folder])
    rows = design.estimable(datasets.records(loaded, exclude=[]), {}, [], entries, design=DESIGN).set_index("id")
    assert set(rows.index) == {entry["id"] for entry in entries}
    assert (rows["estimator"].isin(["within", "nested", "transfer"]) | rows["reason"].ne("")).all()


def test_a_statement_about_one_condition_needs_donors_of_it_alone() -> None:
    entries = load([ROOT / "resources" / "claims" / "claims.yaml"])
    one = next(e for e in entries if "b" not in e["comparison"] and set(e["comparison"]) <= {"id", "a", "site"})
    condition = one["comparison"]["a"]
    rows = design.estimable(group("s1", condition, 6), {}, [], [one], design=DESIGN).iloc[0]
    assert (rows["estimator"], rows["n_a"], rows["n_b"], rows["b"]) == ("within", 6, 0, "")
    few = design.estimable(group("s1", condition, 1), {}, [], [one], design=DESIGN).iloc[0]
    assert few["estimator"] == "not_testable" and "no study has" in few["reason"]


def test_tumours_are_chosen_by_what_the_analysis_chooses_them_by() -> None:
    records = group("s1", "brain_metastasis", 4, er="pos") | group("s1", "primary", 4, er="pos")
    records |= group("s2", "primary", 5, er="neg")
    positive = [replace(CONTRASTS[0], where={"er": ("pos",)})]
    row = design.estimable(records, {}, positive, [], design=DESIGN).iloc[0]
    assert (row["estimator"], row["n_a"], row["n_b"]) == ("within", 4, 4)
    by = {"id": "X", "comparison": {"id": "x", "a": "pos", "b": "neg", "by": "er"}}
    both = records | group("s2", "brain_metastasis", 6, er="pos")
    row = design.estimable(both, {}, [], [by], design=DESIGN).iloc[0]
    assert (row["estimator"], row["n_a"], row["n_b"]) == ("within", 6, 5)


def test_of_several_primaries_the_one_with_most_donors_decides() -> None:
    records: dict[str, dict[str, Any]] = {}
    for i, (site, n) in enumerate({"colon": 3, "lung": 5, "skin": 4}.items()):
        records |= group(f"s{i}", "brain_metastasis", n, primary_site=site)
        records |= group(f"s{i}", "primary", n, primary_site=site)
    entry = {"id": "X", "comparison": COMPARISON, "estimator_min": "transfer"}
    row = design.estimable(records, {}, [], [entry], design=DESIGN).iloc[0]
    assert (row["estimator"], row["primary_site"]) == ("transfer", "lung")


def test_bulk_pairs_are_of_their_own_primary() -> None:
    pairs = {}
    for i in range(6):
        for condition in ("brain_metastasis", "primary"):
            name = f"{condition}_{i}"
            pairs[name] = record(name, "b1", condition, donor=f"d{i}", suspension="bulk", primary_site="lung")
    rows = table(pairs).loc[["brain_metastasis_vs_primary"]].set_index("estimator")
    assert rows.loc["bulk_paired", "primary_site"] == "lung"
