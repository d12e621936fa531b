"""Time and memory of the readers beside scanpy's and pandas', on the same files: each in a process of its own.

    uv run --no-sync python tests/benchmarks/bench_ingest.py [megabytes]

Writes a 10x triplet and a dense table of at least that much text (default 200), gzipped, and prints for each reader the
seconds of wall time and CPU and the peak of resident memory beyond that of the same process with its libraries imported
and nothing read, with the ratios; and the time to write counts.h5ad beside that of reading it back through anndata.
"""

import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse as sp

HOME = Path(__file__).parents[2]
GENES = 30_000
BYTES_PER_ENTRY = 12.0
BYTES_PER_VALUE = 2.05


def counts(n_cells: int) -> sp.csr_matrix:
    """Cells × genes with about 2,400 detected genes per cell."""
    rng = np.random.default_rng(0)
    rates = rng.permutation(rng.lognormal(-4.2, 2.2, GENES))
    blocks = []
    for start in range(0, n_cells, 250):
        depth = rng.lognormal(0, 0.4, (min(250, n_cells - start), 1))
        blocks.append(sp.csr_matrix(rng.poisson(np.minimum(rates * depth, 500)).astype(np.int32)))
    return sp.vstack(blocks, format="csr")


def names(n_cells: int) -> tuple[list[str], list[list[str]]]:
    """Barcodes, and id and symbol of genes."""
    rng = np.random.default_rng(1)
    barcodes = ["".join(row) + "-1" for row in np.array(list("ACGT"))[rng.integers(0, 4, (n_cells, 16))]]
    with gzip.open(HOME / "resources/genes/human.tsv.gz", "rt") as stream:
        stream.readline()
        return barcodes, [stream.readline().split("\t")[:2] for _ in range(GENES)]


def write(folder: Path, megabytes: int) -> None:
    """Both files."""
    n_cells = int(megabytes * 1e6 / BYTES_PER_ENTRY / 2_400) + 1
    X = counts(n_cells)
    barcodes, genes = names(n_cells)
    (folder / "triplet").mkdir()
    with gzip.open(folder / "triplet/matrix.mtx.gz", "wb", 6) as stream:
        scipy.io.mmwrite(stream, X.T.tocoo(), field="integer")
    for name, lines in (("barcodes", barcodes), ("features", ["\t".join([*g, "Gene Expression"]) for g in genes])):
        with gzip.open(folder / f"triplet/{name}.tsv.gz", "wt") as stream:
            stream.write("\n".join(lines) + "\n")
    n_cells = int(megabytes * 1e6 / BYTES_PER_VALUE / GENES) + 1
    X, (barcodes, _) = counts(n_cells).T.tocsr(), names(n_cells)
    with gzip.open(folder / "dense.csv.gz", "wb", 6) as packed, (folder / "dense.csv").open("wb") as plain:
        for stream in (packed, plain):
            stream.write((",".join(["", *barcodes]) + "\n").encode())
        for i, gene in enumerate(genes):
            line = ",".join([gene[0], *map(str, X[[i]].toarray().ravel().tolist())]) + "\n"
            packed.write(line.encode())
            plain.write(line.encode())


def peak() -> float:
    """Peak of resident memory in megabytes; getrusage would give the parent's, which exec does not reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(method: str, folder: Path) -> None:
    """One method, measured; prints seconds of wall time and CPU, and megabytes."""
    import pandas as pd

    triplet = sorted((folder / "triplet").iterdir())
    if method.startswith("scanpy"):
        import scanpy
    elif method.startswith("anndata"):
        import anndata
    else:
        from brainmet.core.counts import open_counts, write_counts
        from brainmet.ingest import dense_text, kernels, members, tenx_triplet  # noqa: F401
        from brainmet.ingest.raw import Request
        from brainmet.knowledge.genes import read_genes

        genes = read_genes(HOME / "resources/genes/human.tsv.gz")
        counted = open_counts(folder / "counts.h5ad") if method == "brainmet_write" else None
        X = counted.matrix().astype(np.int32) if counted else None  # As the readers give it.
    before, wall, cpu = peak(), time.perf_counter(), time.process_time()
    if method == "brainmet_triplet":
        members_ = members.list_members([(path.name, path) for path in triplet])
        raw = tenx_triplet.read(Request(files=members_, genes=genes))
    elif method == "scanpy_triplet":
        raw = scanpy.read_10x_mtx(folder / "triplet", make_unique=False)
    elif method.startswith("brainmet_dense"):
        path = folder / ("dense.csv.gz" if method.endswith("gz") else "dense.csv")
        raw = dense_text.read(Request(files=[members.Member(path.name, path)], genes=genes))
    elif method.startswith("pandas_dense"):
        raw = pd.read_csv(folder / ("dense.csv.gz" if method.endswith("gz") else "dense.csv"), index_col=0)
    elif method == "brainmet_write":
        write_counts(folder / "again.h5ad", X, counted.cells, counted.genes, counted.uns)
    else:
        raw = anndata.read_h5ad(folder / "counts.h5ad")
    seconds, used = time.perf_counter() - wall, time.process_time() - cpu
    megabytes = peak() - before
    if method == "brainmet_triplet":
        cells = pd.DataFrame({"sample": "S"}, index=pd.Index([f"S:{i}" for i in range(len(raw.barcodes))]))
        placed = pd.DataFrame({"symbol": raw.names, "chromosome": "1", "start": 0, "end": 0}, index=raw.ids)
        write_counts(folder / "counts.h5ad", raw.matrix, cells, placed, {"organism": "human"})
    sys.stdout.write(f"{seconds} {used} {megabytes}\n")


PAIRS = (
    ("brainmet_triplet", "scanpy_triplet"),
    ("brainmet_dense_gz", "pandas_dense_gz"),
    ("brainmet_dense", "pandas_dense"),
    ("brainmet_write", "anndata_read"),
)


def main(megabytes: int) -> None:
    """All methods and their ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, megabytes)
        for path in sorted(folder.rglob("*.gz")):
            sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB\n")
        for pair in PAIRS:
            found = []
            for method in pair:
                command = [sys.executable, __file__, method, str(folder)]
                # The first run warms the compiler's cache and the disk's.
                done = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
                found.append([float(x) for x in done[-1].split()])
                wall, cpu, memory = found[-1]
                sys.stdout.write(f"{method:20s} {wall:7.2f} s  {cpu:7.2f} s CPU  {memory:7.0f} MB\n")
            ratios = np.array(found[1]) / np.maximum(found[0], 1e-3)
            sys.stdout.write("{:20s} {:6.1f} ×  {:6.1f} ×      {:7.1f} ×\n".format("ratio", *ratios))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        run(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
