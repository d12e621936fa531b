"""The interface of methods, marker and ambient evidence, self-training, and the resource."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from brainmet import annotate
from brainmet.annotate import ambient, context, copy_number, markers, self_training
from brainmet.annotate.context import blended, positions
from brainmet.annotate.marker_scores import yielding
from brainmet.annotate.markers import elsewhere
from brainmet.core.counts import open_counts, write_counts
from brainmet.core.documents import read_yaml
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import Named, compartment_words, load_cell_types
from brainmet.pseudobulk import type_profiles
from brainmet.slice import Slice, slice_counts

from tests.annotation_run import Sample
from tests.annotation_run import run as annotated
from tests.annotation_toy import TYPES, options, toy


@pytest.fixture(scope="module")
def types():
    return load_cell_types([TYPES])


def test_rules_name_entries_of_the_resource(types):
    named = {value for name, value in vars(Named).items() if name.isupper()}
    assert named and named <= set(types.entries)
    assert {types.lineage(name) for name in named} <= {
        *(Named.EPITHELIAL, Named.NEUROGLIA, Named.IMMUNE, Named.STROMA, Named.MELANOMA)
    }
    assert set(copy_number.GLIOMA_CLASSES) <= {entry.coarse for entry in types.entries.values()}


def test_resource_is_whole(types):
    assert len(types.entries) >= 62
    assert set(types.decided("broad")) >= {"epithelial", "astrocyte", "myeloid", "t_cell", "plasma"}
    assert (
        types.lineage("treg") == "immune"
        and types.coarse("pericyte") == "mural"
        and types.coarse("nothing") == "unknown"
    )
    assert all(entry.parent is None or entry.parent in types for entry in types.entries.values())


def test_normal_epithelium_of_the_brain_is_no_tumour(types):
    """The one definition that copy number and malignancy read."""
    tumours = types.of_tumours()
    assert {"epithelial", "malignant_epithelial", "malignant_melanocytic", "neuroendocrine"} <= set(tumours)
    assert "choroid_plexus" not in tumours and types.lineage("choroid_plexus") == Named.EPITHELIAL


def test_new_cell_type_is_one_entry(tmp_path, types):
    entry = {"id": "club", "name": "Club", "level": "type", "parent": "epithelial", "coarse": "epithelial"}
    text = "schema: 1\ncell_types:\n- " + "\n  ".join(f"{k}: {v}" for k, v in entry.items())
    (tmp_path / "mine.yaml").write_text(text + "\n  decide: broad\n  positive: [SCGB1A1]\n")
    with_club = load_cell_types([TYPES, tmp_path / "mine.yaml"])
    assert "club" in with_club.decided("broad")
    assert with_club.ontology("club") == types["epithelial"].ontology != ""
    with pytest.raises(BrainmetError, match="club is defined twice"):
        load_cell_types([tmp_path / "mine.yaml", tmp_path / "mine.yaml"])
    (tmp_path / "bad.yaml").write_text(
        text.replace("epithelial\n", "nobody\n", 1) + "\n  decide: broad\n  positive: [X]\n"
    )
    (tmp_path / "lone.yaml").write_text(text + "\n  decide: broad\n  yields_to: [cub]\n  positive: [X]\n")
    with pytest.raises(BrainmetError, match="club: yields_to: cub is not an entry"):
        load_cell_types([TYPES, tmp_path / "lone.yaml"])
    with pytest.raises(BrainmetError, match="parent nobody is not an entry"):
        load_cell_types([tmp_path / "bad.yaml"])


def test_a_type_of_ones_own_is_where_its_parent_is(tmp_path, home):
    """In the words of compartments, and in the axes of crosstalk."""
    entry = {"name": "x", "level": "type", "coarse": None, "decide": "within", "positive": ["X"]}
    parents = {"my_mac": "macrophage_md", "my_mac_2": "my_mac", "my_vein": "endothelial_venous"}
    own = [{"id": id_, "parent": parent} for id_, parent in parents.items()]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"schema": 1, "cell_types": [one | entry for one in own]}))
    files, path = [TYPES, tmp_path / "mine.yaml"], home / "resources/signatures/compartments.yaml"
    shipped, words = compartment_words(path, files[:1]), compartment_words(path, files)
    assert set(shipped["stroma"]) == {"vascular_stromal", "fibroblast", "caf_matrix", *shipped["pericyte"], "adipocyte"}
    new = {word: sorted(set(members) - set(shipped[word])) for word, members in words.items()}
    assert {word for word, members in new.items() if members} == {"macrophage", "myeloid", "endothelial"}
    assert new["myeloid"] == ["my_mac", "my_mac_2"]
    parents = type_profiles.parents_of(load_cell_types(files))
    assert type_profiles.present("macrophage_md", ["my_mac_2", "t_cell"], parents) == ["my_mac_2"]


def test_new_method_is_one_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        'SCOPE = "cohort"\nREQUIRES = ("cells", "markers")\nraise SystemExit("not imported")\n'
    )
    method = annotate.describe("mine", tmp_path)
    assert (method.scope, method.requires, method.in_words) == ("cohort", ("cells", "markers"), "mine")
    with pytest.raises(BrainmetError, match="no method 'yours'; known methods: mine"):
        annotate.describe("yours", tmp_path)
    (tmp_path / "vague.py").write_text("SCOPE = 'everywhere'\n")
    with pytest.raises(BrainmetError, match="must state SCOPE"):
        annotate.describe("vague", tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["markers", "self_training"], r"self_training requires context; known: cells, .*; add the method"),
        (["context", "ambient"], r"annotate\.methods: markers is needed by the consensus; add it"),
    ],
)
def test_methods_without_what_they_need_are_told_before_the_run(names, message):
    with pytest.raises(BrainmetError, match=message):
        annotate.chosen(names, {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"model": "m.pkl", "maps": {}},
            r"annotate\.celltypist\.maps: unknown key; did you mean map\?; allowed: model, map",
        ),
        ({"map": {}}, r"annotate\.celltypist: needs model; allowed: model, map"),
    ],
)
def test_options_that_a_method_does_not_take_are_told_before_the_run(home, given, message):
    options = read_yaml(home / "config/config.yaml")["annotate"] | {"celltypist": given}
    with pytest.raises(BrainmetError, match=message):
        annotate.chosen([*options["methods"], "celltypist"], options)
    annotate.chosen([*options["methods"], "celltypist"], options | {"celltypist": {"model": "m.pkl"}})


def test_the_shipped_methods_have_what_they_need(home):
    section = read_yaml(home / "config/config.yaml")["annotate"]
    assert list(annotate.chosen(section["methods"], section)) == section["methods"]


def test_files_that_a_method_depends_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    celltypist, singler = annotate.describe("celltypist"), annotate.describe("singler")
    assert celltypist.paths({"model": "High.pkl"}) == {} and celltypist.paths({}) == {}
    (tmp_path / "High.pkl").touch()
    assert celltypist.paths({"model": "High.pkl", "map": {}}) == {"model": "High.pkl"}
    assert singler.paths({"reference": "a.h5ad", "labels": "x"}) == {"reference": "a.h5ad"}


def test_above_floor_by_hand():
    out = markers.above_floor(
        sp.csr_matrix([[4.0, 0.0]]), np.array([100.0]), np.array([0.015, 0.0]), max_evidence=9, depth_cap=1e9
    )
    assert np.allclose(out, [[np.log(4.5 / 2), 0.0]])
    capped = markers.above_floor(
        sp.csr_matrix([[400.0]]), np.array([1e4]), np.array([0.0]), max_evidence=9, depth_cap=100
    )
    assert np.allclose(capped, np.log(4.5 / 0.5))


def _with_plasma_genes(level, *, blind=10):
    """The toy with all genes of plasma cells at one level in every cell, and some cells without their own markers."""
    X, cells, genes, kind = toy(gain=(), seed=1)
    types, symbols, X = load_cell_types([TYPES]), genes.symbol.tolist(), X.toarray()
    foreign = [gene for gene in types["plasma"].positive if gene not in symbols]
    columns = [symbols.index(f"BG{i}") for i in range(len(foreign))]
    genes.loc[genes.index[columns], "symbol"] = foreign
    own = [symbols.index(gene) for name in set(kind) for gene in types[name].positive]
    bare = np.arange(len(kind)) % 40 < blind
    X[np.ix_(bare, own)] = 0
    X[:, columns] = np.random.default_rng(0).poisson(level, (len(X), len(columns)))
    return sp.csr_matrix(X), cells, genes, kind, bare


@pytest.mark.parametrize("level", [1, 4])
def test_markers_at_ambient_level_are_no_evidence(tmp_path, types, level):
    X, cells, genes, kind, bare = _with_plasma_genes(level)
    table = _markers(tmp_path, X, cells, genes, types)
    assert abs(table.score_plasma.median()) < 0.25 and table.score_plasma[bare].median() < 0.3
    best = table[[f"score_{name}" for name in types.decided("broad")]].idxmax(axis=1).str.removeprefix("score_")
    assert (best == kind)[~bare].all()
    annotation = annotated([sample_of(X, cells, genes)])
    plasma = (annotation.cell_type == "plasma").to_numpy()
    # A quarter of this sample shows no marker at all, more than of any real one: profiles are all there is.
    assert not plasma[~bare].any() and plasma[bare].mean() <= 0.15, "what floats in a cell is not what it is"


def test_what_floats_by_hand():
    X = sp.csr_matrix(np.repeat([[4.0, 0, 2], [1, 8, 2], [9, 9, 9]], [10, 10, 5], axis=0))
    lineage = np.repeat(["a", "b", ""], [10, 10, 5])
    makers, total = [{"a"}, {"b"}, set()], np.full(25, 20.0)
    assert elsewhere(X, total, lineage, makers, min_share=0.1).tolist() == [0.05, 0.0, 0.0]
    both = [{"c"}, {"a", "b"}, {"c"}]
    assert elsewhere(X, total, lineage, both, min_share=0.1).tolist() == [0.05, 0.0, 0.1]
    assert elsewhere(X, total, lineage, makers, min_share=0.5).tolist() == [0.0, 0.0, 0.0]
    scores = np.array([[2.0, 1.0, 0.4], [2.0, 1.9, 1.8], [-1.0, -2.0, -3.0]])
    found = markers.clear_lineages(scores, np.array(["a", "a", "b"], dtype=object), lead=0.5)
    assert found.tolist() == ["a", "", ""]
    assert markers.clear_lineages(np.zeros((3, 0)), np.array([], dtype=object), lead=0.5).tolist() == ["", "", ""]


def test_sets_without_measured_genes_are_nan_and_notes_name_genes(tmp_path, types):
    X, cells, genes, kind = toy(gain=(), seed=1)
    table = _markers(tmp_path, X, cells, genes, types)
    assert table["score_erythrocyte"].isna().all()
    assert set(table.note[kind == "fibroblast"].iloc[0].split()) & set(types["fibroblast"].positive)


def test_sample_of_one_kind_keeps_its_identity(tmp_path, types):
    X, cells, genes, kind = toy(gain=(), seed=1)
    only = kind == "fibroblast"
    table = _markers(tmp_path, X[only], cells[only], genes, types)
    broad = [f"score_{name}" for name in types.decided("broad")]
    assert (table[broad].idxmax(axis=1) == "score_fibroblast").mean() > 0.95


def test_ambient_share_of_a_mixture(tmp_path, types):
    X, cells, genes, _ = toy(gain=(), seed=1)
    soup = np.asarray(X.mean(axis=0)).ravel()
    mixed = sp.csr_matrix(np.random.default_rng(0).poisson(0.8 * X.toarray() + 0.2 * soup).astype(np.float32))
    shares = []
    for name, matrix in (("clean", X), ("mixed", mixed)):
        scores = _markers(tmp_path, matrix, cells, genes, types)
        counts = open_counts(tmp_path / "s.h5ad")
        table = ambient.annotate(counts, cells.assign(keep=True), scores, types=types, **options("ambient"))
        shares.append(float(table.sample_ambient_share.iloc[0]))
        assert name and table.index.equals(cells.index)
    assert shares[1] - shares[0] == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("method", ["markers", "ambient", "copy_number"])
def test_logs_give_the_evidence_of_their_values(tmp_path, types, method):
    X, cells, genes, _ = toy(gain=("3q", "8q"), seed=2, background=6_000)
    scaled = sp.csr_matrix(X, dtype=np.float64) * 2.5
    found = []
    for values, matrix in (("tpm", scaled), ("log", scaled.log1p())):
        write_counts(tmp_path / "s.h5ad", matrix, cells, genes, {"values": values, "organism": "human"})
        inputs = {"counts": open_counts(tmp_path / "s.h5ad"), "cells": cells.assign(keep=True), "types": types}
        needed = ["markers"] if method == "markers" else ["markers", method]
        found.append(annotate.run_all(needed, inputs, options={name: options(name) for name in needed}))
    pd.testing.assert_frame_equal(found[0][method], found[1][method], rtol=1e-3, atol=1e-3)


def test_self_training_rescues_cells_without_markers(tmp_path, types):
    X, cells, genes, kind = toy(gain=(), seed=6)
    blind = np.arange(len(kind)) % 5 == 0
    named = np.flatnonzero(~genes.symbol.str.startswith("BG").to_numpy())
    thin = X.tolil()
    for row in np.flatnonzero(blind):
        thin[row, named] = 0
    X = thin.tocsr()
    scores = _markers(tmp_path, X, cells, genes, types)
    counts = open_counts(tmp_path / "s.h5ad")
    part = slice_counts(counts, keep=np.ones(len(cells), bool), genes=genes.index.to_numpy())
    features = pd.DataFrame({"ensembl_id": genes.index, "symbol": genes.symbol})
    alone = pd.DataFrame({"near_1": -1.0}, index=cells.index)
    table = self_training.annotate([part], features, cells, scores, alone, types=types, **options("self_training"))
    votes = table[[c for c in table if c.startswith("vote_")]]
    assert np.allclose(votes.sum(axis=1), 1, atol=1e-5)
    assert (votes.idxmax(axis=1).str.removeprefix("vote_") == kind)[blind].mean() > 0.7  # chance is 0.25


def test_each_dataset_learns_its_own_profiles(types):
    """A gene that marks one type in a dataset and the other in the next: joined, it would mark none."""
    genes = np.array(["G0", "G1"], dtype=object)
    parts = [
        Slice(sp.csr_matrix(np.repeat(values, 20, axis=0).astype(np.float32)), np.ones(2, bool), ids, genes)
        for values, ids in (
            (np.array([[3.0, 1], [1, 3]]), np.array([f"a{i}" for i in range(40)], dtype=object)),
            (np.array([[1.0, 3], [3, 1]]), np.array([f"b{i}" for i in range(40)], dtype=object)),
        )
    ]
    ids = pd.Index(np.concatenate([part.cells for part in parts]))
    first = np.tile(np.repeat([True, False], 20), 2)
    shown = np.arange(80) % 20 < 10  # half of the cells show a marker
    scores = pd.DataFrame(-0.1, index=ids, columns=[f"score_{name}" for name in types.entries])
    scores.loc[first & shown, "score_neuron"], scores.loc[~first & shown, "score_astrocyte"] = 1.0, 1.0
    alone = pd.DataFrame({"near_1": -1.0}, index=ids)
    features = pd.DataFrame({"ensembl_id": genes, "symbol": ["X", "Y"]})
    cells = pd.DataFrame({"dataset": np.repeat(["a", "b"], 40), "sample": "s"}, index=ids)
    votes = self_training.annotate(parts, features, cells, scores, alone, types=types, **options("self_training"))
    assert (votes.vote_neuron[first & ~shown] > 0.5).all() and (votes.vote_astrocyte[~first & ~shown] > 0.5).all()
    joint = cells.assign(dataset="a")
    votes = self_training.annotate(parts, features, joint, scores, alone, types=types, **options("self_training"))
    assert not (votes.vote_neuron[first & ~shown] > 0.5).all()


def test_few_b_cells_that_lie_together_are_learned(types):
    """None of them shows more of a B cell than of what surrounds it; strays among the others do not count."""
    kind = np.repeat(["myeloid", "t_cell", "b_cell"], [100, 60, 8])
    ids, b_cell = pd.Index([f"c{i}" for i in range(168)]), kind == "b_cell"
    X = np.select([(kind == name)[:, None] for name in ("myeloid", "t_cell")], [[3.0, 1, 1], [1.0, 3, 1]], [1.0, 1, 3])
    part = Slice(sp.csr_matrix(X, dtype=np.float32), np.ones(3, bool), ids.to_numpy(), np.array(list("xyz"), object))
    scores = pd.DataFrame(-0.1, index=ids, columns=[f"score_{name}" for name in types.entries])
    scores.loc[kind != "t_cell", "score_myeloid"], scores.loc[kind == "t_cell", "score_t_cell"] = 0.5, 0.5
    stray = np.isin(np.arange(168), [10, 50, 90])
    scores.loc[b_cell | stray, "score_b_cell"] = 0.4
    near = {
        f"near_{k}": np.where(b_cell, 160 + (np.arange(168) + k) % 8, (np.arange(168.0) + k) % 160) for k in range(1, 6)
    }
    features = pd.DataFrame({"ensembl_id": part.genes, "symbol": part.genes})
    cells = pd.DataFrame({"dataset": "d", "sample": "s"}, index=ids)
    inputs = [part], features, cells, scores, pd.DataFrame(near, index=ids)
    votes = self_training.annotate(*inputs, types=types, **options("self_training"))
    assert (votes.vote_b_cell[b_cell] > 0.5).all() and not (votes.vote_b_cell[~b_cell] > 0.5).any()
    votes = self_training.annotate(*inputs, types=types, **options("self_training") | {"island_chance": 1e-12})
    assert not (votes.vote_b_cell > 0.5).any()


def test_granules_of_glia_make_no_neuroendocrine_cell(types):
    """Cells of gliomas show CHGB and SCG3 beside the markers of glia; those of islets show no glia."""
    names = types.decided("broad", "clear")
    scores = np.full((3, len(names)), -0.1)
    scores[:, names.index("neuroendocrine")] = 1.5
    scores[0, names.index("opc")], scores[1, names.index("opc")] = 0.6, 0.4
    scores[2, names.index("opc")] = np.nan
    found = yielding(scores, names, types, score=0.5)
    assert found[:, names.index("neuroendocrine")].tolist() == [True, False, False] and found.sum() == 1


def test_cilia_of_an_epithelial_cell_make_no_ependymal_cell(types):
    """Ciliated cells of airways show keratins and EPCAM too."""
    names = types.decided("broad", "clear")
    scores = np.full((2, len(names)), -0.1)
    scores[:, names.index("ependymal")] = 2.0
    scores[:, names.index("epithelial")] = 0.8, 0.2
    found = yielding(scores, names, types, score=0.5)
    assert found[:, names.index("ependymal")].tolist() == [True, False] and found.sum() == 1


def test_a_hepatocyte_is_no_astrocyte(tmp_path, types):
    """It shows some of the astrocyte's genes and little of what other epithelial cells do."""
    X, cells, genes, kind = toy(gain=(), seed=5)
    shown = [*types["hepatocyte"].positive, "AGT", "ALDH1L1", "ETNPPL", "FGFR3", "NDRG2", "SLC1A2"]
    symbols = genes["symbol"].to_numpy(object).copy()
    symbols[np.flatnonzero(pd.Series(symbols).str.startswith("BG"))[: len(shown)]] = shown
    dense, liver = X.toarray(), kind == "epithelial"
    dense[np.ix_(liver, np.isin(symbols, shown))] = 20
    dense[np.ix_(liver, np.isin(symbols, list(set(types["epithelial"].positive) - {"KRT8", "KRT18"})))] = 0
    X, genes = sp.csr_matrix(dense), genes.assign(symbol=symbols)
    scores = _markers(tmp_path, X, cells, genes, types)[liver]
    assert (scores["score_hepatocyte"] > scores["score_astrocyte"]).all()
    assert (scores["score_astrocyte"] > scores["score_epithelial"]).mean() > 0.9, "without the entry it would be one"
    assert (annotated([sample_of(X, cells, genes)]).lineage[liver] == "epithelial").all()


