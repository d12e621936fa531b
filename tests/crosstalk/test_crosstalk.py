"""Crosstalk: numbers by hand on small profiles, invariances, and that sender and receiver share a sample."""

import subprocess
import sys
from pathlib import Path

import liana
import numpy as np
import pandas as pd
import pytest
import yaml
from anndata import AnnData
from brainmet import crosstalk as module
from brainmet.core import tables
from brainmet.crosstalk import crosstalk, load
from brainmet.crosstalk.ligands import RESOURCE, consensus, consensus_pairs, find_pair, robust_rank
from brainmet.crosstalk.summary import _sites, _specific, partial_conjunction_p, summary
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.pseudobulk import Pseudobulk, collect
from brainmet.pseudobulk.type_profiles import TypeProfiles, parents_of, present, samples, strata
from scipy.stats import norm

SHIPPED = Path(__file__).parents[2] / "resources"
TEST = {"min_cells": 10, "min_fraction": 0.1, "n_random": 199, "n_bins": 5, "seed": 1}
OVER = {"alpha": 0.05, "min_donors": 5, "n_permutations": 199, "seed": 1}
BRAIN = ("astrocyte", "endothelial", "microglia", "neuron")
PAIRS = pd.DataFrame({"ligand": ["GAS6", "IL6"], "receptor": ["AXL", "IL6R_IL6ST"]})
ABOUT = {
    "condition": "brain_metastasis",
    "primary_site": "breast",
    "technology": "10x_3prime",
    "suspension": "cell",
    "values": "counts",
    "organism": "human",
}


def bulk(
    samples_: dict[str, dict[str, dict[str, float]]],
    *,
    study: str = "A",
    n_genes: int = 300,
    n_cells: int = 50,
    **obs: str,
) -> AnnData:
    """Pseudobulk: by sample and type, genes whose counts are raised over a common background."""
    named = sorted(
        {gene for types in samples_.values() for genes in types.values() for gene in genes}
        | {"GAS6", "AXL", "IL6", "IL6R", "IL6ST"}
    )
    symbols = [*named, *(f"G{i:04d}" for i in range(n_genes))]
    level = np.concatenate([np.full(len(named), 50.0), np.random.default_rng(0).integers(10, 1000, n_genes)])
    rows, records = [], []
    for sample, types in samples_.items():
        for i, (name, genes) in enumerate(types.items()):
            noise = np.random.default_rng([i, len(sample)]).integers(0, 5, len(symbols))
            rows.append(level + noise + np.array([genes.get(s, 0.0) for s in symbols]))
            who = {"dataset": study, "study": study, "sample": sample, "donor": f"D{sample}"}
            records.append(ABOUT | who | {"cell_type": name, "n_cells": n_cells} | obs)
    X = np.array(rows)
    frame = pd.DataFrame(records, index=[f"{study}{i}" for i in range(len(rows))])
    var = pd.DataFrame({"symbol": symbols}, index=[f"ENSG{s}" for s in symbols])
    return AnnData(X, obs=frame, var=var, layers={"n_cells_detected": np.minimum(X, n_cells).astype(np.float32)})


def joined(*parts: AnnData) -> Pseudobulk:
    return collect(parts)


@pytest.fixture(scope="module")
def axes() -> module.Axes:
    return load(SHIPPED / "crosstalk" / "axes.yaml")


@pytest.fixture(scope="module")
def parents() -> dict[str, str]:
    return parents_of(load_cell_types([SHIPPED / "markers" / "markers.yaml"]))


def niche(**raised: dict[str, float]) -> dict[str, dict[str, float]]:
    return {name: raised.get(name, {}) for name in ("malignant_epithelial", *BRAIN, "t_cell")}


GAS6_AXIS = "GAS6__AXL__astrocyte_to_malignant_epithelial"


