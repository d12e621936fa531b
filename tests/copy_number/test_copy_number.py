"""Windows, arms and the copy-number evidence, against infercnvpy and on planted gains."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from brainmet.annotate import copy_number as method
from brainmet.copy_number import arm_shift, gene_order, log_ratio, window_weights, windowed
from brainmet.copy_number.arms import cnv_arms, file_names, segments, write_segments
from brainmet.core.counts import open_counts, write_counts
from brainmet.knowledge.cell_types import load_cell_types

from tests.annotation_toy import TYPES, options, toy


@cache
def planted():
    """The toy with two gains in its tumour cells."""
    return toy(gain=("3q", "8q"), seed=2, background=6_000)


def test_window_weights_by_hand():
    weights = window_weights(np.array(["1"] * 5), window=3, step=2).toarray()
    assert np.allclose(weights.T, [[1 / 4, 2 / 4, 1 / 4, 0, 0], [0, 0, 1 / 4, 2 / 4, 1 / 4]])
    flat = window_weights(np.array(["1", "1", "2"]), window=3, step=1).toarray()
    assert np.allclose(flat.T, [[1 / 2, 1 / 2, 0], [0, 0, 1]])


def test_windows_equal_a_convolution():
    """The formula of infercnvpy's running mean (infercnvpy.tl._infercnv), which takes 6 s to import."""
    values = np.random.default_rng(0).normal(size=(4, 60)).astype(np.float32)
    pyramid = np.minimum(np.arange(1, 12), np.arange(11, 0, -1))
    theirs = np.array([np.convolve(row, pyramid, mode="valid") for row in values])[:, ::7] / pyramid.sum()
    chromosome = np.array(["1"] * 60)
    weights = window_weights(chromosome, window=11, step=7)
    ours = windowed(sp.csr_matrix(values.T), chromosome, weights, np.zeros(60), clip=99)
    assert np.allclose(ours, theirs, atol=1e-5)


def test_windows_clip_and_centre():
    X = sp.csr_matrix(np.array([[5.0, 0.0, 1.0, 2.0]], dtype=np.float32).T)
    weights = sp.csc_matrix(np.array([[1 / 3, 1 / 3, 1 / 3, 0.0], [0.0, 0.0, 0.0, 1.0]]).T)
    out = windowed(X, np.array(["1", "1", "1", "2"]), weights, np.array([0.0, 1.0, 1.0, 0.5]), clip=3)
    assert out[0].tolist() == pytest.approx([(3 - 1 + 0) / 3, 1.5])


def test_gene_order_leaves_out_what_misleads():
    genes = pd.DataFrame(
        {
            "symbol": ["B", "A", "HLA-A", "IGKC", "SEX", "MKI67", "LOW", "UNPLACED"],
            "chromosome": ["1", "1", "6", "2", "X", "10", "1", ""],
            "start": [200_000_000, 1_000, 5, 5, 5, 5, 7, 0],
        },
        index=[f"G{i}" for i in range(8)],
    )
    order = gene_order(genes, np.array([True] * 6 + [False, True]))
    assert order.columns.tolist() == [1, 0]
    assert order.arm.tolist() == ["1p", "1q"]


def test_log_ratio_is_zero_inside_the_range_of_the_categories():
    categories = np.array([[100.0, 100, 100, 100, 100], [100, 100, 100, 400, 100]])
    ratio, weight = log_ratio(np.array([100.0, 300, 30, 200, 100]), categories, size=1)
    assert ratio[3] == 0 and ratio[1] > 0.5 and ratio[2] < -0.5
    assert (weight > 0).all()


def test_arm_shift_sees_an_arm_not_single_genes():
    rng = np.random.default_rng(1)
    arm = np.repeat(np.array(["1p", "1q", "2p", "2q"], dtype=object), 100)
    noise = rng.normal(0, 0.3, 400)
    single = noise.copy()
    single[:5] += 1.5
    gained = noise + np.where(arm == "1q", 0.3, 0)
    quiet, found = (arm_shift(values, np.ones(400), arm, min_genes=20) for values in (single, gained))
    assert quiet.t.abs().max() < 3.5
    assert found.t["1q"] > 5 and found["shift"]["1q"] == pytest.approx(0.3, abs=0.1)


