"""Ambient RNA in pseudobulk: a planted soup is found and taken off; kin are not mistaken for it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from brainmet.ambient.pseudobulk import Ambience, cleaned, expected

HOW = Ambience(genes=40, min_fold=4, min_share=5e-5, min_cells=5, max_share=0.2, quantile=0.35)
GENES = 300


def sample(soup: dict[str, float], seed: int = 0) -> tuple[AnnData, np.ndarray]:
    """A tumour profile that carries some of the other types; 40 genes are each type's own."""
    rng = np.random.default_rng(seed)
    types = ["astrocyte", "malignant_epithelial", "t_cell"]
    share = {name: np.exp(rng.normal(0, 0.3, GENES)) for name in types}
    for k, name in enumerate(types):
        own = slice(40 * k, 40 * (k + 1))
        for other in types:
            share[other][own] *= 1.0 if other == name else 1e-4
    share = {name: values / values.sum() for name, values in share.items()}
    rates = dict(share)
    rates["malignant_epithelial"] = share["malignant_epithelial"] + sum(f * share[k] for k, f in soup.items())
    x = np.array([rng.poisson(200_000 * rates[name]) for name in types], float)
    obs = pd.DataFrame({"sample": "s", "cell_type": types, "n_cells": 50, "total_counts": x.sum(axis=1)}, index=types)
    planted = 200_000 * sum((f * share[k] for k, f in soup.items()), np.zeros(GENES))
    return AnnData(X=x, obs=obs), planted


def test_a_planted_soup_is_found_source_by_source() -> None:
    bulk, planted = sample({"astrocyte": 0.08, "t_cell": 0.02})
    found = expected(bulk, how=HOW)[1]
    assert found.sum() == pytest.approx(planted.sum(), rel=0.15)
    left = cleaned(bulk, expected(bulk, how=HOW)).X[1]
    assert left[:40].sum() < 0.3 * bulk.X[1, :40].sum()
    assert left[40:80].sum() > 0.99 * bulk.X[1, 40:80].sum()


def test_without_a_soup_next_to_nothing_is_taken() -> None:
    bulk, _ = sample({})
    assert expected(bulk, how=HOW)[1].sum() < 0.005 * bulk.X[1].sum()


def test_what_the_profile_expresses_itself_is_no_soup() -> None:
    """Half of the astrocytes' own genes are expressed by the tumour too: the share is read from the others."""
    bulk, planted = sample({"astrocyte": 0.04})
    bulk.X[1, :20] += 0.3 * bulk.X[0, :20]
    found = expected(bulk, how=HOW)[1]
    assert found.sum() == pytest.approx(planted.sum(), rel=0.25)
    assert expected(bulk, how=replace(HOW, quantile=0.5))[1].sum() > 1.5 * planted.sum()


def test_kin_are_not_soup() -> None:
    bulk, _ = sample({"astrocyte": 0.9})
    assert expected(bulk, how=HOW)[1].sum() < 0.05 * bulk.X[1].sum()


def test_a_sample_of_one_type_has_no_sources_and_gaps_stay_gaps() -> None:
    bulk, _ = sample({"astrocyte": 0.08})
    bulk.X[:, 7] = np.nan
    ambient = expected(bulk, how=HOW)
    assert np.isnan(cleaned(bulk, ambient).X[:, 7]).all()
    assert expected(bulk[[1]].copy(), how=HOW).sum() == 0
