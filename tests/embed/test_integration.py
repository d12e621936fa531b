"""LISI equal to harmonypy's, alarms of what integration merges, and the space of malignant cells."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from brainmet.core.neighbors import nearest
from brainmet.core.tables import conform
from brainmet.embed.integration import integration, lisi, malignant_embedding
from brainmet.errors import BrainmetError
from brainmet.slice import Slice, read_slices
from harmonypy import compute_lisi

from tests.annotation_toy import ROOT

EMBED = yaml.safe_load((ROOT / "config/config.yaml").read_text())["embed"]
MEASURES = EMBED["integration"] | {"seed": 1}


def test_lisi_is_harmonypys():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 300)
    points = rng.normal(size=(300, 5)) + label[:, None] * np.array([1.0, 0.5, 0, 0, 0])
    near, far = nearest(points, k=89, exact_below=1_000, threads=1)
    ours = lisi(far.astype(float), label[near], perplexity=30)
    theirs = compute_lisi(points, pd.DataFrame({"label": label.astype(str)}), ["label"], 30).ravel()
    assert np.abs(ours - theirs).max() < 0.02 and theirs.max() > 2.5 and theirs.min() < 1.2


def test_lisi_by_hand():
    far = np.ones((1, 4))  # all as near: the weights are equal
    for codes, expected in (([0, 0, 0, 0], 1.0), ([0, 0, 1, 1], 2.0), ([0, 1, 2, 3], 4.0), ([0, 0, 0, 1], 1.6)):
        assert lisi(far, np.array([codes]), perplexity=2)[0] == pytest.approx(expected)


def _cohort(after):
    """Two donors' tumours, apart before; T cells of both, together; and a rare type beside the T cells."""
    rng = np.random.default_rng(1)
    parts = [("A", "malignant_epithelial", 60, 0.0), ("B", "malignant_epithelial", 60, 9.0), ("A", "t_cell", 60, 20.0)]
    parts += [("B", "t_cell", 60, 20.0), ("A", "mast", 20, 30.0)]
    before = np.concatenate([np.full(n, at) for _, _, n, at in parts])
    later = np.concatenate([np.full(n, after.get((donor, kind), at)) for donor, kind, n, at in parts])
    index = pd.Index([f"S:{i}" for i in range(len(before))], name="cell_id")
    columns = {"PC_1": before, "PC_2": 0 * before, "harmony_1": later, "harmony_2": 0 * later}
    embedding = pd.DataFrame(columns, index=index) + rng.normal(size=(len(before), 4))
    embedding.insert(0, "sample", "S")
    annotation = pd.DataFrame({"study": "X", "sample": "S"}, index=index)
    annotation["donor"] = np.repeat([part[0] for part in parts], [part[2] for part in parts])
    annotation["cell_type"] = np.repeat([part[1] for part in parts], [part[2] for part in parts])
    annotation["malignancy"] = np.where(annotation.cell_type.str.startswith("malignant"), "malignant", "normal")
    return embedding, annotation


def _found(after):
    return conform(integration(*_cohort(after), **MEASURES), "integration")


def test_nothing_merged_is_no_alarm():
    table = _found({})
    assert (table.alarm == "").all() and np.allclose(table.own_before, table.own_after, atol=0.1)
    mixing = table[table.level == "mixing"].set_index("group")
    assert mixing.lisi_after["malignant"] < 1.1 and mixing.lisi_after["normal"] > 1.6
    assert table[table.level == "tumours"].label.tolist() == ["X:A", "X:B"]


def test_merged_tumours_and_a_swallowed_type_are_named():
    table = _found({("B", "malignant_epithelial"): 0.0}).query("level != 'mixing'").set_index(["level", "label"])
    assert table.alarm["tumours", "X:A"].startswith("integration merged tumour cells of X:A with others: of their nea")
    assert table.lisi_after["tumours", "X:A"] > 1.6 and (table.loc["types"].alarm == "").all()
    table = _found({("A", "mast"): 20.0}).query("level != 'mixing'").set_index(["level", "label"])
    assert "try embed.integrate: none" in table.alarm["types", "mast"]
    assert table.alarm["types", "t_cell"] == "" and (table.loc["tumours"].alarm == "").all()


