"""A cohort too large for the disk: samples are drawn, ingested and their raw files deleted, then the rest is run.

    uv run python -m tests.benchmarks.bench_million                      # 100 x 10,000 cells
    uv run python -m tests.benchmarks.bench_million --samples 4 --cells 500

Raw files come as downloads from a folder that stands for the archive. Ingest keeps their checksums, and nothing after
it reads them, so Snakemake asks for none of them again. Wall and CPU time are those of the workflow, without the
drawing.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import yaml

from tests.benchmarks.bench_cohort import stages, workflow
from tests.benchmarks.cohort import dataset, samples, write


def used(folder: Path) -> float:
    """Gigabytes that a folder takes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def main() -> None:
    """Draw and ingest in portions, run the rest, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--cells", type=int, default=10_000, help="a sample")
    parser.add_argument("--at-once", type=int, default=10, help="samples drawn and ingested together")
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    asked = parser.parse_args()
    root = asked.folder / f"streamed_{asked.samples}x{asked.cells}"
    shutil.rmtree(root, ignore_errors=True)
    archive, run, records = root / "archive", root / "run", samples(asked.samples)
    document = dataset(records)
    document["files"] = [
        {"name": file["name"], "url": f"https://example.org/{file['name']}"} for file in document["files"]
    ]
    root.mkdir(parents=True)
    (root / "bench.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    config = {"fetch": {"mirror": str(archive.resolve())}}
    took, disk = {"wall_s": 0.0, "cpu_s": 0.0}, 0.0
    for start in range(0, len(records), asked.at_once):
        portion = records[start : start + asked.at_once]
        write(archive, portion, cells=asked.cells)
        targets = [f"results/samples/{record['id']}/counts.h5ad" for record in portion]
        spent = workflow(root, run, *targets, config=config)
        took = {name: took[name] + spent[name] for name in took}
        disk = max(disk, used(root))
        shutil.rmtree(archive)
        for record in portion:
            (run / f"downloads/bench/{record['id']}.h5ad").unlink()
        print(f"{start + len(portion)} samples ingested, {json.dumps(took)}, {disk:.1f} GB of disk", flush=True)
    spent = workflow(root, run, config=config)
    table = stages(run)
    table.to_csv(run / "stages.tsv", sep="\t")
    if (ingested := int(table.at["ingest", "jobs"])) != asked.samples:
        sys.exit(f"{ingested} samples were ingested, not {asked.samples}")
    print(table.to_string())
    took = {name: took[name] + spent[name] for name in took}
    took |= {"peak_mb": float(table["peak_mb"].max()), "disk_gb": max(disk, used(root))}
    print(f"workflow, {asked.samples * asked.cells} cells:", json.dumps(took))


if __name__ == "__main__":
    main()
