"""Memory of reading a dense table as large as the largest in the archives, beside the sparse matrix that it becomes.

    uv run --no-sync python tests/benchmarks/bench_stream.py [gigabytes ...]

Writes a gzipped table of genes × cells of each size (default 0.5, 1 and 2 GB of text, 6.5 % of the values above zero,
as in the 12 GB of GSE131907), reads it in a process of its own, and prints seconds, the bytes of the sparse matrix, and
the peak of resident memory beyond that matrix and beyond the process before reading. The last must stay below 1 GB.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HOME = Path(__file__).parents[2]
CELLS, GENES = 40_000, 29_634
"""Cells of small tables; where their lines of so many genes (as in GSE131907) hold too little text there are more."""
DENSITY = 0.065
POOL = 64
"""Lines that are made; the file repeats them under other names, which the reader cannot know."""


def write(path: Path, gigabytes: float) -> None:
    """A table of that much text."""
    from brainmet.knowledge.genes import read_genes
    from isal import igzip

    rng = np.random.default_rng(0)
    bodies, cells = [], max(CELLS, round(gigabytes * 1e9 / 2 / GENES))
    for _ in range(POOL):
        values = np.where(rng.random(cells) < DENSITY, rng.geometric(0.5, cells), 0)
        bodies.append(b"\t".join([b"", *(str(v).encode() for v in values.tolist())]) + b"\n")
    names = read_genes(HOME / "resources/genes/human.tsv.gz").frame["symbol"].to_numpy()
    lines = int(gigabytes * 1e9 / np.mean([len(body) for body in bodies]))
    with igzip.open(path, "wb", 1) as stream:
        stream.write(("\t".join(["Index", *(f"cell{i}" for i in range(cells))]) + "\n").encode())
        for i in range(lines):
            stream.write(names[i].encode() + bodies[i % POOL])


def resident(key: str) -> float:
    """A line of the process's status, in megabytes."""
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0]) / 1024


def read(path: Path) -> None:
    """Read it and print what that took."""
    from brainmet.ingest import dense_text, kernels  # noqa: F401
    from brainmet.ingest.members import Member
    from brainmet.ingest.raw import Request
    from brainmet.knowledge.genes import read_genes

    genes = read_genes(HOME / "resources/genes/human.tsv.gz")
    before, start = resident("VmRSS"), time.perf_counter()
    raw = dense_text.read(Request(files=[Member(path.name, path)], genes=genes))
    seconds, peak = time.perf_counter() - start, resident("VmHWM")
    matrix = sum(part.nbytes for part in (raw.matrix.data, raw.matrix.indices, raw.matrix.indptr)) / 2**20
    sys.stdout.write(f"{seconds} {matrix} {peak - before - matrix}\n")


def main(sizes: list[float]) -> None:
    """All sizes."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.txt.gz"
            write(path, size)
            command = [sys.executable, __file__, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, matrix, beyond = map(float, done.split())
            sys.stdout.write(
                f"{size:5.1f} GB of text: {seconds:6.1f} s, sparse {matrix:6.0f} MB, {beyond:5.0f} MB beyond it\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) == 2 and Path(sys.argv[1]).is_file():
        read(Path(sys.argv[1]))
    else:
        main([float(size) for size in sys.argv[1:]] or [0.5, 1, 2])
