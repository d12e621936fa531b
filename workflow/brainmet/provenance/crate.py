"""The results as an RO-Crate (doi:10.3233/DS-210053): what went in, what was done with it, what came out.

`ro-crate-metadata.json` lies at the top of the results, so that the folder as it is can be deposited.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from brainmet.errors import BrainmetError
from brainmet.fetch.archive import archive_url
from brainmet.fetch.checksums import sha256

WORKFLOW = "#brainmet"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
"""Process Run Crate (doi:10.1371/journal.pone.0309210): tools that were run on files, not the graph of their steps."""

MEDIA = {
    ".h5ad": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values",
}


def describe(
    root: Path,
    outputs: Sequence[Path],
    *,
    run: Mapping[str, Any],
    inputs: pd.DataFrame,
    sources: Mapping[str, Mapping[str, Any]],
    titles: Mapping[str, str],
    day: date,
) -> dict[str, Any]:
    """The crate's metadata as a JSON-LD document.

    Args:
        root: the results folder, which is the crate.
        outputs: files below `root`, each described with its size and sha256.
        run: as `provenance.run` gives it; the files of knowledge are inputs too.
        inputs: file, bytes, sha256 of every raw file.
        sources: raw file to its `files:` entry, whose `url` identifies a published file.
        titles: dataset id to title.
        day: date of the description.
    """
    crate = ROCrate(version="1.1")
    crate.name = f"brainmet: {', '.join(titles)}"
    crate.description = "Single-cell reanalysis of " + "; ".join(titles.values())
    crate.datePublished = day.isoformat()
    crate.license = _entity(
        crate, "#licence", "CreativeWork", name="The licences of the input series apply; see inputs"
    )
    profile = _entity(crate, PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
    crate.root_dataset["conformsTo"] = profile
    workflow = _workflow(crate, run)
    taken = [_input(crate, row, sources.get(str(row["file"]), {})) for row in inputs.to_dict("records")]
    settings = [_setting(crate, key, value) for key, value in _leaves(run["config"])]
    known = [
        _entity(
            crate, f"#knowledge/{digest[:16]}/{Path(name).name}", "CreativeWork", name=Path(name).name, sha256=digest
        )
        for name, digest in run["knowledge"].items()
    ]
    made = [_output(crate, root, path) for path in sorted(outputs)]
    about = {"name": "Run of brainmet", "description": crate.description}
    action = {**about, "instrument": workflow, "object": [*taken, *settings, *known], "result": made}
    crate.root_dataset["mentions"] = [_entity(crate, "#run", "CreateAction", **action)]
    return dict(crate.metadata.generate())


def check(document: Mapping[str, Any], root: Path) -> None:
    """See that a crate is whole: every reference is described, every file is there with its size and checksum.

    Raises:
        BrainmetError: the first thing that is not so.
    """
    entities = {entity["@id"]: entity for entity in document["@graph"]}
    for entity in entities.values():
        for reference in _references(entity):
            if reference not in entities and "://" not in reference:
                raise BrainmetError(
                    f"ro-crate-metadata.json: {entity['@id']} refers to {reference}, which is not there"
                )
        if entity["@type"] == "File" and "://" not in entity["@id"]:
            path = root / entity["@id"]
            if not path.is_file() or path.stat().st_size != int(entity["contentSize"]):
                raise BrainmetError(f"{path}: is not the file that ro-crate-metadata.json describes; run again")
            if sha256(path) != entity["sha256"]:
                raise BrainmetError(f"{path}: was changed after ro-crate-metadata.json was written; run again")


def text(document: Mapping[str, Any]) -> str:
    """The document as it is written."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _workflow(crate: ROCrate, run: Mapping[str, Any]) -> ContextEntity:
    needs = [
        _entity(crate, f"#software/{name}", "SoftwareApplication", name=name, softwareVersion=version)
        for name, version in run["software"].items()
    ]
    kind = ["SoftwareApplication", "SoftwareSourceCode"]
    version = run["software"]["brainmet"]
    about = {"name": "brainmet", "version": version, "softwareVersion": version, "softwareRequirements": needs}
    return _entity(crate, WORKFLOW, kind, **about)


def _input(crate: ROCrate, row: Mapping[str, Any], source: Mapping[str, Any]) -> ContextEntity:
    """A raw file: published ones by their address, others by name, all with their checksum."""
    about = {"name": Path(row["file"]).name, "contentSize": str(row["bytes"]), "sha256": row["sha256"]}
    if source.get("url"):
        return _entity(crate, archive_url(source["url"]), "File", **about)
    return _entity(crate, f"#input/{row['sha256'][:16]}", "CreativeWork", **about)


def _output(crate: ROCrate, root: Path, path: Path) -> Any:
    about = {
        "name": path.name,
        "contentSize": str(path.stat().st_size),
        "sha256": sha256(path),
        "encodingFormat": MEDIA.get(path.suffix, "application/octet-stream"),
    }
    return crate.add_file(dest_path=path.relative_to(root).as_posix(), properties=about)


def _setting(crate: ROCrate, key: str, value: Any) -> ContextEntity:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _entity(crate, f"#setting/{key}", "PropertyValue", name=key, value=shown)


def _entity(crate: ROCrate, id_: str, kind: str | list[str], **properties: Any) -> ContextEntity:
    entity = crate.add(ContextEntity(crate, id_, properties={"@type": kind}))
    for name, value in properties.items():
        entity[name] = value
    return entity


def _leaves(tree: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{path}.{key}" if path else str(key)
        found += _leaves(value, name) if isinstance(value, Mapping) and value else [(name, value)]
    return found


def _references(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        own = [value["@id"]] if set(value) == {"@id"} else []
        return own + [found for child in value.values() for found in _references(child)]
    return [found for child in value for found in _references(child)] if isinstance(value, list) else []
