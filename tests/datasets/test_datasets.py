"""Dataset files: read as the contract says, refused in one sentence."""

import json
import time

import pandas as pd
import pytest
import yaml
from brainmet import datasets, provenance
from brainmet.datasets import checks
from brainmet.errors import BrainmetError
from brainmet.export import description

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


@pytest.mark.parametrize("change", [{"study": "Smith; Lee"}, {"samples": [{"id": "A", "study": "Smith; Lee"}]}])
def test_a_study_holds_no_mark_that_joins_studies_in_tables(series, change):
    with pytest.raises(BrainmetError, match=r"study: 'Smith; Lee' must match"):
        load(series(**change))


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


def test_an_archive_is_shared_by_the_samples_without_a_file_of_their_own(series):
    files = [{"name": name, "url": f"https://x.org/{name}"} for name in ("X_RAW.tar", "c_counts.h5", "labels.csv")]
    samples = [{"id": name, "match": name.lower(), "condition": "primary"} for name in "ABC"]
    path = series(files=files, samples=samples)
    dataset = datasets.read(path)
    found = {name: datasets.sharers(dataset, record) for name, record in load(path).items()}
    assert found == {"A": [2, 1], "B": [2, 1], "C": [1, 1, 1]}
    split = {**dataset, "split_by": {"cells": "sample"}}
    assert datasets.sharers(split, load(path)["A"]) == [1, 1]


def test_without_samples_the_dataset_is_one(series):
    assert load(series(samples="drop"))["mine"]["condition"] == "other"
    assert load(series(samples="drop", condition="cell_line"))["mine"]["condition"] == "cell_line"


def test_a_folder_stands_for_the_files_in_it(tmp_path):
    for name in ("P1/outs/matrix.mtx", "P1/outs/web_summary.html", "P1/.hidden", "P10/outs/matrix.mtx", "genes.tsv"):
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text("x")
    samples = "[{id: A, match: P1}, {id: B, match: P10}]"
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"{{schema: 1, id: mine, layout: tenx_triplet, files: [{{name: all, path: runs}}], samples: {samples}}}"
    )
    files = load(path)["A"]["files"]
    assert [file["name"] for file in files] == ["all/P1/outs/matrix.mtx", "all/genes.tsv"]
    assert files[0]["path"] == str(tmp_path / "runs/P1/outs/matrix.mtx")
    (tmp_path / "none").mkdir()
    path.write_text(path.read_text().replace("path: runs", "path: none"))
    with pytest.raises(
        BrainmetError, match=r"files: all: the folder .*none holds no file to read .there is nothing.; correct path"
    ):
        datasets.read(path)


@pytest.mark.parametrize("written", ["001", "010", "NO", "on", "1_2", "2021-03-04", "1e5", "7"])
def test_names_are_what_is_written(tmp_path, written):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{schema: 1, id: mine, layout: h5ad, files: [{name: a.h5ad, path: a.h5ad}], "
        f"samples: [{{id: {written}, donor: {written}, match: {written}, age: {written}}}]}}"
    )
    record = load(path)[written]
    assert [record["donor"], record["match"], record["age"]] == [written] * 3
    path.write_text(path.read_text().replace(f"donor: {written}", "donor: 1.10"))
    with pytest.raises(BrainmetError, match=rf"samples.{written}.donor: 1.1 is read as a number; put it in quotes"):
        datasets.read(path)


def folder(tmp_path, names, samples, **changes):
    """A dataset file over a folder `runs` of such files."""
    for name in names:
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text("x")
    path = tmp_path / "mine.yaml"
    document = {"schema": 1, "id": "mine", "layout": "h5ad", "files": [{"name": "all", "path": "runs"}], **changes}
    path.write_text(yaml.safe_dump(document | {"samples": [{"id": m.replace("/", "_"), "match": m} for m in samples]}))
    return path


def test_what_a_folder_gives_a_sample(tmp_path):
    names = ["P1/a.h5ad", "P2/a.h5ad", ".git/x.csv", "notes.csv", "genes.tsv", "cells.csv", "old/P2/b.h5ad", "P3.7z"]
    cells = {"file": "cells.csv", "barcode": "cell"}
    store = tmp_path / "store"
    store.mkdir()
    (store / "c.h5ad").write_text("x")
    path = folder(tmp_path, names, ["P1", "P2/a", "P4"], cells=cells)
    (tmp_path / "runs/P4").symlink_to(store)
    (store / "back").symlink_to(tmp_path / "runs")
    records = load(path)
    shared = ["all/cells.csv", "all/genes.tsv"]
    assert [file["name"] for file in records["P1"]["files"]] == ["all/P1/a.h5ad", *shared]
    assert [file["name"] for file in records["P2_a"]["files"]] == ["all/P2/a.h5ad", *shared]
    assert "all/P4/c.h5ad" in [file["name"] for file in records["P4"]["files"]]


