"""Metabolic tasks: scCellFie's numbers by hand on a small database, and what is missing in one sentence."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from brainmet.core.counts import Counts
from brainmet.core.tables import conform
from brainmet.errors import BrainmetError
from brainmet.score import metabolic_tasks as stage

INSTALLED = importlib.util.find_spec("sccellfie") is not None
RULES = {"R1": "HK1 or HK2", "R2": "SDHA and SDHB", "R3": "HK1", "R4": "NOWHERE"}
TASKS = {"glucose": ["R1", "R3"], "succinate": ["R2"], "lost": ["R4"]}
THRESHOLDS = {"SDHB": 3.0, "HK1": 2.0, "HK2": 1.0, "SDHA": 1.5, "NOWHERE": 1.0}


def write_database(folder: Path) -> None:
    """The files of a database, as scCellFie names them."""
    genes, reactions = list(THRESHOLDS), list(RULES)
    members = {r: [int(g in rule.split()) for g in genes] for r, rule in RULES.items()}
    in_task = {t: [int(r in listed) for r in reactions] for t, listed in TASKS.items()}
    by_gene = {t: (np.array([members[r] for r in listed]).sum(axis=0) > 0).astype(int) for t, listed in TASKS.items()}
    frames = {
        "rxn_by_gene": pd.DataFrame(members, genes).T.rename_axis("Reaction"),
        "task_by_rxn": pd.DataFrame(in_task, reactions).T.rename_axis("Task"),
        "task_by_gene": pd.DataFrame(by_gene, genes).T.rename_axis("Task"),
        "thresholds": pd.DataFrame({stage.THRESHOLD: THRESHOLDS}).rename_axis("symbol"),
        "task_info": pd.DataFrame({"Task": list(TASKS)}, pd.RangeIndex(3)),
    }
    for key, frame in frames.items():
        frame.to_csv(folder / stage.FILES[key], index=key != "task_info")
    rules = [{"Reaction": r, "GPR-symbol": rule} for r, rule in RULES.items()]
    (folder / stage.FILES["rxn_info"]).write_text(json.dumps(rules))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    write_database(tmp_path)
    return tmp_path


@pytest.mark.skipif(not INSTALLED, reason="optional: uv sync --extra metabolism")
def test_tasks_by_hand(database: Path, make_counts: Callable[..., Counts], monkeypatch: pytest.MonkeyPatch) -> None:
    """A gene's score is 5 ln(1 + x / threshold), `or` the larger, `and` the smaller; a gene that decides two reactions
    counts half in each; a task is the mean of its reactions. Three cells, two at a time, the middle one dropped."""
    symbols = ["OTHER", "HK2", "SDHA", "HK1", "SDHB"]
    values = np.array([[9990, 0, 1, 4, 5], [10, 1, 1, 1, 1], [9996, 3, 0, 1, 0], [9900, 50, 20, 0, 30]])
    sample = make_counts(values, symbols=symbols)
    monkeypatch.setattr(stage, "ROWS", 2)
    cells = sample.cells.assign(keep=[True, False, True, True])
    table = conform(stage.score_tasks(sample, cells, stage.load(database)), "scores_tasks")
    assert list(table) == list(TASKS) and list(table.index) == list(sample.cells.index[[0, 2, 3]])
    scored = 5 * np.log1p(values / [np.inf, 1.0, 1.5, 2.0, 3.0])
    hk2, sdha, hk1, sdhb = scored[[0, 2, 3]].T[1:]
    twice = np.where(hk1 > hk2, 2, 1)
    np.testing.assert_allclose(table["glucose"], (np.maximum(hk1, hk2) / twice + hk1 / twice) / 2, rtol=1e-6)
    np.testing.assert_allclose(table["succinate"], np.minimum(sdha, sdhb), rtol=1e-6)
    assert table["lost"].isna().all()


@pytest.mark.skipif(not INSTALLED, reason="optional: uv sync --extra metabolism")
def test_a_gene_without_a_threshold_is_not_measured(database: Path, make_counts: Callable[..., Counts]) -> None:
    path = database / stage.FILES["thresholds"]
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "HK2" not in line))
    sample = make_counts(np.array([[9990, 0, 1, 4, 5]]), symbols=["OTHER", "HK2", "SDHA", "HK1", "SDHB"])
    table = stage.score_tasks(sample, sample.cells.assign(keep=True), stage.load(database))
    np.testing.assert_allclose(table["glucose"], 5 * np.log1p(4 / 2) / 2, rtol=1e-6)


@pytest.mark.skipif(not INSTALLED, reason="optional: uv sync --extra metabolism")
@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("task_by_rxn", None, r"Task_by_Rxn.csv: no such file; score.metabolic_tasks wants a folder"),
        ("task_by_rxn", "", r"Task_by_Rxn.csv: cannot be read"),
        ("thresholds", "symbol,other\nHK1,1\n", r"Thresholds.csv: has no column sccellfie_threshold"),
    ],
)
def test_what_is_no_database_says_why(database: Path, file: str, text: str | None, message: str) -> None:
    path = database / stage.FILES[file]
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(BrainmetError, match=message):
        stage.load(database)
