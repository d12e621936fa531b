"""Methods that say what a cell is, one file each; this module holds only what they have in common.

A method is a module here that states

* `SCOPE`: `"sample"` (runs beside the counts of one sample) or `"cohort"` (sees narrow tables of all samples);
* `REQUIRES`: names of what it reads: `types` (the resource of cell types); in a sample `counts`, `cells`, or another
  method of that scope; in the cohort `cells`, `slices`, `features`, `neighbors`, `clusters`, or any other method;
* `annotate(**inputs, **options) -> DataFrame`: inputs by the names in `REQUIRES`, options from the config section of
  its name; index = ids of the kept cells. Column `note` (words a biologist can read, empty for none), then numbers.

It may state `IN_WORDS`, what it reads, as the page's methods section says it. It may state `FILES`, names of options
that are paths of files, and `FILES_OR_NAMES`, of options that are that or a name which its library knows: a file that
is replaced makes the evidence anew, one that is not there is told before any job.

Columns `vote_{type id}` (0 to 1) enter the consensus as that method's vote. What it states is read without importing
the module, so that adding a method is one file here and its name in the config.
"""

import ast
import importlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainmet.core.validate import guess
from brainmet.errors import BrainmetError
from brainmet.run.code import constants

if TYPE_CHECKING:
    import pandas as pd

NOTE = "note"
SCORE = "score_"
WITHIN = "within_"
"""Prefix of a marker score that compares a type with its siblings."""
VOTE = "vote_"
INPUTS = {
    "sample": ("counts", "cells", "types"),
    "cohort": ("cells", "slices", "features", "neighbors", "clusters", "types"),
}
"""By scope, what a method may require besides other methods."""
NEEDED = "markers"
"""The method that every run has: the consensus weighs all votes against its scores."""


@dataclass(frozen=True)
class Method:
    """What a method's file states of itself."""

    name: str
    path: Path
    scope: str
    requires: tuple[str, ...]
    files: tuple[str, ...] = ()
    files_or_names: tuple[str, ...] = ()
    in_words: str = ""
    options: Mapping[str, bool] | None = None
    """Options that its function takes, and whether each must be given; None where it takes any."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the method does not take, and the lack of one that it needs.

        Raises:
            BrainmetError: one line with the option, and what the method takes.
        """
        if self.options is None:
            return
        takes = ", ".join(self.options) or "none"
        if unknown := [name for name in options if name not in self.options]:
            raise BrainmetError(
                f"config.yaml: annotate.{self.name}.{unknown[0]}: unknown key{guess(unknown[0], self.options)}; "
                f"allowed: {takes}"
            )
        if missing := [name for name, needed in self.options.items() if needed and name not in options]:
            raise BrainmetError(f"config.yaml: annotate.{self.name}: needs {', '.join(missing)}; allowed: {takes}")

    def paths(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Files that the options name, there or not, by option; what can only be a name is none."""
        given = {option: str(options[option]) for option in (*self.files, *self.files_or_names) if options.get(option)}
        return {
            option: value
            for option, value in given.items()
            if option in self.files or "/" in value or Path(value).is_file()
        }


def available(folder: Path = Path(__file__).parent) -> list[str]:
    """Names of the methods that there are: modules that state a SCOPE, found without importing them."""
    return sorted(path.stem for path in folder.glob("*.py") if re.search(r"^SCOPE\b", path.read_text(), re.MULTILINE))


@cache
def describe(name: str, folder: Path = Path(__file__).parent) -> Method:
    """Read what a method's file states without importing it.

    Raises:
        BrainmetError: there is no such file, or it does not state SCOPE and REQUIRES.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        known = available(folder)
        raise BrainmetError(
            f"config.yaml: annotate.methods: no method {name!r}{guess(name, known)}; known methods: {', '.join(known)}"
        )
    stated = constants(path, "SCOPE", "REQUIRES", "FILES", "FILES_OR_NAMES", "IN_WORDS")
    scope, requires = stated.get("SCOPE"), stated.get("REQUIRES")
    if scope not in INPUTS or not isinstance(requires, tuple):
        raise BrainmetError(f"{path}: must state SCOPE ({' or '.join(INPUTS)}) and REQUIRES (a tuple of input names)")
    return Method(
        name,
        path,
        str(scope),
        requires=_names(requires),
        files=_names(stated.get("FILES")),
        files_or_names=_names(stated.get("FILES_OR_NAMES")),
        in_words=str(stated.get("IN_WORDS") or name.replace("_", " ")),
        options=_options(path, requires),
    )


def _names(stated: Any) -> tuple[str, ...]:
    return tuple(map(str, stated or ()))


def _options(path: Path, inputs: Collection[str]) -> dict[str, bool] | None:
    """Arguments of a file's function `annotate` that are no inputs, and whether they lack a default; None for any."""
    statements = ast.parse(path.read_text()).body
    function = next((s for s in statements if isinstance(s, ast.FunctionDef) and s.name == "annotate"), None)
    if function is None or function.args.kwarg:
        return None
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args]
    needed = [True] * (len(names) - len(arguments.defaults)) + [False] * len(arguments.defaults)
    needed += [default is None for default in arguments.kw_defaults]
    names += arguments.kwonlyargs
    return {one.arg: must for one, must in zip(names, needed, strict=True) if one.arg not in inputs}


