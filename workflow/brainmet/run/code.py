"""Which modules a stage is made of, so that editing one reruns what depends on it.

Snakemake sees edits of a script, not of what the script imports; each rule therefore lists the modules as its
`code` input.
"""

import ast
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
IMPORT = re.compile(r"^ *(from brainmet\b[\w.]* import (?:\([^)]*\)|[^(\n]+)|import brainmet\b[^\n]*)", re.MULTILINE)
"""Found by their looks: to parse all modules would cost every start of the workflow a quarter of a second."""


@cache
def imports(path: Path) -> tuple[Path, ...]:
    """Modules of this package that a module's import statements execute, at any depth of the file."""
    files: set[Path] = set()
    for statement in IMPORT.findall(path.read_text()):
        node = ast.parse(statement).body[0]
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        files.update(file for name in names for file in _executed(name))
    return tuple(sorted(files))


def modules(*stages: str) -> list[str]:
    """Files of the named modules (`qc`, `annotate.markers`) and of all modules of this package that they import."""
    names = [f"brainmet.{stage}" for stage in stages]
    if not all(map(_file, names)):
        raise ValueError(f"no such module among {stages}")
    todo = [file for name in names for file in _executed(name)]
    files: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in files:
            files.add(path)
            todo.extend(imports(path))
    return [str(path) for path in sorted(files)]


def constants(path: Path, *names: str) -> dict[str, object]:
    """Literal values that a module assigns to the given names, read without importing it."""
    values = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in names and node.value:
                values[target.id] = ast.literal_eval(node.value)
    return values


def _executed(name: str) -> list[Path]:
    """Files that an import of the name executes: the `__init__.py` of each package above it, and its own."""
    parts = name.split(".")
    names = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return [file for name in names if (file := _file(name))]


def _file(name: str) -> Path | None:
    if name != "brainmet" and not name.startswith("brainmet."):
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    candidates = (base / "__init__.py", base.with_suffix(".py")) if name != "brainmet" else (base / "__init__.py",)
    return next((path for path in candidates if path.is_file()), None)
