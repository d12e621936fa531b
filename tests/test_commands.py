"""The commands that the README promises, each as a user types it."""

import subprocess
import sys
import zipfile

import pytest
import yaml

from tests.running import HOME, environment, mini, snakemake


def typed(cwd, *words: str) -> str:
    """What a command line of Snakemake prints from a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *words], capture_output=True, text=True, cwd=cwd, env=environment()
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def test_from_any_folder(tmp_path):
    """Relative paths: the project's and the configuration's from where one stands, dataset_paths from the project."""
    here, project = tmp_path / "here", tmp_path / "here/my project"
    (project / "sets").mkdir(parents=True)
    document = yaml.safe_load((HOME / "resources/datasets/demo.yaml").read_text()) | {"id": "demo"}
    (project / "sets/demo.yaml").write_text(yaml.safe_dump(document))
    (here / "my.yaml").write_text(yaml.safe_dump({"datasets": ["demo"], "dataset_paths": ["sets"]}))
    snakefile = str(HOME / "Snakefile")
    printed = typed(here, "-s", snakefile, "-d", "my project", "--configfile", "my.yaml", "-n", "--quiet", "rules")
    assert "ingest" in printed and "report" in printed
    assert {path.name for path in here.iterdir()} == {"my project", "my.yaml"}


def test_the_list_and_the_graph(tmp_path):
    assert "annotate" in snakemake(tmp_path, "--list")
    assert "digraph" in snakemake(tmp_path, "--rulegraph")


@pytest.mark.slow
@pytest.mark.ci
def test_the_report_of_snakemake(mini_run, tmp_path):
    target = tmp_path / "report.zip"
    snakemake(mini_run, "--report", str(target), config=mini())
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
    assert any(name.endswith("report.html") for name in names)
    assert sum(name.endswith(".svg") for name in names) >= 5


@pytest.mark.slow
def test_lint_finds_nothing():
    assert "Congratulations" in typed(HOME, "--lint")


@pytest.mark.slow
@pytest.mark.ci
def test_the_mini_run_is_a_whole_crate(mini_run):
    import json

    from brainmet import crate

    root = mini_run / "results"
    document = json.loads((root / "ro-crate-metadata.json").read_text())
    crate.check(document, root)
    described = {entity["@id"] for entity in document["@graph"]}
    tables = {path.relative_to(root).as_posix() for path in root.glob("tables/*.tsv")}
    assert {"atlas.h5ad", "report.html", "provenance/run.json", *tables} <= described
