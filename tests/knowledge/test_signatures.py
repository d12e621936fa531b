"""Signatures: the shipped entries, reading of user files, matching to genes, coverage."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from brainmet.core.tables import conform
from brainmet.errors import BrainmetError
from brainmet.knowledge.signatures import Signature, arms, configured, coverage, described, gmt, load, read

FOLDER = Path(__file__).parents[2] / "resources" / "signatures"
SHIPPED, CONFOUNDERS = FOLDER / "signatures.yaml", FOLDER / "confounders.yaml"


@pytest.fixture(scope="module")
def everything() -> list[Signature]:
    """All shipped sets."""
    return configured(SHIPPED, [], CONFOUNDERS, tier=[1, 2], confounders=True)


def genes_of(*symbols: str) -> pd.DataFrame:
    return pd.DataFrame({"symbol": symbols}, index=[f"E{i}" for i in range(len(symbols))])


def test_counts_of_the_shipped_sets(everything: list[Signature]) -> None:
    assert len(configured(SHIPPED, [], CONFOUNDERS, tier=1, confounders=False)) == 80
    assert len(configured(SHIPPED, [], CONFOUNDERS, tier=[1, 2], confounders=False)) == 127
    assert len(everything) == 139


def test_every_symbol_is_in_the_gene_table(everything: list[Signature]) -> None:
    table = pd.read_csv(FOLDER.parent / "genes" / "human.tsv.gz", sep="\t", usecols=["symbol"], dtype=str)
    known = set(table["symbol"])
    unknown = {gene for signature in everything for gene in signature.genes} - known
    assert not unknown


def test_renamed_symbols_are_shown_as_gencode_has_them(everything: list[Signature]) -> None:
    renamed = yaml.safe_load(SHIPPED.read_text())["hgnc_names"]
    used = {gene for signature in everything for gene in signature.genes}
    assert set(renamed) <= used and not set(renamed.values()) & used


def test_references_exist_and_unreferenced_entries_say_so(everything: list[Signature]) -> None:
    references = yaml.safe_load((FOLDER / "references.yaml").read_text())["references"]
    for signature in everything:
        cited = signature.entry.get("references", [])
        assert set(cited) <= set(references), signature.id
        assert cited or signature.entry.get("verify") or "use" in signature.entry, signature.id


def test_compartments_are_cell_types_of_the_markers(everything: list[Signature]) -> None:
    compartments = yaml.safe_load((FOLDER / "compartments.yaml").read_text())
    assert {s.entry["compartment"] for s in everything if "compartment" in s.entry} <= set(compartments)
    document = yaml.safe_load((FOLDER.parent / "markers" / "markers.yaml").read_text())
    entries = next(
        v for v in document.values() if isinstance(v, list) and v and isinstance(v[0], dict) and "id" in v[0]
    )
    known = {entry["id"] for entry in entries}
    assert {name for said in compartments.values() for names in said.values() for name in names} <= known


def test_adding_a_signature_is_one_entry(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("signatures:\n- {id: mine, name: Mine, genes: {up: [A, B], down: [C]}}\n")
    signatures = configured(SHIPPED, [mine], CONFOUNDERS, tier=1, confounders=False)
    assert len(signatures) == 81
    assert signatures[-1].id == "mine" and signatures[-1].genes == ("A", "B", "C")


def test_origin_and_doubt_are_shown(everything: list[Signature], tmp_path: Path) -> None:
    mine = tmp_path / "mine.gmt"
    mine.write_text("mine\tMine\tNCL\tB\n")
    references = yaml.safe_load((FOLDER / "references.yaml").read_text())["references"]
    hgnc = yaml.safe_load(SHIPPED.read_text())["hgnc_names"]
    table = conform(described([*everything, *read(mine)], references, hgnc), "signatures").set_index("signature")
    assert table.loc["cell_cycle_s", "list_origin"] == "published_list_checked" and table.loc["stemness", "verify"]
    assert table.loc["mine", "list_origin"] == "user" and table.loc["mine", "hgnc"] == "NCL=NUCLEOLIN"
    assert table.loc["oxphos", "hgnc"] == "NDUFA4=COXFA4"
    origins = {"published_list_checked", "published_list_recalled", "curated"}
    assert set(table["list_origin"].str.removesuffix("_plus_curated")) == origins | {"user"}
    assert table["references"].str.contains("to be verified", regex=False).any()
    assert table.loc["emt_mesenchymal", "expected"] == "no_consistent_change"


def test_marks_of_unchecked_entries(everything: list[Signature]) -> None:
    """Only a marked entry has genes that were found nowhere; README says how many entries are marked."""
    shipped = [signature.entry for signature in configured(SHIPPED, [], CONFOUNDERS, tier=[1, 2], confounders=False)]
    markers = yaml.safe_load((FOLDER.parent / "markers" / "markers.yaml").read_text())["cell_types"]
    for entry in [*(signature.entry for signature in everything), *markers]:
        assert entry.get("verify") or "not found" not in entry.get("found_in", ""), entry["id"]
    marked = [sum(bool(entry.get("verify")) for entry in entries) for entries in (shipped, markers)]
    said = " ".join((FOLDER.parents[1] / "README.md").read_text().split())
    assert f"references of {marked[0]} signatures, the markers of {marked[1]} cell types" in said


def test_gmt_round_trip_keeps_arms(tmp_path: Path) -> None:
    signatures = configured(SHIPPED, [], CONFOUNDERS, tier=1, confounders=False)
    path = tmp_path / "s.gmt"
    path.write_text(gmt(signatures))
    back = load([path], tiers=[1])
    assert [(s.id, s.up, s.down) for s in back] == [(s.id, s.up, s.down) for s in signatures]


def test_gmt_with_a_down_set_alone_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "s.gmt"
    path.write_text("X_DN\tna\tA\tB\nY\tna\tC\n")
    assert [(s.id, s.up, s.down) for s in read(path)] == [("X_DN", ("A", "B"), ()), ("Y", ("C",), ())]


def test_gmt_in_the_encoding_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "s.gmt"
    path.write_bytes("Gefäße\tEndothel – Kapillaren\tPECAM1\tVWF\n".encode("cp1252"))
    (signature,) = read(path)
    assert (signature.id, signature.entry["name"]) == ("Gefäße", "Endothel – Kapillaren")
    assert signature.up == ("PECAM1", "VWF")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.gmt", "X\tna\n", "line 1: it needs a name"),
        ("a.gmt", "\tna\tA\n", "line 1: it needs a name"),
        ("a.gmt", "X\tna\tA\nX\tna\tB\n", "line 2: the name X appears twice"),
        ("a.gmt", "HALLMARK|X\tna\tA\n", r"line 1: the name HALLMARK\|X holds \|, which separates names"),
        ("a.yaml", "signatures: [{id: x, name: X, genes: {up: [A], down: [A]}}]", "A both up and down"),
        ("a.yaml", "signatures: [{id: x, name: X, gene: [A]}]", "unknown key; did you mean"),
        ("a.yaml", "signatures: [", "is not YAML"),
        ("a.yaml", "signatures: [{id: glycolysis, name: X, genes: {up: [A]}}]", "glycolysis is already in"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BrainmetError, match=message):
        load([SHIPPED, path], tiers=[1])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrainmetError, match=r"no such file; correct score\.files"):
        read(tmp_path / "none.yaml")


def test_arms_take_one_gene_a_symbol_whatever_the_order() -> None:
    signature = Signature("s", ("A", "B"), ("C",), {})
    genes = pd.DataFrame({"symbol": ["B", "A", "C", "A"]}, index=["E9", "E7", "E1", "E2"])
    up, down = arms([signature], genes)
    np.testing.assert_array_equal(up.toarray().ravel(), [1, 0, 0, 1])
    np.testing.assert_array_equal(down.toarray().ravel(), [0, 0, 1, 0])


def test_coverage_is_about_the_gene_list_not_about_detection() -> None:
    signatures = [
        Signature("whole", tuple("ABCDE"), (), {}),
        Signature("few", tuple("ABC"), ("X",), {}),
        Signature("thin", tuple("ABCDE") + tuple(f"X{i}" for i in range(10)), (), {}),
        Signature("headless", ("X",), tuple("ABCDE"), {}),
    ]
    table = coverage(
        signatures, genes_of(*"ABCDE"), np.array([1, 0, 0, 0, 0]), sample="S", min_genes=5, min_coverage=0.4
    )
    assert table["n_measured"].tolist() == [5, 3, 5, 5]
    assert table["n_detected"].tolist() == [1, 1, 1, 1]
    assert table["scorable"].tolist() == [True, False, False, False]
    assert table["reason"].tolist() == [
        "",
        "3 of 4 genes measured, fewer than 5",
        "5 of 15 genes measured, less than 40%",
        "no up gene measured",
    ]