def test_a_folder_that_the_run_writes_into_is_refused(tmp_path, monkeypatch):
    path = folder(tmp_path, ["P1.h5ad", "work/x.h5ad"], ["P1", "x"])
    for place in ("runs", "runs/work"):
        monkeypatch.chdir(tmp_path / place)
        with pytest.raises(BrainmetError, match=r"files: all: the run itself writes into the folder .*runs, .*-d"):
            datasets.read(path)
    monkeypatch.chdir(tmp_path)
    assert list(load(path)) == ["P1", "x"]


def test_a_folder_without_counts_names_what_it_holds(tmp_path):
    path = folder(tmp_path, ["P1.rar"], ["P1"])
    (tmp_path / "runs/P1.h5ad").write_text("")
    with pytest.raises(BrainmetError, match=r"no file to read \(there is P1.h5ad, P1.rar\); correct path"):
        datasets.read(path)


def test_large_folders_are_parsed_in_seconds():
    files = [{"name": f"all/P{i}/outs/analysis/clustering/part_{k}/x.csv"} for i in range(200) for k in range(50)]
    samples = [{"id": f"P{i}", "match": f"P{i}"} for i in range(200)]
    dataset = {"id": "mine", "layout": "h5ad", "files": files, "samples": samples}
    begun = time.process_time()
    records = datasets.records({"mine": dataset}, exclude=[])
    assert time.process_time() - begun < 20, "asking every match of every part takes ten minutes"
    assert records["P7"]["files"] == files[350:400]


def test_names_with_and_without_accession_are_of_one_sample(series):
    files = [{"name": name, "path": name} for name in ("GSM1_P1.h5ad", "GSM2_P1.h5ad")]
    records = load(series(files=files, samples=[{"id": "A", "match": "P1"}, {"id": "B", "match": "GSM2_P1"}]))
    assert {id_: [file["name"] for file in r["files"]] for id_, r in records.items()} == {
        "A": ["GSM1_P1.h5ad"],
        "B": ["GSM2_P1.h5ad"],
    }


def test_a_file_is_that_of_the_longest_match(series):
    names = ("P1_a.h5ad", "P1_rep2_a.h5ad", "P10.h5ad", "genes.tsv")
    samples = [{"id": f"S{i}", "match": match} for i, match in enumerate(("P1", "P1_rep2", "P10"))]
    records = load(series(files=[{"name": name, "path": name} for name in names], samples=samples))
    owned = {id_: [file["name"] for file in record["files"]] for id_, record in records.items()}
    assert owned == {"S0": [names[0], names[3]], "S1": [names[1], names[3]], "S2": [names[2], names[3]]}
    assert [record["longer_matches"] for record in records.values()] == [["P1_rep2"], [], []]


def test_excluded_samples_are_left_out(series):
    path = series()
    loaded = datasets.load(["mine"], folders=[path.parent])
    assert list(datasets.records(loaded, exclude=["A"])) == ["B"]
    with pytest.raises(BrainmetError, match=r"config.yaml: exclude: no sample 'C' in this run; samples: A, B"):
        datasets.records(loaded, exclude=["C"])
    with pytest.raises(BrainmetError, match=r"config.yaml: exclude: names every sample of the run"):
        datasets.records(loaded, exclude=["A", "B"])


def test_an_unknown_id_names_the_nearest(series):
    folder = series().parent
    with pytest.raises(
        BrainmetError, match=r"no file min.yaml; did you mean mine\?; searched: .*; known: mine; add the file"
    ):
        datasets.load(["min"], folders=[folder])


def test_sample_ids_that_differ_in_case_alone_are_refused(series):
    """Their results would be one folder on a disk that does not tell case."""
    samples = [{"id": name, "condition": "csf", "match": name} for name in ("p1", "P1")]
    with pytest.raises(BrainmetError, match=r"sample ids p1 and P1 differ in case alone.*rename one of them in its"):
        datasets.records(datasets.load(["mine"], folders=[series(samples=samples).parent]), exclude=[])


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
            r"samples.A.condition: 'primery' is not allowed; did you mean primary\?",
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


