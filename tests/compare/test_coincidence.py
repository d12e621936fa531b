"""What goes with the condition in every study is named; one donor who differs is enough to tell the two apart."""

from dataclasses import replace

import pandas as pd
import pytest
from brainmet.compare.coincidence import coinciding

from tests.compare_toy import CONTRAST, DESIGN, donors

IS_A = ("brain_metastasis", "primary")


def cohort(**columns: object) -> pd.DataFrame:
    frame = donors({"s": (4, 4), "t": (3, 3)})
    base = {"er": "neg", "her2": "0", "dissociation": "enzymatic_37C", "enrichment": "none", "values": "counts"}
    return frame.assign(**(base | columns))


def by_group(a: str, b: str) -> list[str]:
    return [a if condition == IS_A[0] else b for condition in cohort()["condition"]]


def found(frame: pd.DataFrame, estimator: str = "within", **changes: object) -> list[str]:
    row = {"estimator": estimator, "studies": "s;t", "platform": "10x cell"}
    return coinciding(frame, replace(CONTRAST, **changes), row, design=DESIGN)


@pytest.mark.parametrize(
    ("name", "a", "b", "named"),
    [
        ("dissociation", "cold", "enzymatic_37C", True),
        ("dissociation", "unknown", "enzymatic_37C", False),
        ("dissociation", "mixed", "enzymatic_37C", False),
        ("enrichment", "CD45_pos", "none", True),
        ("values", "tpm", "counts", True),
        ("batch", "run_2021", "run_2019", True),
        ("er", "neg", "pos", True),
        ("her2", "0", "low", False),
        ("her2", "amp", "low", True),
    ],
)
def test_a_covariate_that_changes_with_the_condition(name: str, a: str, b: str, named: bool) -> None:
    frame = cohort(**{name: by_group(a, b)})
    assert found(frame) == ([name] if named else [])
    frame.iloc[0, frame.columns.get_loc(name)] = b  # in one study, one donor is as those of the other group
    assert found(frame) == []


def test_a_batch_for_every_donor_tells_no_groups_apart() -> None:
    batches = [f"run{i}" for i in range(14)]
    assert found(cohort(batch=batches)) == []
    assert found(cohort(batch=["run1", "run1", *batches[2:]])) == [], "in one of the studies each donor has its own"
    shared = [f"{batch}_{of}" for batch, of in zip(by_group("a", "b"), range(14), strict=True)]
    assert found(cohort(batch=[name if i % 7 else name[0] for i, name in enumerate(shared)])) == []


def test_patients_sampled_twice_keep_their_receptors_or_lost_them() -> None:
    frame = cohort(er=by_group("neg", "pos"), dissociation=by_group("cold", "enzymatic_37C"))
    frame["donor"] = frame["donor"].str.replace("brain_metastasis|primary", "p", regex=True)
    assert found(frame) == ["dissociation"]


def test_groups_in_different_studies_are_compared_as_a_whole() -> None:
    frame = cohort(dissociation=by_group("cold", "enzymatic_37C"), er=by_group("neg", "pos"))
    apart = frame[(frame["study"] == "s") == (frame["condition"] == IS_A[0])]
    assert found(apart, "nested") == ["er", "dissociation"]
    namesakes = apart.assign(donor=["P1", "P2", "P3", "P4", "P1", "P2", "P3"])
    assert found(namesakes, "nested") == ["er", "dissociation"]
    namesakes.iloc[3, namesakes.columns.get_indexer(["donor", "er", "dissociation"])] = ["P9", "pos", "enzymatic_37C"]
    assert found(namesakes, "nested") == []


def test_what_is_known_of_few_donors_is_not_named() -> None:
    er = by_group("neg", "pos")
    assert found(cohort(er=[*er[:3], "unknown", *er[4:]])) == ["er"]
    assert found(cohort(er=[*er[:2], "unknown", "unknown", *er[4:]])) == []
    her2 = by_group("pos", "0")
    assert found(cohort(her2=her2)) == ["her2"]
    assert found(cohort(her2=["mixed", *her2[1:]])) == []


def test_subtypes_that_were_sampled_at_different_sites() -> None:
    frame = cohort(her2=by_group("pos", "0"), subtype=by_group("HER2_pos", "TNBC"))
    by = {"a": "HER2_pos", "b": "TNBC", "by": "subtype"}
    assert found(frame, **by) == ["sampled"]
    twice = frame.assign(donor=[f"p{i}" for i in range(7)] * 2)  # p0 of s at both sites
    sampled = (
        replace(CONTRAST, **by).taking_part(twice.assign(subtype="TNBC"))[0].set_index(["study", "donor"])["sampled"]
    )
    assert sampled["s"][["p0", "p1", "p6"]].tolist() == ["mixed", "brain_metastasis", "primary"]
