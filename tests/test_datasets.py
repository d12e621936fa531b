"""Dataset files: read as the contract says, refused in one sentence."""

import pytest
import yaml
from brainmet import datasets
from brainmet.errors import BrainmetError

SERIES = {
    "schema": 1,
    "id": "mine",
    "title": "a private series",
    "organism": "human",
    "technology": "10x_3prime",
    "suspension": "cell",
    "values": "counts",
    "files": [
        {"name": "a.h5ad", "path": "data/a.h5ad"},
        {"name": "b.h5ad", "path": "data/b.h5ad"},
        {"name": "labels.csv", "path": "labels.csv"},
    ],
    "layout": "h5ad",
    "samples": [
        {"id": "A", "match": "a", "donor": "P1", "condition": "primary", "her2": "pos"},
        {"id": "B", "match": "b", "donor": "P1", "condition": "brain_metastasis", "suspension": "nucleus"},
    ],
}


@pytest.fixture
def series(tmp_path):
    def write(**changes):
        document = SERIES | changes
        path = tmp_path / f"{changes.get('file', document['id'])}.yaml"
        document.pop("file", None)
        path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value != "drop"}))
        return path

    return write


def load(path):
    return datasets.records(datasets.load([path.stem], folders=[path.parent]), exclude=[])


def test_a_sample_takes_its_own_fields_then_the_datasets(series):
    records = load(series(primary_site="breast"))
    assert list(records) == ["A", "B"]
    assert records["A"]["suspension"] == "cell"
    assert records["B"]["suspension"] == "nucleus"
    assert records["B"]["primary_site"] == "breast"
    assert records["A"]["er"] == "unknown"
    assert records["A"]["study"] == "mine"


def test_a_file_may_say_no_more_than_where_the_counts_are(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("{schema: 1, id: mine, layout: h5ad, files: [{name: a.h5ad, path: a.h5ad}]}")
    record = load(path)["mine"]
    assert (record["donor"], record["condition"], record["organism"]) == ("mine", "other", "human")
    assert {record[name] for name in ("technology", "suspension", "values")} == {"unknown"}


def test_a_sample_depends_on_its_own_files_and_the_shared_ones(series):
    path = series()
    files = [file["path"] for file in load(path)["A"]["files"]]
    assert files == [str(path.parent / "data/a.h5ad"), str(path.parent / "labels.csv")]


def test_without_samples_the_dataset_is_one(series):
    assert load(series(samples="drop"))["mine"]["condition"] == "other"


def test_prefixes_end_at_a_word():
    assert datasets.matches_name("GSM1_BRBMET8.barcodes.tsv.gz", "GSM1_BRBMET8")
    assert not datasets.matches_name("GSM1_BRBMET87.barcodes.tsv.gz", "GSM1_BRBMET8")
    assert datasets.matches_name("folder/GSM1", "GSM1")


def test_excluded_samples_are_left_out(series):
    path = series()
    loaded = datasets.load(["mine"], folders=[path.parent])
    assert list(datasets.records(loaded, exclude=["A"])) == ["B"]
    with pytest.raises(BrainmetError, match=r"config.yaml: exclude: no sample 'C' in this run; samples: A, B"):
        datasets.records(loaded, exclude=["C"])


def test_an_unknown_id_names_the_nearest(series):
    folder = series().parent
    with pytest.raises(
        BrainmetError, match=r"no file min.yaml; did you mean mine\?; searched: .*; known: mine; add the file"
    ):
        datasets.load(["min"], folders=[folder])


def test_two_datasets_with_one_sample_id_are_refused(series):
    folder = series().parent
    series(id="other")
    with pytest.raises(
        BrainmetError, match="sample id A is used by the datasets mine and other; sample ids must be unique"
    ):
        datasets.records(datasets.load(["mine", "other"], folders=[folder]), exclude=[])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layuot": 1}, r"mine.yaml: layuot: unknown key; did you mean layout\?; allowed: schema, id"),
        (
            {"organism": "humn"},
            r"organism: 'humn' is not allowed; did you mean human\?; allowed: human, mouse, human_mouse",
        ),
        ({"files": [{"name": "x"}]}, r"files: x has 0 of url, path, package, rule; it must have exactly one"),
        ({"files": [{"name": "x", "path": "x"}] * 2}, r"files: the name x occurs more than once"),
        (
            {"samples": [{"id": "A", "condition": "primery"}]},
            r"samples.0.condition: 'primery' is not allowed; did you mean primary\?",
        ),
        (
            {"samples": [{"id": "A", "condition": "csf"}, {"id": "A", "condition": "csf"}]},
            r"the id A occurs more than once",
        ),
        (
            {"samples": [{"id": "A", "condition": "csf"}, {"id": "C", "condition": "csf"}]},
            r"A has no match; with several samples each needs one",
        ),
        ({"layout": "drop"}, r"required key missing: layout"),
        ({"file": "yours"}, r"id: 'mine' must be the file's name without .yaml, 'yours'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(series, changes, message):
    path = series(**changes)
    with pytest.raises(BrainmetError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_broken_yaml_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: [1\nb")
    with pytest.raises(BrainmetError, match=r"mine.yaml: not a readable YAML file: .*line 3"):
        datasets.load(["mine"], folders=[tmp_path])
