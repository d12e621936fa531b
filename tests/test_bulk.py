"""Bulk tissue: tables, workbooks and series matrices to profiles of donors, and paired differences of signatures."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from brainmet.compare.contrast import Contrast
from brainmet.compare.donor_scores import Scoring
from brainmet.datasets import read
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import shipped
from brainmet.knowledge.genes import GeneTable

from tests.ingest.test_ingest import HERE, run

GENES = 300
REGISTRY = HERE / "resources/datasets"
NAMES = ["BM1", "BP1", "BM2", "BP2", "7M_RCS", "7P_RCS", "MAYO_BM_1", "MAYO_BP_1"]
PATTERNS = [
    {"pattern": "^BM([0-9A-Za-z]+)$", "condition": "brain_metastasis"},
    {"pattern": "^BP([0-9A-Za-z]+)$", "condition": "primary"},
    {"pattern": "^([0-9]+)M_(RCS)$", "condition": "brain_metastasis"},
    {"pattern": "^([0-9]+)P_(RCS)$", "condition": "primary"},
    {"pattern": "^(MAYO)_BM_([0-9]+)$", "condition": "brain_metastasis"},
    {"pattern": "^(MAYO)_BP_([0-9]+)$", "condition": "primary"},
]


def genes_of(human: GeneTable) -> list[str]:
    return human.frame.index[human.frame["biotype"] == "protein_coding"][:GENES].tolist()


def logs(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(4, 3, (GENES, len(NAMES))).round(4)


def bulk(path: list[Path], human: GeneTable, **changes: Any):
    return run("bulk", path, human, **({"suspension": "bulk", "values": "log"} | changes))


def test_workbook_of_logs(tmp_path: Path, human: GeneTable) -> None:
    frame = pd.DataFrame(logs(), columns=NAMES)
    frame.insert(0, "ensembl_gene_id", genes_of(human))
    frame.to_excel(tmp_path / "a.xlsx", sheet_name="log2TMMCPM", index=False)
    result = bulk([tmp_path / "a.xlsx"], human, profiles=PATTERNS)
    assert result.uns["values"] == "log" and np.allclose(result.matrix.toarray(), logs().T)
    assert result.cells["donor"].tolist() == ["D_1", "D_1", "D_2", "D_2", "D_7_RCS", "D_7_RCS", "D_MAYO_1", "D_MAYO_1"]
    assert result.cells["condition"].tolist() == ["brain_metastasis", "primary"] * 4


def test_expected_counts_as_text(tmp_path: Path, human: GeneTable) -> None:
    rng = np.random.default_rng(0)
    counts = rng.gamma(2, 50, (GENES, 4)).round(2) * rng.uniform(0.5, 2, 4).round(2)
    frame = pd.DataFrame(counts, index=genes_of(human), columns=["AUR-1-TTP1", "AUR-1-TTM1", "AUR-2-TTP1", "x"])
    frame.to_csv(tmp_path / "a.txt.gz", sep="\t")
    (tmp_path / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress(b"!Sample_title\n"))
    patterns = [
        {"pattern": "^(AUR-[0-9A-Za-z]+)-TTP", "condition": "primary"},
        {"pattern": "^(AUR-[0-9A-Za-z]+)-TTM", "condition": "brain_metastasis"},
    ]
    files = [tmp_path / "a.txt.gz", tmp_path / "GSE1_series_matrix.txt.gz"]
    result = bulk(files, human, profiles=patterns, values="expected_counts", condition="other")
    assert result.cells["donor"].tolist() == ["D_AUR-1", "D_AUR-1", "D_AUR-2", "D_x"]
    assert result.cells["condition"].tolist() == ["primary", "brain_metastasis", "primary", "other"]


def test_a_series_matrix_beside_a_table_describes_its_columns(
    tmp_path: Path, human: GeneTable, caplog: pytest.LogCaptureFixture
) -> None:
    """The shipped patterns of GSE209998 on titles and characteristics as two public scripts read them."""
    rng = np.random.default_rng(0)
    told = {
        "AUR-AB1-TTP1-A": "Primary | Breast",
        "AUR-AB1-TTM01-A": "Metastatic | Brain",
        "AUR-AB1-TTM02-A": "Metastatic | Brain",
        "AUR-AB1-TTM03-A": "Metastatic | Liver",
        "AUR-CD2-TTM01-A": "Metastatic | Lymph node",
        "AUR-CD2-NT1": "Normal | Brain",
        "AUR-CD2-NT2": "Normal | Breast",
        "AUR-CD2-NT3": "Normal | Liver",
        "AUR-EF3-TTM01": "not described",
    }
    names = list(told)
    values = rng.gamma(2, 50, (GENES, len(names))) * rng.uniform(0.5, 2, len(names))
    frame = pd.DataFrame(values, index=genes_of(human), columns=names)
    frame.to_csv(tmp_path / "a.txt.gz", sep="\t")
    lines: dict[str, list[str]] = {"!Sample_title": [], "disease": [], "tissue": []}
    for name, words in reversed([(n, w) for n, w in told.items() if "|" in w]):  # in another order than the columns
        disease, tissue = words.split(" | ")
        for key, value in zip(lines, (f"tumour [{name}]", f"disease: {disease}", f"tissue: {tissue}"), strict=True):
            lines[key].append(f'"{value}"')
    text = "".join(
        "\t".join([key if key[0] == "!" else "!Sample_characteristics_ch1", *values]) + "\n"
        for key, values in lines.items()
    )
    (tmp_path / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress(f"{text}!series_matrix_table_begin\n".encode()))
    files, entry = [tmp_path / "a.txt.gz", tmp_path / "GSE1_series_matrix.txt.gz"], read(REGISTRY / "GSE209998.yaml")
    how = {"profiles": entry["profiles"], "values": "expected_counts", "condition": "other"}
    cells = bulk(files, human, **how).cells
    assert cells["condition"].tolist() == [
        "primary", "brain_metastasis", "brain_metastasis", "extracranial_metastasis", "lymph_node_metastasis",
        "normal_brain", "normal_breast", "other", "other",
    ]  # fmt: skip
    assert cells["donor"].tolist() == [f"D_{name[:7]}" for name in names]
    (tmp_path / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress(text.replace("[AUR", "[XYZ").encode()))
    assert bulk(files, human, **how).cells["condition"].tolist()[:2] == ["primary", "other"]
    assert "its titles (tumour [XYZ-CD2-NT3], …) name no column of the table" in caplog.text


def test_a_file_a_profile_described_by_accession(tmp_path: Path, human: GeneTable) -> None:
    """htseq-count's files of an archive; the series matrix knows them by their accession."""
    X = np.random.default_rng(3).poisson(50, (GENES, 6))
    for i, column in enumerate(X.T):
        lines = "".join(f"{gene}\t{value}\n" for gene, value in zip(genes_of(human), column, strict=True))
        (tmp_path / f"GSM{i}_T{i}.htseq.txt").write_text(lines + "__no_feature\t9\n")
    about = [f"{'brain metastasis' if i % 2 else 'primary tumour'} of patient {i // 2}" for i in range(6)]
    told = {"!Sample_title": about, "!Sample_geo_accession": [f"GSM{i}" for i in range(6)]}
    text = "".join("\t".join([key, *(f'"{value}"' for value in values)]) + "\n" for key, values in told.items())
    (tmp_path / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress(text.encode()))
    patterns = [
        {"pattern": "brain metastasis of patient ([0-9])", "condition": "brain_metastasis"},
        {"pattern": "primary tumour of patient ([0-9])", "condition": "primary"},
    ]
    result = bulk(sorted(tmp_path.iterdir()), human, profiles=patterns, values="counts")
    assert result.cells["donor"].tolist() == ["D_0", "D_0", "D_1", "D_1", "D_2", "D_2"]
    assert result.cells["condition"].tolist() == ["primary", "brain_metastasis"] * 3
    assert result.matrix.sum() == X.sum()


