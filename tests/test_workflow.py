"""The workflow as a user runs it: targets, messages, a tiny run from start to end, a rerun with nothing to do."""

import hashlib
import inspect
import json
import platform
import re
from importlib import metadata
from pathlib import Path

import anndata as ad
import h5py
import pandas as pd
import pytest
import yaml
from brainmet.contract import VERSION
from brainmet.core import tables
from brainmet.provenance import SOFTWARE, XGBOOST
from brainmet.run import code
from snakemake.scheduling.job_scheduler import JobScheduler

from tests.conftest import HOME
from tests.running import snakemake, tiny, unlisted


def test_rules_are_listed_with_a_line_each(tmp_path):
    printed = snakemake(tmp_path, "--list-rules")
    rules = re.findall(r"^([a-z_]+) \(.+\.\)$", printed, re.M)
    assert {"all", "fetch", "ingest", "qc", "annotate", "export", "report"} <= set(rules)
    for path in (HOME / "workflow/rules").glob("*.smk"):
        for name, after in re.findall(r"^rule (\w+):\n(.*)$", path.read_text(), re.M):
            assert re.match(r'\s+"""[^"\n]+\."""$', after), f"rule {name} of {path.name} has no one-line docstring"


def test_every_rule_has_the_usual_parts():
    for path in (HOME / "workflow/rules").glob("*.smk"):
        if path.name == "targets.smk":  # names for results of other rules, nothing to run
            continue
        for name, body in re.findall(r"^rule (\w+):\n((?:[ \n].*\n?)*)", path.read_text(), re.M):
            for part in ("code", "log:", "conda:", "script:"):
                assert part in body, f"rule {name} of {path.name} lacks {part}"
            # A rule that prints would do so once only if it left a file.
            assert ("output:" in body) == ("benchmark:" in body), f"rule {name} of {path.name}: benchmark"
            assert (HOME / "workflow/scripts" / f"{name}.py").is_file(), f"rule {name} has no script of its name"
            # A plain number would neither grow with a retry nor hold the cluster's own processes.
            asked = re.search(r"mem_mb=(.*)", body)
            assert asked is None or asked[1].startswith("memory("), f"rule {name} of {path.name}: mem_mb"


def test_on_a_cluster_memory_and_time_grow_with_every_retry():
    profile = yaml.safe_load((HOME / "workflow/profiles/slurm/profile.yaml").read_text())
    assert profile["retries"] > 0
    for name in ("mem_mb", "runtime"):
        assert profile["default-resources"][name].endswith(" * attempt"), name


def code_of_rules():
    """For each rule its `code` input as it is written, and the modules that this names and imports."""
    for path in (HOME / "workflow/rules").glob("*.smk"):
        head, *rules = re.split(r"^rule ", path.read_text(), flags=re.M)
        for rule in rules:
            if asked := re.search(r"^ {8}code=((?:.|\n {12})*)", rule, re.M):
                # What is chosen by wildcards is listed above the rules.
                text = asked[1] if "code(" in asked[1] else head
                calls = re.findall(r"\bcode\((?:[^()]|\([^()]*\))*\)", text)
                stages = re.findall(r'"([\w.]+)"', " ".join(calls))
                yield rule.partition(":")[0], asked[1], set(code.modules(*stages))


def test_a_rule_reruns_when_a_module_that_its_script_imports_changes():
    rules = list(code_of_rules())
    assert len(rules) > 60
    for name, _, listed in rules:
        used = {str(path) for path in code.imports(HOME / f"workflow/scripts/{name}.py")}
        lacking = sorted(path for path in used - listed if Path(path).parent.name != "run")  # how jobs end, not what
        assert not lacking, f"the code of rule {name} lacks {lacking}"


def test_no_sample_looks_its_modules_up():
    """`lookup` walks through all it is given: the modules of all samples, for each of them."""
    assert not [name for name, asked, _ in code_of_rules() if "lookup" in asked and "{sample}" in asked]


