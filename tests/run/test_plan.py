"""The run of a configuration: every file of one's own that is not there is told before any job."""

import copy
import importlib.util
import sys

import pytest
from brainmet.core.documents import read_yaml
from brainmet.errors import BrainmetError
from brainmet.run import plan
from snakemake.utils import update_config

from tests.running import HOME


def load(changes):
    config = copy.deepcopy(read_yaml(HOME / "config/config.yaml"))
    update_config(config, changes)
    return plan.load(config, shipped=HOME / "resources")


def with_method(name, **options):
    return {"annotate": {"methods": ["markers", name], name: options}}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"score": {"files": ["gone.gmt"]}}, "score.files"),
        ({"score": {"networks": ["gone.gmt"]}}, "score.networks"),
        ({"annotate": {"overrides": "gone.gmt"}}, "annotate.overrides"),
        (with_method("singler", reference="gone.gmt", labels="x"), "annotate.singler.reference"),
        (with_method("celltypist", model="models/gone.gmt"), "annotate.celltypist.model"),
    ],
)
def test_a_file_that_is_not_there_is_told_with_its_key(tmp_path, monkeypatch, changes, key):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrainmetError, match=rf"config\.yaml: {key}: there is no file {tmp_path}.*gone\.gmt; correct"):
        load(changes)
    (tmp_path / "models").mkdir()
    for file in ("gone.gmt", "models/gone.gmt"):
        (tmp_path / file).touch()
    load(changes)


def test_a_model_may_be_a_name_that_its_library_knows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load(with_method("celltypist", model="Immune_All_High.pkl"))


def test_metabolic_tasks_are_told_of_before_any_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    changes = {"score": {"metabolic_tasks": "tasks"}}
    with pytest.raises(
        BrainmetError, match=rf"score\.metabolic_tasks: there is no folder {tmp_path}/tasks; correct the path"
    ):
        load(changes)
    (tmp_path / "tasks").mkdir()
    with pytest.raises(
        BrainmetError, match=r"needs sccellfie, which is not installed; run `uv sync --extra metabolism`"
    ):
        load(changes)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    load(changes)


def test_a_gpu_without_a_program_is_told_of_before_any_job(tmp_path):
    (tmp_path / "python").write_text("")
    for given in (tmp_path / "python", tmp_path / "absent"):
        with pytest.raises(BrainmetError, match=rf"config\.yaml: gpu: {given} is no program that can be run; give the"):
            load({"gpu": str(given)})
    load({"gpu": sys.executable})


def test_a_run_ends_with_the_tables_that_its_samples_allow():
    cells = {"S": {"simulated": False}}
    found = plan.wanted_tables(cells, bulk=False)
    assert "contrasts" in found and not {"recovery", "bulk", "annotation_benchmark"} & set(found)
    assert set(plan.wanted_tables(cells, bulk=True)) - set(found) == {"bulk"}
    assert "recovery" in plan.wanted_tables({"S": {"simulated": True}}, bulk=False)
    assert plan.wanted_tables({}, bulk=True) == ["bulk", "genes_lost", "signatures"]


def test_a_sample_of_an_archive_of_many_counts_as_twice_its_part():
    assert plan.own_size([100.0, 40.0], [1, 8]) == 110.0 and plan.own_size([100.0], [2]) == 100.0