def test_planted_gains_are_found_and_normal_cells_are_not(tmp_path):
    X, cells, genes, kind = planted()
    write_counts(tmp_path / "s.h5ad", X, cells, genes, {})
    table = _run(tmp_path / "s.h5ad", cells)
    tumour = kind == "epithelial"
    assert (table.cnv_slope[tumour] > 0.5).mean() > 0.95
    assert (table.cnv_slope[~tumour] > 0.5).mean() < 0.02
    assert table.note[tumour].eq("gain of 3q, 8q").all()
    rates = table.filter(regex="^fdr_").iloc[0].drop(["fdr_3q", "fdr_8q"])
    assert table.shift_8q.iloc[0] == pytest.approx(np.log(1.5), abs=0.1)
    assert table.fdr_8q.iloc[0] < 0.01 and (rates.dropna() > 0.05).all()


GAINS = {"A": ("3q", "8q"), "B": ("1q", "6p"), "C": ("2p", "12q")}
"""Arms of three donors' tumours."""


@pytest.fixture(scope="module")
def hashed():
    """Three donors in one sample, each with a tumour of its own, and one with three tumour cells."""
    parts = [toy(gain=gain, seed=2, background=6_000) for gain in (*GAINS.values(), ("1q",))]
    kept = [np.arange(160) if donor < 3 else np.arange(37, 160) for donor in range(4)]
    X = sp.vstack([part[0][rows] for part, rows in zip(parts, kept, strict=True)], format="csr")
    donor = np.repeat(np.array(["A", "B", "C", "few"], dtype=object), [len(rows) for rows in kept])
    cells = pd.concat([part[1].iloc[rows] for part, rows in zip(parts, kept, strict=True)]).assign(donor=donor)
    cells.index = pd.Index([f"S:{i:04d}" for i in range(len(cells))], name="cell_id", dtype=object)
    return X, cells, parts[0][2], cells["author_label"].to_numpy(object)


def test_each_donor_of_a_shared_sample_has_its_own_profile(hashed, tmp_path):
    """Averaged over the donors, tumours that share no arm would hide one another."""
    X, cells, genes, kind = hashed
    write_counts(tmp_path / "s.h5ad", X, cells, genes, {})
    evidence = _run(tmp_path / "s.h5ad", cells)
    tumour = kind == "epithelial"
    for donor, (first, second) in GAINS.items():
        own = (cells["donor"] == donor).to_numpy()
        assert evidence.note[own & tumour].eq(f"gain of {first}, {second}").all()
        assert (evidence.cnv_slope[own & ~tumour] > 0.5).mean() < 0.02
    few = (cells["donor"] == "few").to_numpy()
    assert evidence.cnv_slope[few].isna().all() and evidence.filter(regex="^arm_3q").notna().all(axis=None)
    assert evidence.note[few].eq("3 of the donor's cells can be a tumour's, 8 needed").all()
    annotation = cells.assign(cell_type=np.where(tumour, "malignant_epithelial", kind), lineage="normal")
    table = cnv_arms(annotation, evidence, min_cells=3, max_fdr=0.05, min_shift=0.1)
    called = table[table["call"] != "neutral"]
    assert {d: tuple(own["arm"]) for d, own in called.groupby("donor")} == GAINS
    shift = {d: own[(own["chrom"] == "8") & (own["loc.start"] > 1)]["seg.mean"].item() for d, own in segments(table)}
    assert list(shift) == ["A", "B", "C"], "no segments of a donor without a profile"
    assert shift["A"] > 0.4 and abs(shift["B"]) < 0.15


def test_normal_epithelium_is_not_aneuploid(tmp_path):
    X, cells, genes, _ = toy(gain=(), seed=3)
    write_counts(tmp_path / "s.h5ad", X, cells, genes, {})
    assert (_run(tmp_path / "s.h5ad", cells).cnv_slope == 0).all()


