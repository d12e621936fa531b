"""The simulated cohort holds what its truth says, and nothing else."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from brainmet import recovery, simulate
from brainmet.core.counts import open_counts, write_counts
from brainmet.core.tables import columns, conform
from brainmet.datasets import read
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.simulate import Knowledge, Settings

from tests.conftest import HOME

DEMO = HOME / "resources" / "demo"
MALIGNANT = "malignant_epithelial/trunk"


@pytest.fixture(scope="module")
def known() -> Knowledge:
    paths = [HOME / "resources" / "signatures" / f"{name}.yaml" for name in ("signatures", "confounders")]
    sets = [entry for path in paths for entry in yaml.safe_load(path.read_text())["signatures"]]
    profiles = pd.read_csv(DEMO / "profiles.tsv.gz", sep="\t", keep_default_na=False)
    design = yaml.safe_load((DEMO / "design.yaml").read_text())
    return simulate.knowledge(profiles, pd.read_csv(DEMO / "types.tsv", sep="\t"), design, sets)


@pytest.fixture(scope="module")
def settings() -> Settings:
    shipped = yaml.safe_load((HOME / "config" / "config.yaml").read_text())["simulate"]
    return Settings(**shipped)


@pytest.fixture(scope="module")
def samples() -> dict[str, dict[str, Any]]:
    return {sample["id"]: sample for sample in read(HOME / "resources" / "datasets" / "demo.yaml")["samples"]}


def test_files_go_with_samples_by_name_whatever_their_order(samples: dict[str, dict[str, Any]]) -> None:
    files = [f"downloads/demo/{id_}.h5ad" for id_ in reversed(samples)]
    pairs = simulate.of_files(files, list(samples.values()))
    assert [(str(path), sample["id"]) for path, sample in pairs] == list(zip(files, reversed(samples), strict=True))
    with pytest.raises(BrainmetError, match=r"the file other\.h5ad is matched by no sample"):
        simulate.of_files(["other.h5ad"], list(samples.values()))


def test_the_cohort_is_the_one_described(samples: dict[str, dict[str, Any]]) -> None:
    table = pd.DataFrame(samples.values())
    sizes = table.groupby(["study", "condition"]).size().to_dict()
    arms = {(f"demo_{s}", c): 4 for s in "ab" for c in ("primary", "brain_metastasis")}
    assert sizes == {**arms, ("demo_c", "brain_metastasis"): 3, ("demo_n", "normal_brain"): 4}
    assert table["donor"].is_unique
    positive = table[table["study"].isin(["demo_a", "demo_b"])].assign(er=lambda t: t["er"] == "pos")
    share = positive.groupby("condition")["er"].mean()
    assert share["primary"] > share["brain_metastasis"]  # the subtype trap


def test_profiles_are_whole_small_and_of_known_types(known: Knowledge) -> None:
    assert (DEMO / "profiles.tsv.gz").stat().st_size < 600_000
    assert known.genes.index.is_unique and known.genes.index.str.fullmatch(r"ENSG\d{11}").all()
    assert known.genes["arm"].str.fullmatch(r"([1-9]|1\d|2[0-2]|X|Y)[pq]|MT").all()
    types = load_cell_types([HOME / "resources" / "markers" / "markers.yaml"])
    kinds = set(pd.read_csv(DEMO / "types.tsv", sep="\t")["cell_type"])
    assert len(kinds) >= 12 and all(kind in types for kind in kinds)
    for composition in known.design["composition"].values():
        assert sum(composition.values()) == pytest.approx(1) and set(composition) <= kinds


def test_draws_have_the_mean_and_variance_of_a_negative_binomial() -> None:
    rates = np.tile([0.0, 0.2, 5.0, 60.0], (40_000, 1))
    counts = simulate.draw(rates, overdispersion=0.4, rng=np.random.default_rng(1))
    dense = counts.toarray()
    assert counts.dtype == np.int32 and counts.has_sorted_indices
    expected = rates[0] + 0.4 * rates[0] ** 2
    np.testing.assert_allclose(dense.mean(axis=0), rates[0], rtol=0.03, atol=0.01)
    np.testing.assert_allclose(dense.var(axis=0), expected, rtol=0.06)


def test_same_seed_same_bytes_other_seed_other_cells(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    small = replace(settings, cells=12)
    sample = samples["demoA_M1"]
    first, cells = simulate.simulate(sample, known, small)
    again, _ = simulate.simulate(sample, known, small)
    other, _ = simulate.simulate(sample, known, replace(small, seed=2))
    assert first.data.tobytes() == again.data.tobytes() and first.indices.tobytes() == again.indices.tobytes()
    assert first.shape == (12, len(known.genes)) and len(cells) == 12
    assert (first != other).nnz > 0


def test_cells_have_the_configured_troubles(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    large, sample = replace(settings, cells=8_000), samples["demoA_M1"]
    states = simulate.expression(sample, known, large)
    shares = simulate.composition(sample, known, large)
    cells = simulate.draw_cells(sample, shares, states, known, large, np.random.default_rng(1))
    doublet = cells["truth_doublet"]
    assert doublet.mean() == pytest.approx(settings.doublets, abs=0.01)
    mixed = cells["truth_partner"][doublet] != cells["truth_cell_type"][doublet]
    assert mixed.mean() == pytest.approx(settings.heterotypic, abs=0.05)
    assert cells["truth_low_quality"].mean() == pytest.approx(settings.low_quality, abs=0.01)
    assert cells["truth_dying"].mean() == pytest.approx(settings.dying, abs=0.01)
    assert settings.ambient[0] - 0.01 < cells["truth_ambient"].mean() < settings.ambient[1] + 0.01
    whole = ~doublet & ~cells["truth_low_quality"] & ~cells["truth_dying"]
    spread = np.log(cells["truth_depth"][whole & (cells["truth_cell_type"] == "astrocyte")]).std()
    assert spread == pytest.approx(settings.depth_sd, rel=0.1)
    observed = cells["truth_cell_type"].value_counts(normalize=True)
    for kind, share in shares.items():
        assert observed.get(kind, 0.0) == pytest.approx(share, abs=0.02)
    assert (cells["truth_clone"] != "").equals(cells["truth_malignant"])


def test_the_file_gives_the_truth_back(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    counts, cells = simulate.simulate(samples["demoA_P1"], known, replace(settings, cells=9))
    write_counts(tmp_path / "S.h5ad", counts, cells, known.genes[["symbol"]], {"simulated": True})
    truth = recovery.truth_of_cells({"S": open_counts(tmp_path / "S.h5ad").cells})
    assert list(truth.index) == [f"S:{barcode}" for barcode in cells.index]
    assert list(truth["truth_cell_type"]) == list(cells["truth_cell_type"]) and "sample" not in truth
    assert truth["truth_doublet"].dtype == truth["truth_malignant"].dtype == bool


def test_metastases_are_sequenced_less_deeply(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    large, depth = replace(settings, cells=2_000, doublets=0.0, low_quality=0.0, dying=0.0), {}
    for name in ("demoA_P1", "demoA_M1"):
        sample = samples[name]
        states, shares = simulate.expression(sample, known, large), simulate.composition(sample, known, large)
        cells = simulate.draw_cells(sample, shares, states, known, large, np.random.default_rng(1))
        depth[name] = cells["truth_depth"][cells["truth_malignant"]].median()
    assert depth["demoA_M1"] / depth["demoA_P1"] == pytest.approx(known.design["depth"]["brain_metastasis"], rel=0.1)


def test_dying_cells_are_rich_in_mitochondrial_rna(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    counts, cells = simulate.simulate(samples["demoA_P1"], known, replace(settings, dying=0.5))
    mitochondrial = np.asarray(counts[:, (known.genes["arm"] == "MT").to_numpy()].sum(axis=1)).ravel()
    share = pd.Series(mitochondrial / np.asarray(counts.sum(axis=1)).ravel(), index=cells.index)
    assert share[cells["truth_dying"]].median() > 3 * share[~cells["truth_dying"]].median()


def test_ambient_rna_of_metastases_is_brain(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    soup = replace(settings, ambient=[0.2, 0.2], doublets=0.0, cells=300, depth_sd=0.1)
    plp1 = (known.genes["symbol"] == "PLP1").to_numpy()  # myelin: no breast profile has any
    for name, brain in {"demoA_P1": False, "demoA_M1": True}.items():
        counts, cells = simulate.simulate(samples[name], known, soup)
        tumour = cells["truth_malignant"].to_numpy()
        observed = counts[tumour][:, plp1].sum() / counts[tumour].sum()
        states = simulate.expression(samples[name], known, soup)
        ambient = simulate.ambient_profile(
            samples[name], simulate.composition(samples[name], known, soup), states, known
        )
        assert ambient.sum() == pytest.approx(1)
        assert observed == pytest.approx(0.2 * ambient[plp1][0], rel=0.25) and (observed > 1e-4) == brain


def _log2_ratio(known: Knowledge, a: Settings, b: Settings, sample: dict[str, Any], state: str) -> pd.Series:
    one, two = (simulate.expression(sample, known, s)[state] for s in (a, b))
    measured = two > 0
    return pd.Series(np.log2(one[measured] / two[measured]), index=known.genes["symbol"][measured])


def test_shifts_are_in_malignant_cells_of_metastases_only(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    # The same number of arms under every direction, so that only the shifts differ.
    flat = Knowledge(
        known.genes,
        known.profiles,
        known.rna,
        {**known.design, "copy_number": {**known.design["copy_number"], "shift": {}}},
        known.signatures,
    )
    none = replace(settings, direction=0)
    metastasis, primary = samples["demoA_M1"], samples["demoA_P1"]
    for sign in (1, -1):
        planted = replace(settings, direction=sign)
        change = _log2_ratio(flat, planted, none, metastasis, MALIGNANT)
        change -= change.median()
        assert change[["MKI67", "TOP2A", "CCNB1"]].between(*sorted((sign * 0.4, sign * 1.6))).all()
        assert np.sign(change["HLA-A"]) == -sign
        nulls = {gene for null in known.design["nulls"] for arm in known.signatures[null] for gene in arm}
        assert np.allclose(change[change.index.isin(nulls)], 0)
        assert np.allclose(_log2_ratio(flat, planted, none, metastasis, "t_cell"), 0)
        assert np.allclose(_log2_ratio(flat, planted, none, primary, MALIGNANT), 0)


def test_traps_strike_where_they_should(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    open_design = {**known.design, "traps": []}
    without = Knowledge(known.genes, known.profiles, known.rna, open_design, known.signatures)

    def change(sample: dict[str, Any], state: str, genes: list[str]) -> float:
        one, two = (simulate.expression(sample, k, settings)[state] for k in (known, without))
        ratio = pd.Series(np.log2(one[two > 0] / two[two > 0]), index=known.genes["symbol"][two > 0])
        return float((ratio[genes] - ratio.median()).mean())

    positive = next(s for s in samples.values() if s.get("er") == "pos")
    negative = next(s for s in samples.values() if s.get("er") == "neg")
    assert change(positive, MALIGNANT, ["XBP1", "GATA3"]) == pytest.approx(1.5)
    assert change(negative, MALIGNANT, ["XBP1", "GATA3"]) == pytest.approx(0, abs=1e-9)
    assert change(positive, "t_cell", ["XBP1", "GATA3"]) == pytest.approx(0, abs=1e-9)
    for sample in samples.values():
        stressed = sample["study"] == "demo_b" and sample["condition"] == "brain_metastasis"
        assert change(sample, "t_cell", ["FOS", "JUNB"]) == pytest.approx(1.5 if stressed else 0, abs=1e-9)
        assert change(sample, MALIGNANT, ["PLIN2", "ACADM"]) == pytest.approx(
            1.2 if sample["study"] == "demo_c" else 0, abs=1e-9
        )


def test_nothing_touches_the_genes_of_null_signatures(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    even = {**known.design["copy_number"], "ratio": {"gain": 1, "loss": 1}}
    planted = replace(known, design={**known.design, "copy_number": even})
    bare = replace(known, design={**known.design, "copy_number": even, "traps": [], "shifts": []})
    genes = {gene for null in known.design["nulls"] for arm in known.signatures[null] for gene in arm}
    for sample in samples.values():
        one, two = (simulate.expression(sample, k, settings)[MALIGNANT] for k in (planted, bare))
        ratio = pd.Series(np.log2(one[two > 0] / two[two > 0]), index=known.genes["symbol"][two > 0])
        assert np.allclose(ratio[ratio.index.isin(genes)] - ratio.median(), 0), sample["id"]


def test_arms_are_altered_in_malignant_cells_only_and_as_the_truth_says(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    truth = conform(simulate.truth_arms(list(samples.values()), known, settings), "truth_arms")
    assert set(truth["sample"]) == {s["id"] for s in samples.values() if s["condition"] != "normal_brain"}
    sample, n = samples["demoA_P1"], known.design["copy_number"]
    mine = truth[truth["sample"] == sample["id"]].set_index("arm")
    trunk = mine[(mine["state"] != "neutral") & (mine["share"] == 1)]
    assert len(trunk) == n["altered"] and (mine["state"] != "neutral").sum() == n["altered"] + n["subclone"]["arms"]
    states = simulate.expression(sample, known, settings)
    even = Knowledge(
        known.genes,
        known.profiles,
        known.rna,
        {**known.design, "copy_number": {**n, "ratio": {"gain": 1, "loss": 1}}},
        known.signatures,
    )
    diploid = simulate.expression(sample, even, settings)
    seen = known.profiles["malignant_epithelial"] > 0
    ratio = pd.Series(np.log2(states[MALIGNANT][seen] / diploid[MALIGNANT][seen]), index=known.genes["arm"][seen])
    ratio = (ratio - ratio.median()).groupby(level=0).mean()
    for arm, log2 in trunk["log2_ratio"].items():
        assert ratio[arm] == pytest.approx(log2)
    assert np.allclose(ratio.drop(trunk.index), 0)
    assert all(np.array_equal(states[s], diploid[s]) for s in states if "/" not in s)
    burden = truth[truth["state"] != "neutral"].groupby("sample").size()
    assert burden["demoA_M1"] == burden["demoA_P1"] + n["shift"]["brain_metastasis"]


@pytest.mark.parametrize("direction", [1, 0, -1])
def test_truth_follows_the_direction(known: Knowledge, settings: Settings, direction: int) -> None:
    truth = conform(simulate.truth_shifts(known, replace(settings, direction=direction)), "truth_shifts")
    assert list(truth) == columns("truth_shifts")
    shift = truth.set_index("signature").loc["proliferation"]
    assert shift["direction"] == direction and shift["kind"] == ("true" if direction else "null")
    assert shift["verdict"] == {1: "recovered", 0: "not_recovered", -1: "contradicted"}[direction]
    trap = truth.set_index("signature").loc["pparg_signalling"]
    assert (trap["kind"], trap["study"], trap["direction"], trap["verdict"]) == ("trap", "demo_c", 1, "not_recovered")
    assert set(truth["signature"]) - set(known.signatures) == {"share:t_cell", "cnv_burden", "depth"}


def test_shifts_can_be_read_from_the_counts(
    known: Knowledge, settings: Settings, samples: dict[str, dict[str, Any]]
) -> None:
    profile = {}
    for name in [f"demoA_{kind}{i}" for kind in "PM" for i in (1, 2, 3, 4)]:
        counts, cells = simulate.simulate(samples[name], known, settings)
        total = np.asarray(counts[cells["truth_malignant"].to_numpy()].sum(axis=0)).ravel()
        profile[name] = np.log2(total / total.sum() * 1e6 + 1)
    table = pd.DataFrame(profile, index=known.genes["symbol"])
    change = table.filter(like="_M").mean(axis=1) - table.filter(like="_P").mean(axis=1)
    assert change[list(known.signatures["proliferation"][0])].mean() > 0.5
    assert change[change.index.isin(known.signatures["oxphos"][0])].mean() > 0.3
    assert abs(change[change.index.isin(known.signatures["hr_repair_expression"][0])].mean()) < 0.25


def test_the_shipped_profiles_are_what_the_script_makes(real_data: Path) -> None:
    spec = importlib.util.spec_from_file_location("demo_build", DEMO / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    profiles, types = module.build(real_data, HOME / "resources" / "genes" / "human.tsv.gz")
    shipped = pd.read_csv(DEMO / "profiles.tsv.gz", sep="\t", keep_default_na=False)
    both = profiles.merge(shipped[["ensembl_id"]])
    # A newer gene table may name a few genes more or fewer, which moves shares of a million a little.
    assert len(both) > 0.99 * max(len(profiles), len(shipped))
    same = shipped[shipped["ensembl_id"].isin(both["ensembl_id"])].reset_index(drop=True)
    assert (both[["ensembl_id", "arm"]] == same[["ensembl_id", "arm"]]).all().all()
    np.testing.assert_allclose(both.iloc[:, 3:], same.iloc[:, 3:], rtol=0.01, atol=1)
    pd.testing.assert_frame_equal(types, pd.read_csv(DEMO / "types.tsv", sep="\t"))
