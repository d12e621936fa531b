"""Fidelity: a model that is a patient reaches the ceiling, another tissue does not; reasons; headers."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from brainmet.core import tables
from brainmet.knowledge.signatures import Signature
from brainmet.models import fidelity

HOW = {"references": ["brain_metastasis"], "min_cells": 20, "min_cpm": 1.0, "min_genes": 3, "seed": 1}
GENES = 400
SIGNATURES = [Signature(f"s{i}", tuple(f"G{j:03d}" for j in range(i * 20, i * 20 + 10)), (), {}) for i in range(12)]
PROFILE = np.random.default_rng(0).lognormal(0, 1.5, GENES)
OTHER = np.random.default_rng(9).lognormal(0, 1.5, GENES)
ABOUT = {"dataset": "A", "study": "A", "condition": "brain_metastasis", "organism": "human"}
CELLS = {
    "technology": "10x_3prime",
    "suspension": "cell",
    "values": "counts",
    "cell_type": "malignant_epithelial",
    "n_cells": 50,
}


def donor(
    name: str, seed: int, base: np.ndarray = PROFILE, depth: float = 2e5, spread: float = 0.3, **about: object
) -> dict:
    rng = np.random.default_rng(seed)
    level = base * rng.lognormal(0, spread, GENES)
    counts = rng.poisson(depth * level / level.sum()).astype(float)
    return ABOUT | CELLS | {"sample": name, "donor": name} | about | {"x": counts}


def bulk(rows: list[dict]) -> AnnData:
    X = np.array([row.pop("x") for row in rows]).reshape(len(rows), GENES)
    obs = pd.DataFrame(rows, index=[f"p{i}" for i in range(len(rows))])
    var = pd.DataFrame({"symbol": [f"G{i:03d}" for i in range(GENES)]}, index=[f"E{i}" for i in range(GENES)])
    return AnnData(X, obs=obs, var=var, layers={"n_cells_detected": np.zeros(X.shape, np.float32)})


def patients(n: int = 5) -> list[dict]:
    return [donor(f"P{i}", i) for i in range(n)]


def test_a_patient_in_disguise_reaches_the_ceiling_and_another_tissue_does_not() -> None:
    models = [donor("twin", 50, condition="xenograft"), donor("stranger", 51, OTHER, condition="cell_line")]
    table = fidelity(bulk(patients() + models), SIGNATURES, **HOW).set_index("donor")
    twin, stranger = table.loc["twin"], table.loc["stranger"]
    assert twin["relative"] == pytest.approx(1, abs=0.03) and twin["rho"] > twin["ceiling_min"] - 0.03
    assert stranger["relative"] < 0.4
    assert stranger["share_outside"] > 0.6 > twin["share_outside"]
    assert stranger["signature_rho"] < 0.6 < twin["signature_rho"]
    assert twin["expected_outside"] == pytest.approx(2 / 6)
    assert len(stranger["outside"].split(";")) <= 10
    tables.conform(table.reset_index()[tables.columns("fidelity")], "fidelity")


def test_depth_is_no_infidelity() -> None:
    """Thinned to a common depth, a model ten times as deep has the fidelity of one as deep as the patients."""
    same, deep = (
        fidelity(bulk([*patients(), donor("m", 50, depth=d, condition="organoid")]), SIGNATURES, **HOW)[
            "relative"
        ].iloc[0]
        for d in (2e4, 2e6)
    )
    assert deep == pytest.approx(1, abs=0.04)
    assert same < 1.05


def test_mouse_is_a_model_and_no_patient() -> None:
    table = fidelity(bulk([*patients(), donor("mouse", 50, organism="mouse")]), SIGNATURES, **HOW)
    assert table["donor"].tolist() == ["mouse"] and table["n_patients"].tolist() == [5]


def test_compartments_are_compared_with_their_own() -> None:
    rows = patients() + [donor(f"P{i}", 20 + i, OTHER, cell_type="microglia") for i in range(5)]
    rows += [donor("m", 60, condition="xenograft"), donor("m", 61, OTHER, condition="xenograft", cell_type="microglia")]
    table = fidelity(bulk(rows), SIGNATURES, **HOW)
    assert table["compartment"].tolist() == ["malignant", "microglia"]
    assert (table["relative"] > 0.9).all()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*patients(), donor("m", 9, condition="xenograft", n_cells=4)], "4 cells in the model, 20 needed"),
        ([*patients(2), donor("m", 9, condition="xenograft")], "2 patients with the compartment, 3 needed"),
        ([donor("m", 9, condition="xenograft")], "0 patients with the compartment, 3 needed"),
    ],
)
def test_reasons(rows: list[dict], reason: str) -> None:
    table = fidelity(bulk(rows), SIGNATURES, **HOW)
    assert (table["status"].iloc[0], table["reason"].iloc[0]) == ("not_tested", reason)
    tables.conform(table, "fidelity")


def test_no_model_gives_a_header() -> None:
    for rows in (patients(), []):
        data = bulk(rows) if rows else bulk(patients())[:0].copy()
        assert list(fidelity(data, SIGNATURES, **HOW).columns) == tables.columns("fidelity")


def test_a_model_is_set_beside_patients_who_were_measured_as_it_was() -> None:
    """Nuclei of five patients look like another tissue; cells of three are what a model of cells is compared with."""

    def found(n: int) -> pd.DataFrame:
        nuclei = [donor(f"P{i}", 30 + i, OTHER, suspension="nucleus") for i in range(5)]
        return fidelity(bulk([*patients(n), *nuclei, donor("m", 50, condition="xenograft")]), SIGNATURES, **HOW)

    table = found(3)
    row = table.iloc[0]
    assert (row["n_patients"], row["same_platform"], row["platform"]) == (3, True, "10x_3prime cell")
    assert row["relative"] > 0.95
    few = found(2).iloc[0]
    assert (few["n_patients"], few["same_platform"]) == (5, False)
    tables.conform(table, "fidelity")