def test_few_mast_cells_among_macrophages_are_mast_cells(types):
    """Their neighbours are macrophages, so that the mean over these does not reach what a rare type needs."""
    ids = np.array([f"c{i}" for i in range(33)], dtype=object)
    mast = np.arange(33) >= 30
    part = Slice(sp.csr_matrix(np.ones((33, 2), np.float32)), np.ones(2, bool), ids, np.array(["G0", "G1"], object))
    scores = pd.DataFrame(-0.1, index=pd.Index(ids), columns=[f"score_{name}" for name in types.entries])
    scores.loc[~mast, "score_myeloid"], scores.loc[mast, "score_mast"] = 0.6, 1.6
    near = pd.DataFrame({f"near_{k}": np.arange(33.0) % 30 + k - 1 for k in (1, 2)}, index=scores.index)
    features = pd.DataFrame({"ensembl_id": part.genes, "symbol": ["X", "Y"]})
    cells = pd.DataFrame({"dataset": "d", "sample": "s"}, index=scores.index)
    votes = self_training.annotate([part], features, cells, scores, near, types=types, **options("self_training"))
    over = blended(scores[["score_mast"]].to_numpy(), positions(near), share=options("self_training")["smoothing"])
    assert (over[mast] < options("self_training")["clear_score"]).all()
    assert (votes.vote_mast[mast] > 0.5).all() and (votes.vote_mast[~mast] < 0.01).all()


