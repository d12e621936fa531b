"""Gene identity: every way a feature can be named, and the frozen tables themselves."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from brainmet.errors import BrainmetError
from brainmet.knowledge.genes import ANTIBODY, LOST, GeneTable, likely_cause, map_features, read_genes

HERE = Path(__file__).parents[2]
FOLDER = HERE / "resources" / "genes"
SHARED = HERE.parent / "shared"


def one(name: str, table: GeneTable, id_: str = "") -> tuple[str, str]:
    """Symbol and way of a single feature."""
    mapping = map_features([id_], [name], table)
    gene = mapping.gene[0]
    return ("" if gene == LOST else table.frame["symbol"].iloc[gene]), mapping.how[0]


@pytest.mark.parametrize(
    ("name", "symbol", "way"),
    [
        ("ERBB2", "ERBB2", "symbol"),
        ("ENSG00000141736", "ERBB2", "id"),
        ("ENSG00000141736.13", "ERBB2", "id"),
        ("ENSG00000141736.13_ERBB2", "ERBB2", "id"),
        ("GRCh38_ERBB2", "ERBB2", "symbol"),
        ("hg19_ENSG00000141736", "ERBB2", "id"),
        ("ENSG00000182378.13_PAR_Y", "PLCXD1", "id"),
        ("H2AFZ", "H2AZ1", "previous"),
        ("CTGF", "CCN2", "previous"),
        ("RP11-34P13.3", "", "lost"),
        ("HER2", "ERBB2", "alias"),
        ("HLA.A", "HLA-A", "repaired"),
        ("C1ORF112", "FIRRM", "repaired"),
        ("TBCE-1", "TBCE", "repaired"),
        ("RGS5.1", "RGS5", "repaired"),
        ("TP53|7157", "TP53", "repaired"),
        ("ERCC-00002", "", "not_a_gene"),
        ("__no_feature", "", "not_a_gene"),
        ("alignment_not_unique", "", "not_a_gene"),
        ("N_noFeature", "", "not_a_gene"),
        ("Actb", "", "lost"),
        ("nonsense", "", "lost"),
        ("5-Mar", "MARCHF5", "excel"),
        ("Sep-02", "SEPTIN2", "excel"),
        ("15-Sep", "SELENOF", "excel"),
        ("1-Dec", "DELEC1", "excel"),
        ("1-Mar", "", "ambiguous"),
    ],
)
def test_names_of_any_age(human: GeneTable, name: str, symbol: str, way: str) -> None:
    found = one(name, human)
    if name == "RP11-34P13.3":  # MIR1302-2HG: a clone's name until Ensembl 92.
        assert found[0].startswith("MIR1302") and found[1] == "previous"
    else:
        assert found == (symbol, way)


def test_unknown_id_falls_back_to_its_name_and_retired_ids_are_followed(human: GeneTable) -> None:
    assert one("ERBB2", human, "ENSG99999999999") == ("ERBB2", "symbol")
    retired, current = next(iter(human.retired.items()))
    assert one("whatever", human, retired) == (human.frame["symbol"][current], "retired_id")


def test_ambiguous_march_is_settled_by_the_rest_of_the_file(human: GeneTable) -> None:
    mapping = map_features(None, ["1-Mar", "MARC1"], human)
    assert [human.frame["symbol"].iloc[g] for g in mapping.gene] == ["MARCHF1", "MTARC1"]


def test_small_letters_are_human_where_only_human_names_can_be(human: GeneTable) -> None:
    found = map_features(None, ["hla-a", "egfr", "c1orf112", "gapdh"], human)
    assert found.how.tolist() == ["repaired"] * 4
    fish = map_features(None, ["egfra", "egfr", "gapdh"], human)
    assert fish.how.tolist() == ["lost"] * 3, "a zebrafish writes its genes like this"


def test_alias_gives_way_to_the_genes_own_row(human: GeneTable) -> None:
    mapping = map_features(None, ["ERBB2", "HER2"], human)
    assert mapping.gene[1] == LOST and mapping.how.tolist() == ["symbol", "ambiguous"]


@pytest.mark.parametrize(
    "other", ["adt_CD4", "CD4_TotalSeqB", "CD4:SK3|CD4|AHS0032|pAbO", "CD4_sg1", "CD4|protein", "guide_CD4"]
)
def test_antibodies_and_guides_give_way_to_the_genes_own_row(human: GeneTable, other: str) -> None:
    assert map_features(None, ["CD4", other], human).how.tolist() == ["symbol", "ambiguous"]
    assert map_features(None, [other, "GFAP"], human).how.tolist() == ["repaired", "symbol"]


def test_repeated_names_made_unique_are_one_gene_unless_their_ids_speak_against_it(human: GeneTable) -> None:
    names = ["TBCE", "TBCE-1", "TBCE.1", "TBCE_1", "TBCE__1", "TBCE_dup1"]
    assert len(set(map_features(None, names, human).gene.tolist())) == 1
    antibody = map_features(["ENSG00000177455", "CD19", "CD33"], ["CD19", "CD19-1", "CD33"], human)
    assert antibody.how.tolist() == ["id", "ambiguous", "symbol"]
    unknown = map_features(["ENSG00000177455", "ENSG99999999999"], ["CD19", "CD19-1"], human)
    assert unknown.how.tolist() == ["id", "repaired"]


def test_no_gene_has_the_name_of_an_antibody(human: GeneTable, mouse: GeneTable) -> None:
    for table in (human, mouse):
        names = [*table.symbols, *table.previous, *table.aliases]
        assert not [name for name in names if ANTIBODY.search(name)]


def test_order_of_features_does_not_matter(human: GeneTable) -> None:
    names = ["ERBB2", "HER2", "CTGF", "1-Mar", "MARC1", "x", "RGS5.1", "RGS5"]
    forward = dict(zip(names, map_features(None, names, human).gene.tolist(), strict=True))
    backward = dict(zip(names[::-1], map_features(None, names[::-1], human).gene.tolist(), strict=True))
    assert forward == backward


def test_table_is_complete_and_small(human: GeneTable, mouse: GeneTable) -> None:
    folder = HERE / "resources/genes"
    assert sum((folder / f"{name}.tsv.gz").stat().st_size for name in ("human", "mouse")) < 3_000_000
    assert human.frame.index.is_unique and mouse.frame.index.is_unique
    chromosomes = set(human.frame["chromosome"])
    assert chromosomes == {*(str(i) for i in range(1, 23)), "X", "Y", "MT", ""}
    coding = human.frame[human.frame["biotype"] == "protein_coding"]
    assert len(coding) > 19_000 and (coding["chromosome"] != "").mean() > 0.99
    placed = human.frame[human.frame["chromosome"] != ""]
    assert (placed["start"] > 0).all() and (placed["end"] >= placed["start"]).all()
    place = human.frame.loc["ENSG00000141736", ["symbol", "chromosome", "start", "end"]]
    assert place.tolist() == ["ERBB2", "17", 39687914, 39730426]  # GENCODE, 1-based
    assert set(human.frame[human.frame["chromosome"] == "MT"]["symbol"]) >= {"MT-ND1", "MT-CO1", "MT-CYB", "MT-RNR2"}


def test_names_of_the_table_point_to_one_gene(human: GeneTable) -> None:
    for level in (human.previous, human.aliases):
        assert not set(level) & set(human.symbols)
    assert not set(human.previous) & set(human.aliases)


def test_a_mouse_gene_counts_on_one_human_gene_and_families_alone_share_one(human: GeneTable) -> None:
    table = pd.read_csv(FOLDER / "mouse.tsv.gz", sep="\t", keep_default_na=False).query("human_id != ''")
    assert table["human_id"].isin(human.frame.index).all() and set(table["human_how"]) == {
        "one_to_one",
        "family",
        "name",
    }
    assert (table["human_how"] == "one_to_one").sum() > 15_000
    single = table[table["human_how"] != "family"]["human_id"]
    assert single.is_unique and not set(single) & set(table[table["human_how"] == "family"]["human_id"])


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("Erbb2", "ERBB2"), ("Gapdh", "GAPDH"), ("Malat1", "MALAT1"), ("Pten", "PTEN"),
        ("H2-K1", "HLA-A"), ("H2-D1", "HLA-A"), ("H2-T23", "HLA-E"), ("H2-Ab1", "HLA-DQB1"), ("Ifi27l2a", "IFI27"),
        ("Ifit1", "IFIT1"), ("Oas1a", "OAS1"), ("Cxcl1", "CXCL1"), ("Ccl21a", "CCL21"), ("Ccl6", "CCL23"),
        ("Serpina3n", "SERPINA3"), ("Abcb1a", "ABCB1"), ("Nat1", ""), ("Ceacam5", ""),
    ],
)  # fmt: skip
def test_human_counterparts(human: GeneTable, mouse: GeneTable, name: str, symbol: str) -> None:
    gene = mouse.frame["human_id"][mouse.symbols[name]]
    assert (human.frame["symbol"][gene] if gene else "") == symbol


def test_families_of_the_file_are_those_of_the_table(human: GeneTable, mouse: GeneTable) -> None:
    families = pd.read_csv(FOLDER / "mouse_families.tsv", sep="\t")
    assert {"MHC class I", "interferon-induced", "chemokine"} <= set(families["family"])
    for row in families.itertuples():
        partners = {mouse.frame["human_id"][mouse.symbols[name]] for name in row.mouse.split()}
        assert partners == {human.symbols[row.human]}, "run resources/genes/build.py"


@pytest.mark.parametrize(
    ("ids", "names", "organism", "part"),
    [
        (None, ["Actb", "Gapdh", "Malat1", "Cd3e"], "human", "set organism: mouse"),
        (["ENSMUSG00000000001"] * 4, ["a", "b", "c", "d"], "human", "set organism: mouse"),
        (None, ["ACTB", "GAPDH", "CD3E"], "mouse", "set organism: human"),
        (None, ["7157", "2064", "672"], "human", "Entrez numbers"),
        (None, ["ENST00000000233", "ENST00000000412"], "human", "transcripts"),
        (None, ["1007_s_at", "1053_at"], "human", "array probes"),
        (None, ["gene 1", "gene 2"], "human", "neither Ensembl ids nor gene symbols"),
    ],
)
def test_likely_cause(ids: list[str] | None, names: list[str], organism: str, part: str) -> None:
    assert part in likely_cause(ids, names, organism=organism)


def test_unreadable_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "human.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1\t2\n"))
    with pytest.raises(BrainmetError, match="cannot be read as a gene table"):
        read_genes(tmp_path / "human.tsv.gz")


def test_curated_renames_are_covered(human: GeneTable) -> None:
    """Renames that split symbols of public data: each old name leads to the gene of the new one, unless two genes had it."""  # noqa: E501
    path = SHARED / "knowledge/aliases.yaml"
    if not path.exists():
        pytest.skip("../shared/knowledge is not here")
    renames = yaml.safe_load(path.read_text())["likely_needed_in_older_datasets"]
    mapping = map_features(None, [*renames, *renames.values()], human).gene
    assert np.array_equal(mapping[: len(renames)], mapping[len(renames) :]) or all(
        human.frame.index[map_features(None, [old], human).gene[0]]
        == human.frame.index[map_features(None, [new], human).gene[0]]
        for old, new in renames.items()
    )