def series_matrix(human: GeneTable, path: Path) -> list[Path]:
    probes = [f"{200000 + i}_at" for i in range(GENES)]
    symbols = human.frame.loc[genes_of(human), "symbol"].tolist()
    symbols[1] = symbols[0]  # Two probes of one gene: the higher one counts.
    text = '!Series_title\t"x"\n!Sample_title\t"brain metastasis, pair 1"\t"primary, pair 1"\n!series_matrix_table_begin\n"ID_REF"\t"GSM1"\t"GSM2"\n'  # noqa: E501
    text += "".join(f'"{p}"\t{6 + i % 7}.5\t{5 + i % 7}.25\n' for i, p in enumerate(probes))
    (path / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress((text + "!series_matrix_table_end\n").encode()))
    rows = "".join(f"{p}\tx\t{s}\n" for p, s in zip(probes, symbols, strict=True))
    (path / "GPL571-1.txt").write_text(f"#note\nID\tTitle\tGene Symbol\n{rows}")
    return [path / "GSE1_series_matrix.txt.gz", path / "GPL571-1.txt"]


def test_series_matrix_with_its_platform(tmp_path: Path, human: GeneTable) -> None:
    patterns = [
        {"pattern": "^brain metastasis, (pair [0-9]+)", "condition": "brain_metastasis"},
        {"pattern": "^primary, (pair [0-9]+)", "condition": "primary"},
    ]
    result = bulk(series_matrix(human, tmp_path), human, profiles=patterns)
    assert result.cells["donor"].tolist() == ["D_pair 1"] * 2 and result.matrix.shape == (2, GENES - 1)
    first = human.frame["symbol"].loc[genes_of(human)[0]]
    column = result.genes["symbol"].tolist().index(first)
    assert result.matrix.toarray()[:, column].tolist() == [7.5, 6.25]


