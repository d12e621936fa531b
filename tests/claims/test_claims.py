"""Claims: verdicts follow the truth, flip with it, and stay silent where the design does."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from anndata import concat
from brainmet import claims as stage
from brainmet.bulk import tissues
from brainmet.claims.entries import load
from brainmet.claims.readouts import Reader, Tables
from brainmet.claims.verdicts import verdict
from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import GeneSet
from brainmet.compare.donors import Cohort
from brainmet.compare.estimators import DonorValues
from brainmet.compare.one_group import one_group
from brainmet.core.tables import conform

from tests.compare_toy import COMPARISON, DESIGN, GENES, NULL, SCORING, SET, bulk, donors

if TYPE_CHECKING:
    from anndata import AnnData

STUDIES = {"s": (5, 5), "t": (5, 5)}
WORDS: dict[str, list[str]] = {"tumor": [], "t_cell": ["t_cell"]}


def claim(**fields: Any) -> dict[str, Any]:
    base = {
        "id": "X",
        "statement": "It rises.",
        "reference": {"text": "Nobody 2000"},
        "compartment": "tumor",
        "comparison": COMPARISON,
        "readout": {"signature": "shifted"},
        "direction": "up",
    }
    return base | fields


def reader_of(data: "AnnData") -> Reader:
    return Reader(Cohort(data, WORDS, min_cells=10), None, WORDS, [SET, NULL], min_share_cells=20, scoring=SCORING)


def judge(
    *entries: dict[str, Any], shift: float = 1.0, studies: dict[str, tuple[int, int]] = STUDIES, **columns: object
) -> pd.DataFrame:
    data = bulk(studies, shift=shift, **columns)  # type: ignore[arg-type]
    reader = reader_of(data)
    table = stage.claims(entries, reader, design=DESIGN, bound=0.5)
    return conform(table, "claims").set_index("claim")


def test_a_true_claim_is_supported_and_flips_with_the_truth() -> None:
    assert judge(claim()).loc["X", "verdict"] == "supported"
    assert judge(claim(), shift=-1.0).loc["X", "verdict"] == "contradicted"
    assert judge(claim(direction="down")).loc["X", "verdict"] == "contradicted"
    assert judge(claim(direction="down"), shift=-1.0).loc["X", "verdict"] == "supported"


def test_simulated_data_recover_and_do_not_support() -> None:
    assert judge(claim(), simulated=True).loc["X", "verdict"] == "recovered"


def test_data_a_claim_came_from_reproduce_it() -> None:
    assert judge(claim(derived_from=["s", "t"])).loc["X", "verdict"] == "reproduced_in_source"
    assert judge(claim(derived_from=["s"])).loc["X", "verdict"] == "supported"


def test_donors_a_claim_came_from_reproduce_it_beside_others_controls() -> None:
    """Metastases of the claim's own series are not independent of it, whichever primaries they are compared with."""
    data = bulk(STUDIES, shift=1.0)
    data.obs["dataset"] = np.where(data.obs["condition"] == "primary", data.obs["study"] + "_primaries", "own")
    for sources, verdict_ in (
        (["own"], "reproduced_in_source"),
        (["s_primaries"], "supported"),
        (["s_primaries", "t_primaries"], "reproduced_in_source"),
    ):
        row = stage.claims([claim(derived_from=sources)], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
        assert row["verdict"] == verdict_


def test_new_metastases_beside_the_normal_tissue_of_a_paper_support_its_claim() -> None:
    comparison = {"id": "x", "a": "brain_metastasis", "b": "normal_brain", "site": "*"}
    data = bulk(STUDIES, shift=1.0)
    data.obs["condition"] = data.obs["condition"].astype(str).replace("primary", "normal_brain")
    data.obs["dataset"] = np.where(data.obs["condition"] == "normal_brain", "controls", "new")
    for sources, verdict_ in ((["controls"], "supported"), (["new"], "reproduced_in_source")):
        asked = claim(comparison=comparison, derived_from=sources)
        assert stage.claims([asked], reader_of(data), design=DESIGN, bound=0.5).iloc[0]["verdict"] == verdict_


def test_a_source_is_not_confirmed_by_a_study_that_shows_nothing() -> None:
    """Ten donors a side that the claim came from, and three a side from elsewhere, with the effect or without."""
    source = bulk({"s": (10, 10)}, shift=1.0)
    for shift, verdict_ in ((0.0, "reproduced_in_source"), (1.5, "supported")):
        data = concat([source, bulk({"t": (4, 4)}, shift=shift, seed=1)], index_unique="-")
        data.var = source.var
        row = stage.claims([claim(derived_from=["s"])], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
        assert row["verdict"] == verdict_


def test_a_source_is_not_confirmed_by_conditions_that_lie_in_different_studies() -> None:
    elsewhere = dict.fromkeys("uvw", (4, 0)) | dict.fromkeys("xyz", (0, 4))
    data = concat([bulk({"s": (10, 10)}, shift=1.0), bulk(elsewhere, shift=3.0, seed=1)], index_unique="-")
    data.var = bulk(STUDIES, shift=0.0).var
    asked = claim(derived_from=["s"], estimator_min="within")
    row = stage.claims([asked], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
    assert row["verdict"] == "reproduced_in_source"


def test_no_difference_is_inconclusive_with_what_could_have_been_seen() -> None:
    row = judge(claim(readout={"signature": "null"}), shift=0.0).loc["X"]
    assert row["verdict"] == "inconclusive"
    assert row["mde"] == pytest.approx(1.3, abs=0.1)
    assert "detectable g" in row["reason"]


def test_equivalence_needs_the_interval_inside_the_bound() -> None:
    none = claim(direction="none", readout={"signature": "null"})
    assert judge(none, shift=0.0).loc["X", "verdict"] == "inconclusive"
    assert judge(none | {"bound": 3}, shift=0.0).loc["X", "verdict"] == "equivalent"
    assert judge(claim(direction="none")).loc["X", "verdict"] == "contradicted"


def test_one_study_per_group_is_confounded_whatever_its_p() -> None:
    row = judge(claim(), shift=3.0, studies={"s": (6, 0), "t": (0, 6)}).loc["X"]
    assert row["verdict"] == "confounded"
    assert row["p"] < 1e-3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"compartment": "microglia"}, "no cells of microglia"),
        ({"readout": {"signature": "absent"}}, "the signature absent is not part of this run"),
        ({"readout": {"gene": "NOPE"}}, "NOPE is not in the gene list"),
        ({"comparison": COMPARISON | {"b": "normal_brain"}}, "normal_brain"),
        ({"requires": ["paired"]}, "too few patients were sampled at both sites"),
        ({"comparison": {"id": "a_vs_b", "a": "HER2_pos", "b": "TNBC", "by": "subtype"}}, "HER2_pos"),
    ],
)
def test_what_cannot_be_tested_says_what_is_missing(fields: dict[str, Any], reason: str) -> None:
    row = judge(claim(**fields)).loc["X"]
    assert row["verdict"] == "not_testable"
    assert reason in row["reason"]