# --- what an entry may leave out or write in its own way -----------------------------------------------------------


def test_ids_that_yaml_reads_as_numbers_are_names(series):
    samples = [
        {"id": 7, "match": 1, "donor": 12, "condition": "primary", "her2": 0, "age": 61, "prior_brain_rt": True},
        {"id": 8, "match": 2, "donor": 12, "condition": "brain_metastasis", "reference_annotation": None},
    ]
    labels = {"column": "cluster", "map": {0: "t_cell", 1: None}}
    records = load(series(samples=samples, labels=labels, split_by={"obs": "lane"}))
    assert list(records) == ["7", "8"]
    assert {record["donor"] for record in records.values()} == {"12"}
    assert (records["7"]["match"], records["7"]["her2"], records["7"]["age"]) == ("1", "0", "61")
    assert (records["7"]["prior_brain_rt"], records["8"]["reference_annotation"]) == ("yes", "unknown")
    assert records["7"]["labels"]["map"] == {"0": "t_cell", "1": None}


def test_every_optional_field_reaches_the_record(series):
    said = {
        "enrichment": "CD45_neg", "dissociation": "cold", "reference_annotation": "GRCh38-2020-A", "er": "neg",
        "pr": "pos", "her2": "amp", "age": "61", "timepoint": "post", "treatments": "tucatinib; WBRT",
        "prior_brain_rt": "yes", "region": "rim", "assay": "EFO:0009922", "tissue": "brain", "disease": "x",
        "sex": "female", "development_stage": "adult", "ethnicity": "y", "primary_site": "breast", "batch": "run 7",
    }  # fmt: skip
    for level in (said, {"samples": [{"id": "A", "condition": "csf", **said}]}):
        record = next(iter(load(series(**{"samples": "drop", **level})).values()))
        assert {name: record[name] for name in said} == said
    assert set(said) | {"condition", "organism", "technology", "suspension", "values"} == set(datasets.DESCRIPTIVE)


@pytest.mark.parametrize("role", ["cells", "labels"])
def test_a_table_beside_the_file_needs_no_entry_of_its_own(series, tmp_path, role):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.csv").write_text("cell,kind\n")
    spec = {"file": "tables/mine.csv", "barcode": "cell"} | ({"column": "kind"} if role == "labels" else {})
    record = load(series(**{role: spec}))["A"]
    assert record[role]["file"] == "mine.csv"
    assert record["files"][-1] == {"name": "mine.csv", "path": str(tmp_path / "tables" / "mine.csv")}
    # One that is not there is a member of an archive, which only reading can tell.
    record = load(series(**{role: spec | {"file": "inside.csv"}}))["A"]
    assert [file["name"] for file in record["files"]] == ["a.h5ad", "labels.csv"]


def test_covariates_fill_fields_and_are_carried(series, tmp_path):
    (tmp_path / "who.csv").write_text("sample_id,age,her2,bmi\nA,61,neg,24\nB,,low,\n")
    lines = [["sample_id", "age", "her2", "bmi"], ["A", 61, "neg", 24], ["B", None, "low", None]]
    pd.DataFrame(lines).to_excel(tmp_path / "who.xlsx", index=False, header=False)
    for spec in ("who.csv", {"file": "who.csv", "sample": "sample_id"}, "who.xlsx"):
        records = load(series(covariates=spec))
        assert records["A"]["age"] == "61" and records["A"]["covariates"] == {"bmi": "24"}
        assert records["A"]["her2"] == "pos", "the dataset file's own word stands"
        assert records["B"]["her2"] == "low" and records["B"]["age"] == "unknown" and records["B"]["covariates"] == {}


def test_a_papers_table_is_read_with_its_own_columns_and_words(series, tmp_path):
    lines = [
        "Biopsy,Patient,Site,ER status,HER2,Run,donor",
        "A,Pt 01,Breast,Positive,0,R1,Miller",
        "B,Pt 01,Brain,n/a,3+,R2,Jones",
    ]
    (tmp_path / "s1.csv").write_text("\n".join([*lines, "X9,Pt 09,Brain,Positive,0,R2,Dow"]) + "\n")
    spec = {
        "file": "s1.csv",
        "columns": {"donor": "Patient", "condition": "Site", "er": "ER status", "her2": "HER2", "batch": "Run"},
        "values": {
            "condition": {"Breast": "primary", "Brain": "brain_metastasis"},
            "er": {"Positive": "pos"},
            "her2": {0: 0, "3+": "pos"},
        },
    }
    samples = [{"id": "A", "match": "a"}, {"id": "B", "match": "b"}]
    found = load(series(covariates=spec, samples=samples))
    fields = ("donor", "condition", "er", "her2", "batch", "covariates")
    assert [found["A"][field] for field in fields] == ["Pt 01", "primary", "pos", "0", "R1", {}]
    assert [found["B"][field] for field in fields] == ["Pt 01", "brain_metastasis", "unknown", "pos", "R2", {}]
    assert set(found) == {"A", "B"}, "a patient whose sample the series does not hold is no sample"


