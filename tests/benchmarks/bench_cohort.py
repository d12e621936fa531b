"""Wall time, CPU time and memory of the whole workflow on a cohort drawn for the purpose, by stage; beside a rival's.

    uv run python -m tests.benchmarks.bench_cohort --cells 20000
    uv run python -m tests.benchmarks.bench_cohort --cells 100000 --rival path/to/rival_scanpy.py

Settings are the shipped ones. Figures by stage are those of Snakemake's `benchmark:` files. The rival, a script that
takes signatures.gmt, out.json and .h5ad files and ends out.json with its total, runs on the same files in an
environment of its own.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tests.benchmarks import cohort

RIVAL = ("scanpy<1.12", "decoupler", "harmonypy", "leidenalg", "scikit-image", "pynndescent<0.7")
"""What the rival is installed with: scanpy as we lock it, so that the ratio is not one of versions."""
PER_SAMPLE = 10_000


def timed(command: list[str], **how: Any) -> dict[str, float]:
    """Run a command; wall and CPU seconds of it and its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    subprocess.run(command, check=True, **how)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": time.time() - start, "cpu_s": cpu}


def workflow(data: Path, folder: Path, *arguments: str, cores: int = 2, config: dict[str, Any] | None = None) -> dict:
    """Run the workflow in a folder on the dataset file of another, as a user does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.yaml").write_text(
        yaml.safe_dump({"datasets": ["bench"], "dataset_paths": [str(data.resolve())]} | (config or {}))
    )
    command = [sys.executable, "-m", "snakemake", "-s", str(cohort.HOME / "Snakefile"), "-d", str(folder)]
    command += ["--configfile", str(folder / "bench.yaml"), "--quiet", "all", "--cores", str(cores), *arguments]
    return timed(command, env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"})


def stages(folder: Path) -> pd.DataFrame:
    """Jobs, seconds and memory by rule, in the order in which the rules began: Snakemake's benchmarks."""
    rows = []
    root = folder / "benchmarks"
    for path in sorted(root.rglob("*.tsv")):
        row = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
        rows.append(
            {"stage": path.relative_to(root).parts[0].removesuffix(".tsv"), "ended": path.stat().st_mtime, **row}
        )
    table = pd.DataFrame(rows).groupby("stage", sort=False)
    found = pd.DataFrame(
        {
            "jobs": table.size(),
            "wall_s": table["s"].sum(),
            "cpu_s": table["cpu_time"].sum(),
            "longest_s": table["s"].max(),
            "peak_mb": table["max_rss"].max(),
            "ended": table["ended"].min(),
        }
    )
    return found.sort_values("ended").drop(columns="ended").round(1)


def rival(script: Path, gmt: Path, folder: Path, files: list[Path]) -> dict[str, float]:
    """The rival's wall time, CPU time and peak, in an environment of its own."""
    out = folder / "rival.json"
    packages = [part for name in RIVAL for part in ("--with", name)]
    command = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, *packages, "python"]
    subprocess.run([*command, "-c", "import scanpy"], check=True, cwd=folder)  # Installed before the clock runs.
    took = timed([*command, *map(str, (script.resolve(), gmt, out, *files))], cwd=folder)
    return took | {"peak_mb": json.loads(out.read_text())[-1]["peak_mb"]}


def main() -> None:
    """Draw, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--samples", type=int, help="default: 10,000 cells per sample, at least two samples")
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="kept between runs; the cohort is drawn once"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rival", type=Path)
    asked = parser.parse_args()
    n = asked.samples or max(2, asked.cells // PER_SAMPLE)
    data, folder = asked.folder / f"cohort_{n}x{asked.cells // n}", asked.folder / f"run_{n}x{asked.cells // n}"
    if not (data / "bench.yaml").exists():
        draw = [sys.executable, "-m", "tests.benchmarks.cohort", str(data)]
        subprocess.run([*draw, "--samples", str(n), "--cells", str(asked.cells // n)], check=True, cwd=cohort.HOME)
    shutil.rmtree(folder, ignore_errors=True)
    took = workflow(data, folder, cores=asked.cores)
    table = stages(folder)
    table.to_csv(folder / "stages.tsv", sep="\t")
    took["peak_mb"] = float(table["peak_mb"].max())
    print(table.to_string())
    print(f"workflow, {asked.cells} cells on {asked.cores} cores:", json.dumps(took))
    if asked.rival:
        workflow(data, folder, "signatures")
        gmt = folder.resolve() / "results/signatures.gmt"
        other = rival(asked.rival, gmt, folder.resolve(), sorted(data.resolve().glob("*.h5ad")))
        print("rival:", json.dumps(other))
        print("ratios:", json.dumps({name: round(other[name] / took[name], 2) for name in took}))


if __name__ == "__main__":
    main()