def test_a_claim_without_donors_to_compare_is_told_of_them_and_not_of_genes() -> None:
    """A study beside that lacks the gene is not why the other has nobody to compare with."""
    lone, panel = bulk({"s": (4, 0)}, shift=0.0), bulk({"t": (4, 0)}, shift=0.0)
    both = concat([lone, panel[:, 1:]], join="outer", fill_value=np.nan)[:, lone.var_names].copy()
    both.var = lone.var
    row = stage.claims([claim(readout={"gene": GENES[0]})], reader_of(both), design=DESIGN, bound=0.5).iloc[0]
    assert row["verdict"] == "not_testable"
    assert row["reason"] == "no breast donor of primary with enough cells and counts"
    both.obs["technology"] = np.where(both.obs["study"] == "t", "smartseq2", "10x_3prime")
    both.obs["condition"] = np.where(both.obs["study"] == "t", "primary", "brain_metastasis")
    row = stage.claims([claim(readout={"gene": GENES[0]})], reader_of(both), design=DESIGN, bound=0.5).iloc[0]
    assert "a difference of technology, suspension or species" in row["reason"]


def test_a_claim_may_ask_for_a_better_estimator() -> None:
    apart = {"a": (5, 0), "b": (5, 0), "c": (5, 0), "x": (0, 5), "y": (0, 5), "z": (0, 5)}
    assert judge(claim(), shift=3.0, studies=apart).loc["X", "estimator"] == "nested"
    row = judge(claim(estimator_min="within"), shift=3.0, studies=apart).loc["X"]
    assert row["verdict"] == "not_testable"
    assert "within" in row["reason"]


