"""Every shipped dataset file: valid, unambiguous, mapped to types that exist."""

import re
from pathlib import Path

import pytest
import yaml
from brainmet import datasets, fetch
from brainmet.core.names import begins
from brainmet.fetch import archive

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "resources" / "datasets"
IDS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MARKERS = yaml.safe_load((ROOT / "resources" / "markers" / "markers.yaml").read_text())
TYPES = {entry["id"] for entry in MARKERS["cell_types"]}
ASKED = [
    "GSE186344",
    "GSE143423",
    "GSE234832",
    "GSE202501",
    "GSE324453",
    "GSE131907",
    "GSE123902",
    "GSE174401",
    "GSE200218",
    "GSE185386",
    "GSE193745",
    "HTAPP-MBC",
    "GSE140819",
    "GSE190772",
    "GSE176078",
    "GSE161529",
    "GSE180286",
    "GSE225600",
    "GSE167036",
    "GSE75688",
    "GSE118389",
    "GSE256493",
    "GSE174367",
    "GSE163577",
    "GSE67835",
    "GSE84465",
    "GSE184869",
    "GSE125989",
    "GSE209998",
    "GSE43837",
    "oligodendroglioma",
    "demo",
]


def test_the_series_of_the_question_are_there() -> None:
    assert set(ASKED) <= set(IDS)


@pytest.mark.parametrize("id_", IDS)
def test_entry(id_: str) -> None:
    entry = datasets.read(FOLDER / f"{id_}.yaml")
    text = (FOLDER / f"{id_}.yaml").read_text()
    assert set((entry.get("labels") or {}).get("map", {}).values()) <= TYPES
    if id_ == "demo":
        return
    assert text.startswith("# "), "an entry says what was verified and what was inferred"
    assert entry["evidence"] in "ABC"
    assert (entry["suspension"] == "bulk") == (entry["layout"] == "bulk")
    for file in entry["files"]:
        assert "path" not in file
        if url := file.get("url"):
            assert url.startswith("https://")
            assert archive.archive_url(url) == url
            accession = re.search(r"/(GS[EM]\d+)/", url)
            if accession and "geo/" in url:
                name = url.rpartition("/")[2] if archive.PATTERN in url else file["name"]
                assert archive.archive_url(f"geo:{accession[1]}/{name}") == url


def test_sample_ids_are_unique_over_all_entries() -> None:
    loaded = datasets.load(IDS, folders=[FOLDER])
    records = datasets.records(loaded, exclude=[])
    assert len(records) == sum(len(entry["samples"]) for entry in loaded.values())


@pytest.mark.parametrize("id_", IDS)
def test_no_match_is_the_beginning_of_another(id_: str) -> None:
    entry = datasets.read(FOLDER / f"{id_}.yaml")
    names = [sample["match"] for sample in entry["samples"] if sample.get("match")]
    assert len(set(names)) == len(names)
    if not entry.get("split_by"):
        assert not [(a, b) for a in names for b in names if a != b and begins(b, a)]


@pytest.mark.parametrize("id_", IDS)
def test_patterns_have_groups_and_fit_the_samples(id_: str) -> None:
    entry = datasets.read(FOLDER / f"{id_}.yaml")
    for profile in entry.get("profiles", []):
        paired = entry["published"].get("pairs", 1) > 0
        assert re.compile(profile["pattern"]).groups in ((1, 2) if paired else (0,))
    if pattern := (entry.get("split_by") or {}).get("barcode"):
        assert re.compile(pattern).groups == 1
        before, after = ("AAACCTGA-", "") if pattern.startswith("-") else ("", "_01")
        for sample in entry["samples"]:
            found = re.search(pattern, f"{before}{sample['match']}{after}")
            assert found and found[1] == sample["match"]


def test_bulk_patterns_on_the_names_seen() -> None:
    profiles = datasets.read(FOLDER / "GSE184869.yaml")["profiles"]

    def site(column: str) -> list[tuple[str, str]]:
        return [(p["condition"], "_".join(m.groups())) for p in profiles if (m := re.search(p["pattern"], column))]

    assert site("7M_RCS") == [("brain_metastasis", "7_RCS")]
    assert site("MAYO_BP_12") == [("primary", "MAYO_12")]  # a published reanalysis counts these as brain
    assert site("BM51") == [("brain_metastasis", "51")]
    assert site("BP51") == [("primary", "51")]


def test_subtypes_of_gse176078_add_up_to_the_published_numbers() -> None:
    samples = datasets.read(FOLDER / "GSE176078.yaml")["samples"]
    kinds = [("her2" if s.get("her2") == "pos" else s.get("er")) for s in samples]
    assert (kinds.count("pos"), kinds.count("her2"), kinds.count("neg")) == (11, 5, 10)


def test_oligodendroglioma_fits_the_file_in_the_package() -> None:
    import anndata

    entry = datasets.read(FOLDER / "oligodendroglioma.yaml")
    obs = anndata.read_h5ad(fetch.package_file(entry["files"][0]["package"]), backed="r").obs
    names, labels = obs.index, set(obs["cell_type"])
    values = [m[1] for name in names if (m := re.search(entry["split_by"]["barcode"], name))]
    assert set(values) == {sample["match"] for sample in entry["samples"]}
    assert set(entry["labels"]["map"]) == labels