def test_a_blank_of_an_array_is_no_zero(tmp_path: Path, human: GeneTable) -> None:
    """Logs of intensities begin near 0, as counts do; an array has measured nothing where it gives no value."""
    matrix, platform = series_matrix(human, tmp_path)
    text = gzip.decompress(matrix.read_bytes()).decode()
    text = re.sub(r"\t(\d+)\.", lambda value: f"\t{int(value[1]) - 5}.", text).replace("\t7.5\t", "\tNA\t", 1)
    matrix.write_bytes(gzip.compress(text.encode()))
    result = bulk([matrix, platform], human)
    assert result.matrix.shape == (2, GENES - 2) and result.matrix.data.min() == 0.25


def test_source_and_characteristics_tell_profiles_apart(tmp_path: Path, human: GeneTable) -> None:
    files = series_matrix(human, tmp_path)
    told = gzip.decompress(files[0].read_bytes()).decode()
    more = '!Sample_source_name_ch1\t"brain metastasis"\t"primary breast tumor"\n'
    more += '!Sample_characteristics_ch1\t"age: 40"\t""\n'
    more += '!Sample_characteristics_ch1\t"paired sample: 7"\t"paired sample: 7"\n'
    told = told.replace("!series_matrix_table_begin", more + "!series_matrix_table_begin")
    files[0].write_bytes(gzip.compress(told.encode()))
    patterns = [
        {"pattern": "^[^|]*[|] brain metastasis [|].*paired sample: ([0-9]+)", "condition": "brain_metastasis"},
        {"pattern": "^[^|]*[|] primary breast tumor [|].*paired sample: ([0-9]+)", "condition": "primary"},
    ]
    result = bulk(files, human, profiles=patterns)
    assert result.cells["donor"].tolist() == ["D_7", "D_7"]
    assert result.cells["condition"].tolist() == ["brain_metastasis", "primary"]


def test_probes_without_a_platform_say_so(tmp_path: Path, human: GeneTable) -> None:
    with pytest.raises(BrainmetError, match="the features are array probes"):
        bulk(series_matrix(human, tmp_path)[:1], human)


def test_patterns_that_do_not_tell_donors_apart(tmp_path: Path, human: GeneTable) -> None:
    pd.DataFrame(logs(), index=genes_of(human), columns=NAMES).to_csv(tmp_path / "a.csv")
    loose = [{"pattern": "BM_?([0-9]+)$", "condition": "brain_metastasis"}]
    with pytest.raises(BrainmetError, match="BM1 and MAYO_BM_1 are both brain_metastasis of D_1"):
        bulk([tmp_path / "a.csv"], human, profiles=loose)
    with pytest.raises(BrainmetError, match=r"no pattern fits a profile \(the first are BM1"):
        bulk([tmp_path / "a.csv"], human, profiles=[{"pattern": "^x", "condition": "primary"}])