def test_granules_in_an_epithelial_cell_make_no_neuron(tmp_path, types):
    """Islet cells, carcinoids and small-cell carcinomas show the granules of neurons, and keratin."""
    X, cells, genes, kind = toy(gain=(), seed=5)
    granules, keratins = ["CHGA", "CHGB", "SCG2", "SCG5", "PCSK1N", "CPE"], ["EPCAM", "CDH1", "KRT8", "KRT18"]
    symbols = genes["symbol"].to_numpy(object).copy()
    symbols[np.flatnonzero(pd.Series(symbols).str.startswith("BG"))[: len(granules)]] = granules
    dense, epithelial = X.toarray(), kind == "epithelial"
    shown = np.isin(symbols, granules)
    dense[np.ix_(epithelial, shown)] = 20
    dense[np.ix_(epithelial, np.isin(symbols, list(set(types["epithelial"].positive) - set(keratins))))] = 0
    scores = _markers(tmp_path, sp.csr_matrix(dense), cells, genes.assign(symbol=symbols), types)[epithelial]
    own = scores["score_neuroendocrine"]
    assert (own > scores[["score_neuron", "score_epithelial"]].max(axis=1)).mean() > 0.9
    assert types.lineage("neuroendocrine") == "epithelial"


def test_rare_types_share_their_lineages_profile():
    profiles = self_training.Profiles(np.array([[[1.0], [2.0], [9.0]]]), np.array([2, 3, 1]))
    shared = self_training.pooled(profiles, np.array(["a", "a", "b"], dtype=object), minimum=4)
    assert shared.n_seeds.tolist() == [5, 5, 0]
    assert shared.mean[0, 0, 0] == shared.mean[0, 1, 0] == pytest.approx(1.6)


