"""The table and page of shipped dataset files."""

from pathlib import Path

from brainmet.core.tables import conform
from brainmet.datasets import catalogue

FOLDER = Path(__file__).parents[2] / "resources" / "datasets"


def test_every_entry_is_a_row() -> None:
    files = list(FOLDER.glob("*.yaml"))
    table = conform(catalogue.catalogue(files, layouts=["tenx_triplet"]), "catalogue").set_index("id")
    assert len(table) == len(files) >= 25
    wu = table.loc["GSE176078"]
    assert (wu["n_samples"], wu["cells_published"], wu["subtypes_known"]) == (26, 100064, 26)
    assert wu["donors"] == "26 primary"
    assert wu["labels"] == "celltype_minor: 25 mapped"
    assert wu["evidence"] == "A"
    assert wu["note"].startswith("Seen in ten public loaders")
    assert wu["layout"] == "tenx_triplet" and not table["verify"].any()
    assert table.loc["GSE184869", "layout"] == "bulk (no reader yet)"


def test_the_page_needs_nothing_else_and_escapes(tmp_path: Path) -> None:
    path = tmp_path / "X1.yaml"
    path.write_text(
        "# Names <inferred>.\nschema: 1\nid: X1\ntitle: A & B\norganism: human\ntechnology: smartseq\n"
        "citation: {doi: 10.1/x, verify: true}\n"
        "suspension: cell\nvalues: counts\nfiles: [{name: x.h5ad, url: 'https://a.b/x.h5ad'}]\nlayout: h5ad\n"
    )
    table = catalogue.catalogue([path], layouts=["h5ad"])
    text = catalogue.page(table)
    assert table["verify"].all() and "address written from memory: to be checked" in text
    assert "A &amp; B" in text
    assert "Names &lt;inferred&gt;." in text
    assert "<script" not in text
    assert "http" not in text.replace("https://doi.org/10.1/x", "")
    assert table.loc[0, "donors"] == "1 other"
