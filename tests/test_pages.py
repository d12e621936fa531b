"""What the pages name between backticks exists: files, settings, commands, columns, headings of the report."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from brainmet.core import tables
from brainmet.core.documents import read_yaml
from snakemake.cli import get_argument_parser

from tests.conftest import HOME

PAGES = ["README.md", "CONTRIBUTING.md", "config/README.md", *sorted(f"docs/{p.name}" for p in HOME.glob("docs/*.md"))]
RULES = "\n".join(path.read_text() for path in [HOME / "Snakefile", *HOME.glob("workflow/rules/*.smk")])
CONFIG = read_yaml(HOME / "config/config.yaml")
OPTIONS = {option for action in get_argument_parser()._actions for option in action.option_strings}
"""Of Snakemake and its plugin for Slurm."""


def tree(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The properties of a schema as a nested mapping; None where any key may stand."""
    return {key: tree(value) for key, value in schema["properties"].items()} if "properties" in schema else None


DATASET = tree(read_yaml(HOME / "workflow/schemas/dataset.schema.yaml"))


def text_of(page: str) -> str:
    """A page without its blocks of code, what is made from the code, and the messages that troubleshooting quotes."""
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", (HOME / page).read_text(), flags=re.S)
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"^\|[^|]*\|", "|", text, flags=re.M) if page == "docs/troubleshooting.md" else text


