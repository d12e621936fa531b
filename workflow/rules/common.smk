"""Configuration, dataset files and wildcards: what every stage needs at parse time. No rules."""

import logging
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from brainmet import datasets
from brainmet.datasets import checks
from brainmet.run import failures, folders, plan, processor, terminal
from brainmet.annotate import describe
from brainmet.run.code import modules as code
from brainmet.errors import BrainmetError

HOME = Path(workflow.basedir).resolve()

# Jobs inherit these unless the user set them. Compiled kernels are kept in the working directory. One BLAS kernel gives
# the same bytes. Threads that wait for one another sleep instead of spinning on a core that another job needs. Large
# arrays come in large pages and from what was freed just now: a page that the system gives anew costs as much as its sums.
# HDF5 takes no locks, which some network disks refuse: no two jobs open a file that one of them writes.
ALLOCATION = {"hugetlb": 1, "mmap_threshold": 2**25, "trim_threshold": 2**27}
for name, value in {
    "NUMBA_CACHE_DIR": os.path.abspath(".cache/numba"),
    "MPLCONFIGDIR": os.path.abspath(".cache/matplotlib"),
    **({"OPENBLAS_CORETYPE": "Haswell"} if processor.has_avx2() else {}),
    "OMP_WAIT_POLICY": "PASSIVE",
    "HDF5_USE_FILE_LOCKING": "FALSE",
    "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{key}={value}" for key, value in ALLOCATION.items()),
}.items():
    os.environ.setdefault(name, value)
os.environ.update(PYTHONHASHSEED="0", PYTHONUTF8="1")  # text is UTF-8 wherever the locale says otherwise
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Snakemake puts this path into its command lines as it is (github.com/snakemake/snakemake/issues/2645): without quotes
# no job starts in a clone whose path has a blank.
sys.executable = shlex.quote(sys.executable)


# On a full disk Snakemake's own log cannot be written either: not a traceback for each of its lines.
logging.raiseExceptions = False

# Folders that every run writes to.
WRITTEN = [".", *map(workflow.pathvars.apply, ("<results>", "<logs>", "<benchmarks>"))]


def load_run():
    """The dataset files of this run and one record per sample; problems as one line."""
    try:
        folders.check(WRITTEN)
        loaded, records = plan.load(config, shipped=HOME / "resources")
        raw = [path for dataset, entry in loaded.items() for path in paths_of(dataset, entry["files"])]
        folders.check(folders.to_fill(raw))
        return loaded, records
    except BrainmetError as error:
        raise WorkflowError(str(error)) from None


def paths_of(dataset, files):
    """Where files of a dataset are: local ones in place, all others under downloads/."""
    return [file.get("path", f"downloads/{dataset}/{file['name']}") for file in files]


def raw_paths(sample):
    """Files that a sample is read from."""
    return paths_of(RECORDS[sample]["dataset"], RECORDS[sample]["files"])


def raw_files(wildcards):
    """The same as an input function."""
    return raw_paths(wildcards.sample)


def reader_code(wildcards):
    """Modules that read a sample; `lookup` would walk through those of all samples for each of them."""
    return LAYOUT_CODE[RECORDS[wildcards.sample]["layout"]]


def memory(base, per_input_mb=0, size_mb=lambda wildcards, input: input.size_mb):
    """Memory a job asks for, in MB: `base`, more for larger inputs, and as much again with every retry on a cluster.

    The numbers of the rules are fitted to the peaks (max_rss in benchmarks/) of runs of 630 to a million cells: none asks
    for less than its peak, most for less than 1.5 times as much. On a cluster a job also holds two Snakemakes, one that
    starts the step and one that runs the script.
    """

    def ask(wildcards, input, attempt):
        snakemakes = 400 if workflow.non_local_exec else 0
        grows = per_input_mb * size_mb(wildcards, input) if per_input_mb else 0
        return int((base + grows) * attempt + snakemakes)

    return ask


def own_mb(wildcards, input):
    """Size in MB of what a sample is read from."""
    record = RECORDS[wildcards.sample]
    return plan.own_size(input.size_files_mb, datasets.sharers(DATASETS[record["dataset"]], record))


def own_files(*names):
    """Files that the options of methods name, as a model or a reference."""
    found = [describe(name).paths(config["annotate"].get(name, {})) for name in names]
    return [file for paths in found for file in paths.values() if os.path.isfile(file)]


def half_of_cores(wildcards):
    """Threads of a job over all samples: half of the machine, the other half goes on with single samples.

    Two where a cluster gives each job its own cores. No result depends on the number.
    """
    cores = workflow.resource_settings.cores
    return 2 if cores is None or workflow.remote_exec else max(1, cores // 2)


def shown(name, category, label):
    """A figure with its place and caption in `snakemake --report`."""
    return report(
        f"<results>/figures/{name}.svg",
        caption=str(HOME / f"workflow/report/captions/{name.split('_')[0]}.rst"),
        category=category,
        labels={"what": label, "kind": "figure"},
    )


def listed(name, category, label):
    """A table with its place and caption in `snakemake --report`."""
    return report(
        f"<results>/tables/{name}.tsv",
        caption=str(HOME / f"workflow/report/captions/table_{name}.rst"),
        category=category,
        labels={"what": label, "kind": "table"},
    )


# Priorities: what all cells wait for goes first (up to their clusters), then what the tables wait for, and of the tables
# those at the end of the longest chain of jobs (pseudobulk, differential expression, enrichment). Jobs of other rules
# have 0 and fill the cores beside them. The atlas takes long and no stage reads it: a core makes it while another ends
# the tables and makes the page. Made earlier, it would leave that core idle.
ALL_CELLS, ALL_TABLES, BESIDE_THE_PAGE = 20, 10, -10

DATASETS, RECORDS = load_run()
for sentence in checks.shared_donors(DATASETS) + checks.overruled(DATASETS) + checks.unread(DATASETS):
    logger.warning(f"brainmet: {sentence}")
BULK_SAMPLES = {
    sample: record for sample, record in RECORDS.items() if record["suspension"] == "bulk"
}  # enter at bulk.smk
SAMPLES = {sample: record for sample, record in RECORDS.items() if sample not in BULK_SAMPLES}
TABLES = plan.wanted_tables(SAMPLES, bulk=bool(BULK_SAMPLES))
# Shipped files and the user's own, as inputs of many rules.
TYPES = ["<shipped>/markers/markers.yaml", *config["annotate"]["marker_files"]]
SIGNATURES = {
    "signatures": "<shipped>/signatures/signatures.yaml",
    "confounders": "<shipped>/signatures/confounders.yaml",
    "files": config["score"]["files"],
}


wildcard_constraints:
    sample="|".join(map(re.escape, RECORDS)) or "none",
    dataset="|".join(map(re.escape, DATASETS)),
    method="[a-z][a-z0-9_]*",


onstart:
    # With its limit of jobs a second Snakemake chooses jobs anew every second for each job that has ended, n² times in
    # all and in the end on a whole core. On one machine the cores are limit enough.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    page = os.path.abspath(workflow.pathvars.apply("<results>/report.html"))
    if any(job.rule.name == "report" for job in workflow.dag.jobs) and os.path.exists(page):
        terminal.last_words(f"done. {page} begins with what was found and what to distrust.")
    elif asked := terminal.asked_for(workflow.dag):
        terminal.last_words(f"done. {terminal.where(asked)}")


onerror:
    terminal.last_words(
        "some jobs failed; the other results stay.", *failures.sentences(log, written=WRITTEN)
    )
