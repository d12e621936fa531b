"""The RO-Crate: whole, readable by the library, and by the rules of the standard."""

import json
from datetime import date

import pandas as pd
import pytest
from brainmet.errors import BrainmetError
from brainmet.provenance import crate
from rocrate.rocrate import ROCrate

RUN = {
    "software": {"python": "3.12.1", "brainmet": "0.1.0", "numpy": "2.4.0"},
    "config": {"datasets": ["D"], "qc": {"n_mads": 3, "seed": 1}},
    "knowledge": {"resources/markers/markers.yaml": "c" * 64, "/data/mine/types.yaml": "d" * 64},
}
INPUTS = pd.DataFrame(
    {"file": ["downloads/D/a.h5", "/data/mine.h5ad"], "bytes": [5, 7], "sha256": ["a" * 64, "b" * 64]}
)


@pytest.fixture
def root(tmp_path):
    for name, content in {"atlas.h5ad": "atlas", "tables/qc.tsv": "sample\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def document(root):
    return crate.describe(
        root, [root / "atlas.h5ad", root / "tables/qc.tsv"], run=RUN, inputs=INPUTS,
        sources={"downloads/D/a.h5": {"url": "geo:GSE123456/a.h5"}}, titles={"D": "A series"}, day=date(2025, 1, 2),
    )  # fmt: skip


def entities(document):
    return {entity["@id"]: entity for entity in document["@graph"]}


def test_the_standards_musts(document):
    found = entities(document)
    assert found["./"]["conformsTo"] == {"@id": crate.PROFILE} and found[crate.PROFILE]["@type"] == "CreativeWork"
    assert document["@context"] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert descriptor["about"] == {"@id": "./"} and root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license"} <= set(root)
    assert root["datePublished"] == "2025-01-02"
    assert {"@id": "tables/qc.tsv"} in root["hasPart"]


def test_the_run_joins_inputs_settings_software_and_results(document):
    found = entities(document)
    action = found["#run"]
    assert action["@type"] == "CreateAction"
    used = [found[entity["@id"]] for entity in action["object"]]
    assert found["https://ftp.ncbi.nlm.nih.gov/geo/series/GSE123nnn/GSE123456/suppl/a.h5"]["sha256"] == "a" * 64
    assert [entity["name"] for entity in used[:2]] == ["a.h5", "mine.h5ad"]
    assert {entity["name"]: entity["value"] for entity in used[2:5]} == {
        "datasets": '["D"]', "qc.n_mads": "3", "qc.seed": "1",
    }  # fmt: skip
    assert [(entity["name"], entity["sha256"][0]) for entity in used[5:]] == [
        ("markers.yaml", "c"),
        ("types.yaml", "d"),
    ]
    assert "/data/mine" not in json.dumps(document), "paths of a machine stay where they are"
    needs = [found[entity["@id"]] for entity in found["#brainmet"]["softwareRequirements"]]
    assert {entity["name"]: entity["softwareVersion"] for entity in needs} == RUN["software"]
    assert {entity["@id"] for entity in action["result"]} == {"atlas.h5ad", "tables/qc.tsv"}


def test_the_library_reads_it(root, document):
    (root / "ro-crate-metadata.json").write_text(crate.text(document))
    read = ROCrate(root)
    assert {entity.id for entity in read.data_entities} >= {"atlas.h5ad", "tables/qc.tsv"}
    assert read.get("atlas.h5ad")["contentSize"] == "5"


def test_a_changed_or_missing_file_is_told(root, document):
    crate.check(document, root)
    (root / "atlas.h5ad").write_text("ATLAS")
    with pytest.raises(BrainmetError, match=r"atlas.h5ad: was changed after"):
        crate.check(document, root)
    (root / "atlas.h5ad").unlink()
    with pytest.raises(BrainmetError, match=r"atlas.h5ad: is not the file"):
        crate.check(document, root)


def test_a_reference_to_nothing_is_told(root, document):
    document["@graph"] = [entity for entity in document["@graph"] if entity["@id"] != "#brainmet"]
    with pytest.raises(BrainmetError, match=r"#run refers to #brainmet, which is not there"):
        crate.check(document, root)


def test_the_same_run_gives_the_same_document(root, document):
    assert crate.text(document) == crate.text(json.loads(crate.text(document)))
