"""Pages that are made from the code: written by `python -m tests.test_docs`, tested for drift."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml
from brainmet import annotate, contract, datasets, design
from brainmet.claims.entries import load
from brainmet.compare.contrast import read_contrasts
from brainmet.compare.estimators import Design
from brainmet.core import tables
from brainmet.core.documents import read_yaml
from brainmet.core.validate import validate
from brainmet.knowledge import signatures
from brainmet.knowledge.cell_types import load_cell_types
from brainmet.report import findings
from brainmet.run import config
from packaging.specifiers import SpecifierSet
from snakemake.cli import get_argument_parser

from tests.conftest import HOME
from tests.running import environment

ASIDE = {
    "all", "provenance", "figures", "adc_coverage", "crosstalk_summary", "duplicates", "fidelity", "composition",
    "collect_cnv_arms", "collect_dropped", "annotation_benchmark", "choose_genes", "collect_coverage",
    "collect_genes_lost", "collect_qc", "stability", "recovery", "nulls", "crate",
}  # fmt: skip
"""Rules that the picture leaves out: they gather tables, or check results, and would hide the way through."""


def rulegraph() -> str:
    """The graph of the rules of the default run, as Mermaid."""
    command = [sys.executable, "-m", "snakemake", "-s", str(HOME / "Snakefile"), "--rulegraph", "mermaid-js"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, "-d", folder], capture_output=True, text=True, cwd=HOME, check=True)
    edges = re.findall(r"^\s*(id\d+)\s*-->\s*(id\d+)", done.stdout, re.M)
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", done.stdout, re.M))
    arrows = sorted({(names[a], names[b]) for a, b in edges if a != b and not {names[a], names[b]} & ASIDE})
    body = "\n".join(f"  {a} --> {b}" for a, b in reduced(arrows))
    return f"```mermaid\nflowchart LR\n{body}\n```"


def reduced(arrows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Arrows without those that a longer way implies."""
    after: dict[str, set[str]] = {}
    for a, b in arrows:
        after.setdefault(a, set()).add(b)

    def reach(node: str) -> set[str]:
        return {n for step in after.get(node, ()) for n in (step, *reach(step))}

    return [(a, b) for a, b in arrows if not any(b in reach(other) for other in after[a] - {b})]


QUESTIONS = {
    "What became of each sample?": ["qc", "samples", "genes_lost", "dropped", "duplicates"],
    "What is each cell, and why?": ["annotation", "cells", "clusters", "author_labels", "concordance", "cnv_arms"],
    "What differs between conditions?": ["contrasts", "de", "gsea", "composition", "nulls"],
    "Do published claims hold?": ["claims", "correlations", "bulk"],
    "Which cells could talk, and what could be targeted?": ["crosstalk_summary", "druggability", "adc_coverage"],
    "Which programmes recur, and how good are models?": ["programmes", "fidelity"],
    "What can a set of series answer?": ["design", "design_cohort", "catalogue"],
}
"""Where a reader of the tables begins."""


def table_pages() -> str:
    """Where to begin, and every table with its columns, as Markdown."""

    def cell(text: str) -> str:
        return " ".join(text.split()).replace("|", "\\|")

    begin = [f"| {ask} | {', '.join(f'[{n}](#{n})' for n in names)} |" for ask, names in QUESTIONS.items()]
    parts = [
        "# Tables\n\nEvery table of a run with its columns, made from `workflow/schemas/tables/`. NA means not known "
        "or not computed. Where to begin:\n",
        "\n".join(["| question | tables |", "|---|---|", *begin]) + "\n",
    ]
    for name in sorted(path.stem for path in tables.SCHEMAS.glob("*.yaml")):
        spec = tables.schema(name)
        path = spec["path"] if spec["path"].startswith("downloads/") else f"results/{spec['path']}"
        rows = [f"| `{c['name']}` | {c['dtype']} | {cell(c['description'])} |" for c in spec["columns"]]
        index = f"Index: `{spec['index']}`. " if spec.get("index") else ""
        parts.append(
            f"## {name}\n\n`{path}`. {index}{cell(spec['description'])}\n\n"
            + "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])
            + "\n"
        )
    return "\n".join(parts)


