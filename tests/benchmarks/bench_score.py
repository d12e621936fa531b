"""Time and memory of the scores beside decoupler's, on the same input: each in a process of its own.

    uv run --no-sync python tests/benchmarks/bench_score.py [cells] [genes]

Prints seconds of CPU and the peak of resident memory beyond that of the same process with its libraries imported and
nothing read, for ULM and AUCell by both, their ratios, and the largest difference of the ULM scores.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from brainmet.core.counts import open_counts, write_counts
from brainmet.knowledge.signatures import configured
from brainmet.score import score, score_aucell

FOLDER = Path(__file__).parents[2] / "resources" / "signatures"
CUTOFF = 1_000


def signatures() -> list:
    """The 80 core signatures."""
    return configured(FOLDER / "signatures.yaml", [], FOLDER / "confounders.yaml", tier=1, confounders=False)


def write(path: Path, n_cells: int, n_genes: int) -> None:
    """Counts with about 2,000 detected genes per cell."""
    rng = np.random.default_rng(0)
    wanted = list(dict.fromkeys(gene for signature in signatures() for gene in signature.genes))
    symbols = wanted + [f"G{i}" for i in range(n_genes - len(wanted))]
    rates = rng.permutation(rng.lognormal(-4, 2.3, n_genes))
    blocks = [sp.csr_matrix(rng.poisson(rates * rng.lognormal(0, 0.3, (500, 1)))) for _ in range(n_cells // 500)]
    cells = pd.DataFrame({"sample": "S"}, index=[f"S:{i}" for i in range(n_cells)])
    genes = pd.DataFrame({"symbol": symbols, "chromosome": "1", "start": 0, "end": 0})
    genes.index = pd.Index([f"E{i:06d}" for i in range(n_genes)])
    described = {"organism": "human", "technology": "10x_3prime", "suspension": "cell", "values": "counts"}
    write_counts(path, sp.vstack(blocks, format="csr"), cells, genes, described)


def peak() -> float:
    """Peak of resident memory in megabytes; getrusage would give the parent's, which exec does not reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(method: str, path: Path) -> None:
    """One method, measured; prints CPU seconds and megabytes."""
    if method.startswith("decoupler"):
        import anndata
        import decoupler
        import scanpy
    counts = open_counts(path)
    cells = counts.cells.assign(keep=True)
    before, start = peak(), time.process_time()
    if method.startswith("brainmet"):
        values, covered = score(counts, cells, signatures(), min_genes=5, min_coverage=0.4)
        if method == "brainmet_aucell":
            values = score_aucell(counts, cells, signatures(), covered, cutoff=CUTOFF)
    else:
        arms = [(s.id, arm, weight) for s in signatures() for arm, weight in ((s.up, 1.0), (s.down, -1.0))]
        rows = [(name, gene, weight) for name, arm, weight in arms for gene in arm]
        net = pd.DataFrame(rows, columns=["source", "target", "weight"])
        if method == "decoupler_aucell":
            net["source"] += np.where(net["weight"] > 0, "|u", "|d")
        adata = anndata.AnnData(counts.matrix(), obs=cells, var=counts.genes.set_index("symbol"))
        scanpy.pp.normalize_total(adata, target_sum=1e4)
        scanpy.pp.log1p(adata)
        options = {"n_up": CUTOFF} if method == "decoupler_aucell" else {}
        getattr(decoupler.mt, method.split("_")[1])(adata, net, tmin=1, empty=False, **options)
        values = pd.DataFrame(adata.obsm[f"score_{method.split('_')[1]}"])
    seconds = time.process_time() - start
    megabytes = peak() - before
    values.to_pickle(path.with_name(f"{method}.pkl"))
    sys.stdout.write(f"{seconds} {megabytes}\n")


def main() -> None:
    """All methods and the table of ratios; run it twice for warm caches."""
    n_cells, n_genes = ([int(value) for value in sys.argv[1:3]] + [10_000, 20_000])[: max(2, len(sys.argv) - 1)][:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.h5ad"
        write(path, n_cells, n_genes)
        sys.stdout.write(f"{n_cells} cells, {n_genes} genes, {open_counts(path).nnz / n_cells:.0f} detected a cell\n")
        found = {}
        for method in ("brainmet_ulm", "decoupler_ulm", "brainmet_aucell", "decoupler_aucell"):
            command = [sys.executable, __file__, "--run", method, str(path)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            found[method] = [float(value) for value in output[-2:]]
            sys.stdout.write(f"{method:18s} {found[method][0]:7.2f} s CPU {found[method][1]:8.0f} MB\n")
            sys.stdout.flush()
        for name in ("ulm", "aucell"):
            ours, theirs = found[f"brainmet_{name}"], found[f"decoupler_{name}"]
            faster, smaller = theirs[0] / ours[0], theirs[1] / ours[1]
            sys.stdout.write(f"{name}: {faster:.1f} times faster, {smaller:.1f} times less memory\n")
        ulm = [pd.read_pickle(path.with_name(f"{who}_ulm.pkl")) for who in ("brainmet", "decoupler")]
        difference = np.abs(ulm[0].to_numpy() - ulm[1][ulm[0].columns].to_numpy())
        sys.stdout.write(f"largest difference of ULM: {np.nanmax(difference):.2g}\n")


if __name__ == "__main__":
    run(sys.argv[2], Path(sys.argv[3])) if sys.argv[1:2] == ["--run"] else main()