def test_what_was_mixed_before_is_not_merged():
    """A third of the tumour cells are of one donor: shifted a little before, not at all after."""
    rng, donor = np.random.default_rng(3), np.where(np.arange(120) % 3 == 0, "A", "B")
    index = pd.Index([f"S:{i}" for i in range(120)], name="cell_id")
    columns = {"study": "X", "sample": "S", "donor": donor, "cell_type": "t", "malignancy": "malignant"}
    annotation = pd.DataFrame(columns, index=index)
    found = {}
    for shift in (1.6, 4.0):
        before, after = rng.normal(size=(2, 120, 2))
        before[:, 0] += shift * (donor == "A")
        table = pd.DataFrame(np.hstack([before, after]), index, ["PC_1", "PC_2", "harmony_1", "harmony_2"])
        rows = integration(table, annotation, **MEASURES | {"max_loss": 0.2})
        found[shift] = rows[rows.label == "X:A"].iloc[0]
        assert found[shift].own_after < 0.8 * found[shift].own_before
    assert found[1.6].own_before < 0.5 and found[1.6].alarm == ""
    assert found[4.0].own_before > 0.5 and found[4.0].alarm != ""


def test_one_donor_has_nothing_to_mix():
    embedding, annotation = _cohort({})
    table = integration(embedding, annotation.assign(donor="A"), **MEASURES)
    assert set(table.level) == {"types"}
    none = annotation.assign(donor="A", cell_type="t_cell")
    assert integration(embedding, none, **MEASURES).empty


def test_many_cells_are_drawn():
    embedding, annotation = _cohort({})
    options = MEASURES | {"max_cells": 200, "min_cells": 5}
    table = integration(embedding, annotation, **options)
    assert table[table.level == "types"].n_cells.sum() == 200
    assert table.equals(integration(embedding, annotation, **options))


def test_a_damaged_slice_is_an_error_and_no_lack_of_cells(tmp_path):
    paths = [tmp_path / "slice.npz"]
    paths[0].write_bytes(b"cut")
    annotation = pd.DataFrame({"sample": "A", "malignancy": "malignant"}, index=[f"A:{i}" for i in range(9)])
    options = {k: v for k, v in EMBED.items() if k not in ("integrate", "theta", "max_iterations", "integration")}
    with pytest.raises(BrainmetError, match=r"slice\.npz"):
        malignant_embedding(read_slices(paths), annotation, **options)


def test_malignant_cells_alone():
    rng = np.random.default_rng(2)
    genes = np.array([f"G{i}" for i in range(30)], dtype=object)
    parts, annotation = [], []
    for name in ("A", "B"):
        ids = np.array([f"{name}:{i}" for i in range(40)], dtype=object)
        X = rng.poisson(1.0, (40, 30)).astype(np.float32)
        X[:20, :5] += 6 if name == "A" else 0
        parts.append(Slice(sp.csr_matrix(X), np.ones(30, bool), ids, genes))
        tier = np.repeat(["malignant", "normal"], 20)
        annotation.append(pd.DataFrame({"sample": name, "malignancy": tier}, index=ids))
    options = {k: v for k, v in EMBED.items() if k not in ("integrate", "theta", "max_iterations", "integration")}
    table = malignant_embedding(parts, pd.concat(annotation), **options)
    assert conform(table, "malignant_embedding")["sample"].tolist() == ["A"] * 20 + ["B"] * 20
    assert abs(np.corrcoef(table.PC_1, np.repeat([0, 1], 20))[0, 1]) > 0.9
    none = malignant_embedding(parts, pd.concat(annotation).assign(malignancy="normal"), **options)
    assert none.empty and list(none) == ["sample", "umap_1", "umap_2"]