def test_what_rises_in_all_cells_alike_cancels_against_the_reference() -> None:
    data = bulk(STUDIES, shift=0.0)
    high = (data.obs["condition"] == "brain_metastasis").to_numpy()
    data.X[np.ix_(high, np.arange(20))] *= 4
    reader = reader_of(data)
    plain, against = claim(id="plain"), claim(id="against", readout={"signature": "shifted", "minus": ["t_cell"]})
    table = stage.claims([plain, against], reader, design=DESIGN, bound=0.5).set_index("claim")
    assert table.loc["plain", "verdict"] == "supported"
    assert table.loc["against", "verdict"] == "inconclusive"


def test_a_share_is_a_test_of_cells() -> None:
    data = bulk(STUDIES, shift=0.0)
    few = ((data.obs["condition"] == "brain_metastasis") & (data.obs["cell_type"] == "t_cell")).to_numpy()
    rng = np.random.default_rng(0)
    data.obs["n_cells"] = np.where(few, 12, 40) + rng.integers(0, 6, len(few))
    reader = reader_of(data)
    share = claim(readout={"share": {"of": ["t_cell"], "among": ["malignant_epithelial"]}}, direction="down")
    assert stage.claims([share], reader, design=DESIGN, bound=0.5)["verdict"].tolist() == ["supported"]
    data.obs["enrichment"] = "CD45_pos"
    reader = reader_of(data)
    row = stage.claims([share], reader, design=DESIGN, bound=0.5).iloc[0]
    assert row["verdict"] == "not_testable"
    assert row["reason"].endswith("from samples declared enrichment: none")


def test_what_is_from_memory_is_marked_in_the_table() -> None:
    row = judge(claim(reference={"text": "Nobody 2000", "doi": "10.1/x", "verify": True})).loc["X"]
    assert row["reference"] == "Nobody 2000 (doi:10.1/x) (to be verified)"