def test_ones_own_cell_types_and_signatures_go_wherever_the_shipped_ones_go():
    """By TYPES and SIGNATURES of common.smk; simulated cells and names on the page are of shipped ones alone."""
    texts = {path.stem: path.read_text() for path in (HOME / "workflow/rules").glob("*.smk")}
    assert {name for name, text in texts.items() if "markers/markers.yaml" in text} == {
        "common",
        "recovery",
        "report",
    }
    assert {name for name, text in texts.items() if "signatures/signatures.yaml" in text} == {
        "common",
        "simulate",
        "report",
    }
    for name, text in texts.items():
        assert text.count("compartments.yaml") == text.count('compartments.yaml",\n        types=TYPES,'), name


def test_every_script_belongs_to_a_rule_and_is_short():
    rules = {
        name
        for path in (HOME / "workflow/rules").glob("*.smk")
        for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    for path in (HOME / "workflow/scripts").glob("*.py"):
        assert path.stem in rules, f"{path.name} belongs to no rule"
        lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert len(lines) <= 25, f"{path.name} does more than read, call, write"
        assert "snakemake.config" not in path.read_text()


def test_the_limit_of_jobs_a_second_has_the_name_by_which_it_is_lifted():
    """`onstart` in common.smk sets it: under another name every ended job would again cost a choice a second."""
    assert "self.job_rate_limiter is not None" in inspect.getsource(JobScheduler.schedule)


def test_a_dry_run_of_the_default(tmp_path):
    printed = snakemake(tmp_path, "-n", "--quiet", "rules")
    assert re.search(r"^qc\s+\d+$", printed, re.M), printed


def test_a_run_of_bulk_series_alone_ends_with_what_needs_no_cells(tmp_path):
    printed = snakemake(tmp_path, "-n", "--quiet", "rules", config={"datasets": ["GSE125989"]})
    jobs = set(re.findall(r"^(\w+) +\d+$", printed, re.M)) - {"total"}
    assert jobs == {"fetch", "ingest", "collect_genes_lost", "signatures", "bulk", "provenance", "all"}


def test_a_partial_config_keeps_every_default(tiny_run):
    used = json.loads((tiny_run / "results/provenance/run.json").read_text())["config"]
    shipped = yaml.safe_load((HOME / "config/config.yaml").read_text())

    def leaves(tree, at=()):
        for key, value in tree.items():
            yield from leaves(value, (*at, key)) if isinstance(value, dict) and value else [((*at, key), value)]

    changed = dict(leaves(tiny()))
    kept = {at: value for at, value in leaves(shipped) if at not in changed}
    assert len(kept) > 100 and {at: value for at, value in leaves(used) if at in kept} == kept


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"datasets": ["demmo"]}, r"config.yaml: datasets: no file demmo.yaml; did you mean demo\?"),
        ({"qc": {"n_mad": 3}}, r"config.yaml: qc.n_mad: unknown key; did you mean n_mads"),
        ({"exclude": ["demoA_P11"]}, r"exclude: no sample 'demoA_P11' in this run; did you mean demoA_P1\?"),
        ({"cluster": {"resolutions": "high"}}, r"config.yaml: cluster.resolutions: 'high' must be a list"),
    ],
)
def test_wrong_configuration_stops_before_any_job(tmp_path, config, message):
    printed = snakemake(tmp_path, "-n", config=config, check=False)
    assert re.search(message, printed), printed


def test_the_tiny_run_ends_with_every_result(tiny_run):
    results = tiny_run / "results"
    assert (results / "report.html").stat().st_size > 10_000
    for name in (path.stem for path in tables.SCHEMAS.glob("*.yaml")):
        spec = tables.schema(name)
        if spec["path"] == f"tables/{name}.tsv" and spec.get("target", "all") in ("all", "simulated"):
            tables.read_table(results / spec["path"], name)