def conda_environment() -> str:
    """The environment of every rule for people who use conda: the lock file's versions, installed by pip."""
    uv = shutil.which("uv") or sys.exit("uv is not on the path")
    command = [uv, "export", "--frozen", "--no-hashes", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME, check=True)
    pins = [f'      - "{line.strip()}"' for line in done.stdout.splitlines() if line.strip()]
    head = "# Generated from uv.lock by `python -m tests.test_docs`; uv is the tested way, see README.md.\n"
    return head + "\n".join(
        [
            "name: brainmet",
            "channels: [conda-forge]",
            "dependencies:",
            "  - python=3.12",
            "  - pip",
            "  - pip:",
            *pins,
            "",
        ]
    )


def between(text: str, marker: str, content: str) -> str:
    """The text with what stands between two markers replaced."""
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)"
    assert re.search(pattern, text, re.S), marker
    return re.sub(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.S)


def verdicts() -> str:
    """The words that a claim's verdict may be, as the page explains them."""
    rows = [f"| `{verdict}` | {meaning} |" for verdict, meaning in findings.MEANING.items()]
    return "\n".join(["| verdict | when |", "|---|---|", *rows])


def sample_fields() -> str:
    """What a dataset file may say of a sample, and the words that it may use."""
    schema = read_yaml(HOME / "workflow/schemas/dataset.schema.yaml")
    fields = schema["properties"]["samples"]["items"]["properties"]
    kinds = {name: spec["$ref"].rsplit("/", 1)[1] for name, spec in fields.items() if "$ref" in spec}
    rows = []
    for kind in dict.fromkeys(kinds.values()):
        names = ", ".join(f"`{name}`" for name, own in kinds.items() if own == kind)
        words = dict.fromkeys(f"`{word}`" for word in schema["$defs"][kind].get("enum", ()))
        rows.append(f"| {names} | {', '.join(words) or FREE[kind]} |")
    return "\n".join(["| field | values |", "|---|---|", *rows])


FREE = {
    "text": "free text",
    "share": "a number up to 0.5, by default from the number of barcodes; 0 where doublets were removed, so that none "
    "are sought",
}
"""Kinds of fields without a list of words."""


def pages() -> dict[Path, str]:
    """Every generated page with the text it should have."""
    readme = (HOME / "README.md").read_text()
    readme = between(readme, "verdicts", verdicts())
    readme = between(readme, "contract", contract.markdown())
    head = (HOME / "config" / "README.md").read_text()
    rules = "".join(path.read_text() for path in sorted(HOME.glob("workflow/rules/*.smk")))
    captions = {
        HOME / f"workflow/report/captions/table_{name}.rst": " ".join(tables.schema(name)["description"].split()) + "\n"
        for name in re.findall(r'\blisted\("(\w+)"', rules)
    }
    return captions | {
        HOME / "README.md": readme,
        HOME / "config" / "README.md": between(head, "keys", config.markdown()),
        HOME / "docs" / "adding.md": between((HOME / "docs/adding.md").read_text(), "fields", sample_fields()),
        HOME / "docs" / "methods.md": between((HOME / "docs/methods.md").read_text(), "rulegraph", rulegraph()),
        HOME / "docs" / "tables.md": table_pages(),
        HOME / "workflow" / "envs" / "brainmet.yaml": conda_environment(),
    }


@pytest.fixture(scope="module")
def expected() -> dict[Path, str]:
    return pages()


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "config/README.md",
        "docs/adding.md",
        "docs/methods.md",
        "docs/tables.md",
        "workflow/envs/brainmet.yaml",
    ],
)
def test_generated_pages_are_up_to_date(expected, name):
    path = HOME / name
    assert path.read_text() == expected[path], f"{name} has drifted: run `uv run python -m tests.test_docs`"


def test_the_container_is_the_lock_file():
    """It cannot be built in a test: what it copies is there, its Python is supported, it installs what is locked."""
    text = (HOME / "workflow/envs/Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (.+)$", text, re.M) for name in line.split()[:-1]}
    assert {"pyproject.toml", "uv.lock", "Snakefile", "workflow", "config", "resources"} <= copied
    assert [name for name in copied if not (HOME / name).exists()] == []
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    (version,) = re.findall(r"^FROM --platform=linux/amd64 python:([\d.]+)", text, re.M)
    assert SpecifierSet(project["requires-python"]).contains(f"{version}.0")
    assert project["readme"] in copied, "the package is built from it"
    assert "RUN uv sync --locked" in text
    assert '"-s", "/brainmet/Snakefile"' in text and "WORKDIR /brainmet\n" in text


def test_captions_of_the_tables_are_their_descriptions(expected):
    captions = {path: text for path, text in expected.items() if path.suffix == ".rst"}
    assert len(captions) > 10
    assert [p.name for p, text in captions.items() if not p.exists() or p.read_text() != text] == []


