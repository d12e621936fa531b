"""The commands that the README promises, each as a user types it."""

import os
import pty
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
import yaml

from tests.running import HOME, command, environment, mini, snakemake


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


def test_a_snakemake_of_another_environment_is_told_how_to_run_it(tmp_path):
    without = "import sys; sys.modules['brainmet'] = None; from snakemake.cli import main; main(sys.argv[1:])"
    line = [sys.executable, "-c", without, "-s", str(HOME / "Snakefile"), "-n"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment())
    printed = done.stdout + done.stderr
    assert done.returncode != 0 and "run it as `uv run snakemake …` in the clone" in printed
    assert "Traceback" not in printed


@pytest.mark.slow
@pytest.mark.ci
def test_a_clone_in_a_folder_with_blanks(tmp_path, monkeypatch):
    """The interpreter's path, which holds the clone's, is part of the command of every job."""
    python = tmp_path / "mein Ordner" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([sysconfig.get_paths()["purelib"], str(HOME / "workflow")]))
    snakemake(tmp_path, "--cores", "1", "--", "results/signatures.gmt", python=str(python))
    assert (tmp_path / "results/signatures.gmt").read_text()


def test_the_list_and_the_graph(tmp_path):
    assert "annotate" in snakemake(tmp_path, "--list")
    assert "digraph" in snakemake(tmp_path, "--rulegraph")


def at_a_terminal(folder, *words: str) -> str:
    """What a command line of Snakemake shows where standard error is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(folder, *words, config=mini()), stdout=theirs, stderr=theirs, cwd=folder, env=environment()
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _chunk(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 0, shown[-4000:]
    return shown.decode()


def _chunk(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end is closed
        return b""


def test_a_terminal_shows_one_line_a_job_and_a_file_everything(tmp_path):
    shown = at_a_terminal(tmp_path, "-n", "quality")
    assert re.search(r"Job \d+: qc sample=demoA_M1\s", shown), shown
    assert not re.search(r"^\s+input:", shown, re.M)
    assert re.search(r"^rule qc:\s+input: \S+", snakemake(tmp_path, "-n", "quality", config=mini()), re.M)


def last_line(folder, *words: str, config: dict, status: int = 0) -> str:
    """What is read last of all that a run prints."""
    done = subprocess.run(
        command(folder, *words, config=config),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment(),
    )  # fmt: skip
    assert done.returncode == status, done.stdout[-4000:]
    return done.stdout.splitlines()[-1]


def test_the_last_line_of_a_failed_run_names_sample_rule_cause_and_log(tmp_path):
    (tmp_path / "bad.h5ad").write_bytes(b"no such thing")
    entry = {"schema": 1, "id": "bad", "layout": "h5ad", "files": [{"name": "bad.h5ad", "path": "bad.h5ad"}]}
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(entry | {"title": "a damaged file"}))
    config = {"datasets": ["bad"], "dataset_paths": ["."]}
    said = last_line(tmp_path, "--cores", "1", "results/samples/bad/counts.h5ad", config=config, status=1)
    assert re.fullmatch(r"brainmet: rule ingest, bad: sample bad: .*bad\.h5ad: .* \(logs/ingest/bad\.log\)", said), said


def test_the_last_line_names_the_page_only_where_it_was_asked_for(mini_run, tmp_path):
    folder = shutil.copytree(mini_run, tmp_path / "run")
    page, table = folder / "results/report.html", folder / "results/tables/qc.tsv"
    page.unlink()
    said = f"brainmet: done. {page} begins with what was found and what to distrust."
    assert last_line(folder, "--cores", "1", config=mini()) == said
    table.unlink()
    part = snakemake(folder, "--cores", "1", "results/tables/qc.tsv", config=mini())
    assert table.exists() and page.exists() and "begins with" not in part
    assert f"brainmet: done. {table}\n" in part


@pytest.mark.slow
@pytest.mark.ci
def test_the_report_of_snakemake(mini_run, tmp_path):
    target = tmp_path / "report.zip"
    snakemake(mini_run, "--report", str(target), config=mini())
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        (start,) = [name for name in names if name.endswith("report/report.html")]
        assert "Begin with the page under" in archive.read(start).decode()
    assert sum(name.endswith(".svg") for name in names) >= 5


@pytest.mark.slow
def test_lint_finds_nothing():
    assert "Congratulations" in typed(HOME, "--lint")


@pytest.mark.slow
@pytest.mark.ci
def test_the_mini_run_is_a_whole_crate(mini_run):
    import json

    from brainmet.provenance import crate

    root = mini_run / "results"
    document = json.loads((root / "ro-crate-metadata.json").read_text())
    crate.check(document, root)
    described = {entity["@id"] for entity in document["@graph"]}
    tables = {path.relative_to(root).as_posix() for path in root.glob("tables/*.tsv")}
    assert {"atlas.h5ad", "report.html", "provenance/run.json", *tables} <= described