def test_a_table_of_which_nothing_is_understood_is_named(series, tmp_path):
    (tmp_path / "s1.csv").write_text("Biopsy,Patient,Site\nA,Pt 01,Breast\nB,Pt 02,Brain\n")
    path = series(covariates="s1.csv")
    (said,) = checks.unread(datasets.load(["mine"], folders=[path.parent]))
    assert said.startswith("mine: covariates: no column of the table is named like a field of a sample (Patient, Site)")
    series(covariates={"file": "s1.csv", "columns": {"donor": "Patient"}})
    assert checks.unread(datasets.load(["mine"], folders=[path.parent])) == []


def test_a_table_that_the_dataset_file_overrules_is_named(series, tmp_path):
    (tmp_path / "who.csv").write_text("id,donor,her2,age\nA,P1,neg,61\nB,P2,low,50\n")
    path = series(covariates="who.csv")
    assert load(path)["B"]["donor"] == "P1", "the dataset file's own word stands"
    loaded = datasets.load(["mine"], folders=[path.parent])
    (said,) = checks.overruled(loaded)
    assert "her2 of A is pos (table: neg), donor of B is P1 (table: P2); where the table is right, take" in said
    many = {"mine": {"overruled": ["a", "b", "c", "d"]}, "other": {}}
    assert "not the table: a, b, c, and 1 more; where" in checks.overruled(many)[0]
    (tmp_path / "who.csv").write_text("id,donor,her2\nA,P1,pos\n")
    assert checks.overruled(datasets.load(["mine"], folders=[path.parent])) == []


def test_a_table_tells_donor_and_condition_of_a_file_without_samples(series, tmp_path):
    (tmp_path / "who.csv").write_text("id,donor,condition,doublet_rate\nmine,P7,brain_metastasis,0\n")
    path = series(covariates="who.csv", samples="drop", labels="drop", condition="primary")
    (record,) = load(path).values()
    assert (record["donor"], record["condition"], record["doublet_rate"]) == ("P7", "brain_metastasis", 0)
    assert checks.overruled(datasets.load(["mine"], folders=[path.parent])) == []
    (tmp_path / "who.csv").write_text("id,doublet_rate\nmine,few\n")
    with pytest.raises(BrainmetError, match="doublet_rate: 'few'"):
        load(path)


def test_a_table_that_says_the_same_otherwise_or_nothing_is_not_named(series, tmp_path):
    (tmp_path / "who.csv").write_text("id,her2\nA,Unknown\nB,NA\n")
    samples = [sample | {"her2": "pos"} for sample in SERIES["samples"]]
    path = series(covariates="who.csv", samples=samples)
    assert checks.overruled(datasets.load(["mine"], folders=[path.parent])) == []


def test_a_sample_may_have_a_layout_of_its_own(series):
    samples = [SERIES["samples"][0], SERIES["samples"][1] | {"layout": "tenx_h5"}]
    assert [record["layout"] for record in load(series(samples=samples)).values()] == ["h5ad", "tenx_h5"]
    with pytest.raises(BrainmetError, match="layout: 'tenx' is no reader; did you mean"):
        load(series(samples=[SERIES["samples"][0] | {"layout": "tenx"}]))