def test_the_contract_lists_every_key_of_the_counts(tiny_run):
    for path in (tiny_run / "results/samples").glob("*/counts.h5ad"):
        with h5py.File(path) as file:
            written = {slot: set(file[slot]) - {file[slot].attrs.get("_index")} for slot in ("obs", "var", "uns")}
        assert written["uns"] and unlisted(**written) == []


def test_atlas_and_annotation_agree(tiny_run):
    atlas = ad.read_h5ad(tiny_run / "results/atlas.h5ad")
    annotation = pd.read_parquet(tiny_run / "results/cohort/annotation.parquet")
    assert annotation.index.name == "cell_id"
    assert list(atlas.obs_names) == list(annotation.index)
    assert (atlas.obs["cell_type"].astype(str) == annotation["cell_type"]).all()
    assert annotation["confidence"].between(0, 1).all()
    assert not annotation.isna().any().any()


def test_every_kept_cell_is_scored(tiny_run):
    for folder in sorted((tiny_run / "results/samples").iterdir()):
        cells = pd.read_parquet(folder / "cells.parquet")
        scores = pd.read_parquet(folder / "scores.parquet")
        assert list(scores.index) == list(cells.index[cells["keep"]])
        assert (cells.loc[cells["keep"], "reason"] == "").all()
        assert (cells.loc[~cells["keep"], "reason"] != "").all()


def test_a_second_run_has_nothing_to_do(tiny_run):
    printed = snakemake(tiny_run, "--cores", "2", config=tiny())
    assert "Nothing to be done" in printed


def test_benchmarks_hold_the_memory_of_every_job(tiny_run):
    rows = [pd.read_csv(path, sep="\t") for path in (tiny_run / "benchmarks").rglob("*.tsv")]
    peaks = pd.concat(rows)["max_rss"].replace("-", 0).astype(float)
    assert peaks.max() < 1500, "a job of the tiny run took more than 1.5 GB"


def test_provenance_names_versions(tiny_run):
    contract = json.loads((tiny_run / "results/provenance/contract.json").read_text())
    assert contract["contract_version"] == VERSION
    run = json.loads((tiny_run / "results/provenance/run.json").read_text())
    software, knowledge = run["software"], run["knowledge"]
    assert {"resources/genes/human.tsv.gz", "resources/claims/claims.yaml"} <= set(knowledge)
    for name, digest in knowledge.items():
        assert hashlib.sha256((HOME / name).read_bytes()).hexdigest() == digest
    assert software["python"] == platform.python_version()
    distribution = {"xgboost": XGBOOST}
    assert {name: software[name] for name in SOFTWARE} == {
        name: metadata.version(distribution.get(name, name)) for name in SOFTWARE
    }


def test_requests_of_memory_are_near_the_peaks(tiny_run):
    """A cluster must neither kill a job for its request nor keep what no job uses."""
    printed = snakemake(tiny_run, "-n", "--forceall", "--cores", "2", config=tiny())
    asked = {}
    for block in re.split(r"\n(?=(?:local)?rule )", printed):
        benchmark, request = re.search(r"benchmark: (\S+)", block), re.search(r"mem_mb=(\d+)", block)
        if benchmark and request:
            asked[benchmark[1]] = int(request[1])
    made = [name for name in asked if (tiny_run / name).exists()]
    peaks = {name: float(pd.read_csv(tiny_run / name, sep="\t")["max_rss"].replace("-", 0).iloc[0]) for name in made}
    assert len(peaks) > 50
    little = {name: (asked[name], peak) for name, peak in peaks.items() if asked[name] < peak}
    # Below 400 MB libraries are all there is, and jobs of a second end before Snakemake has looked at them.
    enough = {name: max(1.5 * peak, 400) for name, peak in peaks.items()}
    much = {name: (asked[name], peak) for name, peak in peaks.items() if asked[name] > enough[name]}
    assert (little, much) == ({}, {})