def test_planted_axis_stands_out_and_numbers_are_as_by_hand(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk({"S1": niche(astrocyte={"GAS6": 2000}, malignant_epithelial={"AXL": 3000})})
    table = crosstalk(data, axes, PAIRS, parents, **TEST).set_index("axis")
    row = table.loc[GAS6_AXIS]
    astrocyte = data.X[list(data.obs["cell_type"]).index("astrocyte")]
    tumour = data.X[0]
    ligand = np.log1p(1e4 * astrocyte[data.var["symbol"] == "GAS6"][0] / astrocyte.sum())
    receptor = np.log1p(1e4 * tumour[data.var["symbol"] == "AXL"][0] / tumour.sum())
    assert row["ligand_mean"] == pytest.approx(ligand)
    assert row["score"] == pytest.approx(np.sqrt(ligand * receptor))
    assert row["p"] == pytest.approx(1 / 200)
    # Six types: 30 ordered pairs, and only the true one is as high.
    assert row["p_perm_types"] == row["p_perm_min"] == pytest.approx(1 / 30)
    assert row["sender_specificity"] == 1
    assert row["liana_pair"] == "GAS6^AXL"
    assert row["magnitude_rank"] < 0.05 and row["specificity_rank"] < 0.05
    assert row["fdr"] >= row["p"]


def test_axis_of_equal_expression_everywhere_does_not(axes: module.Axes, parents: dict[str, str]) -> None:
    raised = {"GAS6": 2000.0, "AXL": 3000.0}
    table = crosstalk(bulk({"S1": dict.fromkeys(niche(), raised)}), axes, PAIRS, parents, **TEST).set_index("axis")
    assert table.loc[GAS6_AXIS, "p"] > 0.05
    assert table.loc[GAS6_AXIS, "p_perm_types"] > 0.2


def test_two_studies_never_meet(axes: module.Axes, parents: dict[str, str]) -> None:
    tumour = bulk({"T": {"malignant_epithelial": {}, "t_cell": {}, "fibroblast": {}}}, study="tumour")
    brain = bulk({"B": {name: {} for name in BRAIN}}, study="brain")
    table = crosstalk(joined(tumour, brain), axes, PAIRS, parents, **TEST)
    assert len(table)
    for side, other in (("sender_types", "receiver_types"), ("receiver_types", "sender_types")):
        assert not table[table[side].isin(BRAIN)][other].str.startswith("malignant").any()
    over = summary(table, axes, **OVER).set_index("axis")
    assert over.loc[GAS6_AXIS, "status"] == "not_tested"
    assert over.loc[GAS6_AXIS, "reason"] == "no sample holds its sender and its receiver"
    assert over.loc[GAS6_AXIS, "receiver_types"] == ""


def test_a_state_is_said_to_be_read_in_its_type(axes: module.Axes, parents: dict[str, str]) -> None:
    axes = module.Axes([entry for entry in axes.entries if entry["receiver"] == "cd8_t"], axes.responses)
    data = bulk({"S1": niche(malignant_epithelial={"NECTIN2": 500.0, "TIGIT": 0.0})})
    over = summary(crosstalk(data, axes, PAIRS, parents, **TEST), axes, **OVER)
    tested = over[over["status"] == "tested"]
    assert len(tested) and set(tested["receiver"]) == {"cd8_t"} and set(tested["receiver_types"]) == {"t_cell"}


def test_donors_of_one_sample_never_meet(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk({"S": niche()})
    data.obs["donor"] = ["D1" if t == "malignant_epithelial" else "D2" for t in data.obs["cell_type"]]
    table = crosstalk(data, axes, PAIRS, parents, **TEST)
    assert set(table["donor"]) <= {"D1", "D2"}
    assert not ((table["sender"] == "malignant_epithelial") ^ (table["receiver"] == "malignant_epithelial")).any()


def test_readouts_are_families_of_their_own(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk(
        {"S1": niche(malignant_epithelial={"GJA1": 2000, "PCDH7": 2000, "CCL2": 4000}, astrocyte={"GJA1": 2000})}
    )
    table = crosstalk(data, axes, PAIRS, parents, **TEST).set_index("axis")
    gap = table.loc["GJA1__GJA1__malignant_epithelial_to_astrocyte"]
    assert gap["readout"] == "two_sided" and gap["p"] <= 0.05
    others = table[table["readout"] != "lr"]
    assert others[["magnitude_rank", "specificity_rank", "p_perm_types"]].isna().all().all()
    mir = table[table["readout"] == "downstream"].iloc[0]
    assert (
        mir["status"] == "tested" and mir["score"] == mir["response_score"] > 0 and mir["p"] == mir["response_p"] < 0.05
    )


def test_two_sided_needs_both_sides(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk({"S1": niche(astrocyte={"SLC16A3": 4000, "SLC16A1": 0})})
    data = data[:, ~data.var["symbol"].isin(["SLC16A1"])].copy()
    axis = "SLC16A3__SLC16A1__astrocyte_to_malignant_epithelial"
    row = crosstalk(data, axes, PAIRS, parents, **TEST).set_index("axis").loc[axis]
    assert row["status"] == "not_tested" and row["reason"] == "SLC16A1 is not measured" and np.isnan(row["p"])
    data = bulk({"S1": niche(astrocyte={"SLC16A3": 4000}, neuron={"SLC16A1": 4000})})
    assert crosstalk(data, axes, PAIRS, parents, **TEST).set_index("axis").loc[axis, "p"] > 0.5


def test_complex_counts_with_its_least_expressed_subunit(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk({"S1": niche(malignant_epithelial={"ITGB1": 5000, "ITGA4": 5}, endothelial={"VCAM1": 500})})
    row = (
        crosstalk(data, axes, PAIRS, parents, **TEST)
        .set_index("axis")
        .loc["VCAM1__ITGA4+ITGB1__endothelial_to_malignant_epithelial"]
    )
    tumour = data.X[0]
    assert row["receptor_mean"] == pytest.approx(
        np.log1p(1e4 * tumour[data.var["symbol"] == "ITGA4"][0] / tumour.sum())
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [("few", "sender has 4 cells, 10 needed"), ("types", "2 types in the sample, 3 needed to compare with")],
)
def test_reasons(change: str, reason: str, axes: module.Axes, parents: dict[str, str]) -> None:
    types = niche() if change == "few" else {"malignant_epithelial": {}, "astrocyte": {}}
    data = bulk({"S1": types})
    if change == "few":
        data.obs.loc[data.obs["cell_type"] == "astrocyte", "n_cells"] = 4
    row = crosstalk(data, axes, PAIRS, parents, **TEST).set_index("axis").loc[GAS6_AXIS]
    assert (row["status"], row["reason"]) == ("not_tested", reason)


def test_other_samples_and_orders_change_nothing(axes: module.Axes, parents: dict[str, str]) -> None:
    one = bulk({"S1": niche(astrocyte={"GAS6": 700})})
    two = joined(bulk({"A9": niche()}, study="Z"), one)
    order = np.random.default_rng(1).permutation(len(two.obs))
    layers = {name: values[order] for name, values in two.layers.items()}
    shuffled = Pseudobulk(two.X[order], two.obs.iloc[order], two.var, layers)
    alone = crosstalk(one, axes, PAIRS, parents, **TEST)
    beside = crosstalk(shuffled, axes, PAIRS, parents, **TEST)
    pd.testing.assert_frame_equal(
        alone, beside[beside["sample"] == "S1"].reset_index(drop=True)[alone.columns], check_exact=False, rtol=1e-9
    )


def test_names_of_donors_and_samples_decide_nothing(axes: module.Axes, parents: dict[str, str]) -> None:
    axis = module.Axes([a for a in axes.entries if a["id"] == GAS6_AXIS], axes.responses)
    found = []
    for names in ("abcdef", "ukzvtq"):
        own = {name: niche(astrocyte={"GAS6": 100.0 * k}) for k, name in enumerate(names)}
        table = crosstalk(bulk(own), axis, PAIRS, parents, **TEST)
        over = summary(table, axis, **OVER).drop(columns="references")
        found.append((table.sort_values("score")["p"].tolist(), over))
    assert found[0][0] == found[1][0]
    pd.testing.assert_frame_equal(found[0][1], found[1][1])


def test_empty_inputs_give_headers(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk({"S1": niche()})
    for nothing in (
        data[:0].copy(),
        bulk({"S1": {"unknown": {}}}),
        bulk({"S1": niche()}, suspension="bulk"),
        bulk({"S1": {"t_cell": {}}}),
    ):
        table = crosstalk(nothing, axes, PAIRS, parents, **TEST)
        assert list(table.columns) == tables.columns("crosstalk") and table.empty
        assert len(tables.conform(summary(table, axes, **OVER), "crosstalk_summary")) == len(axes.entries)


def test_random_genes_reject_at_their_level(parents: dict[str, str]) -> None:
    """200 axes of random genes with random type differences: p below 0.05 in 5 %, within binomial error."""
    rng = np.random.default_rng(3)
    data = bulk({"S1": niche()}, n_genes=2000)
    data.X = np.rint(data.X * rng.lognormal(0, 0.8, data.X.shape)) + 1
    genes = rng.choice([s for s in data.var["symbol"] if s.startswith(("G0", "G1"))], (400, 2))
    entry = {
        "axis": "x",
        "tier": 1,
        "kind": "protein",
        "readout": "lr",
        "sender": "astrocyte",
        "receiver": "malignant_epithelial",
        "references": [],
    }
    axes = module.Axes([entry | {"id": f"x{i}", "ligand": [a], "receptor": [b]} for i, (a, b) in enumerate(genes)], {})
    p = crosstalk(data, axes, PAIRS, parents, **TEST)["p"]
    assert 0.02 < (p <= 0.05).mean() < 0.085
    assert 0.42 < p.mean() < 0.58


def test_summary_over_donors(axes: module.Axes, parents: dict[str, str]) -> None:
    """Ligand and response planted together over eight donors: significant donors, specific sender, correlation of 1."""
    raised = {
        f"S{i}": niche(
            astrocyte={"JAG1": 400.0 * 2**i},
            malignant_epithelial={"NOTCH1": 2000, "HES1": 300.0 * 2**i, "HEY1": 300.0 * 2**i},
        )
        for i in range(5)
    }
    over = summary(crosstalk(bulk(raised), axes, PAIRS, parents, **TEST), axes, **OVER).set_index("axis")
    row = over.loc["JAG1__NOTCH1__astrocyte_to_malignant_epithelial"]
    assert (row["n_donors"], row["n_studies"], row["n_response"]) == (5, 1, 5)
    assert row["share_significant"] == 1
    assert row["p_donors"] == pytest.approx(5 / 3 / (TEST["n_random"] + 1))
    assert row["share_top_sender"] == 1
    assert not row["verify"] and row["references"].startswith("Xing F 2013") and "verified" not in row["references"]
    assert (row["databases"], row["from_memory"]) == ("cellchatdb;celltalkdb;cellphonedb;connectomedb2020;icellnet", "")
    other = over.loc["IL6__IL6R+IL6ST__astrocyte_to_malignant_epithelial"]
    assert other["verify"] and (other["databases"], other["from_memory"]) == ("cellchatdb;icellnet", "cell_types")
    assert over["references"].str.contains("(to be verified)", regex=False).any()
    assert row["response_rho"] == pytest.approx(1) and row["response_p"] < 0.05


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_donors_that_resemble_each_other_do_not_pass_for_independent(alike: float, n: int) -> None:
    """4,000 axes of random genes in n donors, whose p go together as far as donors are alike."""
    rng = np.random.default_rng(n)
    z = alike**0.5 * rng.normal(size=(4000, 1)) + (1 - alike) ** 0.5 * rng.normal(size=(4000, n))
    p = np.array([partial_conjunction_p(row) for row in norm.sf(z)])
    assert (p <= 0.05).mean() < 0.06
    assert (p <= 0.001).mean() < 0.003


def test_half_of_the_donors_by_hand() -> None:
    assert partial_conjunction_p(np.array([0.03])) == pytest.approx(0.03)
    assert partial_conjunction_p(np.array([0.9, 0.01, 0.02])) == pytest.approx(0.03)
    assert partial_conjunction_p(np.array([0.01, 0.02, 0.5, 0.6])) == pytest.approx(0.04)
    assert partial_conjunction_p(np.array([0.9, 0.8])) == 1


def test_sites_and_senders_are_tested_over_donors(axes: module.Axes, parents: dict[str, str]) -> None:
    """Eight donors of one study, the axis stronger in those with a breast primary; then each site in its own study."""
    axes = module.Axes([entry for entry in axes.entries if entry["id"] == GAS6_AXIS], axes.responses)
    raised = {
        f"S{i}": niche(astrocyte={"GAS6": 300.0 + (900 if i < 4 else 0) + 10 * i}, malignant_epithelial={"AXL": 800})
        for i in range(8)
    }
    data = bulk(raised)
    data.obs["primary_site"] = np.where(data.obs["sample"] < "S4", "breast", "lung")
    rows = crosstalk(data, axes, PAIRS, parents, **TEST)
    over = summary(rows, axes, **OVER).set_index(["axis", "primary_site"]).loc[(GAS6_AXIS, "all")]
    assert over["n_site"] == 8 and over["site_p"] < 0.06
    assert over["specificity_p"] == pytest.approx(1 / 2**8)
    apart = rows.assign(study=rows["primary_site"])
    over = summary(apart, axes, **OVER).set_index(["axis", "primary_site"]).loc[(GAS6_AXIS, "all")]
    assert over["n_site"] == 0 and np.isnan(over["site_p"])


def test_ties_are_ties_and_names_draw_nothing() -> None:
    score = [0.0] * 6 + [1, 2, 0.5, 3]
    rows = pd.DataFrame({"study": "s", "primary_site": ["breast", "lung"] * 5, "score": score})
    p = [
        _sites(rows.assign(donor=list(names)), 4, 200, np.random.default_rng(1))["site_p"]
        for names in ("abcdefghij", "badcfehgji", "jihgfedcba")
    ]
    assert p[0] == p[1] == p[2]
    assert _specific(pd.Series([0.7, 0.3, 0.8, 0.2, 0.9, 1.0])) == 11 / 64


_MEMORY = """
import numpy as np, pandas as pd
from pathlib import Path
from anndata import AnnData
from brainmet import crosstalk
from brainmet.crosstalk import ligands
from brainmet.knowledge import cell_types
from brainmet.pseudobulk import type_profiles
shipped = Path({shipped!r})
axes = crosstalk.load(shipped / "crosstalk/axes.yaml")
parents = type_profiles.parents_of(cell_types.load_cell_types([shipped / "markers/markers.yaml"]))
types = sorted({{t for a in axes.entries for t in (a["sender"], a["receiver"])}})
types = (types + [f"type_{{i}}" for i in range(30)])[:30]
symbols = sorted({{g for a in axes.entries for g in (*a["ligand"], *a["receptor"])}})
symbols += [f"G{{i}}" for i in range(30_000 - len(symbols))]
rng = np.random.default_rng(0)
rates = rng.lognormal(0, 1.5, (30, 30_000))
X = np.vstack([rng.poisson(rates) for _ in range(8)]).astype(float)
who = [(f"S{{s}}", f"D{{s}}", t) for s in range(8) for t in types]
obs = pd.DataFrame(who, columns=["sample", "donor", "cell_type"])
obs = obs.assign(dataset="A", study="A", condition="brain_metastasis", primary_site="breast", n_cells=420)
obs = obs.assign(technology="10x_3prime", suspension="cell", values="counts", organism="human")
obs.index = obs.index.astype(str)
var = pd.DataFrame({{"symbol": symbols}}, index=[f"E{{i}}" for i in range(30_000)])
bulk = AnnData(X, obs=obs, var=var, layers={{"n_cells_detected": np.minimum(X, 420).astype(np.float32)}})
how = {{"min_cells": 10, "min_fraction": 0.1, "n_random": 1000, "n_bins": 25, "seed": 1}}
table = crosstalk.crosstalk(bulk, axes, ligands.consensus_pairs(), parents, **how)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(len(table), int(obs["n_cells"].sum()), peak)
"""


@pytest.mark.slow
def test_memory_does_not_follow_the_cells() -> None:
    """8 samples of 30 types, 100,000 cells in all: only means of types are read, below 2 GB with all libraries."""
    command = [sys.executable, "-c", _MEMORY.format(shipped=str(SHIPPED))]
    rows, cells, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(rows) > 500 and int(cells) >= 100_000
    assert float(peak) < 2000


def test_samples_of_a_donor_count_once(axes: module.Axes, parents: dict[str, str]) -> None:
    data = bulk({"S1": niche(), "S2": niche(), "S3": niche()})
    data.obs["donor"] = ["D1" if s != "S3" else "D3" for s in data.obs["sample"]]
    row = summary(crosstalk(data, axes, PAIRS, parents, **TEST), axes, **OVER).set_index("axis").loc[GAS6_AXIS]
    assert (row["n_samples"], row["n_donors"]) == (3, 2)


def test_states_are_read_as_their_type(parents: dict[str, str]) -> None:
    assert present("cd8_t", ["t_cell", "nk"], parents) == ["t_cell"]
    assert present("malignant_epithelial", ["malignant_basal", "malignant_luminal", "nk"], parents) == [
        "malignant_basal",
        "malignant_luminal",
    ]
    assert present("astrocyte", ["oligodendrocyte", "neuron"], parents) == []
    assert present("malignant_epithelial", ["normal_luminal_hs"], parents) == []


def test_profiles_leave_out_unmeasured_genes_and_doubled_symbols() -> None:
    data = bulk({"S1": {"nk": {}}})
    data.X[:, 3] = np.nan
    data.var["symbol"] = ["GAS6" if i == 6 else s for i, s in enumerate(data.var["symbol"])]
    (profiles,) = samples(data, suspensions=("cell",), values=("counts",))
    assert len(profiles.symbols) == data.n_vars - 2
    assert profiles.cp10k.sum() == pytest.approx(1e4)


def test_strata_are_of_equal_size_and_leave_out_genes_never_seen() -> None:
    bins = strata(np.array([0, 5, 1, 4, 2, 0, 3, 6.0]), 3)
    assert bins.tolist() == [-1, 2, 0, 1, 0, -1, 1, 2]


def test_robust_rank_of_agreeing_lists_is_their_p() -> None:
    """n items in one order by m lists: the i-th item's bound is m times the smallest Beta(k, m - k + 1) tail at i/n."""
    values = np.arange(10)[::-1]
    ranks = robust_rank([values, values * 2, values + 1], np.arange(10))
    assert ranks[0] == pytest.approx(3 * 0.1**3)
    assert ranks[-1] == 1 and (np.diff(ranks) >= 0).all()
    assert robust_rank([values, values * 2, values + 1], np.array([0, 9])).tolist() == [ranks[0], ranks[9]]
    assert robust_rank([values], np.arange(0)).size == 0


def test_consensus_resource_is_read_without_importing_liana() -> None:
    import sys

    loaded = "liana" in sys.modules
    pairs = consensus_pairs()
    assert ("liana" in sys.modules) == loaded
    assert len(pairs) > 4000
    assert find_pair(pairs, ["GAS6"], ["AXL"]) == ("GAS6", "AXL")
    assert find_pair(pairs, ["IL6"], ["IL6R"]) == ("IL6", "IL6R_IL6ST")
    assert find_pair(pairs, ["GJA1"], ["GJA1"]) is None
    assert ("CSF1_IL34", "CSF1R") in set(pairs.itertuples(index=False, name=None))
    assert find_pair(pairs, ["CSF1"], ["CSF1R"]) is None, "IL34 is another ligand, not a subunit"


@pytest.mark.slow
def test_consensus_scores_equal_liana() -> None:
    """Cells that repeat their type's profile: LIANA's means over cells are then ours."""
    import liana as li

    rng = np.random.default_rng(5)
    pairs = consensus_pairs().iloc[::15]
    genes = sorted({g for column in pairs for name in pairs[column] for g in name.split("_")})
    types, n_cells = ["a", "b", "c"], [12, 20, 30]
    profile = rng.poisson(3, (3, len(genes))).astype(float)
    X = np.repeat(profile, n_cells, axis=0)
    normalised = np.log1p(1e4 * X / X.sum(axis=1, keepdims=True))
    from scipy.sparse import csr_matrix

    cells = AnnData(
        csr_matrix(normalised.astype(np.float32)),
        obs=pd.DataFrame({"type": np.repeat(types, n_cells)}, index=[str(i) for i in range(len(X))]),
        var=pd.DataFrame(index=genes),
    )
    scores = {}
    for method, names in (
        (li.mt.natmi, ["expr_prod", "spec_weight"]),
        (li.mt.logfc, ["lr_logfc"]),
        (li.mt.singlecellsignalr, ["lrscore"]),
    ):
        result = method(
            cells,
            groupby="type",
            resource=pairs,
            expr_prop=0.1,
            use_raw=False,
            inplace=False,
            min_cells=5,
            verbose=False,
        )
        keyed = result.set_index(["ligand_complex", "receptor_complex", "source", "target"])
        scores |= {name: keyed[name] for name in names}
    about = {"sample": "s", "donor": "d"}

    n = np.array(n_cells, float)
    mine = consensus(
        TypeProfiles(about, tuple(types), n, profile * n[:, None], (profile > 0) * n[:, None], np.array(genes)),
        pairs,
        None,
        min_fraction=0.1,
    )
    for name, theirs in scores.items():
        assert set(theirs.index) == set(mine.index)
        np.testing.assert_allclose(mine[name], theirs.loc[mine.index], rtol=2e-4, err_msg=name)


def test_every_axis_names_known_types_and_current_symbols(axes: module.Axes) -> None:
    known = load_cell_types([SHIPPED / "markers" / "markers.yaml"])
    assert len(axes.entries) == 99
    assert sorted({t for a in axes.entries for t in (a["sender"], a["receiver"]) if t not in known}) == []
    genes = pd.read_csv(SHIPPED / "genes" / "human.tsv.gz", sep="\t", dtype=str, comment="#")
    symbols = set(genes["symbol"])
    listed = {g for a in axes.entries for g in (*a["ligand"], *a["receptor"])} | {
        g for r in axes.responses.values() for g in (*r["up"], *r.get("down", []))
    }
    assert sorted(listed - symbols) in ([], ["MIR19A"])


def test_the_databases_named_hold_the_pair(axes: module.Axes) -> None:
    """Neither side says which is the ligand where both are on a membrane: CD47 and SIRPA, neurexin and neuroligin."""
    table = pd.read_csv(Path(liana.__file__).parent / RESOURCE, dtype=str)
    held = {
        name: {frozenset(map(_subunits, pair)) for pair in rows[["source_genesymbol", "target_genesymbol"]].to_numpy()}
        for name, rows in table.groupby("resource")
    }
    named = [(axis["id"], name) for axis in axes.entries for name in axis.get("databases", [])]
    pairs = {a["id"]: frozenset(map(frozenset, (a["ligand"], a["receptor"]))) for a in axes.entries}
    assert len(named) > 200
    assert [(id_, name) for id_, name in named if pairs[id_] not in held[name]] == []


def _subunits(complex_: str) -> frozenset[str]:
    return frozenset(complex_.split("_"))


def test_no_axis_doubts_a_pair_that_a_database_holds(axes: module.Axes) -> None:
    assert [a["id"] for a in axes.entries if a.get("databases") and "pair" in a.get("from_memory", [])] == []


def test_readme_counts_what_is_from_memory(axes: module.Axes) -> None:
    readme = " ".join((SHIPPED.parent / "README.md").read_text().split())
    pairs, types = (sum(part in a.get("from_memory", []) for a in axes.entries) for part in ("pair", "cell_types"))
    held = sum("databases" in a for a in axes.entries)
    assert f"the pair of {pairs} axes and the cell types of {types} (the pairs of {held} stand in" in readme


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["axes"].append(d["axes"][0]), "is used twice"),
        (lambda d: d["axes"][0].update(response="nope"), "names the response nope; add it under responses"),
        (lambda d: d["axes"][0].update(references=["Nobody"]), "names the reference Nobody; add it under references"),
        (lambda d: d["axes"][0].update(readout="lrr"), "'lrr' is not allowed; did you mean lr?"),
        (lambda d: d["axes"][0].update(colour="red"), "unknown key"),
    ],
)  # fmt: skip
def test_bad_axes(change, message: str, tmp_path: Path) -> None:
    document = yaml.load((SHIPPED / "crosstalk" / "axes.yaml").read_text(), Loader=yaml.CSafeLoader)
    change(document)
    path = tmp_path / "axes.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(BrainmetError, match="axes.yaml: .*" + message.replace("?", r"\?")):
        load(path)


def test_table_survives_the_disk(tmp_path: Path, axes: module.Axes, parents: dict[str, str]) -> None:
    table = crosstalk(bulk({"S1": niche()}), axes, PAIRS, parents, **TEST)
    tables.write_table(table, tmp_path / "crosstalk.tsv", "crosstalk")
    again = tables.read_table(tmp_path / "crosstalk.tsv", "crosstalk")
    assert again["status"].tolist() == table["status"].tolist()
    tables.write_table(summary(again, axes, **OVER), tmp_path / "crosstalk_summary.tsv", "crosstalk_summary")
