"""Count forensics: what is said of transformed versions of known counts, simulated and real."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from brainmet.errors import BrainmetError
from brainmet.ingest import forensics
from brainmet.ingest.forensics import check, identify, recover

SHARED = Path(__file__).parents[3] / "shared/data"


def simulated() -> sp.csr_matrix:
    rng = np.random.default_rng(0)
    means = rng.gamma(0.3, 2.0, 500) * rng.lognormal(0, 0.5, (80, 1))
    return sp.csr_matrix(rng.poisson(means).astype(float))


def real() -> sp.csr_matrix:
    path = SHARED / "copykat_breast/copykat_breast.h5ad"
    if not path.exists():
        pytest.skip("../shared/data is not here")
    with h5py.File(path) as file:
        parts = [file["X"][name][:] for name in ("data", "indices", "indptr")]
    return sp.csr_matrix((parts[0].astype(float), parts[1], parts[2]))[:300]


@pytest.fixture(params=[simulated, real], ids=["simulated", "real"])
def counts(request: pytest.FixtureRequest) -> sp.csr_matrix:
    return request.param()


def scaled(X: sp.csr_matrix, total: float) -> sp.csr_matrix:
    return sp.csr_matrix(sp.diags(total / np.asarray(X.sum(axis=1)).ravel()) @ X)


def mapped(X: sp.csr_matrix, function) -> sp.csr_matrix:  # type: ignore[no-untyped-def]
    result = X.copy()
    result.data = function(result.data)
    return result


def depth(X: sp.csr_matrix) -> int:
    """What nine cells in ten have at least."""
    return int(np.quantile(np.asarray(X.sum(axis=1)), 0.1))


def drawn(X: sp.csr_matrix) -> sp.csr_matrix:
    """Every cell down to the depth that nine in ten have."""
    rng, most = np.random.default_rng(5), depth(X)
    rows = [rng.multivariate_hypergeometric(row.astype(int), int(min(row.sum(), most))) for row in X.toarray()]
    return sp.csr_matrix(np.array(rows).astype(float))


def deep(X: sp.csr_matrix) -> sp.csr_matrix:
    """Some of the cells and their richer genes, sequenced forty times as deep."""
    rng, rich = np.random.default_rng(6), np.argsort(-np.asarray(X.sum(axis=0)).ravel(), kind="stable")[:2000]
    more = X[:80, rich].toarray() * 40 + rng.gamma(0.3, 2, (80, len(rich)))
    return sp.csr_matrix(rng.poisson(more).astype(float))


TRANSFORMED = {
    "raw": (lambda X: X, "counts"),
    "raw as float32": (lambda X: X.astype(np.float32), "counts"),
    "few genes": (lambda X: X[:, :50], "counts"),
    "CP10k": (lambda X: scaled(X, 1e4), "tpm"),
    "CPM": (lambda X: scaled(X, 1e6), "tpm"),
    "CPM rounded to 2": (lambda X: mapped(scaled(X, 1e6), lambda v: np.round(v, 2)), "tpm"),
    "CPM as whole numbers": (lambda X: mapped(scaled(X, 1e6), np.rint), "tpm"),
    "counts with the noise of single precision": (lambda X: mapped(X, lambda v: v * (1 + 3e-7)), "counts"),
    "drawn down to one depth": (lambda X: drawn(X), "counts"),
    "thinned to one depth": (
        lambda X: sp.csr_matrix(np.random.default_rng(3).poisson(scaled(X, depth(X)).toarray()).astype(float)),
        "counts",
    ),
    "deep": (lambda X: deep(X), "counts"),
    "deep, CP10k as whole numbers": (lambda X: mapped(scaled(deep(X), 1e4), np.rint), "tpm"),
    "deep, CP of more than the median as whole numbers": (
        lambda X: mapped(scaled(deep(X), 3 * depth(deep(X))), np.rint),
        "tpm",
    ),
    "deep, drawn down to one depth": (lambda X: drawn(deep(X)), "counts"),
    "deep, drawn down, a third of the genes": (lambda X: drawn(deep(X))[:, ::3], "counts"),
    "seen or not": (lambda X: mapped(X, np.ones_like), "invalid"),
    "CP10k of seen or not": (lambda X: scaled(mapped(X, np.ones_like), 1e4), "tpm"),
    "CP of the median": (lambda X: scaled(X, float(np.median(np.asarray(X.sum(axis=1))))), "tpm"),
    "square root": (lambda X: mapped(X, np.sqrt), "log"),
    "Freeman-Tukey": (lambda X: mapped(X, lambda v: np.sqrt(v) + np.sqrt(v + 1)), "log"),
    "asinh": (lambda X: mapped(X, np.arcsinh), "log"),
    "log2 TPM of gene lengths": (
        lambda X: mapped(
            scaled(sp.csr_matrix(X @ sp.diags(1 / np.random.default_rng(4).lognormal(7, 0.7, X.shape[1]))), 1e6),
            lambda v: np.log2(v + 1),
        ),
        "log",
    ),
    "log1p CP10k": (lambda X: mapped(scaled(X, 1e4), np.log1p), "log"),
    "log1p CPM": (lambda X: mapped(scaled(X, 1e6), np.log1p), "log"),
    "log1p CP10k, 3 decimals": (lambda X: mapped(scaled(X, 1e4), lambda v: np.round(np.log1p(v), 3)), "log"),
    "log2 CPM": (lambda X: mapped(scaled(X, 1e6), lambda v: np.log2(v + 1)), "log"),
    "log2 TPM/10": (lambda X: mapped(scaled(X, 1e6), lambda v: np.log2(v / 10 + 1)), "log"),
    "log10 CPM": (lambda X: mapped(scaled(X, 1e6), lambda v: np.log10(v + 1)), "log"),
    "log1p counts": (lambda X: mapped(X, np.log1p), "log"),
    "log2 counts": (lambda X: mapped(X, lambda v: np.log2(v + 1)), "log"),
    "log1p of half the genes": (lambda X: mapped(scaled(X, 1e4), np.log1p)[:, ::2], "log"),
    "z-scores": (
        lambda X: sp.csr_matrix(
            (X.toarray() - X.mean(axis=0).A1)
            if hasattr(X.mean(axis=0), "A1")
            else X.toarray() - np.asarray(X.mean(axis=0))
        ),
        "scaled",
    ),
    "missing": (lambda X: mapped(X, lambda v: np.where(np.arange(v.size) == 3, np.nan, v)), "invalid"),
    "negative counts": (lambda X: mapped(X, lambda v: -v), "scaled"),
    "expected counts": (
        lambda X: mapped(X, lambda v: v * 30 + np.round(np.random.default_rng(1).random(v.size), 2)),
        "expected_counts",
    ),
    "half expected counts": (
        lambda X: mapped(X, lambda v: v * 30 + np.where(np.random.default_rng(2).random(v.size) < 0.4, 0.25, 0.0)),
        "expected_counts",
    ),
}


DEEP = ("seen or not", "CP of the median")
"""Not to be told where cells have 150 genes."""


@pytest.mark.parametrize("name", TRANSFORMED)
def test_verdict(counts: sp.csr_matrix, name: str) -> None:
    if name in DEEP and depth(counts) < 500:
        pytest.skip("the simulated cells are too shallow")
    function, expected = TRANSFORMED[name]
    content = identify(function(counts))
    assert content.kind == expected, content.why


@pytest.mark.parametrize(
    "name", ["log1p CP10k", "CPM", "z-scores", "missing", "CPM as whole numbers", "expected counts"]
)
def test_declared_counts_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(BrainmetError, match=r"m\.mtx: .*give the file with raw counts"):
        check(TRANSFORMED[name][0](simulated()), declared="counts", name="m.mtx")


def test_message_names_what_to_declare() -> None:
    with pytest.raises(BrainmetError, match="or say values: log"):
        check(TRANSFORMED["log1p CP10k"][0](simulated()), declared="expected_counts", name="m.mtx")


@pytest.mark.parametrize(
    ("declared", "kind"), [("counts", "counts"), ("expected_counts", "expected_counts"), ("unknown", "counts")]
)
def test_whole_numbers_fit(declared: str, kind: str) -> None:
    assert check(simulated(), declared=declared, name="m").kind == kind


def test_real_cases() -> None:
    path = SHARED / "neftel_MGH136/neftel_MGH136.h5ad"
    if not path.exists():
        pytest.skip("../shared/data is not here")
    from brainmet.ingest.h5ad import find

    with h5py.File(path) as file:
        slot, content = find(file)
    assert (slot, content.kind) == ("X", "log") and "2^x - 1" in content.why


@pytest.mark.parametrize(
    "name",
    [
        "square root",
        "Freeman-Tukey",
        "asinh",
        "CP10k",
        "CPM",
        "log1p CP10k",
        "log1p CPM",
        "log2 CPM",
        "log2 TPM/10",
        "log10 CPM",
        "log1p counts",
        "log2 counts",
    ],
)
def test_counts_recovered_exactly_or_not_at_all(name: str) -> None:
    X = simulated()
    found = recover(TRANSFORMED[name][0](X).astype(np.float32))
    if name == "log2 TPM/10":  # 2^x - 1 is a tenth of TPM: scaling is undone all the same.
        assert found is not None
    assert found is not None and (found[0] != X).nnz == 0


@pytest.mark.parametrize("name", ["expected counts", "half expected counts", "z-scores", "missing"])
def test_nothing_is_recovered_where_it_would_not_be_exact(name: str) -> None:
    assert recover(sp.csr_matrix(TRANSFORMED[name][0](simulated()))) is None


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    matrices = [sp.csr_matrix(function(simulated())) for function, _ in TRANSFORMED.values()]
    at_once = [(identify(X), recover(X)) for X in matrices]
    monkeypatch.setattr(forensics, "BLOCK", 1_000)
    for X, (content, found) in zip(matrices, at_once, strict=True):
        assert identify(X) == content
        again = recover(X)
        assert (again is None) == (found is None)
        if again is not None and found is not None:
            assert again[1] == found[1] and np.array_equal(again[0].data, found[0].data)


def test_memory_does_not_grow_with_copies_of_the_values() -> None:
    rng = np.random.default_rng(0)
    X = sp.random(400, 10_000, 0.5, "csr", np.float32, rng, lambda n: np.log1p(rng.exponential(2, n)))
    tracemalloc.start()
    assert identify(X).kind == "log" and recover(X) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * X.nnz


def test_imputed_values_are_not_recovered() -> None:
    X = simulated().toarray()
    assert recover(sp.csr_matrix(X / 2 + X.mean(axis=0) / 2)) is None


def test_cells_without_single_counts_are_not_recovered() -> None:
    assert recover(mapped(simulated(), lambda v: v * 2 + 1)) is None


def test_few_counts_a_cell_scaled_to_their_median_are_none() -> None:
    """Totals below a thousand that agree say nothing, cells of hundreds of genes without a single 1 do."""
    rng = np.random.default_rng(4)
    X = sp.csr_matrix(rng.poisson(rng.gamma(0.5, 1.6, 800) * rng.lognormal(0, 0.5, (80, 1))).astype(float))
    middle = float(np.median(np.asarray(X.sum(axis=1))))
    assert 400 < middle < 1000
    normalised = mapped(scaled(X, middle), np.rint)
    normalised.eliminate_zeros()
    assert identify(X).kind == identify(drawn(X)).kind == "counts"
    content = identify(normalised)
    assert content.kind == "tpm" and "of more than 200 genes none is 1" in content.why


def bulk_counts(rng: np.random.Generator, n_genes: int = 12_000, depth: float = 2e7) -> np.ndarray:
    """Sixteen profiles of tissue: lognormal levels, biological and Poisson noise, depths that differ twofold."""
    levels = rng.lognormal(0, 2.2, n_genes)
    own = levels * rng.lognormal(0, 0.4, (16, n_genes))
    return rng.poisson(own / own.sum(axis=1, keepdims=True) * depth * rng.uniform(0.7, 1.4, (16, 1))).astype(float)


FILTERED = {
    "10 or more in every profile": lambda X: X[:, (X >= 10).all(axis=0)],
    "10 or more in all": lambda X: X[:, X.sum(axis=0) >= 10],
    "more than one in a million in half": lambda X: X[:, (X / X.sum(axis=1, keepdims=True) > 1e-6).mean(axis=0) > 0.5],
    "values below 5 set to zero": lambda X: np.where(X < 5, 0, X),
    "the thousand highest genes": lambda X: X[:, np.argsort(-X.sum(axis=0))[:1000]],
    "a panel of 300 genes": lambda X: X[:, np.argsort(-X.sum(axis=0))[2000:2300]],
}
"""What is done to counts of bulk tissue, and of plates, before they are published."""


@pytest.mark.parametrize("depth", [3e5, 2e7, 4e8])
@pytest.mark.parametrize("name", FILTERED)
def test_counts_without_rare_genes_are_counts(name: str, depth: float) -> None:
    X = FILTERED[name](bulk_counts(np.random.default_rng(7), depth=depth))
    content = identify(sp.csr_matrix(X))
    assert content.kind == "counts", content.why


@pytest.mark.parametrize("times", [1, 1.5, 2, 3, 8, 50])
def test_cells_scaled_up_and_rounded_are_none_whatever_the_total(times: float) -> None:
    rng = np.random.default_rng(9)
    X = sp.csr_matrix(rng.poisson(rng.gamma(0.5, 1.6, 1500) * rng.lognormal(0, 0.5, (80, 1))).astype(float))
    totals = np.asarray(X.sum(axis=1)).ravel()
    factor = times * np.median(totals) / totals * rng.lognormal(0, 0.15, len(totals))  # and totals need not agree
    rounded = mapped(sp.csr_matrix(sp.diags(factor) @ X), np.rint)
    rounded.eliminate_zeros()
    assert identify(rounded).kind == "tpm"
    assert identify(X).kind == "counts"