def test_covariates_of_a_folder_of_files(series, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("a.h5ad", "b.h5ad"):
        (tmp_path / "data" / name).write_text("x")
    (tmp_path / "who.csv").write_text("id,age\nA,61\n")
    record = load(series(files=[{"name": "data", "path": "data"}], covariates="who.csv"))["A"]
    assert record["age"] == "61" and [file["name"] for file in record["files"]] == ["data/a.h5ad"]


def test_covariates_as_excel_writes_them(series, tmp_path):
    (tmp_path / "who.csv").write_bytes("Probe;age;Ort\r\n A;61;München\r\n".encode("cp1252"))
    record = load(series(covariates="who.csv"))["A"]
    assert record["age"] == "61" and record["covariates"] == {"Ort": "München"}
    lines = [["Table S1. Patients", None], [None, None], ["id", "age"], ["A", 61]]
    pd.DataFrame(lines).to_excel(tmp_path / "who.xlsx", index=False, header=False)
    assert load(series(covariates="who.xlsx"))["A"]["age"] == "61"
    pd.DataFrame({"age": [61, 50]}, index=["A", "B"]).to_excel(tmp_path / "who.xlsx")
    records = load(series(covariates="who.xlsx"))
    assert [(r["age"], r["covariates"]) for r in records.values()] == [("61", {}), ("50", {})]
    (tmp_path / "who.csv").write_bytes("id\tage\r\nA\t61\r\n".encode("utf-16"))
    assert load(series(covariates="who.csv"))["A"]["age"] == "61"


def test_a_text_with_a_separator_in_it_stands_in_quotes(series, tmp_path):
    (tmp_path / "who.csv").write_text('sample,treatments\nA,"chemo; trastuzumab"\n')
    assert load(series(covariates="who.csv"))["A"]["treatments"] == "chemo; trastuzumab"
    (tmp_path / "who.csv").write_text("sample;age;note\nA;61;one, two\nB;50\n")
    records = load(series(covariates="who.csv"))
    assert (records["A"]["covariates"], records["B"]["age"]) == ({"note": "one, two"}, "50")


def test_covariates_in_the_fullest_sheet_of_a_workbook(series, tmp_path):
    patients = pd.DataFrame({"id": ["A", "B"], "age": [61.0, 50.0], "her2": ["neg", "low"]})
    with pd.ExcelWriter(tmp_path / "who.xlsx") as book:
        pd.DataFrame({"Read me": ["one row per sample"]}).to_excel(book, sheet_name="about", index=False)
        patients.to_excel(book, sheet_name="patients", index=False)
    records = load(series(covariates="who.xlsx"))
    assert [(r["age"], r["her2"]) for r in records.values()] == [("61", "pos"), ("50", "low")]


def test_an_empty_field_is_what_the_dataset_or_the_table_says(series, tmp_path):
    samples = [{"id": "A", "match": "a", "primary_site": None, "age": None, "doublet_rate": None}]
    (tmp_path / "who.csv").write_text("id,age\nA,61\n")
    path = series(samples=samples, primary_site="breast", doublet_rate=0.05, covariates="who.csv")
    (record,) = load(path).values()
    assert (record["primary_site"], record["age"], record["doublet_rate"]) == ("breast", "61", 0.05)


def test_empty_cells_behind_the_columns_say_nothing(series, tmp_path):
    (tmp_path / "who.csv").write_text("id,bmi\nA,24,,\n")
    assert load(series(covariates="who.csv"))["A"]["covariates"] == {"bmi": "24"}


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        (None, "who.csv", r"covariates: .*who.csv cannot be read"),
        ("id,age\nA,3\nA ,4\n", "who.csv", r"covariates: .*'A' has more than one row; leave one"),
        ("id,age\nZ,3\n", "who.csv", r"covariates: .*'Z' is no sample of the dataset; samples: A, B"),
        ("id,age\nA,3\n", {"file": "who.csv", "sample": "x"}, r"has no column x \(id, age\); correct sample"),
        ("id,age\nA,3\n", {"file": "who.csv", "columns": {"donor": "agee"}}, r"no column agee; did you mean age\?"),
        ("id,age\nA,3\n", {"file": "who.csv", "columns": {"doner": "age"}}, r"'doner' is no field .* mean donor\?"),
        ("id,age\nA,3\n", {"file": "who.csv", "values": {"sit": {"x": "y"}}}, r"values: 'sit' is no field"),
        ("id,a,b\nA,x,y\nB,chemo, radio,y\n", "who.csv", r"read \(line 3 has more values .* ',' in it needs quotes\)"),
        ("id,her2\nB,3+\n", "who.csv", r"her2: '3\+' is not allowed; allowed: 0, low, pos, amp"),
        ("id,region\nA,middle\n", "who.csv", r"with who.csv: samples.A.region: 'middle' is not allowed.*core, rim"),
    ],
)
def test_wrong_covariates_are_refused(series, tmp_path, text, spec, message):
    if text is not None:
        (tmp_path / "who.csv").write_text(text)
    with pytest.raises(BrainmetError, match=message):
        load(series(covariates=spec))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "tenx_triplets"}, r"layout: 'tenx_triplets' is no reader; did you mean tenx_triplet\?; allowed: "),
        ({"split_by": {"barcode": "^([AB"}}, r"split_by: barcode: '\^\(\[AB' is no regular expression"),
        ({"split_by": {"barcode": "^[AB]_"}}, r"split_by: barcode: .* has 0 groups; it must have one"),
        ({"split_by": {"cells": "who"}}, r"split_by: cells: who is a column of a cells table, and none is named; add"),
        ({"split_by": {"cells": "who"}, "cells": {"columns": {"donor": "who"}}}, r"say split_by: \{obs: who\}"),
        ({"profiles": [{"pattern": "(", "condition": "primary"}]}, r"profiles: pattern: .* is no regular expression"),
        (
            {"samples": [{"id": i, "match": "a", "condition": "csf"} for i in "AB"]},
            r"two samples have the match 'a': they would hold the same cells",
        ),
    ],
)
def test_what_the_schema_cannot_see_is_refused_in_one_line(series, changes, message):
    with pytest.raises(BrainmetError, match=message) as caught:
        load(series(**changes))
    assert "\n" not in str(caught.value)


