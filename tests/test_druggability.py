"""Druggability: shares and sets by hand, expectation against drawn thinning, reasons and bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from anndata import AnnData
from brainmet.core import tables
from brainmet.druggability import (
    Drugs,
    coverage,
    described,
    expression,
    load,
    n_positive,
    positive,
    shown,
    smallest_set,
)
from brainmet.errors import BrainmetError

SHIPPED = Path(__file__).parents[1] / "resources"
HOW = {"depth": 1000, "min_counts": 1, "min_cells": 3, "cover": 0.9}


def cells(values: dict[str, list[float]], total: float | list[float] = 1000) -> pd.DataFrame:
    n = len(next(iter(values.values())))
    index = [f"S:{i}" for i in range(n)]
    return pd.DataFrame({"total_counts": total, **values}, index=index).astype(np.float32)


def annotation(types: list[str], donor: str = "D") -> pd.DataFrame:
    about = {"dataset": "A", "study": "A", "donor": donor, "condition": "brain_metastasis"}
    return pd.DataFrame({"cell_type": types} | about, index=[f"S:{i}" for i in range(len(types))])


def test_shares_and_smallest_set_by_hand() -> None:
    """At the common depth a cell is positive when it has a count: 4 of 10 show A, 4 others B, one both, one none."""
    a = [1, 1, 1, 1, 0, 0, 0, 0, 1, 0]
    b = [0, 0, 0, 0, 2, 2, 2, 2, 2, 0]
    over, single = coverage(cells({"A": a, "B": b}), annotation(["malignant_epithelial"] * 10), ["A", "B"], **HOW)
    row = over.iloc[0]
    assert row[["share_0", "share_1", "share_2_or_more"]].tolist() == pytest.approx([0.1, 0.8, 0.1])
    assert (row["smallest_set"], row["covered"], row["reached"]) == ("A+B", pytest.approx(0.9), True)
    assert single.set_index("gene")["share"].to_dict() == pytest.approx({"A": 0.5, "B": 0.5})


def test_set_is_small_and_honest_when_it_falls_short() -> None:
    p = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0.0]])
    assert smallest_set(p, ["A", "B", "C"], cover=0.7) == (["A"], 0.75)
    assert smallest_set(p, ["A", "B", "C"], cover=0.9) == (["A"], 0.75)
    assert smallest_set(p[:, :0], [], cover=0.9) == ([], 0.0)


def test_greedy_would_take_three_where_two_do() -> None:
    """The largest antigen is not in the smallest set."""
    a = [1, 1, 1, 1, 0, 0, 0, 0]
    b = [1, 1, 0, 0, 1, 1, 0, 0.0]
    wide, c = [1, 1, 1, 0, 1, 1, 0, 0.0], [0, 0, 0, 0, 1, 1, 1, 1.0]
    p = np.array([wide, a, b, c]).T
    assert smallest_set(p, ["wide", "A", "B", "C"], cover=1.0) == (["A", "C"], 1.0)


def test_expectation_equals_drawn_thinning() -> None:
    rng = np.random.default_rng(2)
    totals = rng.integers(1000, 20000, 60)
    counts = rng.poisson(1.5, (60, 3))
    p = positive(
        cells({g: counts[:, i].tolist() for i, g in enumerate("ABC")}, totals.tolist()),
        list("ABC"),
        depth=1000,
        min_counts=1,
    )
    drawn = np.array([rng.binomial(counts, (1000 / totals)[:, None]) > 0 for _ in range(4000)])
    assert np.abs(p - drawn.mean(axis=0)).max() < 0.04
    number = drawn.sum(axis=2)
    np.testing.assert_allclose(
        n_positive(p), [(number == 0).mean(), (number == 1).mean(), (number >= 2).mean()], atol=0.01
    )


def test_depth_alone_changes_no_share() -> None:
    """The same cells sequenced ten times as deep: binomial thinning returns them to the common depth."""
    rng = np.random.default_rng(0)
    deep = rng.poisson(5, 3000)
    shallow = rng.binomial(deep, 0.1)
    types = annotation(["malignant_epithelial"] * 3000)
    shares = [
        coverage(cells({"A": x.tolist()}, t), types, ["A"], **HOW)[1]["share"].iloc[0]
        for x, t in ((deep, 10000), (shallow, 1000))
    ]
    assert shares[0] == pytest.approx(shares[1], abs=0.03)


def test_normal_types_stand_beside() -> None:
    kinds = ["malignant_epithelial"] * 4 + ["astrocyte"] * 4 + ["neuron"] * 4 + ["t_cell"] * 2
    a = [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1]
    row = coverage(cells({"A": a}), annotation(kinds), ["A"], **HOW)[1].iloc[0]
    assert (row["share"], row["normal_type"], row["normal_share"]) == (0.5, "neuron", 0.75)  # two T cells are too few


def test_a_sample_that_cannot_tell_leaves_what_the_donors_other_one_says() -> None:
    """TPM among the tumour cells, and an antigen that was not measured in all normal cells."""
    kinds = ["malignant_epithelial"] * 6 + ["astrocyte"] * 3 + ["neuron"] * 3
    values = cells({"A": [1, 1, 0, 0, 9, 9, 0, 1, 1, *[np.nan] * 3]}, [*[1000.0] * 4, np.nan, np.nan, *[1000.0] * 6])
    over, single = coverage(shown(values), annotation(kinds), ["A"], **HOW)
    assert (over["n_malignant"].iloc[0], over["n_deep"].iloc[0], over["covered"].iloc[0]) == (6, 4, 0.5)
    row = single.iloc[0]
    assert (row["share"], row["normal_type"], row["normal_share"]) == (0.5, "astrocyte", pytest.approx(2 / 3))


@pytest.mark.parametrize(
    ("total", "genes", "reason"),
    [
        (500, {"A": [1, 1, 1, 1]}, "0 malignant cells with 1000 counts, 3 needed"),
        (2000, {"A": [np.nan] * 4}, "no antigen is measured"),
        (np.nan, {"A": [1, 1, 1, 1]}, "values are no counts: whether a cell shows an antigen cannot be said"),
    ],
)
def test_reasons(total: float, genes: dict[str, list[float]], reason: str) -> None:
    over, single = coverage(shown(cells(genes, total)), annotation(["malignant_epithelial"] * 4), ["A"], **HOW)
    assert (over["status"].iloc[0], over["reason"].iloc[0]) == ("not_tested", reason)
    assert single["status"].iloc[0] == "not_tested"
    assert single["reason"].iloc[0] == reason.replace("no antigen is", "A is not")
    tables.conform(over, "adc_coverage"), tables.conform(single, "adc_antigens")


def test_without_malignant_cells_tables_are_headers() -> None:
    over, single = coverage(cells({"A": [1, 1]}), annotation(["astrocyte"] * 2), ["A"], **HOW)
    assert over.empty and single.empty
    assert list(over.columns) == tables.columns("adc_coverage") and list(single.columns) == tables.columns(
        "adc_antigens"
    )


def test_cells_without_a_total_show_nothing() -> None:
    """Values that are no counts come without a total: their genes say nothing of a copy."""
    table = cells({"ERBB2": [1, 0]}, [np.nan, 5])
    assert shown(table)["ERBB2"].tolist() == pytest.approx([np.nan, 0], nan_ok=True)


def bulk(rows: list[tuple[str, str, int, list[float]]]) -> AnnData:
    """Pseudobulk of one donor: sample, type, cells, counts of ERBB2, TOP1 and a filler."""
    about = {
        "dataset": "A",
        "study": "A",
        "donor": "D",
        "condition": "brain_metastasis",
        "technology": "10x_3prime",
        "suspension": "cell",
        "values": "counts",
        "organism": "human",
    }
    obs = pd.DataFrame(
        [about | {"sample": s, "cell_type": t, "n_cells": n} for s, t, n, _ in rows],
        index=[f"p{i}" for i in range(len(rows))],
    )
    X = np.array([x for *_, x in rows], float).reshape(len(rows), 3)
    var = pd.DataFrame({"symbol": ["ERBB2", "TOP1", "FILL"]}, index=["E1", "E2", "E3"])
    return AnnData(X, obs=obs, var=var, layers={"n_cells_detected": np.minimum(X, 10).astype(np.float32)})


def drug(**changes: object) -> dict:
    genes = {"targets": ["ERBB2"], "payload_target": ["TOP1"], "uptake_genes": []}
    genes |= {"resistance_genes": {"up": [], "down": ["ERBB2"]}, "efflux_substrate_of": []}
    entry = {"id": "x", "class": "adc", "target_compartment": ["tumor"]} | genes
    return entry | changes


def test_expression_by_hand_over_two_samples() -> None:
    data = bulk(
        [
            ("S1", "malignant_epithelial", 50, [40, 0, 9960]),
            ("S2", "malignant_epithelial", 50, [10, 0, 9990]),
            ("S1", "astrocyte", 50, [5, 1, 9994]),
            ("S1", "neuron", 50, [20, 1, 9979]),
            ("S1", "nk", 5, [999, 1, 9000]),
        ]
    )
    table = expression(data, Drugs([drug()], []), {}, min_cells=20).set_index("gene")
    row = table.loc["ERBB2"]
    assert row["n_cells"] == 100 and row["log2_cpm"] == pytest.approx(np.log2(2500 + 1))
    assert (row["normal_type"], row["normal_log2_cpm"]) == ("neuron", pytest.approx(np.log2(2001)))
    assert row["difference"] == pytest.approx(row["log2_cpm"] - row["normal_log2_cpm"])
    assert (row["target_of"], row["resistance_down_of"], row["payload_of"]) == ("x", "x", "")
    assert table.loc["TOP1", "payload_of"] == "x"


def test_expression_reads_the_named_compartment_and_skips_the_systemic() -> None:
    data = bulk(
        [
            ("S1", "macrophage_md", 50, [40, 0, 9960]),
            ("S1", "monocyte", 50, [10, 0, 9990]),
            ("S1", "malignant_epithelial", 4, [1, 1, 1]),
        ]
    )
    drugs = Drugs([drug(target_compartment=["macrophage", "systemic", "nk", "tumor"])], [])
    table = expression(data, drugs, {"macrophage": ["macrophage_md", "monocyte"]}, min_cells=20)
    assert set(table["compartment"]) == {"macrophage", "tumor"}
    row = table[(table["compartment"] == "macrophage") & (table["gene"] == "ERBB2")].iloc[0]
    assert row["cell_types"] == "macrophage_md+monocyte" and row["normal_type"] == ""
    tumour = table[table["compartment"] == "tumor"].iloc[0]
    assert (tumour["status"], tumour["reason"]) == ("not_tested", "4 cells, 20 needed")
    tables.conform(table, "druggability")


def test_expression_of_nothing_is_a_header() -> None:
    data = bulk([("S1", "unknown", 50, [1, 1, 1])])
    for nothing in (data, data[:0].copy()):
        assert list(
            expression(nothing, load(SHIPPED / "drugs" / "drugs.yaml"), {}, min_cells=20).columns
        ) == tables.columns("druggability")


def test_shipped_list() -> None:
    drugs = load(SHIPPED / "drugs" / "drugs.yaml")
    assert len(drugs.entries) == 112
    assert drugs.antigens() == ["CD276", "ERBB2", "ERBB3", "FOLR1", "NECTIN4", "SLC39A6", "TACSTD2", "VTCN1"]
    symbols = set(pd.read_csv(SHIPPED / "genes" / "human.tsv.gz", sep="\t", dtype=str, comment="#")["symbol"])
    assert sorted({gene for _, gene, _, _ in drugs.uses()} - symbols) == []
    words = set(yaml.safe_load((SHIPPED / "signatures" / "compartments.yaml").read_text()))
    types = {e["id"] for e in yaml.safe_load((SHIPPED / "markers" / "markers.yaml").read_text())["cell_types"]}
    assert {place for place, *_ in drugs.uses()} <= words | types | {"systemic", "any"}


def test_the_marks_of_an_entry_agree() -> None:
    """What is from memory names fields that claim something, and the three words on evidence say the same."""
    document = yaml.load((SHIPPED / "drugs" / "drugs.yaml").read_text(), Loader=yaml.CSafeLoader)
    evidence = {"seen": "", "partly": "part of cns_evidence", "memory": "cns_evidence"}
    for entry in document["entries"]:
        named = entry.get("from_memory", [])
        assert entry["verify"] == bool(named), entry["id"]
        assert "".join(part for part in named if "cns_evidence" in part) == evidence[entry["cns_evidence_checked"]]
        fields = [part.removeprefix("part of ").removesuffix(" outside the brain") for part in named]
        assert [f for f in fields if not any(entry[f].values() if isinstance(entry[f], dict) else [entry[f]])] == []
        whole = "brain_source" not in entry["normal_tissue_warning"]
        assert ("normal_tissue_warning outside the brain" in named) != (whole or not named), entry["id"]
    marked = sum(entry["verify"] for entry in document["entries"])
    readme = " ".join((SHIPPED.parent / "README.md").read_text().split())
    assert f"parts of {marked} drugs' entries" in readme


def test_what_is_said_of_the_brain_holds_in_the_series_named(real_data: Path) -> None:
    """By the rule in the head of the list, on the adult cells of Darmanis 2015."""
    folder = real_data / "GSE67835"
    label = pd.read_csv(folder / "GSE67835_cells.csv.gz", index_col=0)["cell_type"]
    label = label[~label.str.contains("fetal|hybrid")].replace({"OPC": "opc"}).str.removesuffix("s")
    counts = pd.read_csv(folder / "GSE67835_counts.tsv.gz", sep="\t", index_col=0)
    counts = counts.set_axis(counts.index.str.strip()).drop(["no_feature", "ambiguous", "alignment_not_unique"])
    counts = counts[label.index]
    mean = (1e6 * counts / counts.sum()).T.groupby(label).mean().T
    share = (counts > 0).T.groupby(label).mean().T
    statements = {
        statement
        for entry in load(SHIPPED / "drugs" / "drugs.yaml").entries
        if entry["normal_tissue_warning"].get("brain_source") == "GSE67835"
        for statement in entry["normal_tissue_warning"]["brain"]
    }
    assert len(statements) > 40 and set(mean) == {
        "astrocyte",
        "endothelial",
        "microglia",
        "neuron",
        "oligodendrocyte",
        "opc",
    }
    assert [s for s in sorted(statements) if not _holds(s, mean, share)] == []


def _holds(statement: str, mean: pd.DataFrame, share: pd.DataFrame) -> bool:
    gene, said = statement.split(": ")
    cpm, shown = mean.loc[gene], share.loc[gene]
    named = cpm[(cpm >= 10) & (shown >= 0.3)]
    match said:
        case "all types":
            return len(named) == 6
        case "broad":
            return int((shown >= 0.2).sum()) >= 5
        case "not detected":
            return bool((shown < 0.1).all())
        case "low in all types":
            return named.empty
    return set(said.split(", ")) == {name if value >= 50 else f"{name} (low)" for name, value in named.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["entries"].append(d["entries"][0]), "the id tucatinib is used twice"),
        (lambda d: d["entries"][0].update({"class": "tkis"}), "'tkis' is not allowed; did you mean tki?"),
        (lambda d: d["entries"][0].update(target="ERBB2"), "unknown key; did you mean targets?"),
        (lambda d: d["entries"][0].pop("references"), "required key missing: references"),
    ],
)
def test_bad_list(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    document = yaml.load((SHIPPED / "drugs" / "drugs.yaml").read_text(), Loader=yaml.CSafeLoader)
    change(document)
    (tmp_path / "drugs.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(BrainmetError, match="drugs.yaml: .*" + message.replace("?", r"\?")):
        load(tmp_path / "drugs.yaml")


def test_entries_are_described_with_their_references() -> None:
    table = described(load(SHIPPED / "drugs" / "drugs.yaml")).set_index("entry")
    row = table.loc["tucatinib"]
    assert row["targets"] == "ERBB2"
    assert "HER2CLIMB" in row["cns_evidence"]
    assert "Lin NU 2020 J Clin Oncol doi:10.1200/JCO.20.00775" in row["references"]
    assert "resistance_genes" in row["from_memory"]
    assert (table["references"] != "").all()
    tables.conform(table.reset_index(), "drugs")


def test_counts_and_tpm_of_a_donor_are_not_summed() -> None:
    data = bulk([("S1", "malignant_epithelial", 50, [40, 0, 9960]), ("S2", "malignant_epithelial", 50, [0, 0, 1e6])])
    data.obs.loc["p1", ["technology", "values"]] = ["smartseq", "tpm"]
    table = expression(data, Drugs([drug()], []), {}, min_cells=20)
    rows = table[table["gene"] == "ERBB2"].set_index("values")
    assert rows["log2_cpm"].to_dict() == pytest.approx({"counts": np.log2(4001), "tpm": 0.0})
    assert rows["platform"].to_dict() == {"counts": "10x_3prime cell", "tpm": "smartseq cell"}
    tables.conform(table, "druggability")
