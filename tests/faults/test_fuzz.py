"""Configuration and dataset files with random mistakes: refused in one line or accepted, never a traceback."""

import copy
import datetime
import re
import string

import pytest
import yaml
from brainmet import fetch
from brainmet.annotate import describe
from brainmet.core.documents import read_yaml
from brainmet.errors import BrainmetError
from brainmet.run import plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from tests.datasets.test_datasets import SERIES
from tests.running import HOME, snakemake

SHIPPED = read_yaml(HOME / "config/config.yaml")
SMALL = [pytest.param(100, marks=[pytest.mark.slow, pytest.mark.ci]), pytest.param(1000, marks=pytest.mark.slow)]
"""Cases of each of the two tests: 200 in continuous integration, 2,000 by hand."""

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates()
    | st.sampled_from(["demo", "../demo", "\0", "a/b", "~", "", " ", "é", "{sample}", "%", "1e9", "[", "*", 10**40, -1])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(document, path=()):
    """Paths of every key and entry of a document."""
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


@st.composite
def spoilt(draw, document):
    """The document with up to three places replaced, dropped, renamed or added to; or any value at all."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([place for place in places(document) if place] or [()]))
        if not path:
            return draw(values)
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        act, key = draw(st.sampled_from(["replace", "drop", "rename", "add"])), path[-1]
        if act == "replace":
            parent[key] = draw(values)
        elif act == "drop":
            del parent[key]
        elif isinstance(parent, dict):
            value = parent.pop(key) if act == "rename" else draw(values)
            parent[draw(st.text(string.ascii_letters, max_size=8) | st.integers() | st.none())] = value
        else:
            parent.append(draw(values))
    return document


@st.composite
def scribbled(draw, text):
    """The text with a few characters cut, doubled or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 5))
        text = text[:at] + draw(st.text(max_size=4)) + text[at + length :]
    return text


def tell(act) -> str:
    """What the user is told; empty when all is well."""
    try:
        act()
    except BrainmetError as error:
        sentence = str(error)
        assert sentence and "\n" not in sentence
        return sentence
    return ""


def parse(config):
    """What the Snakefile does with a configuration before it makes rules."""
    merged = copy.deepcopy(SHIPPED)
    update_config(merged, config)
    loaded, records = plan.load(merged, shipped=HOME / "resources")
    for name in merged["annotate"]["methods"]:
        describe(name)
    for record in records.values():
        assert re.escape(record["id"]) and record["dataset"] in loaded
    urls = {f"downloads/{id_}/{f['name']}": f for id_, entry in loaded.items() for f in entry["files"] if "url" in f}
    fetch.missing_offline(urls, fetch.Archive(mirror=merged["fetch"]["mirror"] or ""))


def fuzz(n: int):
    return settings(
        max_examples=n, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )  # fmt: skip


@pytest.mark.parametrize("n", SMALL)
def test_configurations(n, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []

    @fuzz(n)
    @given(spoilt(SHIPPED))
    def check(config):
        if isinstance(config, dict):  # Snakemake itself refuses anything else
            told.append(tell(lambda: parse(config)))

    check()
    assert sum(map(bool, told)) > 0.3 * len(told), "the mistakes are too mild to be a test"
    assert any(not sentence for sentence in told)


@pytest.mark.parametrize("n", SMALL)
def test_dataset_files(n, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/a.h5ad", "data/b.h5ad", "labels.csv"):
        (tmp_path / name).write_text("barcode,type\nA,x\n")
    document = SERIES | {
        "labels": {"file": "labels.csv", "barcode": "barcode", "column": "type", "map": {"x": "astrocyte"}},
        "citation": {"doi": "10.1/x", "pmid": None},
        "profiles": [{"pattern": "^(P[0-9]+)_", "condition": "primary"}],
        "covariates": {"file": "labels.csv", "sample": "barcode"},
    }
    path, told = tmp_path / "mine.yaml", []

    @fuzz(n)
    @given(spoilt(document).map(lambda d: yaml.safe_dump(d, allow_unicode=True)) | scribbled(yaml.safe_dump(document)))
    def check(text):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        told.append(tell(lambda: parse({"datasets": ["mine"], "dataset_paths": ["."]})))

    check()
    assert sum(map(bool, told)) > 0.3 * len(told), "the mistakes are too mild to be a test"


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "datasets: demo", "datasets: [demo\n", "- demo", "demo", "datasets: [demo]\nqc: 3", "datasets: [../demo]",
        "datasets: [demo]\nscore: {files: [gone.yaml]}", "\tdatasets: [demo]", "datasets: [demo]\nqc: {n_mads: .nan}",
        "datasets: ['\\0']", "datasets: [2020-01-01]", "datasets: [demo]\nannotate: {methods: [../markers]}",
    ],
)  # fmt: skip
def test_through_the_command(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    printed = snakemake(tmp_path, "-n", "--configfile", str(tmp_path / "bad.yaml"), check=False)
    assert "Traceback" not in printed
    assert len(printed.splitlines()) < 30, printed


def test_a_folder_of_dataset_files_that_is_not_there_is_told():
    told = tell(lambda: parse({"dataset_paths": ["nowhere"]}))
    assert re.match(r"config.yaml: dataset_paths: there is no folder /\S+/nowhere; correct the path", told)


def test_dates_survive_the_messages():
    """YAML turns 2020-01-01 into a date, which is no text; it is told, not tripped over."""
    assert datetime.date(2020, 1, 1).isoformat() in tell(lambda: parse({"datasets": [datetime.date(2020, 1, 1)]}))
