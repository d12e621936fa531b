"""Footprints: decoupler's ulm with a network's weights, and files that are no network."""

from collections.abc import Callable
from pathlib import Path

import anndata
import decoupler
import numpy as np
import pandas as pd
import pytest
from brainmet.core.counts import Counts
from brainmet.core.tables import conform
from brainmet.errors import BrainmetError
from brainmet.score.networks import load, score_networks

GENES = [f"G{i}" for i in range(60)]


def network(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_activities_equal_decoupler(tmp_path: Path, make_counts: Callable[..., Counts]) -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.lognormal(0, 1, 60), (25, 60))
    rows = [(s, g, rng.normal()) for s in ("TP53", "MYC") for g in rng.permutation(GENES)[:12]] + [("few", "G1", 1.0)]
    edges = pd.DataFrame(rows, columns=["source", "target", "weight"])
    edges.to_csv(tmp_path / "progeny.tsv", sep="\t", index=False)
    sample = make_counts(counts, symbols=GENES)
    table = score_networks(sample, sample.cells.assign(keep=True), [load(tmp_path / "progeny.tsv")], min_genes=5)
    table = conform(table, "scores_networks")
    assert list(table) == ["progeny:MYC", "progeny:TP53", "progeny:few"]
    assert table["progeny:few"].isna().all()
    logs = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    data = anndata.AnnData(logs, var=pd.DataFrame(index=GENES))
    decoupler.mt.ulm(data, edges[edges["source"] != "few"], tmin=5)
    theirs = data.obsm["score_ulm"]
    for name in ("MYC", "TP53"):
        np.testing.assert_allclose(table[f"progeny:{name}"], theirs[name], rtol=1e-4, atol=1e-4)


def test_a_sample_without_a_kept_cell_has_columns_and_no_rows(
    tmp_path: Path, make_counts: Callable[..., Counts]
) -> None:
    text = "source\ttarget\n" + "".join(f"TP53\t{gene}\n" for gene in GENES)
    sample = make_counts(np.ones((4, 60), int), symbols=GENES)
    found = load(network(tmp_path / "progeny.tsv", text))
    table = score_networks(sample, sample.cells.assign(keep=False), [found], min_genes=5)
    assert conform(table, "scores_networks").shape == (0, 1) and list(table) == ["progeny:TP53"]


def test_a_weight_is_one_where_none_is_given(tmp_path: Path) -> None:
    found = load(network(tmp_path / "mine.csv", "source,target\nA,G1\nA,G2\n"))
    assert found.name == "mine" and found.edges["weight"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source\tgene\nA\tB\n", "has no column target"),
        ("source\ttarget\tweight\nA\tB\tmuch\n", "the weight much is no number"),
        ("source\ttarget\nA\tB\nA\tB\n", "A to B appears twice"),
        ("", "cannot be read"),
        ("source\ttarget\nA\tB\n\tC\n", "an edge from '' to 'C' lacks one of them"),
        ("source\ttarget\nA\tB\nB\t\n", "an edge from 'B' to '' lacks one of them"),
    ],
)
def test_what_is_no_network_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BrainmetError, match=message):
        load(network(tmp_path / "n.tsv", text))


def test_networks_of_other_names_and_two_of_one_name_are_refused(
    tmp_path: Path, make_counts: Callable[..., Counts]
) -> None:
    sample = make_counts(np.ones((3, 60)), symbols=GENES)
    cells = sample.cells.assign(keep=True)
    mouse = load(network(tmp_path / "mouse.tsv", "source\ttarget\n" + "".join(f"A\tGene{i}\n" for i in range(9))))
    with pytest.raises(BrainmetError, match=r"mouse: 0 of its 9 edges .*\(its first are Gene0, Gene1, Gene2\)"):
        score_networks(sample, cells, [mouse], min_genes=5)
    few = load(network(tmp_path / "few.tsv", "source\ttarget\nA\tG1\nA\tnone\n"))
    assert score_networks(sample, cells, [few], min_genes=5).isna().all(axis=None)
    with pytest.raises(BrainmetError, match="two files are named few; rename one of them"):
        score_networks(sample, cells, [few, few], min_genes=5)