def test_a_run_is_held_against_what_is_there(series, tmp_path):
    path = series()
    records = load(path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.h5da").write_text("")
    with pytest.raises(BrainmetError, match=r"mine.yaml: files: a.h5ad: there is no .*\(its folder holds a.h5da\)"):
        checks.check_run(records, {"mine": path})
    for name in ("data/a.h5ad", "data/b.h5ad", "labels.csv"):
        (tmp_path / name).write_text("")
    checks.check_run(records, {"mine": path})
    records = load(series(labels={"column": "x", "map": {"Astro": "astrocites", "Junk": None}}))
    with pytest.raises(
        BrainmetError, match=r"labels: map: Astro: 'astrocites' is no cell type; did you mean astrocyte\?"
    ):
        checks.check_run(records, {"mine": path}, types=["astrocyte", "neuron"])


def test_braces_in_the_name_of_a_file_are_refused(series):
    path = series(files=[{"name": "a.h5ad", "path": "a{x}.h5ad"}], samples="drop")
    with pytest.raises(
        BrainmetError, match=r"files: .*a{x}.h5ad: Snakemake takes { in a name for a wildcard; rename it"
    ):
        checks.check_run(load(path), {"mine": path})


def test_the_state_of_local_files_is_noted(series, tmp_path):
    records = load(series())
    (tmp_path / "data").mkdir()
    for name in ("data/a.h5ad", "data/b.h5ad", "labels.csv"):
        (tmp_path / name).write_text("x")
    datasets.stamp(records)
    stamp = records["A"]["files"][0]["stamp"]
    assert stamp.startswith("1 bytes, ")
    (tmp_path / "data/a.h5ad").write_text("xy")
    datasets.stamp(records)
    assert records["A"]["files"][0]["stamp"] != stamp


def test_what_is_published_of_a_sample_does_not_tell_where_its_files_lie(series, tmp_path):
    published = []
    for name in ("here", "there"):
        (tmp_path / name / "data").mkdir(parents=True)
        for file in ("data/a.h5ad", "data/b.h5ad", "labels.csv"):
            (tmp_path / name / file).write_text(name)
        path = series(labels={"file": "labels.csv", "column": "x"}).rename(tmp_path / name / "mine.yaml")
        records = load(path)
        datasets.stamp(records)
        published.append((description(records), provenance.run(config={}, samples=records, knowledge={})["samples"]))
    assert published[0] == published[1] and str(tmp_path) not in repr(published)
    assert json.loads(published[0][0]["samples"])["A"]["her2"] == "pos"


def test_what_ingest_reads_is_in_every_record(series):
    assert all(set(datasets.READ_BY_INGEST) <= set(record) for record in load(series()).values())
    assert not {"her2", "treatments", "region", "doublet_rate"} & set(datasets.READ_BY_INGEST)


def test_two_datasets_of_the_same_donors_are_named():
    loaded = {"A": {"same_donors_as": ["B", "gone"]}, "B": {"same_donors_as": ["A"]}, "C": {}}
    (said,) = checks.shared_donors(loaded)
    assert said.startswith("A and B hold some of the same donors") and "take one of them out of datasets" in said
    assert checks.shared_donors({"A": loaded["A"], "C": {}}) == []