def chosen(names: Sequence[str], options: Mapping[str, Mapping[str, Any]]) -> dict[str, Method]:
    """The methods of a run by name, as `describe` reads them.

    Args:
        names: what the configuration lists.
        options: options of methods by name, none where a method is not among them.

    Raises:
        BrainmetError: one does not exist, the needed one is not among them, one requires what no input and no other
            of them gives, or is given options that it does not take.
    """
    methods = {name: describe(name) for name in names}
    if NEEDED not in methods:
        raise BrainmetError(f"config.yaml: annotate.methods: {NEEDED} is needed by the consensus; add it to the list")
    for method in methods.values():
        others = [other.name for other in methods.values() if other.scope in ("sample", method.scope)]
        if sentence := _unmet(method, [*INPUTS[method.scope], *others]):
            raise BrainmetError(sentence)
    for method in methods.values():
        method.check(options.get(method.name) or {})
    return methods


def run(name: str, inputs: dict[str, Any], **options: Any) -> "pd.DataFrame":
    """Import a method and call it; the note column is added where a method gives none.

    Raises:
        BrainmetError: the method does not take an option, or one without a default is not given.
    """
    describe(name).check(options)
    table: pd.DataFrame = importlib.import_module(f"brainmet.annotate.{name}").annotate(**inputs, **options)
    if NOTE not in table:
        table.insert(0, NOTE, "")
    return table[[NOTE, *(column for column in table.columns if column != NOTE)]]


def run_all(
    names: Sequence[str],
    inputs: Mapping[str, Any],
    *,
    options: Mapping[str, Mapping[str, Any]],
) -> "dict[str, pd.DataFrame]":
    """Call methods one after another, each after those it requires; one reading of a sample serves them all.

    Raises:
        BrainmetError: a method requires what is neither an input nor another of these methods.
    """
    from brainmet.core.tables import conform

    known, waiting = dict(inputs), [describe(name) for name in names]
    while waiting:
        method = next((m for m in waiting if set(m.requires) <= set(known)), None)
        if method is None:
            raise BrainmetError(_unmet(waiting[0], known))
        waiting.remove(method)
        needed = {name: known[name] for name in method.requires}
        known[method.name] = conform(run(method.name, needed, **options.get(method.name, {})), "evidence")
    return {name: known[name] for name in names}


def _unmet(method: Method, known: Collection[str]) -> str:
    """What a method requires that is not known, as a sentence; empty where nothing lacks."""
    lacking = [name for name in method.requires if name not in known]
    if not lacking:
        return ""
    return (
        f"config.yaml: annotate.methods: {method.name} requires {', '.join(lacking)}; "
        f"known: {', '.join(known)}; add the method, or correct REQUIRES in {method.path}"
    )