def test_bulk_tissue_stands_beside_and_decides_nothing(make_counts: Any) -> None:
    """Pairs of tissue in which the genes fall, while they rise in the tumour cells: the verdict is of the cells."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(5, 2, (8, len(GENES))), 2, axis=0) + rng.normal(0, 0.3, (16, len(GENES)))
    values[::2, :20] -= 1
    cells = {"condition": ["brain_metastasis", "primary"] * 8, "donor": [f"P{i // 2}" for i in range(16)]}
    counts = make_counts(values.astype(np.float32), symbols=GENES, cells=cells, uns={"values": "log"})
    reader = reader_of(bulk(STUDIES, shift=1.0))
    table = stage.claims(
        [claim()],
        reader,
        design=DESIGN,
        bound=0.5,
        tissues=tissues([counts], {"S": {"primary_site": "breast"}}, scoring=SCORING),
    )
    row = conform(table, "claims").iloc[0]
    assert row["verdict"] == "supported"
    assert (row["bulk_estimator"], row["bulk_n"], row["bulk_studies"]) == ("bulk_paired", 8, "D")
    cohort = tissues([counts], {"S": {"primary_site": "breast"}}, scoring=SCORING)
    sourced = stage.claims([claim(derived_from=["D"])], reader, design=DESIGN, bound=0.5, tissues=cohort).iloc[0]
    assert sourced["bulk_estimator"] == "", "the tissue that a claim was made from does not speak for it"
    assert row["bulk_ci_high"] < 0
    assert row["estimate"] == pytest.approx(1.0, abs=0.2)
    assert row["unit"] == "log2"


def test_a_claim_that_another_must_confirm_is_not_supported_without_it() -> None:
    lone = claim(also=["Y"])
    assert judge(lone, claim(id="Y")).loc["X", "verdict"] == "supported"
    row = judge(lone, claim(id="Y", readout={"signature": "null"}), shift=1.0).loc["X"]
    assert row["verdict"] == "inconclusive"
    assert row["why"] == "Y must hold too and does not (contradicted)" and row["reason"].endswith(row["why"])


def test_a_ratio_cancels_what_moves_both() -> None:
    ratio = claim(readout={"signature": "shifted", "over": {"signature": "shifted"}})
    assert judge(ratio).loc["X", "verdict"] == "not_testable"  # no variation at all
    other = claim(readout={"gene": GENES[0], "over": {"genes": GENES[1:20]}})
    row = judge(other).loc["X"]
    assert abs(row["estimate"]) < 0.6
    assert row["readout"] == f"{GENES[0]} over {' + '.join(GENES[1:20])}"


def test_a_new_claim_is_one_entry(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"claims": [claim(id="mine", readout={"gene": GENES[0]})]}))
    table = judge(*load([file]))
    assert table.loc["mine", "readout"] == GENES[0]
    assert GeneSet("x", (GENES[0],), single=True).single


def test_a_patient_sampled_at_two_sites_is_one_donor_of_its_subtype() -> None:
    """Two patients a subtype, each as metastasis and primary: two donors per group, whose profiles are averaged."""
    by = claim(comparison={"id": "x", "a": "HER2_pos", "b": "TNBC", "by": "subtype"})

    def found(n: int) -> pd.Series:
        data = bulk({"s": (2 * n, 2 * n)}, shift=0.0)
        patient = data.obs["donor"].str.extract(r"(\d+)$")[0].astype(int).to_numpy()
        data.obs["donor"], data.obs["subtype"] = [f"p{i}" for i in patient], np.where(patient < n, "HER2_pos", "TNBC")
        return stage.claims([by], reader_of(data), design=DESIGN, bound=0.5).iloc[0]

    two, four = found(2), found(4)
    assert two["verdict"] == "not_testable"
    reason = "too few donors: 2 of HER2_pos, 2 of TNBC; 3 of each are needed"
    assert two["reason"] == two["why"] == reason
    assert (four["estimator"], four["n_donors"]) == ("within", 8)


def test_normal_tissue_of_a_patient_says_nothing_of_its_tumour() -> None:
    """Tumours differ between the subtypes; the normal breast of the same patients does not."""
    by = claim(comparison={"id": "x", "a": "HER2_pos", "b": "TNBC", "by": "subtype"})
    data = bulk({"s": (8, 0)}, shift=2.0)
    data.obs["subtype"] = np.repeat(["HER2_pos", "TNBC"], len(data) // 2)
    data.X[len(data) // 2 :] = bulk({"s": (8, 0)}, shift=0.0).X[len(data) // 2 :]
    normal = data.copy()
    normal.X[:] = bulk({"s": (8, 0)}, shift=0.0, seed=1).X
    normal.obs = normal.obs.assign(condition="normal_breast").rename(index=lambda i: f"{i}|n")
    alone, both = (
        stage.claims([by], reader_of(cohort), design=DESIGN, bound=0.5).iloc[0]
        for cohort in (data, concat([data, normal], merge="same"))
    )
    assert alone["estimate"] > 1
    assert both["estimate"] == pytest.approx(alone["estimate"], rel=0.1)


def test_values_of_a_donor_are_the_mean_of_its_profiles() -> None:
    frame = donors({"s": (2, 2)}).assign(donor=["p", "q"] * 2, subtype=["TNBC", "TNBC", "TNBC", "HR_pos"])
    by = Contrast("x", "TNBC", "HR_pos", by="subtype", where={"platform": ("10x cell",)})
    people, _ = by.taking_part(frame)
    assert people["condition"].tolist() == ["TNBC", "TNBC", "HR_pos"]
    table = pd.DataFrame({"x": [1.0, 2.0, 4.0, 8.0]}, frame.index)
    mean = by.per_donor(DonorValues.of_table(table), frame)
    assert mean.of(people.index)["x"].tolist() == [2.5, 2.0, 8.0]
    assert mean.features.tolist() == ["x"]


def test_where_no_effect_would_be_found_the_reason_says_so() -> None:
    null = claim(readout={"signature": "null"})
    row = judge(null, shift=0.0, studies=dict.fromkeys("stu", (3, 3))).loc["X"]
    assert row["verdict"] == "inconclusive" and np.isnan(row["mde"])
    assert row["reason"].endswith("no effect, however large, is found with 80% power by so few donors per study")


def test_axes_of_cells_and_of_nuclei_are_values_of_their_own_profiles() -> None:
    data = bulk({"s": (4, 0)}, shift=0.0)
    nuclei = data.copy()
    nuclei.obs = nuclei.obs.assign(suspension="nucleus", sample=nuclei.obs["sample"] + "_n").rename(
        index=lambda i: f"{i}_n"
    )
    both = concat([data, nuclei], merge="same")
    rows = both.obs.drop_duplicates("sample")[["study", "donor", "condition", "sample", "suspension"]]
    ranks = {"axis": "u", "magnitude_rank": np.where(rows["suspension"] == "cell", 0.1, 0.9), "p": 0.5}
    tables = Tables(pd.DataFrame(), rows.drop(columns="suspension").assign(**ranks))
    reader = Reader(
        Cohort(both, WORDS, min_cells=10), None, WORDS, [SET], min_share_cells=20, scoring=SCORING, tables=tables
    )
    found = reader.readout(claim(readout={"crosstalk": {"axes": ["u"]}}))
    value = found.values.of(found.donors.index)["readout"]
    assert value[found.donors["platform"] == "10x_3prime cell"].tolist() == [0.1] * 4
    assert value[found.donors["platform"] == "10x_3prime nucleus"].tolist() == [0.9] * 4


def test_a_patient_sampled_at_both_sites_is_counted_once() -> None:
    data = bulk({"s": (6, 6)}, shift=1.0)
    data.obs["donor"] = data.obs["donor"].str.replace("brain_metastasis|primary", "p", regex=True)
    row = stage.claims([claim(requires=["paired"])], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
    assert (row["verdict"], row["n_donors"]) == ("supported", 6)
    assert row["reason"].endswith("6 donors, as the claim says") and row["why"] == "as the claim says"


def test_what_goes_with_the_condition_settles_nothing() -> None:
    data = bulk(STUDIES, shift=1.0)
    data.obs["dissociation"] = np.where(data.obs["condition"] == "primary", "cold", "enzymatic_37C")
    row = stage.claims([claim()], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
    assert row["verdict"] == "inconclusive"
    assert row["reason"].endswith("in every study the two groups differ in dissociation too")
    same = bulk(STUDIES, shift=0.0)
    same.obs["dissociation"] = data.obs["dissociation"]
    none = claim(direction="none", readout={"signature": "null"}, bound=3)
    row = stage.claims([none], reader_of(same), design=DESIGN, bound=0.5).iloc[0]
    assert row["fdr"] > 0.05 and row["verdict"] == "inconclusive"


def test_claims_that_cannot_be_judged_do_not_count_among_the_tested() -> None:
    """An estimate that the statement does not accept is shown with its p, which adjusts no other."""
    null = claim(id="null", readout={"signature": "null"})
    alone = judge(null, shift=1.0).loc["null", "fdr"]
    table = judge(null, *(claim(id=f"paired{i}", requires=["paired"]) for i in range(5)))
    assert table.loc["null", "fdr"] == alone == table.loc["null", "p"]
    assert table.loc["paired0", "p"] < 0.01 and np.isnan(table.loc["paired0", "fdr"])


def test_only_donors_that_are_compared_count_as_sources() -> None:
    """A dataset of the same study with none of the two conditions is no confirmation from elsewhere."""
    data = concat(
        [bulk(STUDIES, shift=1.0), bulk({"s": (3, 0)}, shift=1.0, condition="other", dataset="u")], index_unique="-"
    )
    data.var = bulk(STUDIES, shift=0.0).var
    row = stage.claims([claim(derived_from=["s", "t"])], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
    assert row["verdict"] == "reproduced_in_source"


def test_studies_that_contradict_each_other_settle_nothing() -> None:
    data = concat([bulk({"s": (5, 5)}, shift=3.0), bulk({"t": (5, 5)}, shift=-0.5)])
    data.var = bulk({"s": (1, 1)}, shift=0.0).var
    row = stage.claims([claim()], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
    assert row["fdr"] < 0.01
    assert row["verdict"] == "inconclusive"
    assert row["reason"].endswith("; the opposite in t") and row["why"] == "the opposite in t"
    data = concat([bulk({"s": (9, 9)}, shift=0.5), bulk({"t": (9, 9)}, shift=-0.5)])
    data.var = bulk({"s": (1, 1)}, shift=0.0).var
    row = stage.claims([claim(direction="none")], reader_of(data), design=DESIGN, bound=9).iloc[0]
    assert row["fdr"] > 0.05 and row["verdict"] == "inconclusive" and "; the opposite in" in row["reason"]


def test_a_study_against_a_statement_about_one_group_is_named() -> None:
    frame = donors({"s": (10, 0), "t": (5, 0)})
    rng = np.random.default_rng(0)
    values = pd.DataFrame({"x": rng.normal(np.where(frame["study"] == "s", 3, -2), 0.5)}, frame.index)
    alone = Contrast("within", "brain_metastasis")
    found = one_group(DonorValues.of_table(values), frame, alone, against=0.0, design=DESIGN)
    assert found["p"] < 1e-6 and found["opposed"] == "t"


def test_a_share_that_goes_with_the_protocol_settles_nothing() -> None:
    data = bulk(STUDIES, shift=0.0)
    is_a = data.obs["condition"] == "brain_metastasis"
    few = (is_a & (data.obs["cell_type"] == "t_cell")).to_numpy()
    data.obs["n_cells"] = np.where(few, 12, 40) + np.random.default_rng(0).integers(0, 6, len(few))
    share = claim(readout={"share": {"of": ["t_cell"], "among": ["malignant_epithelial"]}}, direction="down")
    data.obs["dissociation"] = np.where(is_a, "cold", "enzymatic_37C")
    row = stage.claims([share], reader_of(data), design=DESIGN, bound=0.5).iloc[0]
    assert row["verdict"] == "inconclusive" and row["reason"].endswith("the two groups differ in dissociation too")
    cold = share | {"comparison": COMPARISON | {"where": {"dissociation": ["cold", "enzymatic_37C"]}}}
    assert stage.claims([cold], reader_of(data), design=DESIGN, bound=0.5).iloc[0]["estimator"] == "within"


def detected(data: "AnnData", **fields: Any) -> "pd.Series":
    """A claim on the share of cells that detect a gene, which all malignant cells do and no T cell does."""
    malignant = (data.obs["cell_type"] == "malignant_epithelial").to_numpy()
    data.obs["n_cells"] = np.where(malignant, 40, 42) + np.arange(len(data)) // 2
    seen = np.where(malignant, data.obs["n_cells"], 0)[:, None] * np.ones(data.n_vars)
    data.layers["n_cells_detected"] = seen.astype(np.float32)
    entry = claim(readout={"detected": GENES[0]}, comparison={"id": "x", "a": "brain_metastasis"}, against=0.5)
    return stage.claims([entry | fields], reader_of(data), design=DESIGN, bound=0.5).iloc[0]


def test_every_readout_reads_the_cells_that_the_claim_names() -> None:
    data = bulk(STUDIES, shift=0.0)
    assert detected(data)["estimate"] > 0.95
    assert detected(data, compartment="whole_sample")["estimate"] == pytest.approx(0.5, abs=0.02)
    assert detected(data, compartment="whole_sample", types=["t_cell"])["estimate"] < 0.05
    assert detected(data, min_cells=99)["reason"].endswith("or no donor has 99 cells")


def test_tissue_without_a_primary_is_asked_for_none() -> None:
    frame = donors({"s": (6, 0)}).assign(condition="normal_brain", primary_site="none")
    values = pd.DataFrame({"x": np.random.default_rng(0).normal(1, 0.2, 6)}, frame.index)
    for condition in ("normal_brain", "glioma"):
        here, alone = frame.assign(condition=condition), Contrast("x", condition)
        found = one_group(DonorValues.of_table(values), here, alone, against=0.0, design=DESIGN)
        assert (found["estimator"], found["n_a"]) == ("within", 6)
        few = one_group(DonorValues.of_table(values), here[:2], alone, against=0.0, design=DESIGN)
        assert few["reason"] == f"no study has 3 donors of {condition} with a value; most in one study: 2"


def test_bulk_tissue_of_another_primary_says_nothing_of_this_one(make_counts: Any) -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(5, 2, (8, len(GENES))), 2, axis=0) + rng.normal(0, 0.3, (16, len(GENES)))
    cells = {"condition": ["brain_metastasis", "primary"] * 8, "donor": [f"P{i // 2}" for i in range(16)]}
    counts = make_counts(values.astype(np.float32), symbols=GENES, cells=cells, uns={"values": "log"})
    for site, estimator in (("lung", ""), ("breast", "bulk_paired")):
        tissue = tissues([counts], {"S": {"primary_site": site}}, scoring=SCORING)
        reader = reader_of(bulk(STUDIES, shift=1.0))
        row = stage.claims([claim()], reader, design=DESIGN, bound=0.5, tissues=tissue).iloc[0]
        assert row["bulk_estimator"] == estimator


def test_too_few_counts_without_ambient_rna_are_said_in_words() -> None:
    row = {
        "effect": 1.0,
        "ci_low": 0.5,
        "ci_high": 1.5,
        "fdr": 0.01,
        "n_donors": 9,
        "simulated": False,
        "from_source": False,
    }
    row |= {"p_perm": 0.01, "p_perm_min": 0.001, "controlled": True, "effect_clean": np.nan, "fdr_clean": np.nan}
    found = verdict(row, claim(), design=DESIGN, bound=0.5)
    assert found.state == "inconclusive"
    assert found.why == "without the counts that ambient RNA can explain, too few are left to test"