# --- effects ----------------------------------------------------------------------------------------------------------


def cohort(make_counts, values: np.ndarray, conditions: list[str], donors: list[str], *, kind: str = "log"):
    return make_counts(
        values.astype(np.float32), cells={"condition": conditions, "donor": donors}, uns={"values": kind}
    )


SCORING = Scoring(seed=1, min_counts=0, n_bins=5, n_controls=10, min_genes=1, min_coverage=0.4)
CONTRASTS = [Contrast("brain_vs_primary", "brain_metastasis", "primary")]
RECORDS = {name: {"primary_site": "breast"} for name in ("S", *(f"T{i}" for i in range(10)))}


HOW: dict[str, Any] = {"records": RECORDS, "scoring": SCORING, "types": shipped()}


def profiles_of(n: int, seed: int = 0) -> tuple[np.ndarray, list[str], list[str]]:
    """Pairs of profiles of 60 genes; gene 0 is 2 units higher in the brain."""
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.normal(5, 2, (n, 60)), 2, axis=0) + rng.normal(0, 0.3, (2 * n, 60))
    values[::2, 0] += 2
    return values, ["brain_metastasis", "primary"] * n, [f"P{i // 2}" for i in range(2 * n)]


def test_pairs_by_hand(make_counts) -> None:
    from brainmet.bulk import bulk as effects_of
    from brainmet.compare.donor_scores import GeneSet
    from scipy import stats

    values, conditions, donors = profiles_of(6)
    gene = GeneSet("g0", ("G0",), single=True)
    lost = GeneSet("lost", ("X1", "X2", "G3"))
    table = effects_of([cohort(make_counts, values, conditions, donors)], [gene, lost], CONTRASTS, **HOW)
    row = table.set_index("signature").loc["g0"]
    stored = values.astype(np.float32).astype(float)
    assert row["difference"] == pytest.approx((stored[::2, 0] - stored[1::2, 0]).mean(), rel=1e-6)
    assert row["p"] == pytest.approx(stats.ttest_rel(stored[::2, 0], stored[1::2, 0]).pvalue, rel=1e-6)
    assert (row["estimator"], row["n_a"], row["n_b"]) == ("bulk_paired", 6, 6) and row["fdr"] == row["p"]
    other = table.set_index("signature").loc["lost"]
    assert np.isnan(other["effect"]) and other["reason"] == "1 of 3 genes measured"


def test_order_and_repeated_profiles_change_nothing(make_counts) -> None:
    from brainmet.bulk import bulk as effects_of
    from brainmet.compare.donor_scores import GeneSet

    values, conditions, donors = profiles_of(5)
    gene = [GeneSet("g0", ("G0",), single=True)]
    first = effects_of([cohort(make_counts, values, conditions, donors)], gene, CONTRASTS, **HOW)
    order = np.random.default_rng(1).permutation(10)
    order = np.append(order, order[0])  # One profile twice: still one replicate.
    turned = values[order]
    turned[0], turned[-1] = turned[0] + 1, turned[-1] - 1
    again = cohort(make_counts, turned, [conditions[i] for i in order], [donors[i] for i in order])
    second = effects_of([again], gene, CONTRASTS, **HOW)
    assert second["effect"].to_numpy() == pytest.approx(first["effect"].to_numpy(), rel=1e-5)
    assert second["n_a"].item() == 5


