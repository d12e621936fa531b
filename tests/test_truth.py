"""The demo's truth through the statistics: shifts are found with their sign, flip with it, and traps stay traps.

Cells are summed by their true type (`demo_cohort`), so what is tested is the inference, not the annotation.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from brainmet import claims as stage
from brainmet import crosstalk
from brainmet.ambient.pseudobulk import cleaned, expected
from brainmet.claims.correlations import correlations
from brainmet.claims.entries import load
from brainmet.claims.readouts import Reader, Tables
from brainmet.compare.confounders import explained_by
from brainmet.compare.contrasts import contrasts
from brainmet.compare.donors import Cohort, declared
from brainmet.compare.nulls import AS_CHANCE, nulls
from brainmet.core.normalise import log_normalised
from brainmet.crosstalk.ligands import consensus_pairs
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.pseudobulk import collect
from brainmet.pseudobulk.type_profiles import parents_of
from brainmet.recovery import claim_rows, shift_rows
from brainmet.simulate import simulate, truth_shifts
from brainmet.slice import Slice
from scipy import stats

from tests import demo_cohort as demo
from tests.running import HOME

if TYPE_CHECKING:
    from anndata import AnnData

STATED = set(truth_shifts(demo.known(), demo.settings())["claim"]) - {""}
CLAIMS = [claim for claim in load([HOME / "resources/claims/claims.yaml"]) if claim["id"] in STATED]
"""Those that the planted truth speaks of."""
NEEDED = {declared(s.compartment) for s in demo.signatures()}


def both(bulk: "AnnData") -> tuple[Cohort, Cohort]:
    """The cohort, and the same less ambient RNA."""
    raw = Cohort(bulk, demo.WORDS, min_cells=10, needed=NEEDED)
    clean = Cohort(cleaned(bulk, expected(bulk, how=demo.AMBIENCE)), {}, min_cells=10)
    clean.types = raw.types
    return raw, clean


def judged(bulk: "AnnData") -> pd.DataFrame:
    raw, clean = both(bulk)
    reader = Reader(
        raw,
        clean,
        demo.WORDS,
        demo.every_set(),
        min_share_cells=20,
        scoring=demo.SCORING,
        tables=demo.other_tables(),
    )
    return stage.claims(CLAIMS, reader, design=demo.DESIGN, bound=0.5)


def metrics(rows: list[tuple[str, str, float, int, str]]) -> dict[str, float]:
    return {metric: value for _, metric, value, _, _ in rows}


@pytest.fixture(scope="module")
def demo_bulk() -> "AnnData":
    return demo.cohort()


def test_every_planted_shift_is_found(demo_bulk: "AnnData") -> None:
    raw, clean = both(demo_bulk)
    malignant = {"malignant": raw["malignant"]}
    table = contrasts(
        malignant,
        demo.signatures(),
        demo.CONTRASTS[:1],
        design=demo.DESIGN,
        scoring=demo.SCORING,
        clean={"malignant": clean["malignant"]},
    )
    confounders = [s for s in demo.every_set() if s.id not in {t.id for t in demo.signatures()} and "ambient" in s.id]
    settings = {"design": demo.DESIGN, "scoring": demo.SCORING}
    table["explained_by"] = explained_by(
        table, malignant, demo.signatures(), confounders, demo.CONTRASTS[:1], **settings
    )
    found = metrics(shift_rows(table, truth_shifts(demo.known(), demo.settings()), alpha=demo.DESIGN.alpha))
    assert found["found"] == 1
    assert found["wrong_sign"] == found["falsely_found"] == 0
    assert found["traps_found"] == 0


def test_verdicts_match_the_truth(demo_bulk: "AnnData") -> None:
    right = metrics(claim_rows(judged(demo_bulk), truth_shifts(demo.known(), demo.settings())))
    assert right["right_verdict"] == right["true_claims_decided"] == 1
    assert right["trap_claims_confirmed"] == 0


def test_verdicts_flip_with_the_truth() -> None:
    right = metrics(
        claim_rows(judged(demo.cohort(direction=-1)), truth_shifts(demo.known(), demo.settings(direction=-1)))
    )
    assert right["right_verdict"] == 1
    assert right["trap_claims_confirmed"] == 0


def test_nulls_hold_where_ambient_rna_is_taken_off(demo_bulk: "AnnData") -> None:
    raw, clean = both(demo_bulk)
    table = nulls(
        raw, demo.signatures(), demo.CONTRASTS[:1], design=demo.DESIGN, scoring=demo.SCORING, runs=200, clean=clean
    )
    rows = table.set_index("kind")
    assert rows.loc["labels", "runs_with_discovery"] <= 16
    assert 0.04 <= rows.loc["labels", "share_p05"] <= 0.06
    quartiles = rows.loc["labels", ["quantile_25", "quantile_50", "quantile_75"]].to_numpy(float)
    np.testing.assert_allclose(quartiles, [0.25, 0.5, 0.75], atol=0.03)
    raw_sets, rest = (rows.loc[f"random_sets in malignant{end}"] for end in ("", ", less ambient RNA"))
    assert raw_sets["exceeded"] and raw_sets["reading"] != AS_CHANCE
    assert rest["runs_with_discovery"] <= 16
    assert 0.04 <= rest["share_p05"] <= 0.06


@pytest.mark.slow
def test_twenty_seeds_both_ways() -> None:
    """Over 20 cohorts and both directions: verdicts right, no trap confirmed, no planted shift with the wrong sign."""
    right, traps, testable = 0.0, 0, 0
    for seed in range(1, 21):
        for direction in (1, -1):
            truth = truth_shifts(demo.known(), demo.settings(direction=direction))
            rows = {
                m: (v, n) for _, m, v, n, _ in claim_rows(judged(demo.cohort(seed=seed, direction=direction)), truth)
            }
            value, n = rows["right_verdict"]
            right, testable = right + value * n, testable + n
            value, n = rows["trap_claims_confirmed"]
            traps += round(value * n)
    assert traps == 0
    assert right / testable >= 0.9


@pytest.mark.slow
def test_cohorts_without_any_change_have_no_findings() -> None:
    """Nothing planted, no trap, no ambient RNA: 20 cohorts, p of the confirmatory family uniform, discoveries rare."""
    nothing = {"traps": [], "depth": {}, "ambient": {}}
    ps, discoveries = [], 0
    for seed in range(1, 21):
        raw, _ = both(demo.cohort(seed=seed, direction=0, design=nothing, ambient=[0.0001, 0.0002]))
        table = contrasts(
            {"malignant": raw["malignant"]},
            demo.signatures(),
            demo.CONTRASTS[:1],
            design=demo.DESIGN,
            scoring=demo.SCORING,
        )
        rows = table[(table["study"] == "pooled") & (table["family"] == "confirmatory") & table["p"].notna()]
        ps += rows["p"].tolist()
        discoveries += bool((rows["fdr"] < 0.05).any())
    assert discoveries <= stats.binom.ppf(0.975, 20, 0.05)
    assert 0.03 <= np.mean(np.array(ps) < 0.05) <= 0.07


@pytest.fixture(scope="module")
def larger() -> tuple[list[Slice], pd.DataFrame, pd.Series, "AnnData"]:
    """The eight metastases of two studies with 450 cells, with more fibroblasts and T cells: what the demo is too small
    for. Slices of all genes, cells, depth, and pseudobulk, all by true type."""
    shares = {**demo.known().design["composition"]["brain_metastasis"], "fibroblast": 0.15, "t_cell": 0.35}
    composition = {"brain_metastasis": shares}
    what = replace(demo.known(), design={**demo.known().design, "composition": composition})
    how, rng = demo.settings(cells=450), np.random.default_rng(1)
    parts, cells, depth, sums = [], [], [], []
    for sample in demo.samples():
        if sample["condition"] == "brain_metastasis" and sample["study"] in ("demo_a", "demo_b"):
            counts, truth = simulate(sample, what, how)
            sums.append(demo.summed(sample, counts, truth))
            own = truth.assign(study=sample["study"], donor=sample["donor"], condition=sample["condition"])
            own["platform"] = "10x_3prime cell"
            own = own.rename(columns={"truth_cell_type": "cell_type"}).set_axis(sample["id"] + ":" + truth.index)
            depth.append(pd.Series(np.asarray(counts.sum(axis=1)).ravel(), own.index))
            own["state"] = rng.integers(0, 2, len(own))
            values, genes = log_normalised(counts, values="counts"), what.genes.index.to_numpy()
            parts.append(Slice(values, np.ones(len(genes), bool), own.index.to_numpy(object), genes))
            cells.append(own)
    return parts, pd.concat(cells), pd.concat(depth), collect(sums)


def of_cells(
    larger: tuple[list[Slice], pd.DataFrame, pd.Series, "AnnData"], parts: list[Slice], wanted: list[str]
) -> pd.DataFrame:
    """Verdicts of shipped claims on correlations and axes, each also with its direction turned around (`B17 not`)."""
    _, cells, depth, bulk = larger
    shipped = [c for c in load([HOME / "resources/claims/claims.yaml"]) if c["id"] in wanted]
    raw = Cohort(bulk, demo.WORDS, min_cells=10, needed=NEEDED)
    types = {c["id"]: c.get("types") or raw.types.get(declared(c["compartment"]), ()) for c in shipped}
    table = correlations(
        parts,
        cells,
        depth,
        list(demo.known().genes["symbol"]),
        shipped,
        {s.id: s for s in demo.every_set()},
        types,
        **demo.CONFIG["claims"]["correlation"],
        min_genes=demo.SCORING.min_genes,
    )
    axes = crosstalk.load(HOME / "resources/crosstalk/axes.yaml")
    named = {
        a
        for c in shipped
        for side in ("above", "below", "axes")
        for a in c["readout"].get("crosstalk", {}).get(side, [])
    }
    parents = parents_of(load_cell_types([HOME / "resources/markers/markers.yaml"]))
    how = {n: demo.CONFIG["crosstalk"][n] for n in ("min_cells", "min_fraction", "n_random", "n_bins", "seed")}
    axes = crosstalk.Axes([a for a in axes.entries if a["id"] in named], axes.responses)
    found = crosstalk.crosstalk(bulk, axes, consensus_pairs(), parents, **how)
    verdicts = {}
    for sign in ("", " not"):
        turned = {"up": "down", "down": "up"}
        asked = [{**c, "direction": turned[c["direction"]] if sign else c["direction"]} for c in shipped]
        reader = Reader(
            raw,
            None,
            demo.WORDS,
            demo.every_set(),
            min_share_cells=20,
            scoring=demo.SCORING,
            tables=Tables(table, found),
        )
        rows = stage.claims(asked, reader, design=demo.DESIGN, bound=0.5)
        verdicts |= dict(zip(rows["claim"] + sign, rows["verdict"], strict=True))
    return pd.Series(verdicts)


@pytest.mark.slow
def test_claims_that_need_more_cells_than_the_demo_has(
    larger: tuple[list[Slice], pd.DataFrame, pd.Series, "AnnData"],
) -> None:
    """B17: microglia and macrophages are two types. B13, B14: axes of the measured profiles. B1: nothing planted."""
    found = of_cells(larger, larger[0], ["B1", "B1_depth", "B13", "B14", "B17"])
    for claim in ("B13", "B14", "B17"):
        assert (found[claim], found[f"{claim} not"]) == ("recovered", "contradicted")
    assert set(found[["B1", "B1_depth", "B1 not", "B1_depth not"]]) == {"inconclusive"}


@pytest.mark.slow
@pytest.mark.parametrize(("exclude", "verdict"), [(True, "recovered"), (False, "contradicted")])
def test_archetypes_that_exclude_or_follow_each_other(
    larger: tuple[list[Slice], pd.DataFrame, pd.Series, "AnnData"], exclude: bool, verdict: str
) -> None:
    """Half of the cells lose half of one programme's values; those cells, or the others, lose half of the other's."""
    sets, symbols = {s.id: s for s in demo.every_set()}, demo.known().genes["symbol"]
    parts = []
    for part in larger[0]:
        state, X = larger[1].loc[part.cells, "state"].to_numpy(), part.X.tolil()
        for name, low in (("proliferation", state == 0), ("inflammatory_archetype", state == (1 if exclude else 0))):
            at = np.flatnonzero(symbols.isin(sets[name].up))
            X[np.ix_(np.flatnonzero(low), at)] = X[np.ix_(np.flatnonzero(low), at)] * 0.2
        parts.append(replace(part, X=X.tocsr()))
    assert set(of_cells(larger, parts, ["B1", "B1_depth"])[["B1", "B1_depth"]]) == {verdict}