def test_a_donors_tumour_as_segments():
    arms = pd.DataFrame(
        [
            ("A", "d", "malignant", "1p", 0.0, "gain", 30, 1.0, np.log(2), 40.0),
            ("B", "d", "malignant", "1p", 0.0, "gain", 10, 1.0, 0.0, 50.0),
            ("A", "d", "malignant", "22q", 0.0, "loss", 30, 1.0, -np.log(2), 25.0),
            ("A", "d", "immune", "1p", 0.0, "neutral", 90, 1.0, np.nan, np.nan),
            ("C", "e", "immune", "1p", 0.0, "neutral", 90, 1.0, np.nan, np.nan),
        ],
        columns=["sample", "donor", "group", "arm", "mean", "call", "n_cells", "z", "shift", "n_genes"],
    ).assign(study="s")
    found = dict(segments(arms))
    assert list(found) == ["d"], "a donor without a tumour profile has no file"
    table = found["d"]
    assert table.columns.tolist() == ["ID", "chrom", "loc.start", "loc.end", "num.mark", "seg.mean"]
    assert table.iloc[0].tolist() == ["d", "1", 1, 123_400_000, 50, pytest.approx(0.75)]
    assert table.iloc[1].tolist() == ["d", "22", 15_000_001, 50_818_468, 25, pytest.approx(-1.0)]


def test_donors_of_one_name_in_two_studies_are_two():
    row = {"group": "malignant", "arm": "1p", "n_cells": 30, "n_genes": 40.0}
    told = (("A", "P1", np.log(2)), ("B", "P1", -np.log(2)), ("A", "P2", np.log(2)))
    arms = pd.DataFrame([row | {"sample": s, "study": s, "donor": d, "shift": v} for s, d, v in told])
    found = {name: (table["ID"].item(), table["seg.mean"].item()) for name, table in segments(arms)}
    assert found == {name: (name, pytest.approx(v)) for name, v in (("A_P1", 1), ("P2", 1), ("B_P1", -1))}


def test_donors_whose_names_look_alike_to_a_file_system_have_a_file_each(tmp_path):
    row = {"sample": "S", "study": "s", "group": "malignant", "arm": "1p", "n_cells": 30, "n_genes": 40.0}
    shifts = {"P 1": np.log(2), "P_1": -np.log(2), "p_1": 0.0}
    write_segments(pd.DataFrame([row | {"donor": d, "shift": v} for d, v in shifts.items()]), tmp_path)
    tables = [pd.read_csv(path, sep="\t") for path in tmp_path.glob("*.seg")]
    assert {table["ID"].item(): table["seg.mean"].item() for table in tables} == {"P 1": 1, "P_1": -1, "p_1": 0}
    assert (tmp_path / "P_1.seg").read_text().splitlines()[1].startswith("P_1\t"), "a plain name is kept"
    assert file_names(["a/b", "a_b", "a_b_2"]) == ["a_b_3", "a_b", "a_b_2"]
    assert file_names(["x", "x"]) == ["x", "x_2"]


def test_a_donor_named_like_another_one_of_a_study_has_a_file_too(tmp_path):
    """B of studies A and C becomes A_B and C_B, and a donor of study D bears the name A_B already."""
    row = {"sample": "S", "group": "malignant", "arm": "1p", "n_cells": 30, "n_genes": 40.0}
    shifts = {("A", "B"): np.log(2), ("C", "B"): 0.0, ("D", "A_B"): -np.log(2)}
    write_segments(pd.DataFrame([row | {"study": s, "donor": d, "shift": v} for (s, d), v in shifts.items()]), tmp_path)
    tables = [pd.read_csv(path, sep="\t") for path in tmp_path.glob("*.seg")]
    assert sorted((table["ID"].item(), table["seg.mean"].item()) for table in tables) == [
        ("A_B", -1),
        ("A_B", 1),
        ("C_B", 0),
    ]