def test_admixture_is_of_lineages(make_counts) -> None:
    """A type counts for the lineage that its entry names, a malignant one for the tumour, whatever it resembles; a
    gene of two kinds of tissue for neither."""
    from brainmet.bulk import tissues

    values, conditions, donors = profiles_of(3)
    (tissue,) = tissues([cohort(make_counts, values, conditions, donors)], RECORDS, scoring=SCORING)
    marked = {
        "G1": "pdc", "G2": "ependymal", "G3": "lymphatic_endothelial", "G4": "malignant_glial", "G5": "t_cell",
        "G6": "neuron", "G7": "platelet",
    }  # fmt: skip
    rows = [*marked.items(), ("G6", "fibroblast")]
    markers = pd.DataFrame(rows, columns=["symbol", "cell_type"]).assign(rank=1)
    found = tissue.admixture(markers, shipped())
    stored = values.astype(np.float32)
    assert list(found.columns) == ["brain", "stroma", "immune", "tumour"]
    for name, genes in {"brain": [2], "stroma": [3], "immune": [1, 5], "tumour": [4]}.items():
        expected = stored[:, genes].mean(axis=1)
        assert found.loc[("brain_metastasis", "P1"), name] == pytest.approx(expected[2], rel=1e-6)


def test_unpaired_and_too_few(make_counts) -> None:
    from brainmet.bulk import bulk as effects_of
    from brainmet.compare.donor_scores import GeneSet

    values, conditions, _ = profiles_of(5)
    gene = [GeneSet("g0", ("G0",), single=True)]
    apart = cohort(make_counts, values, conditions, [f"P{i}" for i in range(10)])
    assert effects_of([apart], gene, CONTRASTS, **HOW)["estimator"].tolist() == ["bulk_unpaired"]
    few = cohort(make_counts, values[:4], conditions[:4], ["P0", "P0", "P1", "P1"])
    assert effects_of([few], gene, CONTRASTS, **HOW).empty


def test_counts_become_log_cpm(make_counts) -> None:
    from brainmet.bulk import levels

    counts = np.random.default_rng(0).poisson(50, (3, 60))
    found = levels(make_counts(counts, uns={"values": "expected_counts"}))
    assert np.allclose(found, np.log2((counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 1) * 1e6))


def test_profiles_described_as_samples_are_one_cohort(make_counts) -> None:
    """One sample a profile gives what one matrix of all profiles gives; donors pair over the files."""
    from brainmet.bulk import bulk as effects_of
    from brainmet.compare.donor_scores import GeneSet

    values, conditions, donors = profiles_of(5)
    whole = cohort(make_counts, values, conditions, donors)
    single = [
        make_counts(
            row[np.newaxis, : 60 - i % 2].astype(np.float32),  # Every second file lacks the last gene.
            sample=f"T{i}",
            cells={"condition": conditions[i], "donor": donors[i]},
            uns={"values": "log"},
        )
        for i, row in enumerate(values)
    ]
    sets = [GeneSet("g0", ("G0",), single=True), GeneSet("last", ("G59",), single=True)]
    expected, found = (
        effects_of(samples, sets, CONTRASTS, **HOW).set_index("signature") for samples in ([whole], single)
    )
    assert (found.loc["g0", "estimator"], found.loc["g0", "n_a"]) == ("bulk_paired", 5)
    assert found.loc["g0", "difference"] == pytest.approx(expected.loc["g0", "difference"], rel=1e-6)
    assert np.isnan(found.loc["last", "effect"]) and expected.loc["last", "effect"]


def test_cohorts_of_two_primaries_stay_apart(make_counts) -> None:
    from brainmet.bulk import bulk as effects_of
    from brainmet.compare.donor_scores import GeneSet

    values, conditions, donors = profiles_of(5)
    cells = {"condition": conditions, "donor": donors}
    samples = [
        make_counts(values.astype(np.float32), sample=site, cells=cells | {"study": site}, uns={"values": "log"})
        for site in ("breast", "lung")
    ]
    records = {site: {"primary_site": site} for site in ("breast", "lung")}
    gene = [GeneSet("g0", ("G0",), single=True)]
    table = effects_of(samples, gene, CONTRASTS, **HOW | {"records": records})
    assert table["primary_site"].tolist() == ["breast", "lung"]
    one = [make_counts(values.astype(np.float32), sample=f"L{i}", cells=cells, uns={"values": "log"}) for i in range(2)]
    mixed = {"L0": {"primary_site": "breast"}, "L1": {"primary_site": "lung"}}
    assert effects_of(one, gene, CONTRASTS, **HOW | {"records": mixed})["primary_site"].tolist() == ["mixed"]