def named(page: str) -> list[str]:
    """What stands between backticks on a page; a line may break inside."""
    return [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", text_of(page))]


def results() -> list[str]:
    """Paths below the folder of results that a rule or a table has, with * for what a wildcard stands for."""
    paths = re.findall(r'"<results>/([^"]+)"', RULES)
    paths = [path for path in paths if not re.fullmatch(r"(tables/)?\{\w+\}(\.tsv)?", path)]
    paths += [tables.schema(path.stem)["path"] for path in tables.SCHEMAS.glob("*.yaml")]
    return [re.sub(r"\{+\w+\}+", "*", path) for path in paths]


def is_made(name: str, made: list[str]) -> bool:
    """Whether a result is among those made, a folder that holds one, or inside a folder that a rule makes."""
    parts = name.rstrip("/").split("/")
    return any(
        all(map(fnmatchcase, parts, path.split("/"))) and (len(parts) <= len(path.split("/")) or not Path(path).suffix)
        for path in made
    )


@pytest.mark.parametrize("page", PAGES)
def test_results_that_a_page_names_are_made(page):
    folders = "tables|cohort|samples|provenance|figures|cnv"
    pattern = re.compile(rf"(?:\w+/)?results/([^\s*]+)|((?:{folders})/[^\s]+)")
    names = ["".join(found.groups(default="")) for word in named(page) if (found := pattern.fullmatch(word))]
    made = results()
    assert [name for name in names if not is_made(name, made)] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_workflow_that_a_page_names_are_there(page):
    """Alone, or as words of a command."""
    words = [word for words in named(page) for word in words.split()]
    folders = r"workflow|resources|config|docs|profiles|tests|\.ci"
    paths = [word for word in words if re.fullmatch(rf"(?:{folders})/[\w./-]+", word)]
    assert [path for path in paths if not (HOME / path).exists()] == []


def properties(schema: Any) -> Iterator[str]:
    """Names of the properties in a schema, at any depth."""
    if isinstance(schema, dict):
        if isinstance(own := schema.get("properties"), dict):
            yield from own
        for part in schema.values():
            yield from properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from properties(part)


def unknown(given: Any, allowed: Any, where: str = "") -> Iterator[str]:
    """Keys of a setting that are not allowed at their place, where None allows all; a bare word stands for a key."""
    if isinstance(allowed, dict) and isinstance(given, dict | str):
        for key, value in (given if isinstance(given, dict) else {given: None}).items():
            if key in allowed:
                yield from unknown(value, allowed[key], f"{where}{key}.")
            else:
                yield f"{where}{key}"


def setting(word: str) -> dict[str, Any] | None:
    """What stands between backticks as a setting: `key: value`, or a dotted key of the configuration."""
    if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", word) and word.split(".")[0] in CONFIG:
        given: Any = None
        for key in reversed(word.split(".")):
            given = {key: given}
        return given
    if re.match(r"[a-z_-]+:( |$)", word):
        return yaml.safe_load(word.replace("…", "x"))
    return None


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CONTRIBUTING.md"])
def test_settings_that_a_page_names_are_known(page):
    """Those of the configuration and of dataset files at their place; of entries, methods and profiles by name."""
    schemas = [read_yaml(path) for path in HOME.glob("workflow/schemas/*.yaml")]
    methods = [path.stem for path in HOME.glob("workflow/brainmet/annotate/[a-z]*.py")]
    profile = [option.removeprefix("--") for option in OPTIONS]
    allowed = dict.fromkeys([*properties(schemas), *methods, *profile]) | DATASET | CONFIG
    words = [word for word in named(page) if not re.search(r"\.(html|tsv|parquet|yaml)$", word)]
    given = [found for word in words if (found := setting(word))]
    assert [key for found in given for key in unknown(found, allowed)] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_inside_a_sentence_can_be_typed(page):
    """Options of Snakemake, targets, modules of tests, extras; blocks of commands are tested with the docs."""
    rules = set(re.findall(r"^rule (\w+):", RULES, re.M))
    extras = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in named(page):
        words = shlex.split(word) if re.match(r"uv |snakemake |python -m |--[a-z]", word) else []
        if words and word.startswith("--"):
            assert words[0] in OPTIONS | {"--ignore-labels"}, word  # the latter is cellxgene-schema's
        if "snakemake" in words:
            given = get_argument_parser().parse_args(words[words.index("snakemake") + 1 :])
            assert {target for target in given.targets if "/" not in target} <= rules, word
            assert words[0] != "uv" or given.cores or given.dryrun, f"{word} lacks --cores"
        if "python" in words:
            assert find_spec(words[words.index("-m") + 1]), word
        if "--extra" in words:
            assert words[words.index("--extra") + 1] in extras, word


def test_columns_that_a_page_names_are_in_their_table():
    text = "".join(map(text_of, PAGES))
    found = re.findall(r"`tables/(\w+)\.tsv`, column `(\w+)`", text)
    assert ("genes_lost", "types_affected") in found
    assert [(table, column) for table, column in found if column not in tables.columns(table)] == []


def test_headings_that_a_page_names_in_italics_are_shown():
    """Of the report: a section, a figure, a table, a button; of `design`: a heading of what it prints."""
    sources = [*HOME.glob("workflow/report/**/*"), *HOME.glob("workflow/brainmet/report/*.py")]
    sources = [path for path in sources if path.suffix in (".j2", ".js", ".py")] + [
        HOME / "workflow/brainmet/design.py"
    ]
    source = "\n".join(path.read_text() for path in sources)
    pages = ["README.md", "docs/tutorial.md", "docs/troubleshooting.md"]
    heads = {head for page in pages for head in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", text_of(page))}
    assert {"What to distrust", "Why cells stayed unknown"} <= heads
    shown = r"""(?<=[>"'`]){}(?=[<"'`]| \()"""
    assert [head for head in heads if not re.search(shown.format(re.escape(head)), source)] == []


def first_cells(page: str, head: str) -> set[str]:
    """What stands between backticks in the first column of the table under a heading."""
    rows = re.findall(r"^\| (.*?) \|", text_of(page).split(f"# {head}\n")[1].split("\n#")[0], re.M)
    return {word for row in rows[1:] for word in re.findall(r"`(\w+)", row)}


def test_every_key_and_layout_of_dataset_files_is_told():
    """Fields of a sample, which the file may give for all of them, have a table made from the schema."""
    fields = read_yaml(HOME / "workflow/schemas/dataset.schema.yaml")["properties"]["samples"]["items"]["properties"]
    told = first_cells("docs/adding.md", "Keys of a dataset file")
    assert set(DATASET) - set(fields) - {"samples"} <= told <= set(DATASET)
    readers = {path.stem for path in HOME.glob("workflow/brainmet/ingest/*.py") if "\ndef read(" in path.read_text()}
    assert first_cells("docs/adding.md", "Layouts") == readers


def test_the_stages_of_the_readme_are_there():
    stages = first_cells("README.md", "What happens")
    rules = set(re.findall(r"^rule (\w+):", RULES, re.M))
    assert len(stages) > 15 and [name for name in stages - rules if not find_spec(f"brainmet.{name}")] == []


def test_the_readme_counts_what_is_shipped():
    """Entries by folder, and how far they were verified; marks of axes and drugs are counted with their stages."""
    shipped = HOME / "resources"
    sets = [read_yaml(path) for path in shipped.glob("datasets/*.yaml")]
    public = [entry["evidence"] for entry in sets if entry["id"] not in ("demo", "oligodendroglioma")]
    types = read_yaml(shipped / "markers/markers.yaml")["cell_types"]
    scored = read_yaml(shipped / "signatures/signatures.yaml")["signatures"]
    axes = read_yaml(shipped / "crosstalk/axes.yaml")["axes"]
    drugs = read_yaml(shipped / "drugs/drugs.yaml")["entries"]
    claims = read_yaml(shipped / "claims/claims.yaml")["claims"]
    core = sum(entry["tier"] == 1 for entry in scored)
    unread = [sum(entry.get("verify", False) for entry in entries) for entries in (scored, types)]
    told = " ".join(text_of("README.md").split())
    for sentence in (
        f"| {len(public)} files on ",
        f"| {len(types)} cell types, states and lineages ",
        f"| {len(scored)} signatures: {core} core ones, scored by default, and {len(scored) - core} more ",
        f"| {len(axes)} axes between ",
        f"| {len(claims)} published claims |",
        f"a verdict on {len(claims)} published claims",
        f"| {len(drugs)} drugs and experimental axes |",
        f"references of {unread[0]} signatures, the markers of {unread[1]} cell types",
        f"({public.count('A')} of the {len(public)} files on public series); B, a name or a sample is partly inferred "
        f"({public.count('B')}); C, not verified ({public.count('C')})",
    ):
        assert sentence in told, sentence
