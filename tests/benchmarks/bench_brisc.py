"""From raw counts to clusters and a layout: the workflow's stages beside brisc's, on the same files and cores.

    uv run python -m tests.benchmarks.bench_brisc --cells 100000

Ours is the whole of Snakemake's run up to the clusters (ingest, qc with doublets, features, slice, embed, stability,
cluster), start-up and files between the stages included; brisc runs in one process in an environment of its own.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.bench_cohort import PER_SAMPLE, stages, timed, workflow
from tests.benchmarks.cohort import HOME

TARGETS = ("results/cohort/clusters.parquet", "results/cohort/embedding.parquet")


def main() -> None:
    """Draw, run both, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    asked = parser.parse_args()
    n = max(2, asked.cells // PER_SAMPLE)
    data, folder = asked.folder / f"cohort_{n}x{asked.cells // n}", asked.folder / f"brisc_{n}x{asked.cells // n}"
    if not (data / "bench.yaml").exists():
        draw = [sys.executable, "-m", "tests.benchmarks.cohort", str(data)]
        subprocess.run([*draw, "--samples", str(n), "--cells", str(asked.cells // n)], check=True, cwd=HOME)
    shutil.rmtree(folder, ignore_errors=True)
    ours = workflow(data, folder, *TARGETS)
    table = stages(folder)
    print(table.to_string())
    ours["peak_mb"] = float(table["peak_mb"].max())
    print("workflow:", json.dumps(ours), flush=True)
    command = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, "--with", "brisc", "python"]
    subprocess.run([*command, "-c", "import brisc"], check=True)  # Installed before the clock runs.
    out, files = (folder / "brisc.json").resolve(), sorted(data.resolve().glob("*.h5ad"))
    theirs = timed([*command, str(Path(__file__).with_name("brisc_route.py")), str(out), *map(str, files)])
    theirs["peak_mb"] = json.loads(out.read_text())[-1]["peak_mb"]
    print("brisc:", json.dumps(theirs))
    print("ratios:", json.dumps({name: round(theirs[name] / ours[name], 2) for name in ours}))


if __name__ == "__main__":
    main()