def test_strays_of_the_type_that_fills_a_dataset_make_no_profile():
    """T cells alone: five of them that look a little like myeloid, NK and plasma cells must not become a class."""
    immune, mean = np.array(["immune"] * 4, dtype=object), np.ones((1, 4, 1))
    alone = self_training.pooled(self_training.Profiles(mean, np.array([37, 2, 1, 2])), immune, minimum=4)
    assert alone.n_seeds.tolist() == [37, 0, 0, 0]
    among = np.array(["immune"] * 4 + ["epithelial"], dtype=object)
    many = self_training.Profiles(np.ones((1, 5, 1)), np.array([37, 2, 1, 2, 60]))
    assert self_training.pooled(many, among, minimum=4).n_seeds.tolist() == [37, 5, 5, 5, 60]


def test_a_samples_factor_does_not_follow_its_composition():
    """Two samples of two types; the second reads gene 0 twice as deep and holds other shares of the types."""
    types_mean = np.array([[2.0, 1.0, 0.5], [0.5, 1.0, 2.0]])
    parts, seeds = [], []
    for i, numbers in enumerate(([300, 100], [50, 400])):
        kind = np.repeat([0, 1], numbers)
        X = types_mean[kind] * (np.array([2.0, 1, 1]) if i else 1)
        genes = np.array(["G0", "G1", "G2"], dtype=object)
        parts.append(Slice(sp.csr_matrix(X.astype(np.float32)), np.ones(3, bool), np.arange(len(kind)), genes))
        seeds.append(kind)
    profiles, usable = self_training.learn(parts, np.concatenate(seeds), 2, {}, prior_values=1e-3)
    assert usable.all()
    for kind in (0, 1):
        ratio = profiles.mean[1, kind] / profiles.mean[0, kind]
        assert ratio[1:] == pytest.approx([1, 1], abs=0.02)
        assert ratio[0] > 1.5