def anchors(page: Path) -> set[str]:
    """Names under which GitHub makes the headings of a page targets of links."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_of_the_docs_lead_somewhere():
    for page in [*HOME.glob("*.md"), *HOME.glob("docs/*.md"), HOME / "config/README.md"]:
        for path, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text()):
            if "://" not in path:
                target = page.parent / path if path else page
                assert target.exists(), f"{page.name} links to {path}"
                assert not anchor or anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


def templates() -> str:
    """Every text of the package and its rules, with … for what is filled in."""

    def text(node: ast.AST) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(map(text, node.values))
        return text(node.left) + text(node.right) if isinstance(node, ast.BinOp) else "…"

    nodes = [
        node
        for path in sorted((HOME / "workflow/brainmet").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)
    ]
    return "\n".join([*map(text, nodes), *(p.read_text() for p in (HOME / "workflow/rules").glob("*.smk"))])


def test_sentences_of_troubleshooting_are_in_the_source():
    page, source = (HOME / "docs/troubleshooting.md").read_text(), templates()
    pattern = re.compile(r"^\| `([^`]+)` \|", re.M)
    sentences = [s for s in pattern.findall(page) if "…" in s or " " in s]
    assert len(sentences) > 20
    from_snakemake = {"Directory cannot be locked"}
    made = {"config.yaml: qc.n_mad: unknown key; did you mean n_mads?"}  # put together by brainmet.core.validate
    missing = [s for s in sentences if s.rstrip("…") not in source and s not in from_snakemake | made]
    assert missing == []


def test_columns_are_described_in_sentences_and_questions_lead_to_tables():
    specs = {path.stem: tables.schema(path.stem) for path in tables.SCHEMAS.glob("*.yaml")}
    told = {f"{name}.{c['name']}": c["description"].strip() for name, spec in specs.items() for c in spec["columns"]}
    assert [where for where, text in told.items() if text[-1] not in ".?" or text[0].islower()] == []
    assert {name for names in QUESTIONS.values() for name in names} <= set(specs)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Code blocks of a page: language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.M | re.S)


def test_targets_that_the_docs_name_exist():
    rules = set(re.findall(r"^rule (\w+):", "".join(p.read_text() for p in HOME.glob("workflow/rules/*.smk")), re.M))
    pages = [HOME / "README.md", HOME / "config/README.md", *sorted(HOME.glob("docs/*.md"))]
    commands = [line for page in pages for kind, text in blocks(page) if kind == "bash" for line in text.splitlines()]
    asked = [shlex.split(line, comments=True) for line in commands if "snakemake" in line]
    assert len(asked) > 8
    for words in asked:
        words = words[words.index("uv") :]  # what is not run by uv is in no environment
        given = get_argument_parser().parse_args(words[words.index("snakemake") + 1 :])
        named = {word for word in words[3:] if re.fullmatch(r"[a-z_]+", word)} - {"all"}
        targets = {*given.targets, *given.until}
        assert {target for target in targets if "/" not in target} <= rules, words
        assert named & rules <= targets, f"an option swallows a target of {words}"
        assert given.cores or given.dryrun or given.profile or given.report, f"{words} lacks --cores"
    table = (HOME / "README.md").read_text().split("| target | what it makes |")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `")))
    assert len(named) > 8 and set(named) <= rules


def test_the_readme_says_what_the_shipped_series_can_answer():
    """Donors of every contrast and claims by estimator, as `design` finds them for all series."""
    settings = read_yaml(HOME / "config/config.yaml")
    folder = HOME / "resources/datasets"
    series = datasets.load(sorted(path.stem for path in folder.glob("[GH]*.yaml")), folders=[folder])
    rows = design.estimable(
        datasets.records(series, exclude=[]),
        {id_: entry.get("published", {}) for id_, entry in series.items()},
        read_contrasts(settings["compare"]["contrasts"]),
        load([HOME / "resources/claims/claims.yaml"]),
        design=Design(**settings["compare"]["design"]),
    )
    (told,) = re.findall(
        r"^## What the shipped series can answer\n(.*?)^## ", (HOME / "README.md").read_text(), re.M | re.S
    )
    told = " ".join(told.split())
    for row in rows[rows["kind"] == "contrast"].itertuples():
        arms = f"{row.n_a} against {row.n_b}"
        assert (f"{row.n_a}" if row.estimator == "bulk_paired" else f"| {arms} |") in told, row
        assert row.estimator == "bulk_paired" or f"`{row.estimator}`" in told, row
    counts = rows.loc[rows["kind"] == "claim", "estimator"].value_counts()
    elsewhere = rows["reason"].str.startswith("only an estimate by transfer is possible").sum()
    assert f"Of the {counts.sum()} claims {counts['within']} can be tested" in told
    assert f"{elsewhere} can be estimated in lung or melanoma only" in told
    missing = counts["not_testable"] - elsewhere
    assert f"{counts['confounded']} are confounded, and for {missing} donors are missing" in told


def test_the_five_lines_of_the_readme_are_a_run(tmp_path):
    (lines,) = [text for kind, text in blocks(HOME / "README.md") if kind == "yaml" and text.startswith("# my.yaml")]
    (tmp_path / "my.yaml").write_text(lines)
    words = ["-d", "my_project", "--configfile", "my.yaml", "--cores", "all", "-n", "-q"]
    command = [sys.executable, "-m", "snakemake", "-s", str(HOME / "Snakefile"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dataset_files_of_the_docs_are_read(tmp_path):
    """Each example beside empty files of the names it asks for."""
    examples = [text for kind, text in blocks(HOME / "docs/adding.md") if kind == "yaml" and text.startswith("schema:")]
    assert len(examples) >= 3
    (tmp_path / "data").mkdir()
    for text in examples:
        for name in re.findall(r"(?:path|file): (data/[\w.]+)", text):
            (tmp_path / name).touch()
        (name,) = re.findall(r"^id: (\w+)", text, re.M)
        (tmp_path / f"{name}.yaml").write_text(text)
        read = datasets.load([name], folders=[tmp_path])
        assert all(sample["condition"] != "other" for sample in datasets.records(read, exclude=[]).values())


def test_the_parts_of_dataset_files_in_the_docs_fit_the_schema():
    parts = [text for kind, text in blocks(HOME / "docs/adding.md") if kind == "yaml" and text[0].islower()]
    parts = [yaml.safe_load(text) for text in parts if not text.startswith("schema:")]
    assert {"cells", "labels", "split_by", "covariates", "files"} <= {key for part in parts for key in part}
    whole = {"schema": 1, "id": "x", "files": [{"name": "x.h5ad", "path": "x.h5ad"}], "layout": "h5ad"}
    for part in parts:
        validate(whole | part, read_yaml(datasets.SCHEMA), name="docs/adding.md")


def test_the_entries_of_the_docs_are_read(tmp_path):
    """Signature, cell type, claim and reference of one's own, each by the reader that a run uses."""
    for kind, text in blocks(HOME / "docs/adding.md"):
        if kind == "yaml" and text.startswith("# my"):
            (tmp_path / re.findall(r"^# ([\w.]+)", text)[0]).write_text(text)
    shipped = HOME / "resources"
    scored = signatures.load([shipped / "signatures/signatures.yaml", tmp_path / "my_signatures.yaml"], tiers=[1])
    types = load_cell_types([shipped / "markers/markers.yaml", tmp_path / "my_types.yaml"])
    (claim,) = load([tmp_path / "my_claims.yaml"])
    assert "my_lactate" in {signature.id for signature in scored} and "melanocyte" in types
    assert claim["readout"]["signature"] in {signature.id for signature in scored}
    given = read_yaml(tmp_path / "my.yaml")["annotate"]
    config.check(read_yaml(HOME / "config/config.yaml") | {"annotate": given})
    annotate.chosen(given["methods"], read_yaml(HOME / "config/config.yaml")["annotate"] | given)
    assert set(given) == {"methods", "celltypist", "singler"}


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path):
    """Its files are written, its commands run, in order, from a folder that holds the workflow."""
    for name in ("Snakefile", "workflow", "resources", "config", "profiles"):
        (tmp_path / name).symlink_to(HOME / name)
    (tmp_path / "tutorial").mkdir()
    for kind, text in blocks(HOME / "docs/tutorial.md"):
        if kind == "bash":
            line = text.replace("uv run snakemake", f"{sys.executable} -m snakemake")
            line = line.replace("uv run python", sys.executable)
            done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, env=environment())
            assert done.returncode == 0, f"{line}\n{(done.stdout + done.stderr)[-4000:]}"
        else:
            (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    assert "<svg" in (tmp_path / "tutorial/figure.svg").read_text()
    for path in re.findall(
        r"`((?:samples|tables|cohort|provenance)/[\w/.]+\.\w+)`", (HOME / "docs/tutorial.md").read_text()
    ):
        assert (tmp_path / "tutorial/results" / path).exists(), path


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
        print(f"wrote {path.relative_to(HOME)}")