def test_arms_of_the_tumour_are_called_and_kept_with_their_genes(tmp_path):
    X, cells, genes, kind = planted()
    write_counts(tmp_path / "s.h5ad", X, cells, genes, {})
    annotation = cells.assign(cell_type=np.where(kind == "epithelial", "malignant_epithelial", kind), lineage="normal")
    evidence = _run(tmp_path / "s.h5ad", cells)
    table = cnv_arms(annotation, evidence, min_cells=10, max_fdr=0.05, min_shift=0.1).set_index(["group", "arm"])
    assert table.call[table.call != "neutral"].to_dict() == {("malignant", "3q"): "gain", ("malignant", "8q"): "gain"}
    assert table.n_genes["malignant", "8q"] > 20 and table.n_genes["normal"].isna().all()


def test_a_glioma_is_what_resembles_precursors(tmp_path):
    """Cells with a gain that look like fibroblasts are a glioma's in a glioma, and a reference elsewhere."""
    X, cells, genes, kind = planted()
    names = genes.symbol.tolist()
    types = load_cell_types([TYPES])
    pairs = [list(types[name].positive) for name in ("epithelial", "fibroblast")]
    swap = dict(zip(*pairs, strict=False)) | {b: a for a, b in zip(*pairs, strict=False)}
    genes = genes.assign(symbol=[swap.get(name, name) for name in names])
    assert set(genes.symbol) == set(names)
    stroma = kind != "fibroblast"  # those look epithelial now, and a glioma has none
    for condition, found in (("glioma", True), ("primary", False)):
        own = cells[stroma].assign(condition=condition)
        write_counts(tmp_path / "s.h5ad", X[stroma], own, genes, {})
        table = _run(tmp_path / "s.h5ad", own)
        tumour = kind[stroma] == "epithelial"
        assert (table.cnv_slope[tumour] > 0.5).mean() == pytest.approx(float(found), abs=0.05)
        assert (table.cnv_slope[~tumour] > 0.5).mean() < 0.02


def test_no_reference_is_said_so(tmp_path):
    X, cells, genes, kind = toy(gain=("1q",), seed=4)
    only = kind == "epithelial"
    write_counts(tmp_path / "s.h5ad", X[only], cells[only], genes, {})
    table = _run(tmp_path / "s.h5ad", cells[only])
    assert table.cnv_slope.isna().all() and table.note.str.startswith("too few reference cells").all()


def test_nothing_is_inferred_of_mice(tmp_path):
    """Their genes enter under human ids, and so would their copy number under human arms."""
    X, cells, genes, kind = planted()
    write_counts(tmp_path / "mouse.h5ad", X, cells, genes, {"organism": "mouse"})
    table = _run(tmp_path / "mouse.h5ad", cells)
    assert table.drop(columns=["note", "n_reference"]).isna().all(axis=None)
    assert table.note.eq("the cells are not human, and chromosome arms differ").all()
    mouse = kind == "fibroblast"
    mixed = cells.assign(organism=np.where(mouse, "mouse", "human"))
    write_counts(tmp_path / "mixed.h5ad", X, mixed, genes, {"organism": "human_mouse"})
    table = _run(tmp_path / "mixed.h5ad", mixed)
    assert table.note[mouse].str.startswith("the cells are not human").all() and table.arm_3q[mouse].isna().all()
    assert table.note[kind == "epithelial"].eq("gain of 3q, 8q").all() and table.n_reference.le(80).all()


def test_permuting_cells_changes_nothing(tmp_path):
    X, cells, genes, _ = toy(gain=("3q", "8q"), seed=5, background=6_000)
    order = np.random.default_rng(0).permutation(len(cells))
    write_counts(tmp_path / "a.h5ad", X, cells, genes, {})
    write_counts(tmp_path / "b.h5ad", X[order], cells.iloc[order], genes, {})
    a, b = _run(tmp_path / "a.h5ad", cells), _run(tmp_path / "b.h5ad", cells.iloc[order])
    assert np.allclose(a.cnv_slope, b.cnv_slope.reindex(a.index), atol=1e-3)


def _run(path, cells):
    from brainmet.annotate import markers

    types = load_cell_types([TYPES])
    counts, qc = open_counts(path), cells.assign(keep=True)
    scores = markers.annotate(counts, qc, types=types, **options("markers"))
    return method.annotate(counts, qc, scores, types=types, **options("copy_number"))