def test_neighbours_are_in_the_same_sample_and_few_in_small_ones():
    rng = np.random.default_rng(0)
    parts = []
    for name, n in (("A", 160), ("B", 40), ("C", 1)):
        X = rng.poisson(1.0, (n, 60)).astype(np.float32)
        X[: n // 2, :20] += 4
        cells = np.array([f"{name}:{i}" for i in range(n)], dtype=object)
        parts.append(Slice(sp.csr_matrix(X), np.ones(60, bool), cells, np.arange(60).astype(object)))
    settings = {"n_components": 5, "n_neighbors": 8, "cells_per_component": 1, "cells_per_neighbor": 20}
    table = context.annotate(parts, **settings)
    near = context.positions(table)
    assert table.index[0] == "A:0" and near.shape == (201, 8)
    assert ((near[:160] >= 0) & (near[:160] < 160)).all()
    assert (near[160:200, :3] >= 160).all() and (near[160:200, :3] < 200).all() and (near[160:200, 3:] == -1).all()
    assert (near[200] == -1).all()
    half = np.r_[np.arange(160) < 80]
    assert (half[near[:160]] == half[:, None]).mean() > 0.99


def test_neighbours_of_a_small_sample_are_not_those_of_noise():
    rng, kind, genes = np.random.default_rng(0), np.arange(60) % 3, np.arange(1500)
    X = sp.csr_matrix(rng.poisson(0.5 + 1.5 * (genes // 15 == kind[:, None])).astype(np.float32))
    part = Slice(X, np.ones(1500, bool), np.arange(60).astype(object), genes.astype(object))
    right = {}
    for cells in (1, 10):
        settings = {"n_components": 30, "n_neighbors": 15, "cells_per_component": cells, "cells_per_neighbor": 50}
        near = context.positions(context.annotate([part], **settings))[:, :3]
        right[cells] = (kind[near] == kind[:, None]).mean()
    assert right[1] < 0.75 < 0.9 < right[10]


def test_components_are_those_of_the_covariance():
    X = np.random.default_rng(1).normal(size=(30, 12))
    centred = X - X.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    for values in (X, np.hstack([X, np.zeros((30, 40))])):  # fewer genes than cells, and more
        ours = context.components(sp.csr_matrix(values), n_components=4)
        assert np.allclose(np.sort((ours**2).sum(axis=0))[::-1], size[:4] ** 2, rtol=1e-4)
        assert np.allclose(ours @ ours.T, (left[:, :4] * size[:4] ** 2) @ left[:, :4].T, atol=1e-4)  # single precision


def test_blended_ignores_missing_neighbours():
    scores = np.array([[0.0], [2.0], [4.0]])
    near = np.array([[1, 2], [2, -1], [-1, -1]])
    assert self_training.blended(scores, near, share=0.5).ravel().tolist() == [1.5, 3.0, 4.0]


def sample_of(X, cells, genes):
    kept = cells.assign(keep=True, reason="", doublet_score=0.0)
    return Sample(X.astype(np.float32), kept, genes, {"values": "counts"})


def _markers(folder, X, cells, genes, types):
    write_counts(folder / "s.h5ad", X, cells, genes, {})
    return markers.annotate(open_counts(folder / "s.h5ad"), cells.assign(keep=True), types=types, **options("markers"))


def test_a_parent_is_shown_by_any_of_its_types(types):
    evidence = pd.DataFrame({"score_myeloid": [0.1, 0.1], "score_microglia": [0.9, 0.0], "score_opc": [0.2, 0.2]})
    scores = self_training.shown(evidence, ["myeloid", "opc"], types)
    assert scores.tolist() == [[0.9, 0.2], [0.1, 0.2]]


def test_own_markers_that_lead_set_the_lineage():
    own = np.array([[0.9, 0.0, 0.8], [0.2, 0.0, 0.1], [0.0, 0.5, 0.1], [-np.inf, -np.inf, -np.inf]])
    inside = self_training.inside_lineage(own, np.array(["a", "b", "a"], dtype=object), lead=0.3)
    assert inside.tolist() == [[True, False, True], [True, True, True], [False, True, False], [True, True, True]]
