"""Raw files of the datasets.

In: `files:` of the dataset files; files with `path:` are read where they are, files with `rule:` are made by that rule.
Out: downloads/{dataset}/{file}, whole and verified; downloads/{dataset}/checksums.tsv holds what the first download
brought.

Runs where Snakemake runs, never on a compute node. Downloads side by side: four by profiles/default, `snakemake
--resources downloads=N` for another number.
"""

from brainmet import fetch as fetching

FETCHED = {
    dataset: {
        file["name"]: {key: file[key] for key in ("url", "package", "sha256", "size") if file.get(key)}
        for file in entry["files"]
        if "url" in file or "package" in file
    }
    for dataset, entry in DATASETS.items()
}
FETCHED_PATHS = {
    f"downloads/{dataset}/{name}": source
    for dataset, files in FETCHED.items()
    for name, source in files.items()
}
MISSING = (
    fetching.missing_offline(FETCHED_PATHS, fetching.Archive(mirror=config["fetch"]["mirror"] or ""))
    if config["fetch"]["offline"]
    else []
)


localrules:
    fetch,
    pin_dataset,


rule fetch:
    """One raw file of a dataset, downloaded or copied, verified, resumed where an earlier run stopped."""
    input:
        # ancient: an edited module is no reason to download again
        code=ancient(code("fetch")),
    output:
        # update: a file that is there is verified and kept, never deleted to be downloaded again
        update("downloads/{dataset}/{file}"),
    log:
        "<logs>/fetch/{dataset}/{file}.log",
    benchmark:
        "<benchmarks>/fetch/{dataset}/{file}.tsv"
    wildcard_constraints:
        dataset="|".join(re.escape(dataset) for dataset, files in FETCHED.items() if files) or "none",
        file="|".join(re.escape(name) for files in FETCHED.values() for name in files) or "none",
    priority: ALL_CELLS
    conda:
        "../envs/brainmet.yaml"
    resources:
        downloads=1,
        # How bytes travel does not change them: as params these would download everything again when edited. Whole
        # numbers: resources have no others.
        mirror=config["fetch"]["mirror"] or "",
        offline=int(config["fetch"]["offline"]),
        attempts=config["fetch"]["attempts"],
        backoff_seconds=config["fetch"]["backoff_seconds"],
        stall_seconds=config["fetch"]["stall_seconds"],
        missing=", ".join(MISSING),
    params:
        source=lookup(dpath="{dataset}/{file}", within=FETCHED),
    script:
        "../scripts/fetch.py"


rule pin_dataset:
    """Print the files entry of each dataset with the checksums of what was downloaded, for its dataset file."""
    input:
        files=list(FETCHED_PATHS),
        code=ancient(code("fetch")),
    log:
        "<logs>/pin_dataset.log",
    conda:
        "../envs/brainmet.yaml"
    params:
        files=FETCHED,
    script:
        "../scripts/pin_dataset.py"
